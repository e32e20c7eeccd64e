"""Choose each method's learning rate on the tuning domain: the same grid and the same rule for all.

    python scripts/tune.py emoji --trainers all [--rates 1e-3 3e-3 1e-2 3e-2] [options of grid.py]
    python scripts/tune.py emoji --trainers TipAdapter --key TRAINER.TipAdapter.ALPHA --values 1 3

The rule: of each value, one seed, the mean over label spaces of HM (the harmonic mean of PACC and
AUROC) on the test images of the tuning domain. It reads labels, so the tuning domain is left out of
every mean. Runs are those of scripts/grid.py with `--set KEY <value>`; what is finished is not run
again. Results go to OUTPUT/<dataset>/tuning-<configuration>.json, with -<KEY> for another key; the
chosen values are written by hand into configs/trainers/<METHOD>/<dataset>.yaml.
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
from tabulate import tabulate  # noqa: E402

from ueo.errors import ConfigError  # noqa: E402
from ueo.files import write_json  # noqa: E402
from ueo.grids import parallel  # noqa: E402
from ueo.results.record import read_result  # noqa: E402
from ueo.text import file_name  # noqa: E402

RATE = "OPTIM.LR"
RATES = ("1e-3", "3e-3", "1e-2", "3e-2")


def plans(args, dataset: str) -> dict[tuple[str, str], list[parallel.Run]]:
    """{(trainer, value): its runs on the tuning domain}. Raises ConfigError where there is none."""
    kind = planning.dataset_class(dataset)
    if kind.tuning_domain is None:
        raise ConfigError(f"{dataset} has no tuning domain; name one in its wrapper")
    if [kind.domain_of(domain) for domain in args.domain] not in ([], [kind.tuning_domain]):
        raise ConfigError(
            f"--domain {' '.join(args.domain)}: choosing reads labels, of {kind.tuning_domain} "
            "alone"
        )
    args.domain = [kind.tuning_domain]
    names = [n for n in planning.trainer_names(args.trainers) if n != "ZeroshotCLIP"]
    return {(name, value): planning.plan_with(args, dataset, name, [args.key, value])
            for value in args.values for name in names}


def score(runs: list[parallel.Run]) -> float | None:
    """Mean HM of the runs, None while one is missing or has no HM."""
    results = [read_result(run.folder) for run in runs]
    values = [result and result["metrics"]["test"]["hm"] for result in results]
    return None if None in values else float(np.mean(values))


def choose(scores: dict[str, dict[str, float | None]]) -> dict[str, str | None]:
    """The value with the highest score of each method; None when nothing was measured."""
    measured = {name: {r: s for r, s in by.items() if s is not None} for name, by in scores.items()}
    return {name: max(by, key=by.get) if by else None for name, by in measured.items()}


def run(args: argparse.Namespace) -> int:
    """0, also where a run failed: one that diverges is a result."""
    planning.import_plugins(args.plugin)
    (dataset,) = planning.dataset_names(args.datasets)
    by_value = plans(args, dataset)
    runs = parallel.shard([run for plan in by_value.values() for run in plan], args.shard)
    todo = common.waiting(args, runs)
    if args.dry_run:
        return 0
    with common.failures_at_the_end(common.execute(args, todo)):
        report(args, dataset, by_value)
    return 0


def report(args, dataset: str, by_value: dict[tuple[str, str], list[parallel.Run]]) -> None:
    """Write and print each value's score and what is chosen."""
    scores: dict[str, dict] = {}
    for (name, value), plan in by_value.items():
        scores.setdefault(name, {})[value] = score(plan)
    chosen = choose(scores)
    backbone = next(iter(by_value.values()))[0].config["MODEL.BACKBONE.NAME"]
    parts = ["tuning", planning.config_name(backbone, args), *[args.key] * (args.key != RATE)]
    stem = file_name("-".join(parts))
    file = Path(args.output, planning.dataset_yaml(dataset).stem, f"{stem}.json")
    write_json(file, {"domain": args.domain[0], "seeds": args.seed, "rule": "highest mean HM",
                      "key": args.key,
                      "scores": scores, "chosen": chosen})
    shown = {name: ["-" if by[r] is None else f"{by[r]:.2f}" for r in args.values]
             for name, by in scores.items()}
    rows = [[name, *cells, chosen[name]] for name, cells in shown.items()]
    print(tabulate(rows, ["method", *args.values, "chosen"], disable_numparse=True))
    print(f"\nMean HM over label spaces on {args.domain[0]}: {file}")


def main(argv: list[str] | None = None) -> int:
    """Exit status as of scripts/grid.py."""
    parser = grid_script.parser()
    parser.description = __doc__.splitlines()[0]
    parser.add_argument("--key", default=RATE, help="what is chosen")
    parser.add_argument("--values", "--rates", nargs="+", default=list(RATES), help="its values")
    parser.set_defaults(trainers=[planning.ALL], seed=[1])
    return common.guarded(lambda: run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
