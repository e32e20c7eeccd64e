"""The process that the runs of a grid are forked from: it imports once what each of them needs.

A process forked from one that has asked CUDA anything cannot use CUDA. So nothing that is imported
here may ask it: no module may call torch.cuda.is_available() or device_count() when imported.
"""

import multiprocessing
import os
import sys
from multiprocessing import forkserver

QUIET = "UEO_ENGINE_QUIET"  # runs do not repeat which engine is in use


def start(modules: list[str]) -> None:
    """Start it, or leave it as it is when it has started.

    modules: what it imports, from this process's own search path. It goes on beside the caller.
    """
    changed = {QUIET: "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kept = {name: os.environ.get(name) for name in changed}
    multiprocessing.set_forkserver_preload(modules)
    os.environ.update(changed)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def forget() -> None:
    """In a process that was forked from one with a server: that one is not its own to wait for."""
    forkserver._forkserver.__init__()
