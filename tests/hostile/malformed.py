"""Throw malformed input at the commands, and demand one clear line for each.

    python tests/hostile/malformed.py [--only WORD] [--limit SECONDS]

Each case runs in its own process on its own copy of a small project. It passes with a non-zero exit
status and one line that names the file or the option, or if TAKEN says why the input is valid. It
fails with a traceback, if it hangs, executes a file's content or writes outside its output folder.
"""

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing import forkserver
from pathlib import Path

import malformed_cases as cases
import numpy as np
import torch
from PIL import Image

from ueo.commands import data, grid, train
from ueo.commands.studies import wise_ft
from ueo.grids.choices import CONFIGS

REFUSED, TAKEN_SO, USAGE = "refused", "taken, as documented", "usage"
GOOD = (REFUSED, TAKEN_SO, USAGE)
IMAGES, FOLDERS = "images", ("out", "run", "cut", "grid")
SMALL = """
INPUT:
  {SIZE: [64, 64], INTERPOLATION: "bicubic", PIXEL_MEAN: [0.48, 0.46, 0.41],
   PIXEL_STD: [0.27, 0.26, 0.28], TRANSFORMS: ["random_flip", "normalize"]}
DATALOADER: {NUM_WORKERS: 0, TRAIN_X: {BATCH_SIZE: 4}}
OPTIM: {NAME: "sgd", LR: 1e-3, MAX_EPOCH: 2}
TRAIN: {CHECKPOINT_FREQ: 1}
"""
# beginning of a label: why the input is accepted
TAKEN = {
    "train '--root /dev/null'": "images of one's own need no data root",
    "grid '--set TRAINER.UEO.CTX_INIT": "a folder's name holds it with signs as %2F, cut, hashed",
    "grid '--output /dev/null/x'": "a dry run writes nothing",
    "weights: a prefix": "that of DataParallel is left out, which is said",
    "weights: another prefix": "that of a module around CLIP is left out, which is said",
    "run/tuned/model.pth.tar-* no random states": "an evaluation reads weights alone",
    "run/tuned/model.pth.tar-* no optimizer": "an evaluation reads weights alone",
}


def start_project(folder: Path) -> None:
    """Images of two classes, the class names, a grid with two finished runs, a finished run and an
    interrupted one."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / IMAGES / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 255, (64, 64, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / IMAGES / name / f"{i}.png")
    (folder / "names.txt").write_text("cat\ndog\n")
    (folder / "small.yaml").write_text(SMALL)
    for command, argv in (
        ("grid", ("--output", "{grid}")), ("train", ("{run}",)), ("train", ("{cut}",)),
    ):
        status, text = in_child(folder, cases.Case("project", command, argv, ()), limit=300)
        if status:
            raise SystemExit(f"the project itself fails: {text}")
    (folder / "cut" / "result.json").unlink()


def command_line(case: cases.Case) -> list[str]:
    """The arguments of a case, after those that all calls of its command share."""
    words = [w.format(**{n: n for n in FOLDERS}) if w in [f"{{{n}}}" for n in FOLDERS] else w
             for w in case.argv]
    shared = ["--root", "data", "--device", "cpu"]
    own = ["--path", IMAGES, "--names", "names.txt", "--backbone", "TinyCLIP", "--config-file",
           "small.yaml"]
    if case.command == "train":
        dataset = str(CONFIGS / "datasets/folder.yaml")
        return [*shared, *own, "--threads", "1", "--trainer", "UEO", "--dataset-config-file",
                dataset, "--seed", "1", "--output-dir", *words]
    if case.command == "grid":
        named = [] if words[0].endswith(".yaml") else ["folder"]
        return [*named, *shared, *own, "--trainers", "ZeroshotCLIP", "UEO", "--seed", "1", "--jobs",
                "1", *words]
    return [*words, *(shared if case.command == "wise_ft" else [])]


def call(case: cases.Case) -> int:
    """Run the case's command in this process and return its exit status."""
    mains = {"train": train.main, "grid": grid.main, "wise_ft": wise_ft.main, "fetch": data.main}
    try:
        return mains[case.command](command_line(case))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1


def in_child(folder: Path, case: cases.Case, limit: float) -> tuple[int | None, str]:
    """(exit status, stderr) of a case that runs in `folder`; the status is None if it hangs."""
    errors = folder / ".stderr"
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 70
        try:
            os.setsid()
            os.chdir(folder)
            forkserver._forkserver.__init__()  # do not wait for the parent's fork server
            for number, path in ((1, os.devnull), (2, str(errors))):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
            case.prepare(folder)
            status = call(case)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + limit
    while True:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, 9)
            os.waitpid(child, 0)
            return None, ""
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(code), errors.read_text(errors="replace")


def verdict(case: cases.Case, status: int | None, text: str, made: set[str]) -> tuple[str, str]:
    """(outcome of a case, its message). made: the files that the case created."""
    lines = [line for line in text.splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    if any(cases.CANARY in Path(name).name for name in made):
        return "executed", said
    if outside := [n for n in made if Path(n).parts[0] not in (*FOLDERS, "data", ".stderr")]:
        return "written outside", ", ".join(sorted(outside)[:3])
    if status is None:
        return "hangs", ""
    if "Traceback (most recent call last)" in text:
        return "traceback", said
    if status == 0:
        reason = next((why for start, why in TAKEN.items() if case.label.startswith(start)), None)
        return (TAKEN_SO, reason) if reason else ("taken", "")
    if status == 2 and lines and lines[0].startswith("usage:") and ": error: " in said:
        return USAGE, said
    errors = [line for line in lines if line.startswith(("Error", "FAILED"))]
    if len(errors) != 1 or len(lines) > 1:
        return "not one line", " | ".join(lines)[:300]
    named = any(name in said for name in case.names)
    return (REFUSED, said) if named else ("names nothing", said)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def judge(project: Path, case: cases.Case, limit: float) -> tuple[str, str]:
    """Run one case in a copy of the project and return its verdict."""
    with tempfile.TemporaryDirectory(prefix="malformed-") as place:
        folder = shutil.copytree(project, Path(place, "project"))
        before = files(folder) | {"mine.yaml", "mine.pt", "mine.safetensors", "damaged.npz",
                                  "damaged.pt"}
        status, text = in_child(folder, case, limit)
        return verdict(case, status, text, files(folder) - before)


def run(args: argparse.Namespace) -> int:
    chosen = [case for case in cases.every() if args.only in case.label][:: args.every]
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory(prefix="malformed-") as place:
        project = Path(place, "start")
        start_project(project)
        for case in chosen:
            found, said = judge(project, case, args.limit)
            counts[found] += 1
            if found not in GOOD or args.verbose:
                print(f"{found.upper()}: {case.label}: {said}", flush=True)
    print(f"{len(chosen)} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    return 0 if all(what in GOOD for what in counts) else 1


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 if all cases pass, otherwise 1."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--only", default="", metavar="WORD", help="cases whose label holds it")
    p.add_argument("--every", type=int, default=1, metavar="N", help="every N-th of them")
    p.add_argument("--limit", type=float, default=60.0, help="seconds until a case hangs")
    p.add_argument("--verbose", action="store_true", help="say what each case said")
    torch.set_num_threads(1)
    with contextlib.redirect_stderr(sys.stderr or io.StringIO()):
        return run(p.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
