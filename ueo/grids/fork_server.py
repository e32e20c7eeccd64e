"""The fork server of a grid: a process that imports once what every run needs, and forks the runs.

A child that is forked after CUDA was initialised cannot use CUDA. So no module imported here may
call torch.cuda.is_available() or device_count() at import.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing import forkserver

PRELOAD = (  # what every run imports; the optimiser and the picture need the slow ones
    "ueo.grids.slot", "ueo.runs.status", "ueo.trainers", "ueo.datasets", "sklearn.metrics",
    "torch._dynamo", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
)


def start(modules: Sequence[str] = PRELOAD) -> None:
    """Start the fork server, unless it is running. It imports `modules` in the background.

    modules: found on the search path of this process.
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
