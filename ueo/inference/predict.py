"""Predict new images with the model of a finished run; the file is like a run's predictions.csv.

A million images take no more memory than a few thousand. A killed process resumes where it stopped.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ueo.clip.precision import set_tf32
from ueo.errors import ConfigError, DataError
from ueo.files import alone, check_file, check_writable, sha256, writing
from ueo.images.folders import Unread
from ueo.images.loaders import read_batches
from ueo.images.shards.listing import names_shards, title_of
from ueo.inference.adapted_model import AdaptedModel
from ueo.inference.load import load
from ueo.inference.new_images import Image, NewImages
from ueo.inference.summary import summary, tally_file, verdict_of
from ueo.inference.unfinished import Unfinished, skipped_file
from ueo.results.predictions import is_predictions, parted, skipped_reasons, why_not_read
from ueo.results.record import RESULT
from ueo.runs.checkpoint import (
    FACTS,
    chosen_threshold,
    of_new_images,
    read_facts,
    with_threshold,
)
from ueo.settings.machine_share import worker_processes
from ueo.text import shown


@dataclass(frozen=True)
class PredictSettings:
    """output: MODEL/predictions/<name of path>.csv by default. root: folder of relative paths in a
    list. batch_size: 0 for the run's. workers: processes that read images, one per core by default.
    threshold: a rule, a number or "none"; the run's rule by default. before: also predict with the
    model before adaptation."""

    model: str
    path: str
    output: str = ""
    root: str = "."
    batch_size: int = 0
    workers: int | None = None
    threshold: str = ""
    before: bool = True
    device: str = "auto"
    plugin: tuple[str, ...] = ()
    overwrite: bool = False


def predict(settings: PredictSettings, say: Callable[[str], None] = print) -> Path:
    """Write the file of predictions and return its path. say: is called with each line on it.

    Raises ConfigError, DataError or CheckpointError if the images cannot be predicted.
    """
    facts = with_threshold(of_new_images(read_facts(settings.model)), settings.threshold)
    images, others = NewImages(settings.path, settings.root), Unread()
    total = images.count(others)
    output = Path(settings.output or _default_output(settings)).expanduser()
    _check_output(output, settings)
    busy = f"--output {output}: another process is writing it; wait for it, or name another"
    with alone(output.with_name(f".{output.name}.lock"), busy), writing(output):
        if output.exists() and not settings.overwrite:
            raise ConfigError(
                f"--output {output}: already exists; name another, or pass --overwrite"
            )
        model = load(settings.model, settings.device, settings.plugin)
        set_tf32(model.cfg.MODEL.TF32)  # as in the run
        model.threshold = chosen_threshold(facts)
        lines = Unfinished(output)
        went_on = lines.resume(_depends_on(settings, model), images, settings.overwrite)
        if went_on:
            say(went_on)
        # other files in shards are found while reading
        coming = images.found(others) if images.sharded else iter(images)
        _predict_rest(settings, model, coming, lines, total)
        with lines:
            for path, kind in sorted(others.paths.items()):
                why = parted(kind) if images.sharded else (kind, why_not_read(kind))
                lines.skip(images.name_of(path), *why)
        lines.finish()
    _say_ending(output, facts, say)
    return output


def _predict_rest(settings: PredictSettings, model: AdaptedModel, rest: Iterator[Image],
                  lines: Unfinished, total: int | None) -> None:
    """Predict the images that `lines` does not hold yet."""
    for _ in range(lines.images):
        next(rest)
    workers = worker_processes() if settings.workers is None else settings.workers
    size = settings.batch_size or model.cfg.DATALOADER.TEST.BATCH_SIZE
    progress = tqdm(total=total, initial=lines.images, desc="predict", unit=" images", disable=None)
    with lines, progress:
        for batch in read_batches(rest, model.pixels, size, workers):
            found = iter(()) if batch.pixels is None else model.predict_pixels(
                batch.readable, batch.pixels, settings.before
            )
            lines.append(batch.images, found)
            progress.update(len(batch.images))


def _check_output(output: Path, settings: PredictSettings) -> None:
    """Raise ConfigError if `output` cannot be written, or is an input or any other file that does
    not hold predictions, such as an image: --overwrite would destroy it."""
    check_file(output, "--output")
    model = Path(settings.model).expanduser()
    read = (Path(settings.path).expanduser(), model / RESULT, model / FACTS)
    if output.exists() and any(path.exists() and output.samefile(path) for path in read):
        raise ConfigError(f"--output {output}: is what the predictions are made from; name another")
    if output.exists() and not is_predictions(output):
        raise ConfigError(f"--output {output}: exists and holds no predictions; name another")
    check_writable(output.parent, "--output")


def _default_output(settings: PredictSettings) -> Path:
    place = Path(settings.path).expanduser().resolve()
    name = place.name if place.is_dir() else place.stem
    if names_shards(settings.path):
        name = title_of(settings.path)
    return Path(settings.model, "predictions", f"{name or 'all'}.csv")


def _depends_on(settings: PredictSettings, model: AdaptedModel) -> dict:
    """Return what predictions depend on besides the images."""
    files = [path for name in (FACTS, RESULT) if (path := model.folder / name).is_file()]
    return {
        "model": " ".join(sha256(path)[:16] for path in files),
        "threshold": model.threshold,
        "choice of --no-before": not settings.before,
        "device": model.device.type,
        "--path": os.path.abspath(settings.path),
        **({"--root": os.path.abspath(settings.root)} if os.path.isfile(settings.path) else {}),
    }


def _say_ending(output: Path, facts: dict, say: Callable[[str], None]) -> None:
    """Say what the file holds. Raises DataError if no image could be read."""
    found = tally_file(output)
    found.skipped = skipped_reasons(skipped_file(output))
    lines = summary(found)
    if found.images:
        lines.append(verdict_of(facts))
    lines.append(f"Predictions: {output}")
    if found.skipped:
        lines.append(f"Skipped:     {skipped_file(output)}")
    for line in lines:
        say(shown(line))
    if not found.images:
        raise DataError(f"{skipped_file(output)}: no image could be read; it lists the reasons")
