"""Run all benchmarks: tables on the console, JSON in output/benchmark_*.json.

    python benchmarks/main.py             run what this machine can do in reasonable time
    python benchmarks/main.py --dry-run   only print the commands

The cases are smaller on a CPU than on a GPU. A GPU also measures plain loaders with 4 and 16
workers, the share of --peak-tflops, and parallel runs.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
CURVE = "step.py --what step --identical"
CPU = (
    "towers.py --backbones RN50 ViT-B/32 --names 50 300 --batch 16",
    "step.py --backbones RN50 ViT-B/32 --names 50 300 --pixels 600 --identical",
    "step.py --backbones ViT-B/16 --names 50 --pixels 300 600 --batch 16 "
    "--output output/benchmark_small.json",
    "step.py --backbones none --names 1 --pixels 300 600 --output output/benchmark_data.json",
    f"{CURVE} --backbones ViT-B/32 --names 10 50 300 1000 --pixels 300 --batch 16 "
    "--output output/benchmark_names.json",
    f"{CURVE} --backbones ViT-B/32 --names 50 --pixels 300 --batch 8 16 32 64 "
    "--output output/benchmark_batch.json",
    "step.py --what step --backbones none --names 1 --pixels 300 --images 64 256 1024 "
    "--output output/benchmark_images.json",
    "job.py --domain fluent --seed 1 --store-gb 0 0.01",
    "estimate.py --rounds 1 --workers 0 --batch 8 --images 16",
    "streams.py --images 20000",
    "transduction.py",
)
GPU = (
    "towers.py --names 50 300 1000 --batch 64",
    "step.py --names 50 300 1000 --pixels 300 600 --workers 4 16 --images 512 --rounds 10",
    "step.py --backbones none --names 1 --workers 4 16 --images 512 --rounds 10 "
    "--output output/benchmark_data.json",
    f"{CURVE} --backbones ViT-B/16 --names 10 50 300 1000 --pixels 600 --workers 4 "
    "--output output/benchmark_names.json",
    f"{CURVE} --backbones ViT-B/16 --names 50 --pixels 600 --workers 4 --batch 16 32 64 128 256 "
    "--images 512 --output output/benchmark_batch.json",
    "step.py --what step --backbones none --names 1 --pixels 300 --images 256 1024 4096 "
    "--output output/benchmark_images.json",
    "job.py --domain fluent --jobs 1 2 4 --store-gb 0 0.01",
    "job.py --domain fluent --jobs 1 2 4 --backbone RN50 --output output/benchmark_jobs.json",
    "estimate.py --workers 4 --rounds 10",
    "streams.py --images 200000 --device cuda --workers 4",
)


def main() -> int:
    """Run the commands; return the exit status of the first that fails, or 0."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--dry-run", action="store_true")
    p.add_argument("--peak-tflops", default="", help="peak of the GPU in half precision")
    args = p.parse_args()
    for command in GPU if torch.cuda.is_available() else CPU:
        if args.peak_tflops and command.startswith("step.py"):
            command += f" --peak-tflops {args.peak_tflops}"
        print(f"$ python benchmarks/{command}", flush=True)
        script, *options = shlex.split(command)
        if not args.dry_run:
            status = subprocess.run([sys.executable, str(HERE / script), *options]).returncode
            if status:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
