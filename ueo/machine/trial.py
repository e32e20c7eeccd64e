"""Short runs of UEO on the embedded emoji, forked as in a grid, on the CPU and on the GPU."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ueo.errors import DataError
from ueo.grids import gpus, parallel
from ueo.grids.fork_server import PRELOAD
from ueo.grids.grid_settings import GridSettings
from ueo.grids.plan import plan
from ueo.machine.environment import WITHOUT_GPU
from ueo.machine.findings import NOTE, OK, WRONG, Finding
from ueo.results.record import read_outputs, read_result
from ueo.runs.status import run_to_status

Run = tuple[dict, dict[str, np.ndarray]]  # result.json, outputs.npz
# Tolerances: difference of scores in their standard deviations, and share of changed predictions.
# On a CPU plain and fast fp32 differ by 4e-5, fp16 and fp32 by 0.011 with 0.24 % of predictions
# changed. On a GPU, fp32 convolutions use TF32 by torch's default, which is no finer than fp16.
APART = {"fp32": (0.05, 0.01), "fp16": (0.1, 0.02)}


def short_run(folder: Path, device: str, precision: str, epochs: int) -> Run:
    """Run on one style in a separate process. Raise DataError with its last message if it fails."""
    settings = GridSettings(
        trainers=("UEO",), domain=("fluent",), setting=("open",), seed=(1,), device=device,
        root=str(folder / "data"), output=str(folder / f"{device}-{precision}"),
        options=("OPTIM.MAX_EPOCH", str(epochs), "TRAINER.UEO.PREC", precision),
    )
    (run,) = plan(settings, "emoji")
    failures = parallel.execute([run], run_to_status, 1, PRELOAD, gpus.visible(device),
                                report=lambda line: None)
    if failures:
        raise DataError(failures[0].message)
    result = read_result(run.folder)
    return result, read_outputs(run.folder)


def trial(folder: Path, epochs: int) -> Iterator[Finding]:
    """Run on the CPU; with a GPU also there in fp32 and fp16, and compare."""
    cpu = short_run(folder, "cpu", "fp32", epochs)
    yield Finding(OK, "run on the CPU", _told(cpu))
    if not torch.cuda.is_available():
        yield Finding(NOTE, "run on a GPU", f"no GPU found; {WITHOUT_GPU}")
        return
    full = short_run(folder, "cuda", "fp32", epochs)
    yield Finding(OK, "fork", "a forked run of a grid can use CUDA")
    yield agreement("run on the GPU", full, cpu, "fp32", "the CPU's")
    half = short_run(folder, "cuda", "fp16", epochs)
    yield agreement("fp16 on the GPU", half, full, "fp16", "fp32's")


def agreement(name: str, run: Run, other: Run, precision: str, whose: str) -> Finding:
    """Report whether two runs' scores and predictions agree within APART[precision]."""
    (_, mine), (_, theirs) = run, other
    scores = np.abs(mine["test_scores_after"] - theirs["test_scores_after"]).max()
    apart = float(scores / theirs["test_scores_after"].std())
    changed = float((mine["test_predictions_after"] != theirs["test_predictions_after"]).mean())
    told = (f"{_told(run)}; scores differ from {whose} by at most {apart:.2g} of their spread, "
            f"predictions on {100 * changed:.2g} % of the images")
    facts = {"apart": apart, "changed": changed}
    if apart <= APART[precision][0] and changed <= APART[precision][1]:
        return Finding(OK, name, told, facts)
    return Finding(WRONG, name, f"{told}: more than rounding explains; try another driver or torch",
                   facts)


def _told(run: Run) -> str:
    result, _ = run
    test = result["metrics"]["test"]
    return (f"{result['wall_seconds']:.1f} s, PACC {test['pacc']:.1f}, AUROC {test['auroc']:.1f} "
            f"(emoji, tiny CLIP, {result['evaluations'][-1]['epoch']} epoch)")
