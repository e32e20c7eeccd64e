"""A run's share of its machine: each of several runs at once is told by its environment how many
there are, by the grid that starts them or, of its own processes, by torchrun. And which folders
machines share."""

import os
import re
import socket
from contextlib import suppress
from pathlib import Path

RUNS, RUNS_ON_GPU = "UEO_RUNS_AT_ONCE", "UEO_RUNS_ON_GPU"
PROCESSES = "LOCAL_WORLD_SIZE"  # torchrun's, on this machine
MOUNTS = Path("/proc/self/mountinfo")  # proc(5): Linux alone
NETWORK = re.compile(r"nfs|cifs|smb|9p|afs|ceph|lustre|gpfs|beegfs|fuse\.")  # file systems
MOST_WORKERS = 16  # unless asked for: more processes seldom decode faster than a GPU trains


def worker_processes() -> int:
    """Processes that read images for one loader: one a core that this run may call its own."""
    return min(MOST_WORKERS, max(1, cores() // (_number(RUNS) * _number(PROCESSES))))


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def runs_on_gpu() -> int:
    """Runs that share this run's GPU, itself included."""
    return _number(RUNS_ON_GPU)


def share(runs: int, gpus: int) -> dict[str, str]:
    """The environment of each of so many runs at once; gpus: that they share evenly, or 0."""
    return {RUNS: str(runs), RUNS_ON_GPU: str(-(-runs // max(gpus, 1)))}


def name_in(folder: Path) -> str:
    """What tells this machine from others in a folder that is theirs, too; "" in one of its own."""
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
