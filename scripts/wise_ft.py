"""Weight-space ensembling of a finished run with the model that it started from (WiSE-FT).

    python scripts/wise_ft.py --model-dir RUN --alpha 0 0.25 0.5 0.75 1

Wortsman et al., CVPR 2022, arXiv:2109.01903: what was tuned becomes (1 - alpha) * start + alpha *
tuned. Alpha 1 is the run; alpha 0 is where its training started: zero-shot CLIP, unless what is
tuned begins at random. Each alpha is evaluated; its record, in the form of a run's, goes to
RUN/wise_ft/alpha<A>, or below --output-dir. With --domain it is evaluated on other domains, with
--classes on a half of the known classes; each is a level of folders above alpha<A>. ImageNet's
variants are domains of ImageNet here.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import argparse  # noqa: E402

import common  # noqa: E402
from tabulate import tabulate  # noqa: E402
from ueo.trainers.base import CLIPTrainer  # noqa: E402

import train  # noqa: E402
from ueo.errors import ConfigError  # noqa: E402
from ueo.files import check_writable  # noqa: E402
from ueo.grids.parallel import Run  # noqa: E402
from ueo.images.hashes import content_hash  # noqa: E402
from ueo.inputs import CHECKPOINT, Inputs  # noqa: E402
from ueo.results.record import read_result  # noqa: E402
from ueo.runs.checkpoint import MODEL, checkpoint_file, mixed  # noqa: E402
from ueo.runs.current_inputs import data_inputs  # noqa: E402
from ueo.runs.folder import follow_run  # noqa: E402
from ueo.settings.known_keys import MOST_THREADS, OWN  # noqa: E402
from ueo.settings.options import folder, number  # noqa: E402

COLUMNS = ("pacc", "accuracy", "auroc", "fpr95")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = p.add_argument
    add("--model-dir", required=True, help="folder of the finished run")
    add("--alpha", nargs="+", type=number("--alpha", float), default=[0.0, 0.25, 0.5, 0.75, 1.0],
        help="shares of the tuned weights")
    add("--load-epoch", type=number("--load-epoch", low=1),
        help="its epoch; the last one unless given")
    add("--domain", nargs="+", default=[], help="evaluate on these domains, not on the run's")
    add("--classes", nargs="+", default=[], choices=OWN["DATASET"]["SUBSAMPLE_CLASSES"].choices,
        help="evaluate on all known classes, the base half, the new half; as the run unless given")
    add("--output-dir", type=folder("--output-dir"),
        help="folder of the records; RUN/wise_ft unless given")
    add("--root", type=folder("--root"), default="data", help="data root")
    add("--plugin", nargs="+", default=[], help="Python files with further trainers or data sets")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--threads", type=number("--threads", low=0, high=MOST_THREADS), default=0,
        help="CPU threads; 0: torch's own choice")
    add("--set", nargs="+", default=[], metavar="KEY VALUE", help="configuration keys")
    return p


def arguments_of(args: argparse.Namespace, domain: str, classes: str) -> argparse.Namespace:
    """train.py's arguments for the run's own configuration, changed as asked; "" leaves domain or
    classes. Raises ConfigError for a folder without a finished run and a --set
    without a value."""
    finished = read_result(args.model_dir)
    if finished is None:
        raise ConfigError(f"--model-dir {args.model_dir}: holds no finished run (result.json)")
    if len(args.set) % 2:
        raise ConfigError(f"--set takes KEY VALUE pairs, but {args.set[-1]!r} has no value")
    options = [part for key, value in finished["config"].items() for part in (key, str(value))]
    options += ["DATALOADER.NUM_WORKERS", str(finished["environment"].get("workers", 0))]
    options += ["DATASET.TARGET_DOMAINS", str((domain,))] if domain else []
    if relative := relatives(finished["config"]["DATASET.NAME"]).get(domain):
        options += ["DATASET.NAME", relative]
    options += ["DATASET.SUBSAMPLE_CLASSES", classes] if classes else []
    output = Path(args.output_dir or Path(args.model_dir, "wise_ft"), domain, classes)
    plugin = ["--plugin", *args.plugin] if args.plugin else []
    return train.parser().parse_args([
        "--root", args.root, "--device", args.device, "--threads", str(args.threads), *plugin,
        "--output-dir", str(output), *options, *args.set,
    ])


def relatives(dataset: str) -> dict[str, str]:
    """Data sets on which a run on `dataset` can be tested as on another domain."""
    registry = train.DATASET_REGISTRY
    known = dataset in registry.registered_names()
    return getattr(registry.get(dataset), "relatives", {}) if known else {}


def build(arguments: argparse.Namespace, model_dir: str, given: set[str]) -> CLIPTrainer:
    """The run's trainer, untrained. Raises ConfigError for one that this cannot mix, or not on
    other classes than those that it was trained on.

    given: the keys that the user set by hand.
    """
    cfg = train.build_cfg(arguments)
    train.set_device(arguments)
    check_writable(Path(cfg.OUTPUT_DIR))
    if cfg.SEED >= 0:
        train.set_random_seed(cfg.SEED)
    follow_run(cfg, model_dir, given)
    trainer = train.build_trainer(cfg)
    if not isinstance(trainer, CLIPTrainer) or MODEL not in trainer.get_model_names():
        raise ConfigError(f"--model-dir: {cfg.TRAINER.NAME} tunes nothing that could be mixed")
    trained_on = read_result(model_dir)["config"]["DATASET.SUBSAMPLE_CLASSES"]
    bound = trainer.bound_to_classes or trainer.options.CSC
    if bound and cfg.DATASET.SUBSAMPLE_CLASSES != trained_on:
        raise ConfigError(f"--classes: what {cfg.TRAINER.NAME} learns is bound to its classes")
    return trainer


def evaluate(trainer: CLIPTrainer, args: argparse.Namespace) -> list[list]:
    """A record for each alpha; returns the rows of the table."""
    data = trainer.cfg.DATASET
    output, module = Path(trainer.output_dir), trainer._models[MODEL]
    start = {name: value.clone() for name, value in module.state_dict().items()}
    trainer.output_dir = str(output / f"alpha{args.alpha[0]:g}")
    trainer.evaluations.run(epoch=0)
    before, rows = trainer.evaluations.history, []
    trainer.load_model(args.model_dir, epoch=args.load_epoch)
    file = checkpoint_file(Path(args.model_dir, MODEL), args.load_epoch)
    trainer.inputs[CHECKPOINT] = content_hash(file)
    tuned = {name: value.clone() for name, value in module.state_dict().items()}
    for alpha in dict.fromkeys(args.alpha):
        trainer.output_dir = str(output / f"alpha{alpha:g}")
        trainer.notes["wise_ft"] = {"run": str(args.model_dir), "alpha": alpha}
        trainer.evaluations.history = list(before)
        module.load_state_dict(mixed(start, tuned, alpha))
        trainer.evaluations.run(epoch=trainer.epochs_done, last=True)
        trainer.evaluations.write_record()
        found = trainer.evaluations.history[-1]["test"]
        rows.append([trainer.dm.dataset.domain, data.SUBSAMPLE_CLASSES, f"{alpha:g}",
                     *(found[name] for name in COLUMNS)])
    return rows


def weights_of(run: Run) -> str:
    """Content hash of the checkpoint that an evaluation is of."""
    args = parser().parse_args(list(run.argv))
    return content_hash(checkpoint_file(Path(args.model_dir, MODEL), args.load_epoch))


def refuse_other_weights(run: Run, records: list[Path]) -> None:
    """Raise ConfigError where a record is of weights that its run no longer has."""
    weights = weights_of(run)
    for record in records:
        result = read_result(record)
        if result is not None and result["inputs"].get(CHECKPOINT) != weights:
            raise ConfigError(
                f"{record}: was evaluated before {run.folder.parent} was trained anew; the same "
                "command without --tables-only evaluates it again"
            )


def up_to_date(run: Run, records: list[Path], known: dict[tuple, Inputs]) -> bool:
    """Whether all records are there and are of the run's weights and of the images there are now.

    known: inputs of domains that were read already.
    """
    args, weights = parser().parse_args(list(run.argv)), weights_of(run)
    for record in records:
        result = read_result(record)
        if result is None or result["inputs"].get(CHECKPOINT) != weights:
            return False
        place = tuple(result[key] for key in ("dataset", "domain", "protocol"))
        if place not in known:
            value = record.parent.name
            arguments = arguments_of(args, value * bool(args.domain), value * bool(args.classes))
            known[place] = data_inputs(train.build_cfg(arguments))
        if not known[place].items() <= result["inputs"].items():
            return False
    return True


def run(args: argparse.Namespace) -> int:
    rows = []
    for domain in dict.fromkeys(args.domain or [""]):
        for classes in dict.fromkeys(args.classes or [""]):
            arguments = arguments_of(args, domain, classes)
            rows += evaluate(build(arguments, args.model_dir, set(args.set[::2])), args)
    names = ["domain", "classes", "alpha", *(name.upper() for name in COLUMNS)]
    print(tabulate(rows, names, floatfmt=("", "", "", *[".2f"] * len(COLUMNS))))
    levels = "<domain>/" * bool(args.domain) + "<classes>/" * bool(args.classes)
    folder = args.output_dir or Path(args.model_dir, "wise_ft")
    print(f"Test set, percent. Records: {folder}/{levels}alpha<A>/result.json")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 a user's mistake, 130 interrupted."""
    return common.guarded(lambda: run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
