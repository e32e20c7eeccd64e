"""How long the whole research job takes on this machine, from measured parts.

    python benchmarks/estimate.py --backbones RN50 ViT-B/16

UEO on the 15 domains x four label spaces x 3 seeds. A training step and an evaluation are measured,
images included, at each data set's number of known classes, plain and fast taking turns; then
multiplied by the steps and evaluations of the recipe. Images are the published numbers; a label
space is taken to hold its classes' share of them. The fast way also decodes every image once and
evaluates the zero-shot model once a domain.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import bench
import torch
from dassl.config import get_cfg_default
from step import Case, add_options, measure

from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.office_home import UFTOfficeHome
from ueo.datasets.visda_c import UFTVisDAC
from ueo.images.decoding import read_image
from ueo.label_space import STANDARD_SETTINGS, label_space
from ueo.settings.config import declarations, merge_file

DATASETS = (UFTOffice31, UFTOfficeHome, UFTVisDAC, UFTDomainNet)
SEEDS = 3
EVAL_FREQ = 10
BATCH = 64


def epochs(dataset: type) -> int:
    """Of the released recipe."""
    cfg, folder = get_cfg_default(), Path(__file__).parents[1] / "configs/trainers/UEO"
    for name in ("common", "domainnet") if dataset is UFTDomainNet else ("common",):
        merge_file(cfg, str(folder / f"{name}.yaml"), declarations(cfg, {}))
    return cfg.OPTIM.MAX_EPOCH


def work(dataset: type) -> dict[str, int]:
    """Steps, and images evaluated and decoded, for all domains, label spaces and seeds."""
    last = epochs(dataset)
    tuned = math.ceil(last / EVAL_FREQ)  # evaluations besides the zero-shot model's
    total = dict.fromkeys(("images", "steps", "evaluated_plain", "evaluated_fast"), 0)
    for domain, count in dataset.published.items():
        listed = getattr(dataset, "listed", {}).get(domain)
        seen, tested = listed or (count, count)
        total["images"] += count
        total["evaluated_fast"] += count
        for setting in STANDARD_SETTINGS:
            share = len(label_space(dataset.counts, setting).unlabelled) / dataset.counts.total
            unlabelled = round(seen * share)
            total["steps"] += SEEDS * last * math.ceil(unlabelled / BATCH)
            total["evaluated_plain"] += SEEDS * (tuned + 1) * (tested + unlabelled)
            total["evaluated_fast"] += SEEDS * tuned * (tested + (unlabelled if listed else 0))
    return total


def seconds_to_decode(folder: Path, args: argparse.Namespace) -> float:
    """Of one image."""
    paths = bench.pictures(folder / "jpegs", args.images, args.pixels)
    start = time.perf_counter()
    for path in paths:
        read_image(path)
    return (time.perf_counter() - start) / len(paths)


def estimate(backbone: str, dataset: type, folder: Path, args: argparse.Namespace) -> dict:
    """Hours of both ways, and the parts they come from."""
    names, todo = dataset.counts.known, work(dataset)
    step, evaluation = (
        measure(Case(what, backbone, names, args.pixels, args.workers[0], BATCH, args.images),
                folder, args)
        for what in ("step", "evaluation")
    )
    decoding = seconds_to_decode(folder, args) / max(1, args.workers[-1])
    hours = {
        way: (todo["steps"] * step[f"{way}_seconds"]
              + todo[f"evaluated_{way}"] * evaluation[f"{way}_seconds"] / BATCH
              + (todo["images"] * decoding if way == "fast" else 0)) / 3600
        for way in ("plain", "fast")
    }
    return {"backbone": backbone, "dataset": dataset.title, "names": names, **todo,
            "hours": hours, "step": step, "evaluation": evaluation, "decoding_seconds": decoding}


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--backbones", nargs="+", default=["RN50", "ViT-B/16"])
    p.add_argument("--pixels", type=int, default=600, help="side of the JPEGs")
    p.add_argument("--images", type=int, default=128)
    p.add_argument("--workers", nargs="+", type=int, default=[4],
                   help="of the plain loader; the last one is the fast one's")
    add_options(p)
    p.add_argument("--output", default="output/benchmark_estimate.json")
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = [estimate(backbone, dataset, Path(folder), args)
                for backbone in args.backbones for dataset in DATASETS]
    table = [[r["backbone"], r["dataset"], r["names"], r["steps"], r["evaluated_fast"],
              r["hours"]["plain"], r["hours"]["fast"]] for r in rows]
    for backbone in args.backbones:
        own = [r["hours"] for r in rows if r["backbone"] == backbone]
        table.append([backbone, "all", None, None, None,
                      *(sum(hours[way] for hours in own) for way in ("plain", "fast"))])
    headers = ["backbone", "data set", "names", "steps", "images evaluated", "plain, h", "fast, h"]
    bench.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
