"""Hand a grid to Slurm: the same command once a shard, through submitit (an optional extra)."""

import argparse
import ast
import os
import sys
from pathlib import Path

from ueo.errors import ConfigError

DEFAULTS = {"timeout_min": 24 * 60, "gpus_per_node": 1, "cpus_per_task": 8}  # on Slurm


def submit(args: argparse.Namespace, defaults: argparse.Namespace) -> int:
    """Submit `args.slurm` shards of the grid with these arguments; returns 0.

    defaults: the arguments of an empty command line.

    Raises ConfigError when submitit or Slurm is missing or refuses a parameter.
    """
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("--slurm needs submitit: pip install submitit") from error
    if args.shard:
        raise ConfigError("--slurm makes the shards itself; leave out --shard")
    parameters = _parameters(args.slurm_set)
    logs = Path(args.output, "slurm").absolute()
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=args.slurm_cluster)
        usual = DEFAULTS if args.slurm_cluster == "slurm" else {}
        executor.update_parameters(name="ueo", **{**usual, **parameters})
        words = _words(args, defaults)
        jobs = [
            executor.submit(_command([*words, "--shard", f"{i}/{args.slurm}"]))
            for i in range(1, args.slurm + 1)
        ]
    except (RuntimeError, TypeError, ValueError, NameError, OSError) as error:
        raise ConfigError(f"--slurm: {str(error).splitlines()[0]}") from error
    print(f"Submitted {', '.join(job.job_id for job in jobs)}; logs in {logs}")
    print("The tables are made at the end; the same command without --slurm makes them again")
    return 0


def _words(args: argparse.Namespace, defaults: argparse.Namespace) -> list[str]:
    """The command line of `args`, without what is Slurm's."""
    words = [*args.datasets]
    for key, value in vars(args).items():
        ours = key in ("datasets", "shard") or key.startswith("slurm")
        if ours or value == getattr(defaults, key):
            continue
        words.append("--" + key.replace("_", "-"))
        words += [] if value is True else map(str, value if isinstance(value, list) else [value])
    return words


def _command(words: list[str]):
    import submitit

    script = Path(__file__).resolve().parent / "grid.py"
    return submitit.helpers.CommandFunction([sys.executable, str(script), *words], cwd=os.getcwd())


def _parameters(words: list[str]) -> dict:
    if len(words) % 2:
        raise ConfigError(f"--slurm-set takes KEY VALUE pairs, but {words[-1]!r} has no value")
    parameters = {}
    for key, value in zip(words[::2], words[1::2]):
        try:
            parameters[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parameters[key] = value
    return parameters
