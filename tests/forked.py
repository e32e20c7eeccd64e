"""Functions that tests run in children of a grid's fork server, which imports them by name."""

import json
import multiprocessing
import os
import sys
from pathlib import Path

import torch

IMPORTED = set(sys.modules)  # the server's modules, and few others


def note(folder: str) -> int:
    """Write what this process knows of CUDA and of its surroundings to found.json."""
    found = {
        "bad_fork": torch.cuda._is_in_bad_fork(),
        "start_method": multiprocessing.get_start_method(),
        "imported": sorted(IMPORTED),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "shares": [os.environ.get(f"UEO_RUNS_{where}") for where in ("AT_ONCE", "ON_GPU")],
        "pid": os.getpid(),
    }
    Path(folder, "found.json").write_text(json.dumps(found))
    return 0


def lose_folder(folder: str) -> int:
    """Succeed after replacing the folder by a file, as if it became unreadable."""
    folder = Path(folder)
    (folder / "console.txt").unlink()
    folder.rmdir()
    folder.write_text("")
    return 0
