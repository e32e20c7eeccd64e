"""The recipe of a run and its departures from it, printed before training and recorded."""

from pathlib import Path

from yacs.config import CfgNode

from ueo.results.comparable import OWN_KEYS
from ueo.runs.configure import RunSettings
from ueo.settings.config import flatten, resolved
from ueo.text import shown, written


def set_by_hand(cfg: CfgNode, recipe: dict) -> dict[str, list]:
    """Return {key: [its value, the recipe's]} of the keys that KEY VALUE changed and results depend
    on, except seed, domain and label space, which no recipe sets. cfg, recipe: from `configured`.
    """
    kept, now = resolved(cfg), flatten(cfg)
    return {key: [now[key], value] for key, value in recipe.items()
            if key in kept and key not in OWN_KEYS and now[key] != value}


def say(settings: RunSettings, changed: dict[str, list]) -> None:
    """Print the files of the recipe, and what `set_by_hand` found."""
    files = ["/".join(Path(file).parts[-2:]) for file in settings.config_file]
    if files:
        print(f"Recipe: {shown(', '.join(files))}")
    if changed:
        words = (f"{key} {written(value)} (recipe: {written(recipe)})"
                 for key, (value, recipe) in changed.items())
        print(f"Set by hand: {shown(', '.join(words))}")
