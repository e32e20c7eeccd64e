"""Inputs of planned runs (ueo/inputs.py), so that a finished one is compared with what is there."""

import json
from collections.abc import Callable

from ueo.errors import DataError
from ueo.grids.grid_settings import PlannedRun
from ueo.inputs import Inputs
from ueo.runs.configure import build_cfg
from ueo.runs.current_inputs import data_inputs, method_inputs

DIFFERS = ("SEED", "DATASET.SETTING")  # between runs with the same inputs


class PlannedInputs:
    """Those of a domain's images, and those of a method, are read once."""

    def __init__(self):
        self.known: dict[str, tuple[Inputs | None, str]] = {}

    def of(self, run: PlannedRun) -> tuple[Inputs | None, str]:
        """(inputs, ""), or (None, why) where the images are not there."""
        flat = {key: value for key, value in run.config.items() if key not in DIFFERS}
        of_data = {k: value for k, value in flat.items() if k.startswith(("DATASET.", "ONLINE."))}
        data, why = self._once(run, of_data, data_inputs)
        flat.pop("DATASET.TARGET_DOMAINS")
        method, _ = self._once(run, flat, method_inputs)
        return (None, why) if data is None else ({**data, **method}, "")

    def _once(self, run: PlannedRun, part: dict, read: Callable) -> tuple[Inputs | None, str]:
        key = json.dumps([read.__name__, part, run.settings.root])
        if key not in self.known:
            try:
                self.known[key] = read(build_cfg(run.settings)), ""
            except DataError as error:
                self.known[key] = None, str(error)
        return self.known[key]
