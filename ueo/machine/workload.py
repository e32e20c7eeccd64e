"""Count the work of UEO on published data sets: steps, evaluations, decoded images; and hours.

Each domain runs under four label spaces with three seeds, by the released recipe. Image counts are
the published ones; a label space is assumed to hold its classes' share of them. Every image is
decoded once, and the zero-shot model is evaluated once per domain.
"""

import math

from dassl.config import get_cfg_default
from dassl.engine import TRAINER_REGISTRY

from ueo.grids.choices import dataset_class, trainer_yamls
from ueo.label_space import STANDARD_SETTINGS, label_space
from ueo.runs.configure import register, set_preprocessing
from ueo.settings.config import declarations, extend, merge_file

SEEDS = 3
EVAL_FREQ = 10  # epochs
BATCH = 64


def recipe(backbone: str, dataset: str = ""):
    """Return the configuration of UEO's recipe. dataset: a name in configs/datasets, or ""."""
    register()
    trainers = {"UEO": TRAINER_REGISTRY.get("UEO")}
    cfg = extend(get_cfg_default(), trainers)
    known = declarations(cfg, trainers)
    for path in trainer_yamls("UEO", backbone, dataset, "common"):
        merge_file(cfg, path, known)
    set_preprocessing(cfg, backbone, known)
    return cfg


def work(dataset: str) -> dict[str, int]:
    """Return the steps, and the images evaluated and decoded, of all domains, label spaces and
    seeds.

    "evaluated_plain": as released, every set each time; "evaluated_fast": as in this project.
    """
    kind, last = dataset_class(dataset), recipe("RN50", dataset).OPTIM.MAX_EPOCH
    tuned = math.ceil(last / EVAL_FREQ)  # evaluations without the zero-shot one
    total = dict.fromkeys(("images", "steps", "evaluated_plain", "evaluated_fast"), 0)
    for domain, count in kind.published.items():
        listed = getattr(kind, "listed", {}).get(domain)
        seen, tested = listed or (count, count)
        total["images"] += count
        total["evaluated_fast"] += count
        for setting in STANDARD_SETTINGS:
            share = len(label_space(kind.counts, setting).unlabelled) / kind.counts.total
            unlabelled = round(seen * share)
            total["steps"] += SEEDS * last * math.ceil(unlabelled / BATCH)
            total["evaluated_plain"] += SEEDS * (tuned + 1) * (tested + unlabelled)
            total["evaluated_fast"] += SEEDS * tuned * (tested + (unlabelled if listed else 0))
    return total


def hours(todo: dict[str, int], step: float, image: float, decoding: float = 0.0,
          way: str = "fast") -> float:
    """Return the hours of the work `todo`. step: seconds of a training step of BATCH images. image,
    decoding: seconds to evaluate and to decode one image."""
    return (todo["steps"] * step + todo[f"evaluated_{way}"] * image
            + todo["images"] * decoding) / 3600
