"""A run's share of its machine, and which folders several machines share.

Environment variables tell a run how many runs share the machine (set by the grid that starts them)
and how many processes the run itself has (set by torchrun).
"""

import os
import re
import socket
from contextlib import suppress
from pathlib import Path

RUNS, RUNS_ON_GPU = "UEO_RUNS_AT_ONCE", "UEO_RUNS_ON_GPU"
PROCESSES = "LOCAL_WORLD_SIZE"  # torchrun's, on this machine
MOUNTS = Path("/proc/self/mountinfo")  # proc(5), only on Linux
NETWORK = re.compile(r"nfs|cifs|smb|9p|afs|ceph|lustre|gpfs|beegfs|fuse\.")  # file systems
MOST_WORKERS = 16  # by default; more workers seldom speed up training, which the GPU then limits


def worker_processes() -> int:
    """Return the default number of a loader's worker processes: one for each of the run's cores."""
    return min(MOST_WORKERS, max(1, cores() // (_number(RUNS) * _number(PROCESSES))))


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def runs_on_gpu() -> int:
    """Number of runs that share this run's GPU, itself included."""
    return _number(RUNS_ON_GPU)


def share(runs: int, gpus: int) -> dict[str, str]:
    """Return the environment of each of `runs` concurrent runs, spread over `gpus` GPUs (or 0)."""
    return {RUNS: str(runs), RUNS_ON_GPU: str(-(-runs // max(gpus, 1)))}


def name_in(folder: Path) -> str:
    """Return this machine's host name if `folder` is on a network file system, else ""."""
    with suppress(OSError, ValueError):
        mounts = [line.split(" ") for line in MOUNTS.read_text().splitlines()]
        above = [mount for mount in mounts
                 if folder.resolve().is_relative_to(mount[4].replace("\\040", " "))]
        last = max(above, key=lambda mount: len(mount[4]))
        if NETWORK.match(last[last.index("-") + 1]):
            return socket.gethostname()
    return ""


def _number(name: str) -> int:
    found = os.environ.get(name, "")
    return max(1, int(found)) if found.isdecimal() else 1
