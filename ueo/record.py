"""What a run leaves behind: result.json (what was run, what came out), outputs.npz (per sample)."""

import csv
import json
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from ueo import __version__
from ueo.config import config_hash, resolved
from ueo.errors import DataError
from ueo.files import atomic_path, write_json
from ueo.text import csv_cell

RESULT, OUTPUTS, HISTORY = "result.json", "outputs.npz", "evaluations.json"
PREDICTIONS = "predictions.csv"  # of images without labels
PACKAGES = ("torch", "torchvision", "clip-anytorch", "numpy", "pillow", "scikit-learn", "yacs")


def run_facts(cfg, dataset, device: torch.device, inputs: dict[str, str]) -> dict:
    """What a record says of any run: what was run on what. dataset: see ueo.adopt; inputs: see
    ueo.inputs."""
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
        },
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
        "packages": {name: _version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": distributed.world_size(),
    }


def commit() -> str | None:
    """Commit of the source tree, "-dirty" when tracked files differ; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def peak_memory(device: torch.device) -> int:
    """Bytes: the GPU allocator's peak, or the process's largest resident size on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def write_run(folder: str | Path, result: dict, outputs: dict[str, np.ndarray]) -> None:
    """Write both files; result.json comes last, so its presence means that the run is finished."""
    folder = Path(folder)
    with atomic_path(folder / OUTPUTS) as temporary:
        np.savez_compressed(temporary, **outputs)
    write_json(folder / RESULT, result)


def write_predictions(folder: str | Path, outputs: dict[str, np.ndarray], names: list[str]) -> None:
    """predictions.csv: what the tuned model says of each test image."""
    with atomic_path(Path(folder, PREDICTIONS)) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["image", "predicted_class", "score"])
            for path, predicted, score in zip(
                outputs["test_paths"],
                outputs["test_predictions_after"],
                outputs["test_scores_after"],
            ):
                row = [str(path), names[predicted], f"{score:.6g}"]
                table.writerow(map(csv_cell, row))


def read_result(folder: str | Path) -> dict | None:
    """result.json of a finished run, or None. Raises DataError for one that is damaged or of an
    earlier version."""
    path = Path(folder) / RESULT
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON ({error}); remove it, run again") from error
    if "inputs" not in result:
        raise DataError(
            f"{path}: is of an earlier version, whose records do not say which images, names and "
            "weights a result depends on; run again with --overwrite, or name another --output"
        )
    return result


def read_outputs(folder: str | Path) -> dict[str, np.ndarray]:
    """Arrays of outputs.npz."""
    with np.load(Path(folder) / OUTPUTS, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def find_results(root: str | Path) -> list[tuple[Path, dict]]:
    """Every finished run below `root`, sorted by folder."""
    found = []
    for folder, _, files in os.walk(root):
        if RESULT in files:
            found.append((Path(folder), read_result(folder)))
    return sorted(found, key=lambda item: str(item[0]))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
