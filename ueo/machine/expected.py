"""Estimate the time of `bash scripts/ueo/main.sh all` from measured parts of a training step."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch

from ueo.grids import gpus
from ueo.grids.choices import dataset_class
from ueo.images.decoding import read_image
from ueo.machine.findings import OK, Finding
from ueo.machine.measured import TimedModel, batches, pictures
from ueo.machine.space import memory
from ueo.machine.workload import BATCH, hours, recipe, work
from ueo.results.record import peak_memory
from ueo.runs.start import set_up_torch

SMALL, ROUNDS = 8, 10  # images of a timed step on a CPU; repetitions on a GPU (one on a CPU)


@dataclass(frozen=True)
class Parts:
    """Measured seconds. text: text side of a step, by number of class names. images: image side of
    a step. evaluation, decoding: of one image. memory: bytes of a run at its batch size."""

    text: dict[int, float]
    images: float
    evaluation: float
    decoding: float
    memory: int

    def step(self, names: int) -> float:
        return self.text[names] + self.images


def measure(backbone: str, names: set[int], device: torch.device, folder: Path, pixels: int
            ) -> Parts:
    """Measure the parts on `device`, with random weights and JPEGs of pixels x pixels. On a CPU use
    few images and scale the results up."""
    set_up_torch(device.type, 0, None)
    batch = BATCH if device.type == "cuda" else SMALL
    cfg = recipe(backbone)
    cfg.DATALOADER.TRAIN_X.BATCH_SIZE = cfg.DATALOADER.TEST.BATCH_SIZE = batch
    cfg.DATALOADER.NUM_WORKERS = cfg.DATALOADER.NUM_WORKERS if device.type == "cuda" else 0
    own = pictures(folder / "jpegs", SMALL, pixels)
    decoding = _seconds(lambda: [read_image(path) for path in own], torch.device("cpu")) / SMALL
    paths = own * (batch // SMALL * (_rounds(device) + 1))  # one epoch is long enough
    with redirect_stdout(io.StringIO()):  # the loaders print where decoded images are stored
        feeds = [batches(cfg, paths, device, folder / "store", training)
                 for training in (True, False)]
    timed = TimedModel(backbone, min(names), True, device)
    with timed.model.evaluating():
        evaluation = _seconds(lambda: timed.evaluation(next(feeds[1])), device) / batch
    peaks = [peak_memory(device) or 0]
    images = _seconds(lambda: timed.images(next(feeds[0])), device) * BATCH / batch
    peaks.append(peak_memory(device) or 0)
    text = {}
    for count in sorted(names):
        timed = TimedModel(backbone, count, True, device)
        text[count] = _seconds(lambda timed=timed: timed.text(None), device)
    peaks.append(peak_memory(device) or 0)
    needed = peaks[2] + (peaks[1] - peaks[0]) * (BATCH // batch - 1)
    return Parts(text, images, evaluation, decoding, needed)


def _seconds(function: Callable[[], None], device: torch.device) -> float:
    """Return the seconds of one call, after an untimed one."""
    function()
    rounds = _rounds(device)
    _wait(device)
    start = time.perf_counter()
    for _ in range(rounds):
        function()
    _wait(device)
    return (time.perf_counter() - start) / rounds


def _rounds(device: torch.device) -> int:
    return ROUNDS if device.type == "cuda" else 1


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def expected(backbone: str, datasets: tuple[str, ...], device: torch.device, folder: Path,
             pixels: int) -> Iterator[Finding]:
    """Report the memory of a run, and the hours of all runs, in parallel as in a grid."""
    counts = {name: dataset_class(name).counts.known for name in datasets}
    parts = measure(backbone, set(counts.values()), device, folder, pixels)
    at_once = gpus.worker_count(0, device.type)
    yield from memory(parts.memory, device, at_once)
    each = {name: hours(work(name), parts.step(names), parts.evaluation, parts.decoding) / at_once
            for name, names in counts.items()}
    named = ", ".join(f"{name} {took:,.1f}" for name, took in each.items())
    told = f"about {sum(each.values()):,.1f} hours for all runs with {backbone}, {at_once} at once"
    yield Finding(OK, "time", f"{told} ({named}), not counting start-up and loading",
                  {"backbone": backbone, "hours": each, "at_once": at_once, "parts": vars(parts)})
