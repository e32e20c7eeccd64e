"""One run from its settings to its record: adapt a trainer to a domain, evaluate, keep it all.

A run that is finished is not run again; one that was interrupted resumes.
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

LOG = "log.txt"  # as Dassl calls it
LOCK = ".run.lock"
PATIENCE = 10  # seconds: a run whose grid was killed ends within one or two
MMAP_MAX, TRIM_THRESHOLD = -4, -1  # of mallopt, malloc.h


def run(settings: RunSettings) -> None:
    """Run what is asked for. Raises UserError for a mistake of the user's."""
    with ExitStack() as held:  # what is given back when the run ends
        cfg, of_recipe = configured(settings)
        check_run(cfg, settings.options, TRAINER_REGISTRY.get(cfg.TRAINER.NAME))
        if distributed.launched() and not cfg.USE_CUDA:  # or one might have a GPU and another none
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        set_up_torch(settings.device, settings.threads, cfg.MODEL.TF32)
        if cfg.SEED >= 0:  # before shots are drawn
            set_random_seed(cfg.SEED)
        if settings.eval_only:
            check_writable(Path(cfg.OUTPUT_DIR))
            if settings.model_dir:
                follow_run(cfg, settings.model_dir, settings.given())
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
    """Set torch's threads (0: its own choice) and TF32 (None: as torch has it), and on the CPU how
    memory is freed. device: as `chosen_device` takes it. Raises ConfigError as that does."""
    set_tf32(tf32_allowed)
    if threads:
        torch.set_num_threads(threads)
    if chosen_device(device) == "cpu":
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for what is allocated next.

    A training step frees all its activations. Given back to the system, they come back as pages to
    be zeroed: on a CPU about a tenth of a step. Nothing happens where there is no glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)


def chosen_device(device: str) -> str:
    """"cuda" or "cpu" for "auto", "cpu" or "cuda". Raises ConfigError for another, and where there
    is no CUDA."""
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {device!r}: is none of auto, cpu and cuda")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ConfigError("--device cuda: torch sees no CUDA device; use --device cpu or auto")
    return "cuda" if there and device != "cpu" else "cpu"


def _train(cfg, changed: dict[str, list]) -> None:
    """changed: see recipe.set_by_hand."""
    started = time.monotonic()
    trainer = build_trainer(cfg)
    trainer.set_by_hand = changed
    if hasattr(trainer, "evaluations"):  # of this project
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
    """log.txt, the one name that parsers read, is of this run: an earlier one is set aside. An
    evaluation alone leaves the log of the run in its folder, and its own has the date."""
    if distributed.is_main() and not (eval_only and (folder / STARTED).is_file()):
        set_aside(folder / LOG)
    setup_logger(str(folder))


def _start_or_continue(cfg, overwrite: bool, held: ExitStack) -> bool:
    folder = Path(cfg.OUTPUT_DIR)
    with distributed.main_first():  # what it prepares, the others find prepared
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
