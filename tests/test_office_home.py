"""The field's benchmark on a small copy of Office-Home, run by its script up to the tables."""

import os
import subprocess
import sys

import trees
from conftest import REPOSITORY
from field_grids import check, options

from ueo.commands import grid


def test_main_on_office_home(weights, tmp_path, capsys):
    root = tmp_path / "data"
    trees.office_home(root, images=1)
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "UEO_PYTHON": sys.executable}
    words = ["office_home", *options(root, weights, tmp_path / "output")]
    done = subprocess.run(
        ["bash", str(REPOSITORY / "scripts/ueo/main.sh"), *words[:1], "--domain", "RealWorld",
         "--setting", "open_partial", *words[1:]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 runs, 0 finished, 2 to do" in done.stdout and "Tables:" in done.stdout
    pictures = [p.stat().st_size for p in (tmp_path / "output").rglob("scores.p*")]
    assert len(pictures) == 2 * 2 and min(pictures) > 1000
    for file in (tmp_path / "output/office_home").glob("table-*"):  # tables of two runs
        file.unlink()
    assert grid.main(words) == 0  # in a server that leaves pictures empty
    out = capsys.readouterr().out
    assert "32 runs, 2 finished, 30 to do" in out
    for word in ("Art", "Clipart", "Product", "RealWorld", "open_partial", "Tables:"):
        assert word in out
    check(tmp_path / "output", "office_home", ("Art", "Clipart", "Product", "RealWorld"), 50)
    assert len([*(tmp_path / "output").rglob("scores.p*")]) == 2 * 32
