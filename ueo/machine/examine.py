"""All checks of a new machine, in the order in which they are reported."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ueo.grids.choices import BENCHMARK
from ueo.machine import environment, expected, materials, space, trial
from ueo.machine.findings import Finding, findings_of
from ueo.runs.configure import register


@dataclass(frozen=True)
class Examination:
    """What to examine. pixels: side of the timed JPEGs. epochs: of the short runs."""

    root: str = "data"
    output: str = "output"
    backbone: str = "RN50"
    datasets: tuple[str, ...] = BENCHMARK
    pixels: int = 600
    epochs: int = 1


def examine(asked: Examination) -> Iterator[Finding]:
    """Yield each finding as soon as it is made."""
    register()
    root, datasets = asked.root, asked.datasets
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        for what, check in (
            ("software", environment.software),
            ("gpu", lambda: environment.cuda(environment.driver_version())),
            ("weights", materials.weights),
            ("data", lambda: materials.data(root, datasets)),
            ("output", lambda: materials.output(asked.output)),
            ("disk", lambda: space.disk(root, asked.output, datasets)),
            ("shared memory", space.shared_memory),
            ("short runs", lambda: trial.trial(folder, asked.epochs)),
            ("time", lambda: expected.expected(asked.backbone, datasets, device, folder,
                                               asked.pixels)),
        ):
            yield from findings_of(what, check)
