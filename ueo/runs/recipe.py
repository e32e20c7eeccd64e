"""By which recipe a run is made, and where it departs from it: said before training, and kept."""

from pathlib import Path

from yacs.config import CfgNode

from ueo.results.comparable import OWN_KEYS
from ueo.runs.configure import RunSettings, cfg_of_files
from ueo.settings.config import flatten, resolved
from ueo.text import shown, written


def set_by_hand(settings: RunSettings, cfg: CfgNode) -> dict[str, list]:
    """{key: [its value, the recipe's]} of what KEY VALUE changed, of all that decides what a run
    computes, but for its seed, domain and label space, which no recipe names. cfg: what `build_cfg`
    made of `settings`."""
    kept, now, recipe = resolved(cfg), flatten(cfg), flatten(cfg_of_files(settings)[0])
    return {key: [now[key], recipe[key]] for key in settings.options[::2]
            if key in kept and key not in OWN_KEYS and now[key] != recipe[key]}


def say(settings: RunSettings, changed: dict[str, list]) -> None:
    """Print the files of the recipe, and what `set_by_hand` found."""
    files = ["/".join(Path(file).parts[-2:]) for file in settings.config_file]
    if files:
        print(f"Recipe: {shown(', '.join(files))}")
    if changed:
        words = (f"{key} {written(value)} (recipe: {written(recipe)})"
                 for key, (value, recipe) in changed.items())
        print(f"Set by hand: {shown(', '.join(words))}")
