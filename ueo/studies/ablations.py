"""Ablations of UEO: one part changed at a time, with intervals; and whether weighting matters."""

from pathlib import Path

import numpy as np

from ueo.errors import ConfigError
from ueo.grids.choices import output_name
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.plan import plan
from ueo.grids.run_grid import selection
from ueo.names import did_you_mean
from ueo.results import gains, report, tables
from ueo.results.bootstrap import PAIR
from ueo.results.record import read_result
from ueo.results.wording import ROUNDING, signed, signed_interval
from ueo.text import file_name

UEO, PLAIN = "UEO", "uniform"
VIT_ALONE = "visual-prompt"  # runs only if named, because it fails on a ResNet
VARIATIONS = {  # {name in the table: changed options of UEO}
    UEO: {},
    PLAIN: {"WEIGHTING": "uniform"},  # no weighting: InfoMax
    "oracle": {"WEIGHTING": "oracle"},
    "own-temperature": {"TEMPERATURE": "0"},
    "refreshed": {"REFRESH": "True"},
    "doubt-linear": {"DOUBT": "linear"},
    "doubt-exponential": {"DOUBT": "exponential"},
    "doubt-uniform": {"DOUBT": "uniform"},
    "difference": {"OBJECTIVE": "difference"},
    "prompt-only": {"TUNE": "prompt"},
    "affine-only": {"TUNE": "visual_affine"},
    VIT_ALONE: {"TUNE": "prompt+visual_prompt"},
    "trade-off-0": {"TRADE_OFF": "0.0"},
    "trade-off-0.5": {"TRADE_OFF": "0.5"},
    "trade-off-2": {"TRADE_OFF": "2.0"},
    "context-fp32": {"CTX_FP32": "True"},  # differs in fp16 only
}


def plans(
    settings: GridSettings, dataset: str, only: tuple[str, ...] = ()
) -> dict[str, list[PlannedRun]]:
    """Return {name in the table: its runs}, zero-shot CLIP first. only: some of VARIATIONS; by
    default all but VIT_ALONE."""
    names = only or [name for name in VARIATIONS if name != VIT_ALONE]
    for name in names:
        if name not in VARIATIONS:
            raise ConfigError(
                f"--only: {name!r} is no variation{did_you_mean(name, VARIATIONS)}; known: "
                f"{', '.join(VARIATIONS)}"
            )
    found = {ZERO_SHOT: plan(settings.having(trainers=(ZERO_SHOT,)), dataset)}
    for name in dict.fromkeys([UEO, *names]):
        options = [w for k, v in VARIATIONS[name].items() for w in (f"TRAINER.UEO.{k}", v)]
        found[name] = plan(settings.having(*options, trainers=(UEO,)), dataset)
    return found


def entries(by_name: dict[str, list[PlannedRun]]) -> list[tables.Entry]:
    """Return the finished runs under their names in the table."""
    return [
        (run.folder, {**result, "trainer": name})
        for name, runs in by_name.items()
        for run in runs
        if (result := read_result(run.folder))
    ]


def verdict(found: list[tables.Entry]) -> str:
    """State whether weighting matters, from the paired interval of UEO over equal weights."""
    gain = gains.overall_gain(found, UEO, PLAIN)
    if gain is None:
        return "Whether the weighting matters was not measured: runs without it are missing."
    ratios = [r["notes"]["weights"]["max_over_min"] for _, r in found if r["trainer"] == UEO]
    lines = [f"The largest weight is {np.mean(ratios):.3f} times the smallest, on average."]
    for metric in PAIR:
        low, high = gain[metric]["interval"]
        open_ = low <= ROUNDING and high >= -ROUNDING
        matters = "is not shown to matter" if open_ else "matters"
        lines.append(
            f"For {metric.upper()} the weighting {matters} here: {signed(gain[metric]['gain'])} "
            f"points {signed_interval((low, high))} over equal weights."
        )
    return " ".join(lines)


def show(
    settings: GridSettings, dataset: str, by_name: dict[str, list[PlannedRun]],
    only: tuple[str, ...] = (),
) -> None:
    """Write and print the table of the finished runs."""
    found = entries(by_name)
    if not found:
        return
    there = {folder for folder, _ in found}
    without = [(name, *run.cell) for name, planned in by_name.items() for run in planned
               if run.folder not in there]
    summary = tables.summarise(found, ZERO_SHOT, without)
    summary["verdict"] = verdict(found)
    runs = by_name[ZERO_SHOT]
    stem = file_name("-".join(
        ["table-ablations", runs[0].grid, *only, *selection(settings, runs)]
    ))
    folder = Path(settings.output, output_name(dataset))
    report.write(folder, stem, summary)
    report.draw(folder, stem, summary)
    print(f"\n{report.console(summary)}\n\n{summary['verdict']}")
