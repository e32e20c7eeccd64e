"""How much faster a whole training step is than as released, the images included.

    python benchmarks/step.py --backbones RN50 --names 50 300 --pixels 600 --workers 4 16

A step takes a batch of JPEGs from the disk to the updated parameters. "Plain" decodes, crops and
normalises image by image and has the towers as released; "fast" is what a run does, with the
decoded images kept, after its first epoch. With --identical both get the same pixels, cropped by
Pillow. Both take turns in one process. The fast way has the last of --workers.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import common
import torch
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from torch.utils.data import DataLoader, Dataset

from ueo.clip.architectures import ARCHITECTURES
from ueo.config import merge_file
from ueo.data import Images, TrainingLoader, read_image
from ueo.store import open_store

BATCH = 64


def recipe(workers: int):
    """The released recipe's configuration."""
    cfg = get_cfg_default()
    merge_file(cfg, str(Path(__file__).parents[1] / "configs/trainers/UEO/rn50.yaml"))
    cfg.DATALOADER.NUM_WORKERS = workers
    return cfg


class Released(Dataset):
    """Items as the released loader makes them."""

    def __init__(self, paths: list[str], transform):
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict:
        return {"img": self.transform(read_image(self.paths[index]))}


def plain_batches(paths: list[str], workers: int, device: torch.device):
    """Batches without end, as the released loader makes them."""
    loader = DataLoader(
        Released(paths, build_transform(recipe(workers))), BATCH, shuffle=True, num_workers=workers,
        pin_memory=device.type == "cuda", persistent_workers=workers > 0,
    )
    for _ in itertools.count():
        for batch in loader:
            yield batch["img"].to(device)


def fast_batches(paths: list[str], workers: int, device: torch.device, folder: Path, plain: bool):
    """Batches without end, as a run makes them."""
    cfg = recipe(workers)
    items = [SimpleNamespace(impath=path, label=0, domain=0) for path in paths]
    store = open_store(folder, "benchmark", len(paths), None)
    images = Images(items, build_transform(cfg), hide=True, store=store, plain=plain)
    for index in range(len(images)):  # the first epoch decodes
        images[index]
    loader = TrainingLoader(images, cfg, device)
    for _ in itertools.count():
        for batch in loader:
            yield batch["img"]


def measure(case: tuple, folder: Path, args: argparse.Namespace) -> dict:
    """One row: backbone, names, pixels and workers of the plain way."""
    backbone, count, pixels, workers = case
    device = torch.device(args.device)
    paths = common.pictures(folder / "jpegs", args.images, pixels)
    batches = [
        plain_batches(paths, workers, device),
        fast_batches(paths, args.workers[-1], device, folder / "store", args.identical),
    ]
    if backbone == "none":
        functions = [lambda b=b: next(b) for b in batches]
        flops = [0, 0]
    else:
        ways = [common.Way(backbone, count, fast, device) for fast in (False, True)]
        functions = [lambda w=w, b=b: w.step(next(b)) for w, b in zip(ways, batches)]
        flops = [common.operations(function) for function in functions]
    for function in functions:
        function()
    row = {
        "backbone": backbone, "names": count, "pixels": pixels, "workers": workers,
        "identical_pixels": args.identical, "batch": BATCH, "flops": flops,
        **common.compared(common.take_turns(functions, args.rounds)),
    }
    row["images_per_second"] = BATCH / row["fast_seconds"]
    print(f"{case}: {common.spread(row)}", flush=True)
    return row


def main() -> None:
    """Print the table and write it as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--backbones", nargs="+", default=list(ARCHITECTURES),
                   help="none: the data alone")
    p.add_argument("--names", nargs="+", type=int, default=[50, 300, 1000])
    p.add_argument("--pixels", nargs="+", type=int, default=[300, 600])
    p.add_argument("--workers", nargs="+", type=int, default=[0], help="of the plain loader")
    p.add_argument("--images", type=int, default=128)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--identical", action="store_true", help="both ways get the same pixels")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--peak-tflops", type=float, default=0.0, help="of the device, for the floor")
    p.add_argument("--output", default="output/benchmark_step.json")
    args = p.parse_args()
    cases = itertools.product(args.backbones, args.names, args.pixels, args.workers)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(case, Path(folder), args) for case in cases]
    table = []
    for r in rows:
        plain, fast = r["flops"]
        floor = fast / (args.peak_tflops * 1e12) / r["fast_seconds"] if args.peak_tflops else None
        r["share_of_floor"] = floor
        table.append([
            r["backbone"], r["names"], r["pixels"], r["workers"], r["plain_seconds"],
            r["fast_seconds"], common.spread(r), plain / fast if fast else None,
            r["images_per_second"], floor,
        ])
    headers = ["backbone", "names", "pixels", "workers", "plain, s", "fast, s", "faster, times",
               "operations", "images/s", "of the floor"]
    common.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
