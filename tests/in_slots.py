"""Functions that tests run in slot processes, which import them by name."""

import ueo  # noqa: F401  isort: skip  (makes `dassl` importable)

import ctypes
import gc
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from dassl.engine import TRAINER_REGISTRY
from forked import note

from ueo.results.paper.scores import plot_run
from ueo.runs.status import run_to_status
from ueo.settings.discover import import_file


def end_as_named(folder: str) -> int:
    """Fail in the way that the folder's name says; otherwise do what `note` does."""
    way = Path(folder).name
    if way == "status":
        return 2
    if way == "error":
        raise RuntimeError("an error of its own")
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "segfault":
        ctypes.string_at(0)
    return note(folder)


def end_with_2(folder: str) -> int:
    return 2


def find_one_gpu_full(folder: str) -> int:
    """Fail at once on GPU 1; succeed after a while on another."""
    if os.environ["CUDA_VISIBLE_DEVICES"] == "1":
        return 2
    time.sleep(0.5)
    return note(folder)


def change_everything(folder: str) -> int:
    """Write the state of the process to found.json, then change all that a run may change."""
    Path(folder, "found.json").write_text(json.dumps(described()))
    os.environ["UEO_TEST"] = "changed"
    os.chdir("/")
    sys.path.append("/nowhere")
    sys.stdout = open(os.devnull, "w")
    warnings.simplefilter("ignore")
    logging.basicConfig(filename=Path(folder, "log"))
    logging.getLogger("of a trainer").addHandler(logging.StreamHandler())
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cuda.matmul.allow_tf32 = not torch.backends.cuda.matmul.allow_tf32
    torch.manual_seed(5)
    np.random.seed(5)
    multiprocessing.set_start_method("spawn", force=True)
    import_file(str(Path(folder).parent / "extra.py"))
    return 0


def described() -> dict:
    """The state of the process that a run starts in."""
    with warnings.catch_warnings(record=True) as said:
        warnings.warn("said once a process", stacklevel=1)
    return {
        "environment": dict(os.environ), "folder": os.getcwd(), "path": sys.path,
        "stdout": sys.stdout is sys.__stdout__, "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()), "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "tf32": torch.backends.cuda.matmul.allow_tf32, "warnings": len(said),
        "logs": [len(logging.getLogger(name).handlers) for name in ("root", "of a trainer")],
        "torch": torch.rand(1).item(), "numpy": np.random.rand(),
        "start": multiprocessing.get_start_method(), "pid": os.getpid(),
        "trainers": TRAINER_REGISTRY.registered_names(),
        "plug-ins": [name for name in sys.modules if name.startswith("ueo_plugins_")],
    }


def counted_run(settings) -> int:
    """Run after writing how many files, threads and models the process has to counts.json."""
    models = [o for o in gc.get_objects() if isinstance(o, torch.nn.Module)]
    counts = {"files": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(),
              "models": len(models), "pid": os.getpid()}
    Path(settings.output_dir, "counts.json").write_text(json.dumps(counts))
    status = run_to_status(settings)
    plot_run(settings.output_dir)  # as a run does without undrawn.py
    return status
