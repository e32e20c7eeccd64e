"""Submit a grid to Slurm: one job per shard, through submitit (an optional extra)."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ueo.errors import ConfigError, first_line
from ueo.grids.grid_settings import GridSettings
from ueo.settings.options import Option, pairs

DEFAULTS = {"timeout_min": 24 * 60, "gpus_per_node": 1, "cpus_per_task": 8}  # on Slurm


@dataclass(frozen=True)
class Jobs:
    """number: of jobs, one per shard. cluster: "slurm", or "local" for processes on this machine.
    parameters: for submitit. words: arguments of `python -m ueo.commands grid` without --slurm*."""

    number: int
    cluster: str
    parameters: dict
    words: list[str]


def submit(jobs: Jobs, settings: GridSettings) -> None:
    """Submit the shards of the grid.

    Raise ConfigError if submitit or Slurm is missing, or refuses a parameter.
    """
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("--slurm needs submitit: pip install submitit") from error
    if settings.shard:
        raise ConfigError("--slurm makes the shards itself; leave out --shard")
    logs = Path(settings.output, "slurm").absolute()
    command = [sys.executable, "-m", "ueo.commands", "grid", *jobs.words]
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=jobs.cluster)
        usual = DEFAULTS if jobs.cluster == "slurm" else {}
        executor.update_parameters(name="ueo", **{**usual, **jobs.parameters})
        submitted = [
            executor.submit(submitit.helpers.CommandFunction(
                [*command, "--shard", f"{i}/{jobs.number}"], cwd=os.getcwd()
            ))
            for i in range(1, jobs.number + 1)
        ]
    except (RuntimeError, TypeError, ValueError, NameError, OSError) as error:
        raise ConfigError(f"--slurm: {first_line(error)}") from error
    print(f"Submitted {', '.join(job.job_id for job in submitted)}; logs in {logs}")
    print("The jobs make the tables at the end; the same command without --slurm makes them again")


def words_of(args: argparse.Namespace, defaults: argparse.Namespace) -> list[str]:
    """Return the command line of `args` without --slurm*. defaults: of an empty command line."""
    words = [*args.datasets]
    for key, value in vars(args).items():
        ours = key in ("datasets", "shard") or key.startswith("slurm")
        if ours or value == getattr(defaults, key):
            continue
        words.append({"options": "--set"}.get(key, "--" + key.replace("_", "-")))
        words += [] if value is True else map(str, value if isinstance(value, list) else [value])
    return words


def parameters(words: list[str]) -> dict:
    """Parse KEY VALUE pairs for submitit. Raise ConfigError for a key without a value."""
    option = Option()  # of any type
    return {key: option.checked(value, key) for key, value in pairs(words, "--slurm-set")}
