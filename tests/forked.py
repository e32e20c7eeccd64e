"""What tests run in processes forked by a grid's server; imported there by its name."""

import json
import multiprocessing
import os
import sys
from pathlib import Path

import torch

IMPORTED = set(sys.modules)  # when this module was: what the server had, and little more


def note(argv: list[str]) -> int:
    """Write into the folder argv[0] what this process finds of CUDA."""
    found = {
        "bad_fork": torch.cuda._is_in_bad_fork(),
        "start_method": multiprocessing.get_start_method(),
        "imported": sorted(IMPORTED),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "pid": os.getpid(),
    }
    Path(argv[0], "found.json").write_text(json.dumps(found))
    return 0


def lose_folder(argv: list[str]) -> int:
    """End well in a folder that was replaced by a file, as one that became unreadable."""
    folder = Path(argv[0])
    (folder / "console.txt").unlink()
    folder.rmdir()
    folder.write_text("")
    return 0
