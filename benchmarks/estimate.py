"""How long the whole research job takes on this machine, from measured parts.

    python benchmarks/estimate.py --backbones RN50 ViT-B/16

UEO on the 15 domains x four label spaces x 3 seeds. A training step and an evaluation are measured,
images included, at each data set's number of known classes, plain and fast taking turns; then
multiplied by the steps and evaluations of the recipe (ueo/machine/workload.py). The fast way also
decodes every image once.
"""

import argparse
import tempfile
import time
from pathlib import Path

import bench
import torch
from step import Case, add_options, measure

from ueo.grids.choices import BENCHMARK, dataset_class
from ueo.images.decoding import read_image
from ueo.machine.measured import pictures
from ueo.machine.workload import BATCH, hours, work
from ueo.runs.configure import register


def seconds_to_decode(folder: Path, args: argparse.Namespace) -> float:
    """Of one image."""
    paths = pictures(folder / "jpegs", args.images, args.pixels)
    start = time.perf_counter()
    for path in paths:
        read_image(path)
    return (time.perf_counter() - start) / len(paths)


def estimate(backbone: str, dataset: str, folder: Path, args: argparse.Namespace) -> dict:
    """Hours of both ways, and the parts they come from."""
    kind, todo = dataset_class(dataset), work(dataset)
    names = kind.counts.known
    step, evaluation = (
        measure(Case(what, backbone, names, args.pixels, args.workers[0], BATCH, args.images),
                folder, args)
        for what in ("step", "evaluation")
    )
    decoding = seconds_to_decode(folder, args) / max(1, args.workers[-1])
    took = {
        way: hours(todo, step[f"{way}_seconds"], evaluation[f"{way}_seconds"] / BATCH,
                   decoding if way == "fast" else 0.0, way)
        for way in ("plain", "fast")
    }
    return {"backbone": backbone, "dataset": kind.title, "names": names, **todo, "hours": took,
            "step": step, "evaluation": evaluation, "decoding_seconds": decoding}


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
    register()
    with tempfile.TemporaryDirectory() as folder:
        rows = [estimate(backbone, dataset, Path(folder), args)
                for backbone in args.backbones for dataset in BENCHMARK]
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
