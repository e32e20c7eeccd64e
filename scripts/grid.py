"""Trainers x domains x label spaces x seeds of a data set, then the table.

    python scripts/grid.py emoji --trainers ZeroshotCLIP UEO [options] [KEY VALUE ...]

Called by scripts/<method>/main.sh. Runs go to
OUTPUT/<dataset>/<trainer>/<config>/<setting>/<domain>/seed<N>; finished ones are skipped.
"""

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse  # noqa: E402

import yaml  # noqa: E402
from ueo.datasets.base import PROTOCOLS  # noqa: E402
from ueo.datasets.label_space import parse_setting  # noqa: E402

import train  # noqa: E402
from ueo import grid, tables  # noqa: E402
from ueo.clip import backbones  # noqa: E402
from ueo.errors import ConfigError  # noqa: E402
from ueo.files import atomic_path, write_json  # noqa: E402
from ueo.names import nearest  # noqa: E402
from ueo.plots import PICTURE  # noqa: E402
from ueo.record import read_result  # noqa: E402

DEFAULT_SETTINGS = ("closed", "partial", "open", "open_partial")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = p.add_argument
    add("dataset", nargs="?", default="emoji", help="name of a file in configs/datasets/")
    add("--trainers", nargs="+", default=["ZeroshotCLIP", "UEO"], help="names of trainers")
    add("--domain", nargs="+", default=[], help="target domains; all targets unless given")
    add("--setting", nargs="+", default=list(DEFAULT_SETTINGS), help="label spaces")
    add("--seed", nargs="+", type=int, default=[1, 2, 3], help="seeds")
    add("--backbone", default="", help="CLIP backbone; that of the data set's yaml, else RN50")
    add("--config-file", default="", help="yaml file, instead of the backbone's")
    add("--protocol", default="", help="released or independent")
    add("--root", default="data", help="data root")
    add("--output", default="output", help="folder of all records")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--jobs", type=int, default=0, help="runs at once; 0: one a GPU, else one a CPU core")
    add("--dry-run", action="store_true", help="say what would run, and stop")
    add("--overwrite", action="store_true", help="run again what is finished")
    add("--set", nargs="+", default=[], metavar="KEY VALUE", help="configuration keys")
    return p


def dataset_yaml(name: str) -> Path:
    """The yaml file of a data set. Raises ConfigError when there is none."""
    folder = REPOSITORY / "configs" / "datasets"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"there is no data set {name!r} (no configs/datasets/{name}.yaml, no wrapper in "
            f"datasets/){nearest(name, known)}; available: {', '.join(known)}"
        )
    return folder / f"{name}.yaml"


def trainer_yaml(trainer: str, backbone: str) -> str:
    """Yaml file of a trainer for a backbone: its own, else UEO's, else the released recipe."""
    configs = REPOSITORY / "configs" / "trainers"
    stem = config_stem(backbone)
    for path in (configs / trainer / f"{stem}.yaml", configs / "UEO" / f"{stem}.yaml"):
        if path.is_file():
            return str(path)
    return str(configs / "UEO" / "rn50.yaml")


def config_stem(backbone: str) -> str:
    """"ViT-B/16" -> "vit_b16"; a file of weights -> its stem."""
    if Path(backbone).is_file():
        return Path(backbone).stem
    stem = backbone.lower().replace("/", "").replace("-", "_").replace("@", "_")
    return {"tinyclip": "tiny_clip"}.get(stem, stem)


def config_name(backbone: str, args: argparse.Namespace) -> str:
    """Name of the configuration in output paths: the backbone and what departs from its yaml."""
    changes = [
        f"{key.split('.')[-1]}={value}".replace("/", "_")
        for key, value in zip(args.set[::2], args.set[1::2])
    ]
    if args.protocol and args.protocol != "released":
        changes.insert(0, args.protocol)
    return "+".join([config_stem(backbone), *changes])


def plan(args: argparse.Namespace) -> list[grid.Run]:
    """Every run asked for, in the order of the table. Raises ConfigError for a wrong name."""
    data = dataset_yaml(args.dataset)
    loaded = yaml.safe_load(data.read_text())
    dataset = train.DATASET_REGISTRY.get(loaded["DATASET"]["NAME"])
    backbone = args.backbone or loaded.get("MODEL", {}).get("BACKBONE", {}).get("NAME", "RN50")
    for domain in args.domain:
        if domain not in dataset.domains:
            raise ConfigError(
                f"domain {domain!r} is not in {args.dataset}{nearest(domain, dataset.domains)}; "
                f"known: {', '.join(dataset.domains)}"
            )
    if args.protocol and args.protocol not in PROTOCOLS:
        raise ConfigError(
            f"--protocol: {args.protocol!r} is unknown; known: {', '.join(PROTOCOLS)}"
        )
    runs = []
    for trainer in args.trainers:
        train.check_name("trainer", trainer, train.TRAINER_REGISTRY)
        seeds = args.seed[:1] if getattr(
            train.TRAINER_REGISTRY.get(trainer), "deterministic", False
        ) else args.seed
        for setting in map(parse_setting, args.setting):
            for domain in args.domain or dataset.targets:
                for seed in seeds:
                    runs.append(_run(args, data, backbone, trainer, setting, domain, seed))
    return runs


def _run(args, data, backbone, trainer, setting, domain, seed) -> grid.Run:
    folder = Path(args.output, args.dataset, trainer, config_name(backbone, args), setting,
                  domain, f"seed{seed}")
    argv = [
        "--root", args.root, "--trainer", trainer, "--dataset-config-file", str(data),
        "--config-file", args.config_file or trainer_yaml(trainer, backbone),
        "--backbone", backbone, "--domain", domain, "--setting", setting,
        "--seed", str(seed), "--device", args.device, "--output-dir", str(folder),
    ]
    argv += ["--protocol", args.protocol] if args.protocol else []
    argv += ["--overwrite"] if args.overwrite else []
    argv += ["--threads", "1"] if args.device != "cuda" else []
    options = [
        part
        for key, value in zip(args.set[::2], args.set[1::2])
        if not key.startswith("TRAINER.") or key.startswith(f"TRAINER.{trainer}.")
        for part in (key, value)
    ]
    return grid.Run(tuple(argv + options), folder, f"{trainer} {setting} {domain} seed {seed}")


def is_finished(run: grid.Run) -> bool:
    """True for a record of the same configuration; of another it is an error.

    Without its picture a run was killed at the very end; running it again draws that alone.
    """
    args = train.parser().parse_args(list(run.argv))
    cfg = train.build_cfg(args)
    if args.overwrite or not train.holds_finished(run.folder, cfg, "--output"):
        return False
    return (run.folder / PICTURE).is_file()


def table_stem(args: argparse.Namespace, runs: list[grid.Run]) -> str:
    """Name of the table's files: methods, configuration, and whether it shows a selection of the
    domains, label spaces or seeds; so that no table takes the place of another kind."""
    config_folder = runs[0].folder.parents[2].name
    parts = ["table", *(args.trainers[1:] or args.trainers), config_folder]
    whole = parser().parse_args([])
    if any(getattr(args, k) != getattr(whole, k) for k in ("domain", "setting", "seed")):
        parts.append("selection")
    return "-".join(parts)


def show(args: argparse.Namespace, runs: list[grid.Run]) -> None:
    """Write and print the table of the finished runs, and where everything lies."""
    entries = [(r.folder, result) for r in runs if (result := read_result(r.folder))]
    if not entries:
        return
    base = args.trainers[0]
    summary = tables.summarise(entries, base)
    summary["overall"] = []
    cells = {
        name: {
            (r["domain"], r["setting"]) for _, r in entries
            if r["trainer"] == name and r["domain"] != r["tuning_domain"] and r["setting"] != "all"
        }
        for name in args.trainers
    }
    for method in args.trainers[1:]:
        if cells[method] & cells[base]:  # not if all runs of one have failed
            summary["overall"].append(tables.overall_gain(entries, method, base))
    folder = Path(args.output, args.dataset)
    stem = table_stem(args, runs)
    write_json(folder / f"{stem}.json", summary)
    sentences = "\n".join(tables.gain_sentence(g) for g in summary["overall"])
    with atomic_path(folder / f"{stem}.md") as temporary:
        temporary.write_text(
            f"{tables.caption(summary)}\n\n{tables.render(summary, 'github')}\n\n{sentences}\n"
        )
    print(f"\n{tables.render(summary)}\n\n{tables.caption(summary)}\n{sentences}")
    print(f"\nTable:    {folder / stem}.md, {stem}.json")
    print(f"Records:  {folder}/<trainer>/<config>/<setting>/<domain>/seed<N>/result.json")
    print("Pictures: scores.png beside each record")


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 some runs failed, 2 a user's mistake, 130 interrupted."""
    try:
        args = parser().parse_args(argv)
        if len(args.set) % 2:
            raise ConfigError(f"--set takes KEY VALUE pairs, but {args.set[-1]!r} has no value")
        runs = plan(args)
        todo = [run for run in runs if not is_finished(run)]
        workers = grid.worker_count(args.jobs)
        print(f"{len(runs)} runs, {len(runs) - len(todo)} finished, {len(todo)} to do, "
              f"{min(workers, max(len(todo), 1))} at once")
        if args.dry_run:
            print("\n".join(run.label for run in todo))
            return 0
        if todo:
            first = train.build_cfg(train.parser().parse_args(list(todo[0].argv)))
            train.check_writable(Path(args.output))
            train.DATASET_REGISTRY.get(first.DATASET.NAME).prepare(args.root)
            backbones.fetch(first.MODEL.BACKBONE.NAME)
        failures = grid.execute(todo, train.main, workers, ["train"])
        show(args, runs)
        for failure in failures:
            print(f"FAILED {failure.run.label}: {failure.message}", file=sys.stderr)
        return 1 if failures else 0
    except train.MISTAKES as error:
        print(f"Error: {train.one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
