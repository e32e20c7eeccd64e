"""The process that the runs of a grid are forked from: it imports once what each of them needs.

A process forked from one that has asked CUDA anything cannot use CUDA. So nothing that is imported
here may ask it: no module may call torch.cuda.is_available() or device_count() when imported.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing import forkserver

PRELOAD = (  # what each run would import, or be slow to import for its optimiser and picture
    "ueo.grids.slot", "ueo.runs.status", "ueo.trainers", "ueo.datasets", "sklearn.metrics",
    "torch._dynamo", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
)


def start(modules: Sequence[str] = PRELOAD) -> None:
    """Start it, or leave it as it is when it has started.

    modules: what it imports, from this process's own search path. It goes on beside the caller.
    """
    path = os.environ.get("PYTHONPATH")
    multiprocessing.set_forkserver_preload(list(modules))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path


def forget() -> None:
    """In a process that was forked from one with a server: that one is not its own to wait for."""
    forkserver._forkserver.__init__()
