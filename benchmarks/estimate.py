"""Estimate the time of the whole benchmark on this machine from measured parts.

    python benchmarks/estimate.py --backbones RN50 ViT-B/16

The benchmark is UEO on the 15 domains x four label spaces x 3 seeds. A training step and an
evaluation are timed, images included, with each data set's number of known classes, alternating
between the plain and the fast way. The times are multiplied by the steps and evaluations of the
recipe (ueo/machine/workload.py). The fast way also decodes every image once.

If a step of 64 images takes minutes, --batch 8 measures its parts: the text side, and eight times
the time of 8 images.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import bench
from step import Case, add_options, measure
from towers import measure as measure_tower

from ueo.clip.architectures import ARCHITECTURES
from ueo.grids.choices import BENCHMARK, dataset_class
from ueo.images.decoding import read_image
from ueo.machine.measured import pictures
from ueo.machine.workload import BATCH, hours, work
from ueo.runs.configure import register


def seconds_to_decode(folder: Path, args: argparse.Namespace) -> float:
    """Return the seconds to decode one image."""
    paths = pictures(folder / "jpegs", args.images, args.pixels)
    start = time.perf_counter()
    for path in paths:
        read_image(path)
    return (time.perf_counter() - start) / len(paths)


def from_parts(text: dict, images: dict, args: argparse.Namespace) -> dict:
    """Return the seconds of a step of 64 images both ways, from the text side and a small batch."""
    ways = ("plain_seconds", "fast_seconds")
    return {"text": text, "images": images,
            **{way: text[way] + images[way] * BATCH / args.batch for way in ways}}


def estimate(backbone: str, folder: Path, args: argparse.Namespace) -> list[dict]:
    """Return the hours of both ways for each data set, and the measured parts."""
    case = Case("evaluation", backbone, 1, args.pixels, args.workers[0], args.batch, args.images)
    evaluation = measure(case, folder, args)
    whole = args.batch == BATCH
    images = None if whole else measure(replace(case, what="images"), folder, args)
    decoding = seconds_to_decode(folder, args) / max(1, args.workers[-1])
    rows = []
    for dataset in BENCHMARK:
        kind, todo = dataset_class(dataset), work(dataset)
        names = kind.counts.known
        if whole:
            step = measure(replace(case, what="step", names=names), folder, args)
        else:
            step = from_parts(*measure_tower(backbone, names, args, ["text"]), images, args)
        took = {
            way: hours(todo, step[f"{way}_seconds"], evaluation[f"{way}_seconds"] / args.batch,
                       decoding if way == "fast" else 0.0, way)
            for way in ("plain", "fast")
        }
        rows.append({"backbone": backbone, "dataset": kind.title, "names": names, **todo,
                     "hours": took, "step": step, "evaluation": evaluation,
                     "decoding_seconds": decoding})
    return rows


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--backbones", nargs="+", default=list(ARCHITECTURES))
    p.add_argument("--pixels", type=int, default=600, help="side of the JPEGs")
    p.add_argument("--batch", type=int, default=BATCH, help="images per timed step")
    p.add_argument("--images", type=int, default=128)
    p.add_argument("--workers", nargs="+", type=int, default=[4],
                   help="worker processes of the plain loader; the fast one uses the last number")
    add_options(p)
    p.add_argument("--output", default="output/benchmark_estimate.json")
    args = bench.parsed(p)
    register()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for backbone in args.backbones
                for row in bench.unless_too_large(estimate, backbone, Path(folder), args)]
    table = [[r["backbone"], r["dataset"], r["names"], r["steps"], r["evaluated_fast"],
              r["hours"]["plain"], r["hours"]["fast"]] for r in rows]
    for backbone in dict.fromkeys(r["backbone"] for r in rows):
        own = [r["hours"] for r in rows if r["backbone"] == backbone]
        table.append([backbone, "all", None, None, None,
                      *(sum(hours[way] for hours in own) for way in ("plain", "fast"))])
    headers = ["backbone", "data set", "names", "steps", "images evaluated", "plain, h", "fast, h"]
    bench.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
