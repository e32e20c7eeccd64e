"""How much faster the towers are than as released: text, whole training step, evaluation.

    python benchmarks/towers.py --backbones RN50 ViT-B/32 --names 50 300 --batch 16

OpenAI's architectures with random weights, random pixels, no data loading. "Plain" is
TRAINER.<NAME>.FAST False: 77 tokens a prompt, every token to the last layer. Both take turns in one
process; the table gives medians, the range of the ratios, and the ratio of the operations counted.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import modern_dassl  # noqa: E402, F401  isort: skip

import torch  # noqa: E402
from clip.model import convert_weights  # noqa: E402
from tabulate import tabulate  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from ueo.clip.architectures import ARCHITECTURES, random_clip  # noqa: E402
from ueo.clip.model import PromptedCLIP  # noqa: E402
from ueo.clip.prompts import PromptLearner  # noqa: E402
from ueo.clip.tuning import select  # noqa: E402
from ueo.files import write_json  # noqa: E402
from ueo.losses import universal_entropy  # noqa: E402

WORDS = ("alarm clock", "backpack", "battery", "bed", "bike", "bottle", "bucket", "calculator",
         "calendar", "candles", "chair", "clipboards", "computer", "couch", "curtains", "desk lamp",
         "drill", "eraser", "exit sign", "fan")


def names(count: int) -> list[str]:
    """Class names of one to four tokens."""
    pairs = [f"{a} {b}" for a in WORDS for b in WORDS]
    return [*WORDS, *pairs, *(f"{p} {w}" for p in pairs for w in WORDS)][:count]


class Way:
    """One of the two ways: a prompted CLIP, its optimiser and what is timed."""

    def __init__(self, backbone: str, count: int, fast: bool, device: torch.device):
        clip_model = random_clip(backbone)
        if device.type == "cuda":
            convert_weights(clip_model)
        clip_model.requires_grad_(False).to(device)
        prompt = PromptLearner(names(count), clip_model, whole=not fast)
        self.model = PromptedCLIP(clip_model, prompt, fast=fast).to(device)
        groups = select(self.model, "both")
        parameters = [p.requires_grad_() for group in groups.values() for p in group.values()]
        self.optim = torch.optim.SGD(parameters, lr=1e-4)

    def text(self, images: torch.Tensor) -> None:
        """Class features and the gradient to the context."""
        features = self.model.class_features()
        features.float().square().sum().backward()

    def step(self, images: torch.Tensor) -> None:
        """One step of UEO."""
        self.optim.zero_grad()
        prob = (100 * self.model(images).float()).softmax(-1)
        sum(universal_entropy(prob, prob.detach().amax(-1))).backward()
        self.optim.step()

    def evaluation(self, images: torch.Tensor) -> None:
        """Features of images, as in an evaluation; folding is not timed."""
        self.model.image_features(images)


def measure(backbone: str, count: int, args: argparse.Namespace) -> list[dict]:
    """A row for each of text, step and evaluation."""
    device = torch.device(args.device)
    ways = [Way(backbone, count, fast, device) for fast in (False, True)]
    size = ways[0].model.visual.input_resolution
    images = torch.randn(args.batch, 3, size, size, device=device)
    rows = []
    for what in args.what:
        if what == "evaluation":
            with ways[0].model.evaluating(), ways[1].model.evaluating():
                times, flops = compare([way.evaluation for way in ways], images, args)
        else:
            times, flops = compare([getattr(way, what) for way in ways], images, args)
        ratios = [plain / fast for plain, fast in zip(*times)]
        rows.append({
            "backbone": backbone, "names": count, "batch": args.batch, "what": what,
            "plain_seconds": statistics.median(times[0]),
            "fast_seconds": statistics.median(times[1]),
            "ratio": statistics.median(ratios), "ratios": ratios, "flop_ratio": flops,
        })
        print(f"{backbone} {count} {what}: {rows[-1]['ratio']:.2f}x", flush=True)
    return rows


def compare(functions, images: torch.Tensor, args) -> tuple[list[list[float]], float]:
    """(seconds of each function in each round, ratio of their operations)."""
    counts = []
    for function in functions:
        with FlopCounterMode(display=False) as counter:  # this call warms up, too
            function(images)
        counts.append(counter.get_total_flops())
    times = [[], []]
    for _ in range(args.rounds):
        for own, function in zip(times, functions):
            start = time.perf_counter()
            function(images)
            if images.is_cuda:
                torch.cuda.synchronize()
            own.append(time.perf_counter() - start)
    return times, counts[0] / counts[1]


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--backbones", nargs="+", default=list(ARCHITECTURES))
    p.add_argument("--names", nargs="+", type=int, default=[50, 300])
    p.add_argument("--what", nargs="+", default=["text", "step", "evaluation"])
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--output", default="output/benchmark_towers.json")
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rows = [
        row for backbone in args.backbones for count in args.names
        for row in measure(backbone, count, args)
    ]
    device = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    write_json(Path(args.output), {
        "device": device, "threads": torch.get_num_threads(), "torch": torch.__version__,
        "rows": rows,
    })
    table = [
        [r["backbone"], r["names"], r["what"], r["plain_seconds"], r["fast_seconds"],
         f"{r['ratio']:.2f} ({min(r['ratios']):.2f}-{max(r['ratios']):.2f})",
         f"{r['flop_ratio']:.2f}"]
        for r in rows
    ]
    headers = ["backbone", "names", "what", "plain, s", "fast, s", "faster, times", "operations"]
    print(tabulate(table, headers, floatfmt=".3f"))


if __name__ == "__main__":
    main()
