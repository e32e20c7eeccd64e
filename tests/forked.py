"""What tests run in processes forked by a grid's server; imported there by its name."""

import json
import multiprocessing
import os
import sys
from pathlib import Path

import torch

IMPORTED = set(sys.modules)  # when this module was: what the server had, and little more


def note(folder: str) -> int:
    """Write into the folder what this process finds of CUDA."""
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
    """End well in a folder that was replaced by a file, as one that became unreadable."""
    folder = Path(folder)
    (folder / "console.txt").unlink()
    folder.rmdir()
    folder.write_text("")
    return 0
