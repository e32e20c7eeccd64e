"""Compare free memory and disk space with what the whole benchmark needs."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from ueo.grids.choices import dataset_class
from ueo.images.pixel_cache import derived_budget
from ueo.label_space import STANDARD_SETTINGS
from ueo.machine.findings import NOTE, OK, WRONG, Finding, bytes_in_words
from ueo.machine.materials import existing
from ueo.machine.workload import SEEDS, work

PIXELS = {"office31": 400, "office_home": 600, "visda_c": 350, "domainnet": 500}  # typical side
RECORD, RECORD_IMAGE = 2_000_000, 150  # bytes per run (checkpoint, picture, log) and per image
SHARED = 1_000_000_000  # bytes in which the loader workers of a run pass batches


def disk(root: str, output: str, datasets: tuple[str, ...]) -> Iterator[Finding]:
    """Report disk space for the records (required) and for decoded images (used if available)."""
    a_domain = len(STANDARD_SETTINGS) * (SEEDS + 1)  # runs; zero-shot CLIP needs one seed
    runs = a_domain * sum(len(dataset_class(name).domains) for name in datasets)
    images = a_domain * sum(work(name)["images"] for name in datasets)
    needed = runs * RECORD + images * RECORD_IMAGE
    free = shutil.disk_usage(existing(output)).free
    told = f"{bytes_in_words(free)} free, the records of {runs} runs need {bytes_in_words(needed)}"
    facts = {"free_bytes": free, "needed_bytes": needed}
    if free < needed:
        yield Finding(WRONG, "disk", f"{told}: make room, or name another --output", facts)
    else:
        yield Finding(OK, "disk", told, facts)
    decoded = {name: work(name)["images"] * PIXELS[name] ** 2 * 3 for name in datasets}
    budget, whole = derived_budget(existing(root)), max(decoded.values())
    told = (f"at most {bytes_in_words(budget)} of decoded images are kept; those of the largest "
            f"data set take about {bytes_in_words(whole)}")
    facts = {"budget_bytes": budget, "decoded_bytes": decoded}
    if budget < whole:
        yield Finding(NOTE, "store", f"{told}: the others are decoded in each epoch; see "
                      "DATASET.STORE and STORE_GB in docs/speed.md", facts)
    else:
        yield Finding(OK, "store", told, facts)


def memory(needed: int, device: torch.device, at_once: int) -> Iterator[Finding]:
    """Compare free memory with the measured need of a run. at_once: runs in parallel."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
        at_once, remedy = 1, "free the GPU"
    else:
        free, remedy = _available(), "give --jobs fewer runs at once"
    told = (f"{bytes_in_words(free)} free, a run needs about {bytes_in_words(needed)}"
            f"{f', {at_once} at once' * (at_once > 1)}")
    facts = {"free_bytes": free, "needed_bytes": needed, "at_once": at_once}
    enough = free >= needed * at_once
    remedy = f": {remedy}, or lower DATALOADER.TRAIN_X.BATCH_SIZE"
    yield Finding(OK if enough else WRONG, "memory", told + remedy * (not enough), facts)


def _available() -> int:
    """Return the bytes of memory available without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def shared_memory() -> Iterator[Finding]:
    """Report the space in /dev/shm, through which loader workers pass their batches."""
    if os.path.isdir("/dev/shm"):
        free = shutil.disk_usage("/dev/shm").free
        told, enough = f"{bytes_in_words(free)} free in /dev/shm", free >= SHARED
        advice = ", loaders need about 1 GB: docker run --shm-size 8g, or DATALOADER.NUM_WORKERS 0"
        yield Finding(OK if enough else WRONG, "shared memory", told + advice * (not enough))
