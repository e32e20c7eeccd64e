"""Measure time and memory of the transductive methods on cached features.

    python benchmarks/transduction.py [--images 50000] [--classes 345] [--methods StatA]

Features are seeded random unit vectors; those of a class lie around its text feature. Each method
runs in a separate process; memory is its peak, Python and torch included.
"""

import argparse
import multiprocessing
import resource
import time

import bench
import torch
from torch.nn.functional import normalize

from ueo.transduction import mixture, propagation

SCALE = 100.0  # of OpenAI's logits
METHODS = {
    "TransCLIP": lambda features, texts: mixture.fit(features, texts, SCALE, anchored=False),
    "StatA": lambda features, texts: mixture.fit(features, texts, SCALE, anchored=True),
    "ZLaP": propagation.propagate,
}
COLUMNS = {"method": "method", "seconds": "s", "processor_seconds": "s of CPU", "peak_mb": "MB"}


def measure(method: str, images: int, classes: int, embedding: int) -> dict:
    draw = torch.Generator().manual_seed(0)
    texts = normalize(torch.randn(classes, embedding, generator=draw), dim=1)
    noise = torch.randn(images, embedding, generator=draw)
    features = normalize(texts[torch.arange(images) % classes] + noise / 4, dim=1)
    wall, processor = time.perf_counter(), time.process_time()
    METHODS[method](features, texts)
    return {
        "method": method,
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("images", 50_000), ("classes", 345), ("embedding", 512)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    p.add_argument("--output", default="output/benchmark_transduction.json")
    args = p.parse_args()
    size = args.images, args.classes, args.embedding
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = [pool.apply(measure, (method, *size)) for method in args.methods]
    rows = [row | vars(args) for row in rows]
    table = [[row[key] for key in COLUMNS] for row in rows]
    bench.report(args.output, rows, table, list(COLUMNS.values()))


if __name__ == "__main__":
    main()
