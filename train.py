"""One run: adapt one trainer to one domain under one label space, evaluate it, write its record.

    python train.py --root data --trainer UEO --dataset-config-file configs/datasets/emoji.yaml \\
        --config-file configs/trainers/UEO/tiny_clip.yaml --domain fluent --setting open \\
        --seed 1 --output-dir output/try [KEY VALUE ...]

The command line is that of the CoOp family; KEY VALUE pairs set configuration keys. A run that is
finished is not run again; one that was interrupted resumes.
"""

import modern_dassl  # noqa: F401  isort: skip  (makes `dassl` importable)

import argparse
import sys
import time
from pathlib import Path

import dassl.utils
import torch
import ueo.trainers  # noqa: F401  (they register themselves)
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed, setup_logger

import ueo.runs.evaluator  # noqa: F401  (registers itself)
from modern_dassl import distributed
from ueo.errors import ConfigError, UserError, reason
from ueo.files import check_writable, set_aside
from ueo.label_space import parse_setting
from ueo.names import nearest
from ueo.results.plots import PICTURE, plot_run
from ueo.runs import other_trainers
from ueo.runs.folder import STARTED, follow_run, prepare_folder
from ueo.runs.memory import keep_freed_memory
from ueo.runs.shared_names import take_names
from ueo.settings import config
from ueo.settings.discover import extend_cfg, import_file
from ueo.settings.known_keys import LARGEST_SEED, MOST_THREADS
from ueo.settings.options import folder, number
from ueo.text import shown

take_names()
LOG = "log.txt"  # as Dassl calls it
# what a user can mend; genuine Dassl has no error class of its own
MISTAKES = (UserError, OSError, getattr(dassl.utils, "DasslError", UserError))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = p.add_argument
    add("--root", type=folder("--root"), default="data", help="data root")
    add("--output-dir", type=folder("--output-dir"), help="folder of this run")
    add("--trainer", default="", help="name of the trainer")
    add("--config-file", nargs="+", default=[], help="yaml files of the trainer, later ones win")
    add("--dataset-config-file", default="", help="yaml file of the data set")
    add("--dataset", default="", help="name of the data set, instead of its yaml file")
    add("--domain", "--target-domains", nargs="+", default=[], help="target domain")
    add("--source-domains", nargs="+", default=[], help="for trainers that use sources")
    add("--setting", default="", help="label space, such as open_partial")
    add("--protocol", default="", help="released or independent")
    add("--path", default="", help="images of one's own: their folder or list")
    add("--names", default="", help="images of one's own: file of class names")
    add("--backbone", default="", help="CLIP backbone, or a file of weights")
    add("--transforms", nargs="+", default=[], help="augmentations of the training images")
    add("--seed", type=number("--seed", low=-1, high=LARGEST_SEED), help="seed; -1: not fixed")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--threads", type=number("--threads", low=0, high=MOST_THREADS), default=0,
        help="CPU threads; 0: torch's own choice")
    add("--plugin", nargs="+", default=[], help="Python files with further trainers or data sets")
    add("--resume", default="", help="folder of an interrupted run to continue")
    add("--eval-only", action="store_true", help="evaluate --model-dir and stop")
    add("--model-dir", default="", help="folder of the run whose checkpoint is evaluated")
    add("--load-epoch", type=number("--load-epoch", low=1),
        help="its epoch; the last one unless given")
    add("--overwrite", action="store_true", help="run again what is finished")
    add("opts", nargs=argparse.REMAINDER, help="KEY VALUE ...")
    return p


def build_cfg(args: argparse.Namespace):
    """Configuration of the run: defaults, plug-ins', data set yaml, trainer yaml, arguments, KEY
    VALUE. Registers what the plug-ins hold."""
    plugins = [import_file(file) for file in args.plugin]
    trainers = {n: TRAINER_REGISTRY.get(n) for n in TRAINER_REGISTRY.registered_names()}
    cfg = config.extend(get_cfg_default(), trainers)
    cfg.TEST.EVALUATOR = "UFTEvaluator"
    for plugin in plugins:
        extend_cfg(plugin, cfg)
    known = config.declarations(cfg, trainers)
    dataset = [args.dataset_config_file] if args.dataset_config_file else []
    for path in [*dataset, *args.config_file]:
        config.merge_file(cfg, path, known)
    for key, value in {
        "DATASET.ROOT": args.root,
        "OUTPUT_DIR": args.output_dir,
        "TRAINER.NAME": args.trainer,
        "DATASET.NAME": args.dataset,
        "DATASET.TARGET_DOMAINS": tuple(args.domain),
        "DATASET.SOURCE_DOMAINS": tuple(args.source_domains),
        "DATASET.SETTING": args.setting,
        "DATASET.PROTOCOL": args.protocol,
        "DATASET.PATH": args.path,
        "DATASET.NAMES": args.names,
        "MODEL.BACKBONE.NAME": args.backbone,
        "INPUT.TRANSFORMS": tuple(args.transforms),
        "RESUME": args.resume,
        "SEED": args.seed,
    }.items():
        if value not in (None, "", ()):
            config.set_key(cfg, key, value, config.COMMAND_LINE, known)
    cfg.USE_CUDA = cfg.USE_CUDA and args.device != "cpu"
    config.merge_options(cfg, args.opts, known)
    config.check(cfg, known)
    cfg.DATASET.SETTING = parse_setting(cfg.DATASET.SETTING)
    _check_names(cfg)
    cfg.freeze()
    return cfg


def _check_names(cfg) -> None:
    check_name("trainer", cfg.TRAINER.NAME, TRAINER_REGISTRY)
    check_name("data set", cfg.DATASET.NAME, DATASET_REGISTRY)


def check_name(what: str, name: str, registry) -> None:
    """Raise ConfigError, with the nearest name, unless `name` is registered."""
    known = sorted(registry.registered_names())
    if name not in known:
        raise ConfigError(
            f"unknown {what} {name!r}{nearest(name, known)}; known: {', '.join(known)}"
        )


def set_device(args: argparse.Namespace) -> None:
    """Threads, memory, and CUDA insisted on."""
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no CUDA device; use --device cpu or auto")
    if args.device == "cpu" or not torch.cuda.is_available():
        keep_freed_memory()


def run(args: argparse.Namespace) -> None:
    """Run what the arguments say. Raises UserError for a mistake of the user's."""
    cfg = build_cfg(args)
    set_device(args)
    if cfg.SEED >= 0:  # before shots are drawn
        set_random_seed(cfg.SEED)
    if args.eval_only:
        check_writable(Path(cfg.OUTPUT_DIR))
        if args.model_dir:
            follow_run(cfg, args.model_dir, given_keys(args))
    elif not _start_or_continue(cfg, args.overwrite):
        print(f"Finished before: {shown(cfg.OUTPUT_DIR)}")
        if not Path(cfg.OUTPUT_DIR, PICTURE).is_file():  # killed before it was drawn
            _draw(cfg)
        return
    if cfg.SEED >= 0:
        print(f"Setting fixed seed: {cfg.SEED}")
        set_random_seed(cfg.SEED)
    _start_log(Path(cfg.OUTPUT_DIR), args.eval_only)
    started = time.monotonic()
    trainer = build_trainer(cfg)
    if args.eval_only:
        if trainer.get_model_names() and not args.model_dir:
            raise ConfigError("--eval-only: name the folder of the run with --model-dir")
        trainer.load_model(args.model_dir, epoch=args.load_epoch)
        trainer.test()
        return
    if not other_trainers.is_foreign(trainer):
        trainer.train()
    else:
        dataset = other_trainers.prepare(trainer)
        trainer.train()
        if distributed.is_main():
            other_trainers.write_record(trainer, dataset, started)
    _draw(cfg)


def _start_log(folder: Path, eval_only: bool) -> None:
    """log.txt, the one name that parsers read, is of this run: an earlier one is set aside. An
    evaluation alone leaves the log of the run in its folder, and its own has the date."""
    if distributed.is_main() and not (eval_only and (folder / STARTED).is_file()):
        set_aside(folder / LOG)
    setup_logger(str(folder))


def given_keys(args: argparse.Namespace) -> set[str]:
    """The keys that decide about images and stand on the command line."""
    keys = set(args.opts[::2])
    if args.seed is not None:
        keys.add("SEED")
    if args.protocol:
        keys.add("DATASET.PROTOCOL")
    return keys


def _start_or_continue(cfg, overwrite: bool) -> bool:
    with distributed.main_first():  # what it prepares, the others find prepared
        return prepare_folder(cfg, overwrite and distributed.is_main())


def _draw(cfg) -> None:
    if distributed.is_main():
        plot_run(cfg.OUTPUT_DIR)


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 a user's mistake, 3 the loss was not finite, 130 interrupted."""
    console = sys.stdout
    try:
        run(parser().parse_args(argv))
        return 0
    except FloatingPointError as error:
        print(f"Error: {one_line(error)}; lower OPTIM.LR or use PREC fp32", file=sys.stderr)
        return 3
    except MISTAKES as error:
        process = f" (process {distributed.rank()})" if not distributed.is_main() else ""
        print(f"Error{process}: {one_line(error)}", file=sys.stderr)
        return 2
    except torch.cuda.OutOfMemoryError:
        print("Error: out of GPU memory; lower DATALOADER.TRAIN_X.BATCH_SIZE and "
              "DATALOADER.TEST.BATCH_SIZE, or use --device cpu", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    finally:
        sys.stdout = console


def one_line(error: Exception) -> str:
    """The message alone, also when a loader's worker wrapped it in its own traceback."""
    if isinstance(error, OSError) and error.strerror:
        return shown(reason(error))
    message = str(error).strip()
    if not message.startswith("Caught "):  # what a worker's begins with
        return shown(message or type(error).__name__)
    return shown(message.splitlines()[-1].split("Error: ", 1)[-1])


if __name__ == "__main__":
    sys.exit(main())
