"""One epoch of UEO on generated images, in shards and in a folder: memory and images per second.

    python benchmarks/streams.py --images 20000
    python benchmarks/streams.py --images 1000000 --places shards

The images are seeded random 32-pixel JPEGs; there are ten names. The default model is the smallest
that runs, a random ViT of two layers for 32 pixels, so reading dominates the time. Each run is a
separate process that starts with an empty cache. Memory is the resident size, which includes mapped
pages.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import bench
import numpy as np
import torch
from clip.model import CLIP
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
PER_SHARD = 5000
PLACES = ("shards", "folder", "folder, kept")  # the last caches decoded images on disk
POINTS = 12  # printed points of memory over time


def pictures(number: int):
    """Yield (name, bytes) of each image."""
    rng = np.random.default_rng(0)
    for i in range(number):
        file = io.BytesIO()
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST).save(file, "jpeg")
        yield f"{i:08}.jpg", file.getvalue()


def make(place: str, folder: Path, number: int) -> Path:
    """Write the images into shards or a folder, and return its path."""
    where = folder / place.split(",")[0]
    if where.is_dir():
        return where
    where.mkdir()
    archive = None
    for i, (name, data) in enumerate(pictures(number)):
        if place != "shards":
            (where / name).write_bytes(data)
            continue
        if i % PER_SHARD == 0:
            if archive:
                archive.close()
            archive = tarfile.open(where / f"{i // PER_SHARD:06}.tar", "w")
        header = tarfile.TarInfo(name)
        header.size = len(data)
        archive.addfile(header, io.BytesIO(data))
    if archive:
        archive.close()
    return where


def smallest(folder: Path) -> str:
    """Write random weights of the smallest model; return the path of the file."""
    torch.manual_seed(0)
    model = CLIP(32, 32, 2, 64, 16, 77, 49408, 64, 1, 1)
    torch.save(model.state_dict(), folder / "smallest.pt")
    return str(folder / "smallest.pt")


def resident(pid: int) -> int:
    """Return the resident bytes of a process; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def run(place: str, where: Path, folder: Path, args: argparse.Namespace) -> dict:
    """Run once; return seconds, training images per second, and [seconds, bytes] over time."""
    names, output = folder / "names.txt", folder / f"output {place}"
    names.write_text("\n".join(f"thing {i}" for i in range(10)))
    size = ("INPUT.SIZE", "(32, 32)") if not args.backbone else ()
    command = [
        sys.executable, str(REPOSITORY / "train.py"), "--trainer", "UEO", "--path", str(where),
        "--names", str(names), "--seed", "1", "--device", args.device, "--threads", "1",
        "--dataset-config-file", f"{REPOSITORY}/configs/datasets/{where.name}.yaml",
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--backbone", args.backbone or smallest(folder), "--output-dir", str(output), *size,
        "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", str(args.workers),
        "DATASET.STORE", str(folder / f"kept {place}"),
        "DATASET.STORE_GB", "None" if place.endswith("kept") else "0",
    ]
    started, memory = time.monotonic(), []
    with open(folder / "console.txt", "w") as console:
        process = subprocess.Popen(command, stdout=console, stderr=subprocess.STDOUT,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})
    watcher = threading.Thread(target=process.wait)
    watcher.start()
    while watcher.is_alive():
        memory.append([time.monotonic() - started, resident(process.pid)])
        watcher.join(args.every)
    if process.returncode:
        sys.exit((folder / "console.txt").read_text()[-3000:])
    result = json.loads((output / "result.json").read_text())
    return {"place": place, "images": args.images, "seconds": time.monotonic() - started,
            "images_per_second": result["train_images_per_second"],
            "peak_bytes": max(size for _, size in memory), "memory": memory}


def main() -> None:
    """Print the tables and write them as JSON."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--images", type=int, default=20000)
    p.add_argument("--places", nargs="+", default=list(PLACES), choices=PLACES)
    p.add_argument("--backbone", default="", help="default: the smallest that runs")
    p.add_argument("--workers", type=int, default=0, help="processes that read images")
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda", "auto"))
    p.add_argument("--every", type=float, default=1.0, help="seconds between memory samples")
    p.add_argument("--output", default="output/benchmark_streams.json")
    args = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for place in args.places:
            where = make(place, Path(folder), args.images)
            rows.append(run(place, where, Path(folder), args))
            at = np.linspace(0, len(rows[-1]["memory"]) - 1, POINTS).astype(int)
            course = [rows[-1]["memory"][i] for i in at]
            print(f"{place}, MB at seconds:", *(f"{b / 1e6:.0f}@{s:.0f}" for s, b in course),
                  flush=True)
    table = [[r["place"], r["images"], r["seconds"], r["images_per_second"],
              r["peak_bytes"] / 1e6] for r in rows]
    headers = ["images in", "images", "seconds in all", "images/s of the epoch", "peak MB"]
    bench.report(args.output, rows, table, headers)


if __name__ == "__main__":
    main()
