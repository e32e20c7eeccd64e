"""Compare a whole training step, images included, and an evaluation with the released way.

    python benchmarks/step.py --backbones RN50 --names 50 300 --pixels 600 --workers 4 16

A step goes from JPEGs on disk to updated parameters, an evaluation from JPEGs to features. "Plain"
decodes, crops and normalises image by image and uses the released towers; "fast" is a run after its
first epoch, with cached decoded images. With --identical both ways get the same pixels, cropped by
Pillow. The ways alternate in one process. The fast way uses the last number of --workers.
"""

import argparse
import itertools
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import bench
import torch
from dassl.data.transforms import build_transform
from torch.utils.data import DataLoader, Dataset

from ueo.clip.architectures import ARCHITECTURES
from ueo.images.decoding import read_image
from ueo.machine.measured import TimedModel, batches, pictures, without_end
from ueo.machine.workload import recipe

WHAT = ("step", "evaluation")  # estimate.py also uses "images", a part of a step


@dataclass(frozen=True)
class Case:
    """One measurement. backbone: "none" for the data alone; workers: those of the plain loader."""

    what: str
    backbone: str
    names: int
    pixels: int
    workers: int
    batch: int
    images: int


def configuration(case: Case, workers: int):
    """Return the released recipe's configuration with the case's batch size."""
    cfg = recipe(case.backbone)
    cfg.DATALOADER.NUM_WORKERS = workers
    cfg.DATALOADER.TRAIN_X.BATCH_SIZE = cfg.DATALOADER.TEST.BATCH_SIZE = case.batch
    return cfg


class Released(Dataset):
    """Items as in the released loader."""

    def __init__(self, paths: list[str], transform):
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict:
        return {"img": self.transform(read_image(self.paths[index]))}


def plain_batches(case: Case, paths: list[str], device: torch.device):
    """Return endless batches from the released loader."""
    training = case.what != "evaluation"
    transform = build_transform(configuration(case, case.workers), is_train=training)
    loader = DataLoader(
        Released(paths, transform), case.batch, shuffle=training, num_workers=case.workers,
        pin_memory=device.type == "cuda", persistent_workers=case.workers > 0,
    )
    return without_end(loader, device)


def measure(case: Case, folder: Path, args: argparse.Namespace) -> dict:
    """Return a row: seconds of both ways, their ratio and their operations."""
    device = torch.device(args.device)
    paths = pictures(folder / "jpegs", case.images, case.pixels)
    both = [plain_batches(case, paths, device),
            batches(configuration(case, args.workers[-1]), paths, device, folder / "store",
                    case.what != "evaluation", args.identical)]
    with ExitStack() as stack:
        if case.backbone == "none":
            functions, flops = [lambda b=b: next(b) for b in both], [0, 0]
            for function in functions:
                function()
        else:
            models = [TimedModel(case.backbone, case.names, fast, device) for fast in (False, True)]
            if case.what == "evaluation":
                for model in models:
                    stack.enter_context(model.model.evaluating())
            works = [getattr(model, case.what) for model in models]
            functions = [lambda w=w, b=b: w(next(b)) for w, b in zip(works, both)]
            flops = bench.warmed_up(models, functions)
        times = bench.take_turns(functions, args.rounds)
    row = {**asdict(case), "identical_pixels": args.identical, "flops": flops,
           **bench.compared(times)}
    row["images_per_second"] = case.batch / row["fast_seconds"]
    row["share_of_floor"] = (
        flops[1] / (args.peak_tflops * 1e12) / row["fast_seconds"] if args.peak_tflops else None
    )
    print(f"{case}: {bench.spread(row)}", flush=True)
    return row


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options of `measure`."""
    p.add_argument("--identical", action="store_true", help="both ways get the same pixels")
    p.add_argument("--peak-tflops", type=float, default=0.0, help="peak of the device")


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--what", nargs="+", default=list(WHAT), choices=WHAT)
    p.add_argument("--backbones", nargs="+", default=list(ARCHITECTURES),
                   help="backbones, or none for the data alone")
    p.add_argument("--names", nargs="+", type=int, default=[50, 300, 1000])
    p.add_argument("--pixels", nargs="+", type=int, default=[300, 600])
    p.add_argument("--workers", nargs="+", type=int, default=[0], help="of the plain loader")
    p.add_argument("--batch", nargs="+", type=int, default=[64])
    p.add_argument("--images", nargs="+", type=int, default=[128])
    add_options(p)
    p.add_argument("--output", default="output/benchmark_step.json")
    args = bench.parsed(p)
    cases = itertools.starmap(Case, itertools.product(
        args.what, args.backbones, args.names, args.pixels, args.workers, args.batch, args.images
    ))
    with tempfile.TemporaryDirectory() as folder:
        measured = (bench.unless_too_large(measure, case, Path(folder), args) for case in cases)
        rows = [row for row in measured if row]
    table = [
        [*(r[name] for name in Case.__dataclass_fields__), r["plain_seconds"], r["fast_seconds"],
         bench.spread(r), r["flops"][0] / r["flops"][1] if r["flops"][1] else None,
         r["images_per_second"], r["share_of_floor"]]
        for r in rows
    ]
    headers = [*Case.__dataclass_fields__, "plain, s", "fast, s", "faster, times", "operations",
               "images/s", "of the floor"]
    bench.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
