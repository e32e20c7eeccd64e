"""What the benchmarks share: models with random weights, pictures, taking turns, the report."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from clip.model import convert_weights
from PIL import Image
from tabulate import tabulate
from torch.utils.flop_counter import FlopCounterMode

from ueo.clip.architectures import random_clip
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.tuning import select
from ueo.files import write_json
from ueo.losses import universal_entropy
from ueo.results.record import environment, peak_memory
from ueo.runs.memory import keep_freed_memory

WORDS = ("alarm clock", "backpack", "battery", "bed", "bike", "bottle", "bucket", "calculator",
         "calendar", "candles", "chair", "clipboards", "computer", "couch", "curtains", "desk lamp",
         "drill", "eraser", "exit sign", "fan")


def names(count: int) -> list[str]:
    """Class names of one to four tokens."""
    pairs = [f"{a} {b}" for a in WORDS for b in WORDS]
    return [*WORDS, *pairs, *(f"{p} {w}" for p in pairs for w in WORDS)][:count]


def pictures(folder: Path, count: int, size: int) -> list[str]:
    """Paths of JPEGs of size x size with structure of all sizes, made once (quality 88)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{size}-{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            spectrum = np.fft.rfftn(np.random.default_rng(number).normal(size=(size, size, 3)),
                                    axes=(0, 1))
            y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
            spectrum /= np.maximum(np.hypot(y, x), 1 / size)[..., None]
            image = np.fft.irfftn(spectrum, (size, size), axes=(0, 1))
            image = 128 + 50 * (image - image.mean()) / image.std()
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path, quality=88)
    return [str(path) for path in paths]


class Way:
    """One of the two ways: a prompted CLIP, its optimiser and what is timed."""

    def __init__(self, backbone: str, count: int, fast: bool, device: torch.device):
        if device.type == "cpu":
            keep_freed_memory()  # as a run does, both ways
        clip_model = random_clip(backbone)
        if device.type == "cuda":
            convert_weights(clip_model)
        clip_model.requires_grad_(False).to(device)
        prompt = PromptLearner(names(count), clip_model, whole=not fast)
        self.model = PromptedCLIP(clip_model, prompt, fast=fast).to(device)
        groups = select(self.model, "both")
        parameters = [p.requires_grad_() for group in groups.values() for p in group.values()]
        self.optim = torch.optim.SGD(parameters, lr=1e-4)

    def text(self, images: torch.Tensor) -> None:
        """Class features and the gradient to the context."""
        features = self.model.class_features()
        features.float().sum().backward()

    def step(self, images: torch.Tensor) -> None:
        """One step of UEO."""
        self.optim.zero_grad()
        prob = (100 * self.model(images).float()).softmax(-1)
        sum(universal_entropy(prob, prob.detach().amax(-1))).backward()
        self.optim.step()

    def evaluation(self, images: torch.Tensor) -> None:
        """Features of images, as in an evaluation; folding is not timed."""
        self.model.image_features(images)


def operations(function: Callable[[], None]) -> int:
    """Floating-point operations of one call, two a multiply-add."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def take_turns(functions: list[Callable[[], None]], rounds: int) -> list[list[float]]:
    """Seconds of each function in each round, one after the other in every round."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for own, function in zip(times, functions):
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            own.append(time.perf_counter() - start)
    return times


def compared(times: list[list[float]]) -> dict:
    """Medians of the plain and the fast way, and how many times as fast it is in each round."""
    ratios = [plain / fast for plain, fast in zip(*times)]
    return {
        "plain_seconds": statistics.median(times[0]),
        "fast_seconds": statistics.median(times[1]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def spread(row: dict) -> str:
    """The ratio with its range."""
    return f"{row['ratio']:.2f} ({min(row['ratios']):.2f}-{max(row['ratios']):.2f})"


def report(file: str, rows: list[dict], table: list[list], headers: list[str]) -> None:
    """Write the rows as JSON and print the table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    write_json(file, {
        "environment": environment(device), "peak_memory_bytes": peak_memory(device), "rows": rows,
    })
    print(tabulate(table, headers, floatfmt=".3f"), f"\n{file}\n", flush=True)
