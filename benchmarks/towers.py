"""Compare the towers with the released ones: text side, training step, evaluation.

    python benchmarks/towers.py --backbones RN50 ViT-B/32 --names 50 300 --batch 16

OpenAI's architectures with random weights, random pixels, no data loading. "Plain" is
TRAINER.<NAME>.FAST False: 77 tokens per prompt, all up to the last layer. The ways alternate in one
process; the table gives medians, the range of the ratios, and the ratio of operations.
"""

import argparse
from contextlib import ExitStack
from functools import partial

import bench
import torch

from ueo.clip.architectures import ARCHITECTURES
from ueo.machine.measured import TimedModel


def measure(
    backbone: str, count: int, args: argparse.Namespace, parts: list[str]
) -> list[dict]:
    """Return a row for each of `parts`: text, step or evaluation."""
    device = torch.device(args.device)
    models = [TimedModel(backbone, count, fast, device) for fast in (False, True)]
    size = models[0].model.backbone.preprocessing.size
    images = torch.randn(args.batch, 3, *size, device=device)
    rows = []
    for what in parts:
        functions = [partial(getattr(model, what), images) for model in models]
        with ExitStack() as stack:
            if what == "evaluation":
                for model in models:
                    stack.enter_context(model.model.evaluating())
            flops = bench.warmed_up(models, functions)
            times = bench.take_turns(functions, args.rounds)
        rows.append({
            "backbone": backbone, "names": count, "batch": args.batch, "what": what,
            **bench.compared(times), "flop_ratio": flops[0] / flops[1], "flops": flops[1],
        })
        print(f"{backbone} {count} {what}: {rows[-1]['ratio']:.2f}x", flush=True)
    return rows


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--backbones", nargs="+", default=list(ARCHITECTURES))
    p.add_argument("--names", nargs="+", type=int, default=[50, 300])
    p.add_argument("--what", nargs="+", default=["text", "step", "evaluation"])
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--output", default="output/benchmark_towers.json")
    args = bench.parsed(p)
    rows = [
        row for backbone in args.backbones for count in args.names
        for row in bench.unless_too_large(measure, backbone, count, args, args.what)
    ]
    table = [
        [r["backbone"], r["names"], r["what"], r["plain_seconds"], r["fast_seconds"],
         bench.spread(r), f"{r['flop_ratio']:.2f}"]
        for r in rows
    ]
    headers = ["backbone", "names", "what", "plain, s", "fast, s", "faster, times", "operations"]
    bench.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
