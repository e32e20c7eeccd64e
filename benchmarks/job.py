"""Time a grid on the embedded emoji, as released and as in this project, and measure its memory.

    python benchmarks/job.py --domain fluent --store-gb 0 0.01

Whole grids run from an empty folder to the tables, one way after the other in every round: "plain"
has every speed-up off, "fast" is the default, then one way for each budget of --store-gb; each with
every number of --jobs. --backbone replaces the tiny CLIP by one of OpenAI's architectures with
random weights, whose metrics mean nothing. Peak memory is that of the largest run; on a CPU it
includes mapped pages of the store, which the system can reclaim.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import torch

from ueo.clip.architectures import ARCHITECTURES, random_clip

TRAINERS = ("ZeroshotCLIP", "UEO")
PLAIN = (*(f"TRAINER.{name}.FAST=False" for name in TRAINERS),
         "DATASET.PLAIN_TRANSFORM=True", "DATASET.STORE_GB=0")


def run(way: str, jobs: int, folder: Path, args: argparse.Namespace) -> dict:
    """Run a grid in an empty folder; return its seconds, memory, kept bytes and mean metrics."""
    options = {"plain": PLAIN, "fast": ()}.get(way, (f"DATASET.STORE_GB={way}",))
    command = [
        sys.executable, "-m", "ueo.commands", "grid", "emoji", "--trainers", *TRAINERS,
        "--jobs", str(jobs),
        "--root", str(folder / "data"), "--output", str(folder / "output"),
        "--seed", *map(str, args.seed),
    ]
    if args.backbone:
        weights = folder / "weights.pt"
        torch.save(random_clip(args.backbone).state_dict(), weights)
        command += ["--backbone", str(weights)]
    if args.domain:
        command += ["--domain", *args.domain]
    if options:
        command += ["--set", *(part for option in options for part in option.split("="))]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    results = [json.loads(path.read_text()) for path in folder.glob("output/**/result.json")]
    kept = sum(path.stat().st_size for path in folder.glob("data/.decoded/**/*") if path.is_file())
    mean = lambda key: statistics.mean(r["metrics"]["test"][key] for r in results)  # noqa: E731
    return {
        "way": way, "jobs": jobs, "runs": len(results), "seconds": seconds, "kept_bytes": kept,
        "peak_memory_bytes": max(r["peak_memory_bytes"] for r in results),
        "pacc": mean("pacc"), "auroc": mean("auroc"),
    }


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--domain", nargs="+", default=[], help="target styles (default: all)")
    p.add_argument("--backbone", default="", choices=list(ARCHITECTURES))
    p.add_argument("--seed", nargs="+", type=int, default=[1, 2, 3])
    p.add_argument("--store-gb", nargs="+", default=[], help="budgets for decoded images, in GB")
    p.add_argument("--jobs", nargs="+", type=int, default=[0], help="parallel runs; 0: the default")
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--output", default="output/benchmark_job.json")
    args = p.parse_args()
    rows = []
    for _ in range(args.rounds):
        for jobs in args.jobs:
            for way in ("plain", "fast", *args.store_gb):
                with tempfile.TemporaryDirectory() as folder:
                    rows.append(run(way, jobs, Path(folder), args))
                print(f"{way}, {jobs} jobs: {rows[-1]['seconds']:.1f} s", flush=True)
    table = [
        [r["way"], r["jobs"] or "", r["runs"], r["seconds"], plain["seconds"] / r["seconds"],
         r["peak_memory_bytes"] / 1e6, r["kept_bytes"] / 1e6, r["pacc"], r["auroc"]]
        for r, plain in ((r, next(p for p in rows[i::-1] if p["way"] == "plain"))
                         for i, r in enumerate(rows))
    ]
    headers = ["way or GB", "jobs", "runs", "seconds", "faster, times", "peak MB", "kept MB",
               "PACC", "AUROC"]
    bench.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
