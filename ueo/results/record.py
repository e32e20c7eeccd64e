"""The files of a finished run: result.json (what was run, its metrics), outputs.npz (per sample;
docs/results.md has its keys)."""

import math
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from ueo import __version__
from ueo.errors import DataError
from ueo.files import atomic_path, read_arrays, read_json, write_json
from ueo.settings.config import config_hash, resolved
from ueo.settings.options import quoted

try:
    import resource
except ImportError:  # on Windows
    resource = None

RESULT, OUTPUTS, HISTORY = "result.json", "outputs.npz", "evaluations.json"
MODEL_FACTS = "model.json"  # beside them, and in the folder of an exported model
AGAIN = "remove its folder and run again"
FACTS = {  # required entries of a record, and their types
    "trainer": str, "dataset": str, "domain": str, "setting": str, "protocol": str, "seed": int,
    "backbone": str, "split_hash": str, "counts": dict, "config": dict, "environment": dict,
    "metrics": dict, "evaluations": list, "inputs": dict,
}  # fmt: skip
OWN_SCORE = "own"  # of a method with its own score
PERCENTAGES = ("accuracy", "pacc", "auroc", "fpr95", "aupr", "hm", "h_score", "ece")
Threshold = tuple[str, float | None]  # rule, lowest score that counts as known (None: all)
NEEDED = ("test_labels", "test_predictions_after", "test_scores_after", "test_paths")
PACKAGES = ("torch", "torchvision", "clip-anytorch", "open_clip_torch", "timm", "numpy", "pillow",
            "scikit-learn", "yacs")


def run_facts(cfg, dataset, device: torch.device, inputs: dict[str, str]) -> dict:
    """Return what every record says: what was run on what. inputs: see ueo/inputs.py; dataset: see
    ueo/images/other_datasets.py."""
    flat = resolved(cfg)
    return {
        "trainer": cfg.TRAINER.NAME,
        "dataset": cfg.DATASET.NAME,
        "title": dataset.title or cfg.DATASET.NAME,
        "domain": dataset.domain,
        "domains": list(dataset.domains),
        "tuning_domain": dataset.tuning_domain,
        "setting": dataset.space.setting,
        "protocol": dataset.protocol,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "seed": cfg.SEED,
        "counts": {
            "known_classes": len(dataset.classnames),
            "unlabelled": len(dataset.train_u),
            "test": len(dataset.test),
            "shots_left_out_of_test": dataset.shots,
            "unlabelled_and_tested": len(dataset.overlap.files),
            "copies_of_training_images_tested": None
            if dataset.overlap.copies is None
            else len(dataset.overlap.copies),
            "known_classes_without_test_image": len(dataset.untested_classes),
        },
        "untested_classes": dataset.untested_classes,
        "split_hash": dataset.split_hash,
        "published_counts": dataset.published_counts,
        "names": dataset.matched,
        "ignored": dataset.unread.facts(),
        "skipped_images": {
            os.path.relpath(path, dataset.root): why for path, why in dataset.skipped.items()
        },
        "config_hash": config_hash(flat),
        "config": flat,
        "inputs": inputs,
        "environment": {**environment(device), "workers": cfg.DATALOADER.NUM_WORKERS},
    }


def environment(device: torch.device) -> dict:
    """Versions, commit and hardware of this process."""
    import modern_dassl
    from modern_dassl import distributed

    return {
        "ueo": __version__,
        "commit": commit(),
        "engine": modern_dassl.engine_name(),
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": distributed.world_size(),
    }


def commit(folder: str | Path = Path(__file__).parent) -> str | None:
    """Commit of the source tree, "-dirty" when tracked files differ; None outside a checkout."""
    # `git describe` would lock the index: killed with its run, it would leave the lock behind
    command = ["git", "--no-optional-locks", "-C", str(folder), "status", "--porcelain=v2",
               "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search("^# branch.oid ([0-9a-f]{12})", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        return None
    changed = any(line and line[0] != "#" for line in done.stdout.splitlines())
    return found[1] + "-dirty" * changed


def peak_memory(device: torch.device) -> int | None:
    """Bytes: the GPU allocator's peak, or the process's largest resident size on a CPU; None
    if the system does not tell, as on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def write_run(folder: str | Path, result: dict, outputs: dict[str, np.ndarray]) -> None:
    """Write both files; result.json comes last, so its presence means that the run is finished."""
    folder = Path(folder)
    with atomic_path(folder / OUTPUTS) as temporary:
        np.savez_compressed(temporary, **outputs)
    write_json(folder / RESULT, result)


def was_resumed(result: dict) -> bool:
    """Whether a run was resumed, so that its times are those of its last process alone."""
    return bool(result.get("resumed_from_epoch") or result.get("resumed_from_batch"))


def read_result(folder: str | Path) -> dict | None:
    """Read result.json of a finished run; None without one. Raises DataError for another file."""
    path = Path(folder) / RESULT
    try:
        result = read_json(path, dict, AGAIN)
    except FileNotFoundError:
        return None
    if result and "inputs" not in result:
        raise DataError(
            f"{path}: is of an earlier version, whose records do not say which images, names and "
            "weights a result depends on; run again with --overwrite, or name another --output"
        )
    if wrong := _fault(result):
        raise DataError(f"{path}: {wrong}; {AGAIN}")
    return result


def _fault(result: dict) -> str | None:
    """Say why `result` is no record; None if it is one."""
    for key, kind in FACTS.items():
        if key not in result:
            return f"holds no {key!r}, so it is no record of a run"
        if not isinstance(result[key], kind):
            return f"{key!r} is {quoted(result[key], 40)}, which is no {kind.__name__}"
    if not isinstance(result["environment"].get("engine"), str):
        return "'environment' does not say which engine ran it"
    for name, values in result["metrics"].items():
        if not isinstance(values, dict):
            return f"the metrics {name!r} are {quoted(values, 40)}"
        for metric, value in values.items():
            number = isinstance(value, int | float) and math.isfinite(value)
            if value is not None and not (
                number and (metric not in PERCENTAGES or 0 <= value <= 100)
            ):
                return f"{metric} of {name} is {quoted(value, 40)}"
    return None


def labelled(result: dict) -> bool:
    """Whether some tested image of the run has a label."""
    test = result["metrics"]["test"]
    return any(test.get(name) is not None for name in PERCENTAGES)


def score_of(result: dict) -> str:
    """Name of the OOD score that a run reports: of its configuration, or OWN_SCORE."""
    config = result["config"]
    trainer = config.get("TRAINER.NAME", result["trainer"])
    return result.get("score", config.get(f"TRAINER.{trainer}.SCORE", "mcm"))


def read_outputs(folder: str | Path) -> dict[str, np.ndarray]:
    """Read outputs.npz. Raises DataError if it is missing, damaged or incomplete."""
    path = Path(folder) / OUTPUTS
    arrays = read_arrays(path, AGAIN, NEEDED)
    lengths = {len(np.atleast_1d(arrays[name])) for name in NEEDED}
    if len(lengths) > 1:
        raise DataError(f"{path}: its arrays have {len(lengths)} different lengths; {AGAIN}")
    return arrays


def read_threshold(folder: str | Path) -> Threshold | None:
    """Read the threshold in model.json; None if there is no such file. Raises DataError for another
    file."""
    path = Path(folder, MODEL_FACTS)
    try:
        facts = read_json(path, dict, AGAIN)
    except FileNotFoundError:  # a trainer that is not of this project
        return None
    try:
        return facts["rule"], facts["thresholds"][facts["rule"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: holds no threshold of its rule; {AGAIN}") from error


def read_history(path: str | Path) -> list[dict]:
    """Read evaluations.json of an interrupted run. Raises DataError for another file."""
    history = read_json(path, list, AGAIN)
    if not all(isinstance(e, dict) and isinstance(e.get("epoch"), int) for e in history):
        raise DataError(f"{path}: its entries are no evaluations; {AGAIN}")
    return history


def version_of(name: str) -> str | None:
    """Version of a package; None if it is not installed or does not tell."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
