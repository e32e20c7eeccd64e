"""What fine-tuning with labels costs elsewhere: other domains, unseen classes, OOD detection.

    python scripts/robust.py emoji [--shots 16] [--captions FILE] [--pool PATH] [options of grid.py]

Every method is fine-tuned on each domain twice: with all known classes, then tested on every domain
(of ImageNet: on its variants); and with the base half of them, then tested on base, new and all,
unless what it learns is bound to its classes. Zero-shot CLIP and WiSE-FT stand beside. Results are
OUTPUT/<dataset>/robust-<configuration>.json and .md.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import argparse  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402

import common  # noqa: E402
import grid as grid_script  # noqa: E402
import planning  # noqa: E402

import train  # noqa: E402
from ueo.files import atomic_path, write_json  # noqa: E402
from ueo.grids import parallel  # noqa: E402
from ueo.results import tables  # noqa: E402
from ueo.results.comparable import check_inputs  # noqa: E402
from ueo.results.coverage import uneven  # noqa: E402
from ueo.results.record import read_result  # noqa: E402
from ueo.settings.options import number  # noqa: E402
from ueo.studies import ood_study, robustness  # noqa: E402
from ueo.studies.robustness import ALL, BASE, NEW, OWN, SHIFT  # noqa: E402
from ueo.text import file_name  # noqa: E402

TRAINERS = ["FineTune", "FLYP", "CoOp", "ARF"]
SHOTS, WISE = 16, "0.5"  # WISE: the coefficient that WiSE-FT's paper recommends without tuning
CLASSES = "DATASET.SUBSAMPLE_CLASSES"
NAMES = {"FineTune": robustness.PLAIN, "FLYP": robustness.CONTRASTIVE}  # with WiSE-FT beside them


@dataclass
class Tuned:
    """A method's runs and their evaluations. shares: {arm in the table: share of the tuned
    weights}."""

    method: str
    shares: dict[str, str]
    options: list[str] = field(default_factory=list)
    whole: list[parallel.Run] = field(default_factory=list)  # with all known classes
    half: list[parallel.Run] = field(default_factory=list)  # with the base half of them


def methods(args: argparse.Namespace) -> list[Tuned]:
    """What is compared; ARF as far as captions and a pool are given."""
    found = []
    for name in planning.trainer_names(args.trainers):
        if name == "ARF":
            found += anchored(args)
        elif name != "ZeroshotCLIP":
            arm = NAMES.get(name, name)
            found.append(Tuned(name, {arm: "1", f"{arm}, WiSE-FT": WISE} if name in NAMES else
                               {arm: "1"}))
    return found


def anchored(args: argparse.Namespace) -> list[Tuned]:
    """ARF with each anchor that there is, and with both."""
    captions = ["TRAINER.ARF.CAPTIONS", args.captions] if args.captions else []
    pool = ["TRAINER.ARF.POOL", args.pool] if args.pool else []
    found = []
    if captions:
        alone = [*captions, "TRAINER.ARF.PAIR_WEIGHT", "0.0"]
        found.append(Tuned("ARF", {"ARF, captions": "1"}, alone))
    if pool:
        alone = [*pool, "TRAINER.ARF.CAPTION_WEIGHT", "0.0"]
        found.append(Tuned("ARF", {"ARF, pairs": "1"}, alone))
    if captions and pool:
        found.append(Tuned("ARF", {robustness.BOTH: "1"}, captions + pool))
    return found


def plan_zero_shot(args, dataset: str, kind: type) -> dict[str, list[parallel.Run]]:
    """{test: zero-shot CLIP's runs}, on the domains of the data set and on its relatives."""
    plan, name = planning.plan_with, "ZeroshotCLIP"
    found = {test: plan(args, dataset, name, [CLASSES, test] * (test in (BASE, NEW)))
             for test in robustness.TESTS}
    if len(args.domain) == 1:
        found[SHIFT] = []  # the only domain is nobody's other one
    for relative in kind.relatives:
        found[SHIFT] = found[SHIFT] + plan(args, relative, name, [], domain=[relative])
    return found


def evaluations(args, entry: Tuned, domains: list[str]) -> dict[parallel.Run, list[Path]]:
    """{evaluation of a run: its records}."""
    shares = tuple(dict.fromkeys(entry.shares.values()))
    return dict(
        planning.tested_elsewhere(args, run, option, values, "robust", shares)
        for runs, option, values in ((entry.whole, "--domain", domains),
                                     (entry.half, "--classes", [BASE, NEW, ALL]))
        for run in runs
    )


def read(entries: list[Tuned], zero: dict[str, list[parallel.Run]], tested: list[str]) -> robustness.Runs:
    """Arm -> test -> finished runs; zero-shot CLIP, adapted to nothing, is itself on every test."""
    folders: dict[str, dict[str, list[Path]]] = {
        robustness.ZERO: {test: [run.folder for run in runs] for test, runs in zero.items()}
    }
    for entry in entries:
        for arm, share in entry.shares.items():
            tests = folders.setdefault(arm, {test: [] for test in robustness.TESTS})
            for run in entry.whole:
                for domain in tested:
                    test = OWN if run.folder.parent.name == domain else SHIFT
                    tests[test].append(run.folder / "robust" / domain / f"alpha{share}")
            for run in entry.half:
                for part in (BASE, NEW, ALL):
                    tests[part].append(run.folder / "robust" / part / f"alpha{share}")
    check_inputs(
        (folder, result) for tests in folders.values() for where in tests.values()
        for folder in where if (result := read_result(folder))
    )
    found: robustness.Runs = {}
    for arm, tests in folders.items():
        runs = {test: [ood_study.reported(folder) for folder in where if read_result(folder)]
                for test, where in tests.items()}
        runs = {test: group for test, group in runs.items() if group}
        if runs:
            found[arm] = runs
    return found


def write(args, dataset: str, runs: robustness.Runs, config: str) -> None:
    by_test = {test: [(arm, run.result) for arm, tests in runs.items()
                      for run in tests.get(test, [])] for test in robustness.TESTS}
    every = [entry for entries in by_test.values() for entry in entries]
    tuned = [r for arm, r in every if arm != robustness.ZERO] or [r for _, r in every]
    first = every[0][1]
    result = {
        **{key: first[key] for key in ("dataset", "title", "protocol", "environment")},
        "backbone": tables.backbone_name(first["backbone"]),
        "domains": [d for d in args.domain if d in {r["domain"] for r in tuned}],
        "seeds": sorted({r["seed"] for r in tuned}), "shots": args.shots,
        "uneven": [f"{test}: {c}" for test, found in by_test.items() for c in uneven(found)],
        "means": robustness.means(runs), "gains": robustness.gains(runs), "claims": robustness.claimed(runs),
    }
    folder, stem = Path(args.output, planning.dataset_yaml(dataset).stem), file_name(
        "-".join(["robust", config, *args.selection]))
    write_json(folder / f"{stem}.json", result)
    with atomic_path(folder / f"{stem}.md") as temporary:
        temporary.write_text(robustness.markdown(result), encoding="utf-8")
    print(f"\n{robustness.text(result)}\n\nTable:    {folder / stem}.{{json,md}}")


def selection(args: argparse.Namespace) -> list[str]:
    """What the files' names say of a part of the study."""
    parts = grid_script.selection(args)
    if args.trainers != TRAINERS:
        parts += args.trainers
    return parts + [f"shots{args.shots}"] * (args.shots != SHOTS)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed."""
    planning.import_plugins(args.plugin)
    (dataset,) = planning.dataset_names(args.datasets)
    kind = planning.dataset_class(dataset)
    args.selection = selection(args)
    args.protocol = args.protocol or "independent"
    domains = [kind.domain_of(domain) for domain in args.domain]
    args.domain = domains or [d for d in kind.targets if d != kind.tuning_domain]
    closed = "closed" in kind.settings
    args.setting = args.setting or (["closed"] if closed else list(kind.settings))
    if dataset == "emoji":
        args.captions, args.pool = args.captions or "embedded", args.pool or "embedded"
    entries, shots = methods(args), ["DATASET.NUM_SHOTS", str(args.shots)]
    zero = plan_zero_shot(args, dataset, kind)
    tested = [*args.domain, *kind.relatives]
    for entry in entries:
        method, options = entry.method, entry.options
        entry.whole = planning.plan_with(args, dataset, method, [*shots, *options])
        if not train.TRAINER_REGISTRY.get(method).bound_to_classes:
            halved = [*shots, CLASSES, BASE, *options]
            entry.half = planning.plan_with(args, dataset, method, halved)
    whole = [r for test in (OWN, SHIFT, BASE, NEW) for r in zero[test]]
    whole = list({run.folder: run for run in whole}.values())
    runs = parallel.shard([*whole, *(r for e in entries for r in (*e.whole, *e.half))], args.shard)
    todo = common.waiting(args, runs)
    if args.dry_run:
        return 0
    failures = common.execute(args, todo)
    tests = {test: records for e in entries for test, records in
             evaluations(args, e, tested).items()}
    with common.failures_at_the_end(failures):
        failures += common.execute_left(args, tests)
        found = read(entries, zero, tested)
        if found:
            write(args, dataset, found, whole[0].folder.parents[2].name)
    return 1 if failures else 0


def main(argv: list[str] | None = None) -> int:
    """Exit status as of scripts/grid.py."""
    parser = grid_script.parser()
    parser.description = __doc__.splitlines()[0]
    add = parser.add_argument
    add("--shots", type=number("--shots", low=0), default=SHOTS,
        help="labelled images a class; 0: all")
    add("--captions", default="", help="JSON lines of images and captions; embedded on emoji")
    add("--pool", default="", help="folder or tar of image-text pairs; embedded on emoji")
    parser.set_defaults(trainers=list(TRAINERS))
    return common.guarded(lambda: run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
