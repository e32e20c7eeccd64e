"""Where this was imported, a run leaves its two pictures empty: drawing them takes longer than a
toy run. conftest.py imports it, and the server that runs of grids are forked from does."""

from pathlib import Path

from ueo.results.paper.scores import PICTURES
from ueo.runs import start

draw = start._draw


def leave_pictures(cfg) -> None:
    for name in PICTURES[-2:]:
        Path(cfg.OUTPUT_DIR, name).touch()


start._draw = leave_pictures
