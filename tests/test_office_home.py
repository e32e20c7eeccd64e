"""The job of the field, to its tables, by its script: on a small copy of Office-Home."""

import os
import subprocess
import sys

import trees
from conftest import REPOSITORY
from field_grids import check, options


def test_main_on_office_home(weights, tmp_path):
    root = tmp_path / "data"
    trees.office_home(root, images=1)
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "UEO_PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", str(REPOSITORY / "scripts/ueo/main.sh"), "office_home",
         *options(root, weights, tmp_path / "output")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "32 runs, 0 finished, 32 to do" in done.stdout
    for word in ("Art", "Clipart", "Product", "RealWorld", "open_partial", "Tables:"):
        assert word in done.stdout
    check(tmp_path / "output", "office_home", ("Art", "Clipart", "Product", "RealWorld"), 50)
    pictures = [p.stat().st_size for p in (tmp_path / "output").rglob("scores.p*")]
    assert len(pictures) == 2 * 32 and min(pictures) > 1000
