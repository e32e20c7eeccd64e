"""One run from its settings to its record: adapt a trainer to a domain, evaluate, write the record.

A finished run is not repeated; an interrupted one resumes.
"""

import ctypes
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import torch
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed, setup_logger

from modern_dassl import distributed
from ueo.clip.precision import set_tf32, tf32
from ueo.errors import ConfigError
from ueo.files import alone, check_writable, set_aside
from ueo.results.paper.scores import PICTURE, plot_run
from ueo.runs import other_trainers, recipe
from ueo.runs.configure import RunSettings, configured
from ueo.runs.folder import STARTED, follow_run, prepare_folder
from ueo.settings.refused import check_run
from ueo.text import shown

LOG = "log.txt"  # the name that Dassl gives it
LOCK = ".run.lock"
PATIENCE = 10  # seconds to wait for LOCK: a run whose grid was killed ends within one or two
MMAP_MAX, TRIM_THRESHOLD = -4, -1  # parameters of mallopt, from malloc.h


def run(settings: RunSettings) -> None:
    """Run what `settings` ask for. Raises UserError for a user's mistake."""
    with ExitStack() as held:  # the lock on the folder, until the run ends
        cfg, of_recipe = configured(settings)
        check_run(cfg, settings.options, TRAINER_REGISTRY.get(cfg.TRAINER.NAME))
        if distributed.launched() and not cfg.USE_CUDA:  # or only some might see a GPU
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        set_up_torch(settings.device, settings.threads, cfg.MODEL.TF32)
        if cfg.SEED >= 0:  # before shots are drawn
            set_random_seed(cfg.SEED)
        if settings.eval_only:
            check_writable(Path(cfg.OUTPUT_DIR))
            if settings.model_dir:
                by_hand = {*settings.keys(), *settings.options[::2]}
                follow_run(cfg, settings.model_dir, by_hand)
        elif not _start_or_continue(cfg, settings.overwrite, held):
            print(f"Finished before: {shown(cfg.OUTPUT_DIR)}")
            if not Path(cfg.OUTPUT_DIR, PICTURE).is_file():  # killed before it was drawn
                _draw(cfg)
            return
        if cfg.SEED >= 0:
            print(f"Setting fixed seed: {cfg.SEED}")
            set_random_seed(cfg.SEED)
        _start_log(Path(cfg.OUTPUT_DIR), settings.eval_only)
        if chosen_device(settings.device) == "cuda":
            print(f"TF32: {tf32(cfg.MODEL.TF32)}; MODEL.TF32 True or False sets it")
        if settings.eval_only:
            _evaluate(cfg, settings)
        else:
            changed = recipe.set_by_hand(cfg, of_recipe)
            recipe.say(settings, changed)
            _train(cfg, changed)
            _draw(cfg)


def set_up_torch(device: str, threads: int, tf32_allowed: bool | None) -> None:
    """Set the number of CPU threads (0: torch's choice) and TF32 (None: torch's default); on a CPU,
    call `keep_freed_memory`. device: see `chosen_device`, which may raise ConfigError."""
    set_tf32(tf32_allowed)
    if threads:
        torch.set_num_threads(threads)
    if chosen_device(device) == "cpu":
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for later allocations. Do nothing without glibc.

    A training step frees all its activations. If they go back to the system, the kernel zeroes
    their pages before the next step gets them: on a CPU, about a tenth of a step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)


def chosen_device(device: str) -> str:
    """Return "cuda" or "cpu" for "auto", "cpu" or "cuda". Raises ConfigError for another name, and
    for "cuda" where torch sees no GPU."""
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {device!r}: must be auto, cpu or cuda")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("--device cuda: torch sees no CUDA device; use --device cpu or auto")
    return "cuda" if available and device != "cpu" else "cpu"


def _train(cfg, changed: dict[str, list]) -> None:
    """changed: see recipe.set_by_hand."""
    started = time.monotonic()
    trainer = build_trainer(cfg)
    trainer.set_by_hand = changed
    if hasattr(trainer, "evaluations"):  # one of this project's trainers
        trainer.train()
        return
    dataset = other_trainers.prepare(trainer)
    trainer.train()
    if distributed.is_main():
        other_trainers.write_record(trainer, dataset, started)


def _evaluate(cfg, settings: RunSettings) -> None:
    trainer = build_trainer(cfg)
    if trainer.get_model_names() and not (settings.model_dir or cfg.MODEL.INIT_WEIGHTS):
        raise ConfigError("--eval-only: name the folder of the run with --model-dir")
    trainer.load_model(settings.model_dir, epoch=settings.load_epoch)
    trainer.test()


def _start_log(folder: Path, eval_only: bool) -> None:
    """Log to log.txt, the name that log parsers expect, after renaming an earlier one. With
    --eval-only the log of a run in the folder stays, and the new one's name ends with the date."""
    if distributed.is_main() and not (eval_only and (folder / STARTED).is_file()):
        set_aside(folder / LOG)
    setup_logger(str(folder))


def _start_or_continue(cfg, overwrite: bool, held: ExitStack) -> bool:
    folder = Path(cfg.OUTPUT_DIR)
    with distributed.main_first():
        check_writable(folder)
        if distributed.is_main():
            held.enter_context(alone(
                folder / LOCK, f"{folder}: another process is at work on this run; wait for it, "
                "or name another folder", PATIENCE
            ))
        return prepare_folder(cfg, overwrite and distributed.is_main())


def _draw(cfg) -> None:
    if distributed.is_main():
        plot_run(cfg.OUTPUT_DIR)
