"""Which OOD score, after which fine-tuning: methods x shots x scores x seeds, with intervals.

    python scripts/ood_study.py emoji [--shots 1 2 4 8 16] [options of grid.py]

Runs are those of scripts/grid.py that keep their outputs; a further score needs no further run.
With --shift, what was adapted to one domain is tested on the others. Results are
OUTPUT/<dataset>/study-<configuration>.json, .md and pictures.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import argparse  # noqa: E402

import common  # noqa: E402
import grid as grid_script  # noqa: E402
import planning  # noqa: E402

from ueo.files import atomic_path, write_json  # noqa: E402
from ueo.grids import parallel  # noqa: E402
from ueo.results import tables  # noqa: E402
from ueo.results.coverage import uneven  # noqa: E402
from ueo.settings.options import number  # noqa: E402
from ueo.studies import ood_plots, ood_study, ood_tables  # noqa: E402
from ueo.studies.ood_study import ZERO, Arm  # noqa: E402
from ueo.text import file_name  # noqa: E402

SHOTS_OF = {  # what sets a method's number of images a class; None: it has no such number
    "ZeroshotCLIP": None,
    "CoOp": "DATASET.NUM_SHOTS",
    "CoCoOp": "DATASET.NUM_SHOTS",
    "TipAdapter": "DATASET.NUM_SHOTS",
    "TipAdapterF": "DATASET.NUM_SHOTS",
    "UPAdapter": "TRAINER.UPAdapter.TOP_K",
    "UPL": "TRAINER.UPL.TOP_K",
    "UEO": None,
}
SHOTS = (1, 2, 4, 8, 16)
COMPARED = 8  # shots of the methods that UP-Adapter is set beside


def plans(args: argparse.Namespace, dataset: str) -> dict[Arm, list[parallel.Run]]:
    """{arm: its runs}, zero-shot CLIP first."""
    found = {}
    for name in planning.trainer_names(args.trainers):
        key = SHOTS_OF.get(name)
        for shots in args.shots if key else [0]:
            options = [key, str(shots)] if key else []
            options += ["TEST.KEEP_OUTPUTS", "True"]
            found[Arm(name, shots)] = planning.plan_with(args, dataset, name, options)
    return found


def elsewhere(args, arms: dict[Arm, list[parallel.Run]]) -> dict[Arm, dict[parallel.Run, list[Path]]]:
    """{arm: {evaluation of a run on the other domains: its records}}, of the compared arms."""
    pairs = ood_study.beside_up_adapter(arms, COMPARED)
    chosen = dict.fromkeys(arm for pair in pairs for arm in pair if arm in arms and arm != ZERO)
    domains = sorted({run.folder.parent.name for runs in arms.values() for run in runs})
    found = {}
    for arm in chosen:
        for run in arms[arm]:
            others = [domain for domain in domains if domain != run.folder.parent.name]
            test, records = planning.tested_elsewhere(args, run, "--domain", others, "elsewhere")
            found.setdefault(arm, {})[test] = records
    return found


def shifted(args, arms: dict[Arm, list[parallel.Run]]) -> tuple[ood_study.Runs, list[parallel.Failure]]:
    """(runs tested on domains that they were not adapted to, failures); zero-shot CLIP, which was
    adapted to none, is its own run on each."""
    moved = elsewhere(args, arms)
    tests = {test: records for by_test in moved.values() for test, records in by_test.items()}
    failures = common.execute_left(args, tests)
    folders = [
        *((arm, folder) for arm, by_test in moved.items() for records in by_test.values()
          for folder in records),
        *((ZERO, run.folder) for run in arms.get(ZERO, [])),
    ]
    return ood_study.read_runs(folders, ood_study.reported), failures


def write(args, dataset: str, arms: dict[Arm, list[parallel.Run]], moved: ood_study.Runs) -> dict | None:
    """Write JSON, Markdown and pictures; returns the study, None without a finished run."""
    runs = ood_study.read_runs((arm, run.folder) for arm, plan in arms.items() for run in plan)
    if not runs:
        return None
    first = next(iter(runs.values()))[0].result
    rows = ood_study.rows(runs)
    means = ood_study.means(rows)
    result = {
        **{key: first[key] for key in ("dataset", "title", "protocol", "environment")},
        "backbone": tables.backbone_name(first["backbone"]),
        **{f"{key}s": sorted({row[key] for row in rows}) for key in ("domain", "setting", "seed")},
        "uneven": uneven((str(arm), run.result) for arm, group in runs.items() for run in group),
        "means": means,
        "claims": ood_study.claims(runs, means, moved, COMPARED),
        "by_domain": ood_study.by_domain(runs, COMPARED),
        "rows": rows,
    }
    folder = Path(args.output, planning.dataset_yaml(dataset).stem)
    config = next(iter(arms.values()))[0].folder.parents[2].name
    stem = file_name("-".join(["study", config, *args.selection]))
    write_json(folder / f"{stem}.json", result)
    pictures = ood_plots.draw(folder, stem, runs, means)
    with atomic_path(folder / f"{stem}.md") as temporary:
        names = [p.name for p in pictures]
        temporary.write_text(ood_tables.document(result, names), encoding="utf-8")
    print(f"\n{ood_tables.text(result)}\n\nStudy:    {folder / stem}.{{json,md}}")
    print(f"Pictures: {folder / stem}-{{histograms,roc,shots,accuracy}}.png")
    return result


def selection(args: argparse.Namespace) -> list[str]:
    """What the files' names say of a part of the study."""
    parts = grid_script.selection(args, setting=["closed"])
    if args.trainers != list(SHOTS_OF):
        parts += args.trainers
    if args.shots != list(SHOTS):
        parts.append(f"shots{'+'.join(map(str, args.shots))}")
    return parts + ["shift"] * args.shift


def run(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed."""
    planning.import_plugins(args.plugin)
    (dataset,) = planning.dataset_names(args.datasets)
    kind = planning.dataset_class(dataset)
    args.selection = selection(args)
    args.protocol = args.protocol or "independent"
    args.domain = args.domain or [d for d in kind.targets if d != kind.tuning_domain]
    arms = plans(args, dataset)
    runs = parallel.shard([run for plan in arms.values() for run in plan], args.shard)
    todo = common.waiting(args, runs)
    if args.dry_run:
        return 0
    failures = common.execute(args, todo)
    with common.failures_at_the_end(failures):
        moved, failed = shifted(args, arms) if args.shift else ({}, [])
        failures += failed
        write(args, dataset, arms, moved)
    return 1 if failures else 0


def main(argv: list[str] | None = None) -> int:
    """Exit status as of scripts/grid.py."""
    parser = grid_script.parser()
    parser.description = __doc__.splitlines()[0]
    parser.add_argument("--shots", nargs="+", type=number("--shots", low=1), default=list(SHOTS),
                        help="images a class")
    parser.add_argument("--shift", action="store_true", help="also test on the other domains")
    parser.set_defaults(trainers=list(SHOTS_OF), setting=["closed"])
    return common.guarded(lambda: run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
