"""Data sets x trainers x label spaces x domains x seeds, then the tables.

    python scripts/grid.py office_home --trainers ZeroshotCLIP UEO [options] [--set KEY VALUE ...]

Called by scripts/<method>/main.sh and scripts/tables.sh. Runs go to
OUTPUT/<dataset>/<trainer>/<config>/<setting>/<domain>/seed<N>; finished ones are skipped.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import argparse  # noqa: E402

import common  # noqa: E402
import planning  # noqa: E402
import slurm  # noqa: E402
from ueo.datasets.own import OwnImages  # noqa: E402

from ueo.grids import parallel  # noqa: E402
from ueo.locks import exclusive  # noqa: E402
from ueo.results import reference, render, report, tables  # noqa: E402
from ueo.results.record import read_result  # noqa: E402
from ueo.settings.known_keys import LARGEST_SEED, MOST_THREADS  # noqa: E402
from ueo.settings.options import folder, number  # noqa: E402
from ueo.text import file_name, shown  # noqa: E402

MOST_SHARDS = 10_000  # jobs that one command submits

ZERO_SHOT = "ZeroshotCLIP"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = p.add_argument
    add("datasets", nargs="*", default=["emoji"],
        help="names of files in configs/datasets/, paths of yaml files, or all for the 15 domains")
    add("--trainers", nargs="+", default=["ZeroshotCLIP", "UEO"],
        help="names of trainers, the first is what gains are over; or all")
    add("--domain", nargs="+", default=[], help="target domains; all targets unless given")
    add("--setting", nargs="+", default=[], help="label spaces; the data set's unless given")
    add("--seed", nargs="+", type=number("--seed", low=-1, high=LARGEST_SEED), default=[1, 2, 3],
        help="seeds")
    add("--backbone", default="", help="CLIP backbone; that of the data set's yaml, else RN50")
    add("--config-file", default="", help="yaml file, instead of the backbone's")
    add("--plugin", nargs="+", default=[], help="Python files with further trainers or data sets")
    add("--recipe", default="common", choices=("common", "paper"),
        help="UEO's recipe for all methods, or each method's own paper's")
    add("--protocol", default="", help="released or independent")
    add("--path", default="", help="images of one's own: their folder or list")
    add("--names", default="", help="images of one's own: file of class names")
    add("--root", type=folder("--root"), default="data", help="data root")
    add("--download", action="store_true", help="fetch data sets that are missing, unasked")
    add("--output", type=folder("--output"), default="output", help="folder of all records")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--jobs", type=number("--jobs", low=0, high=MOST_THREADS), default=0,
        help="runs at once; 0: one a GPU, else one a CPU core")
    add("--shard", default="", metavar="I/N", help="only every N-th run, from the I-th on")
    add("--slurm", type=number("--slurm", low=1, high=MOST_SHARDS), default=0, metavar="N",
        help="submit N shards to Slurm and stop")
    add("--slurm-set", nargs="+", default=[], metavar="KEY VALUE", help="submitit's parameters")
    add("--slurm-cluster", default="slurm", choices=("slurm", "local"),
        help="local: processes here")
    add("--dry-run", action="store_true", help="say what would run, and stop")
    add("--tables-only", action="store_true", help="run nothing, make the tables of what is there")
    add("--reference", default="", metavar="CSV", help="published numbers, laid beside")
    add("--expect", default="", metavar="CSV", help="numbers to compare with; differences fail")
    add("--overwrite", action="store_true", help="run again what is finished")
    add("--set", nargs="+", default=[], metavar="KEY VALUE", help="configuration keys")
    return p


def selection(args: argparse.Namespace, **usual: list) -> list[str]:
    """What files' names say of a selection of domains, label spaces or seeds, and of the images of
    one's own that are shown. usual: values that select nothing, where they are not the parser's."""
    whole = {**vars(parser().parse_args([])), **usual}
    asked = {key: "+".join(map(str, getattr(args, key))) for key in ("domain", "setting", "seed")
             if getattr(args, key) != whole[key]}
    if args.path:
        (asked["domain"],) = OwnImages.targets_at(args.path)
    if "seed" in asked:
        asked["seed"] = f"seed{asked['seed']}"
    return list(asked.values())


def table_stem(args: argparse.Namespace, runs: list[parallel.Run]) -> str:
    """Name of the table's files: methods, configuration, what gains are over unless it is zero-shot
    CLIP, and what is selected; so that no table takes the place of another."""
    base, *others = planning.trainer_names(args.trainers)
    parts = ["table", *([planning.ALL] if planning.ALL in args.trainers else others or [base])]
    if base != ZERO_SHOT:
        parts += ["over", base] if others else ["alone"]
    return file_name("-".join([*parts, runs[0].folder.parents[2].name, *selection(args)]))


def show(args: argparse.Namespace, plans: dict[str, list[parallel.Run]]) -> list[str]:
    """Write and print the tables of the finished runs; returns what --expect finds different.

    One shard at a time, so that whoever ends last has read everything.
    """
    published = reference.read_reference(args.reference) if args.reference else None
    expected = reference.read_reference(args.expect) if args.expect else None
    summaries, differences = [], []
    with exclusive(Path(args.output, ".tables.lock")):
        for runs in plans.values():
            entries = [(r.folder, result) for r in runs if (result := read_result(r.folder))]
            if not entries:
                print(f"\nNo table of {shown(runs[0].folder.parents[4].name)}: no run is finished")
                continue
            summary = tables.summarise(entries, planning.trainer_names(args.trainers)[0])
            folder, stem = runs[0].folder.parents[4], table_stem(args, runs)
            written = report.write(folder, stem, summary, published)
            print(f"\n{report.console(summary, published)}\n")
            suffixes = ",".join(path.suffix[1:] for path in written)
            print(f"Tables:   {folder / stem}.{{{suffixes}}}")
            print(f"Records:  {folder}/<trainer>/<config>/<setting>/<domain>/seed<N>/result.json")
            print("Pictures: scores.png beside each record")
            summaries.append(summary)
        if len(summaries) > 1:
            print(f"\n{render.overview(summaries)}")
    if expected is not None:
        differences = reference.compare(summaries, expected, args.expect)
        print(f"\n{args.expect}: {len(differences)} differences")
    return differences


def run(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed or differ."""
    planning.import_plugins(args.plugin)
    for path in filter(None, (args.reference, args.expect)):
        reference.read_reference(path)  # what is wrong with it is said before hours of runs
    names = planning.dataset_names(args.datasets)
    plans = {name: planning.plan(args, name) for name in names}
    runs = parallel.shard([run for plan in plans.values() for run in plan], args.shard)
    todo = common.waiting(args, runs)
    if args.dry_run:
        return 0
    if args.slurm:
        if todo:
            common.fetch_missing(args, todo)
        return slurm.submit(args, parser().parse_args([]))
    failures = common.execute(args, todo)
    with common.failures_at_the_end(failures):
        differences = show(args, plans)
    for difference in differences:
        print(f"DIFFERENT {shown(difference)}", file=sys.stderr)
    return 1 if failures or differences else 0


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 some runs failed or differ, 2 a user's mistake, 130 interrupted."""
    return common.guarded(lambda: run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
