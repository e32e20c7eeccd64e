"""Import this to make runs leave their two pictures empty: drawing takes longer than a toy run.
conftest.py and the fork server of grids import it."""

from pathlib import Path

from ueo.results.paper.scores import PICTURES
from ueo.runs import start

draw = start._draw


def leave_pictures(cfg) -> None:
    for name in PICTURES[-2:]:
        Path(cfg.OUTPUT_DIR, name).touch()


start._draw = leave_pictures
