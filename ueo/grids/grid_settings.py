"""The settings of a grid, and the runs that they are planned as."""

import re
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

from ueo.errors import ConfigError
from ueo.runs.configure import RunSettings
from ueo.settings.options import quoted
from ueo.text import file_name

ZERO_SHOT = "ZeroshotCLIP"


@dataclass(frozen=True)
class GridSettings:
    """Data sets x trainers x label spaces x domains x seeds, and how to run them: the options of
    scripts/<method>/main.sh. Empty domains, label spaces and seeds mean those of the data set.

    options: KEY VALUE, KEY VALUE, ..., for every run.
    """

    datasets: tuple[str, ...] = ("emoji",)
    trainers: tuple[str, ...] = (ZERO_SHOT, "UEO")
    domain: tuple[str, ...] = ()
    setting: tuple[str, ...] = ()
    seed: tuple[int, ...] = ()
    backbone: str = ""
    config_file: str = ""
    plugin: tuple[str, ...] = ()
    recipe: str = "common"
    protocol: str = ""
    path: str = ""
    names: str = ""
    recursive: bool = False
    root: str = "data"
    download: bool = False
    output: str = "output"
    device: str = "auto"
    jobs: int = 0
    shard: str = ""
    dry_run: bool = False
    tables_only: bool = False
    overwrite: bool = False
    options: tuple[str, ...] = ()

    def having(self, *options: str, **changed) -> "GridSettings":
        """Return a copy with further KEY VALUE options and with changed fields."""
        return replace(self, options=(*self.options, *options), **changed)


@dataclass(frozen=True)
class Place:
    """Where a run is stored below the folder of all records; each field is a folder name."""

    dataset: str
    trainer: str
    config: str
    setting: str
    domain: str
    seed: str

    @classmethod
    def of(cls, *levels: str) -> "Place":
        """Escape characters that folder names cannot contain."""
        return cls(*map(file_name, levels))

    def below(self, output: str | Path) -> Path:
        """output/<dataset>/<trainer>/<config>/<setting>/<domain>/seed<N>."""
        return Path(output, *astuple(self))

    @property
    def method(self) -> tuple[str, str, str]:
        """Data set, trainer and configuration."""
        return self.dataset, self.trainer, self.config


@dataclass(frozen=True)
class PlannedRun:
    """One run of a grid, or one evaluation of a finished run.

    settings: argument of its entry point. label: its name in messages. grid: name of the grid's
    configuration, which includes options of other trainers. config: its resolved configuration; a
    finished record in the folder must have the same.
    """

    settings: RunSettings
    folder: Path
    label: str
    place: Place | None = None
    grid: str = ""
    config: dict = field(default_factory=dict, compare=False)

    @property
    def cell(self) -> tuple[str, str, int]:
        """Label space, domain and seed."""
        return self.settings.setting, self.settings.domain[0], self.settings.seed


def shard(runs: list[PlannedRun], part: str) -> list[PlannedRun]:
    """Return every n-th run, starting with the i-th, for "i/n"; all for "". Drop duplicates.

    Raise ConfigError for an invalid part, or if two different runs have the same folder.
    """
    by_folder: dict[Path, PlannedRun] = {}
    for run in runs:
        if by_folder.setdefault(run.folder, run).settings != run.settings:
            raise ConfigError(f"{run.folder}: two different runs would write there; run them apart")
    runs = list(by_folder.values())
    if not part:
        return runs
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", part)
    index, number = map(int, found.groups()) if found else (0, 0)
    if not 1 <= index <= number:
        raise ConfigError(f"--shard takes i/n with 1 <= i <= n, such as 1/4, not {quoted(part)}")
    return runs[index - 1 :: number]
