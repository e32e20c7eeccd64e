"""UEO's parts, one changed at a time, with intervals; and whether its weighting matters.

    python scripts/ablations.py emoji [--only uniform oracle] [options of grid.py]

Runs are those of scripts/grid.py with the options of VARIATIONS; what is finished is not run again.
The table's files are OUTPUT/<dataset>/table-ablations-<configuration>.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import argparse  # noqa: E402

import common  # noqa: E402
import grid as grid_script  # noqa: E402
import numpy as np  # noqa: E402
import planning  # noqa: E402

from ueo.errors import ConfigError  # noqa: E402
from ueo.grids import parallel  # noqa: E402
from ueo.names import nearest  # noqa: E402
from ueo.results import report, tables  # noqa: E402
from ueo.results.record import read_result  # noqa: E402
from ueo.text import file_name  # noqa: E402

UEO, PLAIN = "UEO", "uniform"
VARIATIONS = {  # name in the table: what departs from the released UEO
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
    "visual-prompt": {"TUNE": "prompt+visual_prompt"},  # ViT alone
    "trade-off-0": {"TRADE_OFF": "0.0"},
    "trade-off-0.5": {"TRADE_OFF": "0.5"},
    "trade-off-2": {"TRADE_OFF": "2.0"},
    "context-fp32": {"CTX_FP32": "True"},  # differs in fp16 alone
}


def plans(args, dataset: str) -> dict[str, list[parallel.Run]]:
    """{name in the table: its runs}; zero-shot CLIP first."""
    names = args.only or list(VARIATIONS)
    for name in names:
        if name not in VARIATIONS:
            raise ConfigError(
                f"--only: {name!r} is no variation{nearest(name, VARIATIONS)}; known: "
                f"{', '.join(VARIATIONS)}"
            )
    found = {"ZeroshotCLIP": planning.plan_with(args, dataset, "ZeroshotCLIP", [])}
    for name in dict.fromkeys([UEO, *names]):
        options = [w for k, v in VARIATIONS[name].items() for w in (f"TRAINER.UEO.{k}", v)]
        found[name] = planning.plan_with(args, dataset, UEO, options)
    return found


def entries(by_name: dict[str, list[parallel.Run]]) -> list[tables.Entry]:
    """Finished runs, each under its name in the table."""
    return [
        (run.folder, {**result, "trainer": name})
        for name, runs in by_name.items()
        for run in runs
        if (result := read_result(run.folder))
    ]


def verdict(found: list[tables.Entry]) -> str:
    """Whether the weighting matters, from the paired interval of UEO over equal weights."""
    gain = tables.overall_gain(found, UEO, PLAIN)
    if gain is None:
        return "Whether the weighting matters was not measured: runs without it are missing."
    ratios = [r["notes"]["weights"]["max_over_min"] for _, r in found if r["trainer"] == UEO]
    lines = [f"The largest weight is {np.mean(ratios):.3f} times the smallest, on average."]
    for metric in tables.GAINS:
        low, high = gain[metric]["interval"]
        matters = "does not matter" if low <= 0 <= high else "matters"
        lines.append(
            f"For {metric.upper()} the weighting {matters} here: {gain[metric]['gain']:+.2f} "
            f"points [{low:+.2f}, {high:+.2f}] over equal weights."
        )
    return " ".join(lines)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed."""
    planning.import_plugins(args.plugin)
    (dataset,) = planning.dataset_names(args.datasets)
    by_name = plans(args, dataset)
    runs = parallel.shard([run for plan in by_name.values() for run in plan], args.shard)
    todo = common.waiting(args, runs)
    if args.dry_run:
        return 0
    failures = common.execute(args, todo)
    with common.failures_at_the_end(failures):
        show(args, dataset, by_name)
    return 1 if failures else 0


def show(args: argparse.Namespace, dataset: str, by_name: dict[str, list[parallel.Run]]) -> None:
    """Write and print the table of the finished runs."""
    found = entries(by_name)
    if found:
        summary = tables.summarise(found, "ZeroshotCLIP")
        summary["verdict"] = verdict(found)
        config = by_name["ZeroshotCLIP"][0].folder.parents[2].name
        stem = file_name("-".join(
            ["table-ablations", config, *args.only, *grid_script.selection(args)]
        ))
        report.write(Path(args.output, planning.dataset_yaml(dataset).stem), stem, summary)
        print(f"\n{report.console(summary)}\n\n{summary['verdict']}")


def main(argv: list[str] | None = None) -> int:
    """Exit status as of scripts/grid.py."""
    parser = grid_script.parser()
    parser.description = __doc__.splitlines()[0]
    parser.add_argument("--only", nargs="+", default=[], help=f"of {', '.join(VARIATIONS)}")
    return common.guarded(lambda: run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
