"""Run a checkout of the released UEO code and this project on the same data, weights and seed.

    bash scripts/parity.sh --released DIR [emoji] [--domain fluent] [--steps 50] [--epochs 3]

DIR holds demo.py of github.com/tim-learn/UEO. ueo/studies/parity.py describes what is compared. The
backbone "random:RN50" or "random:ViT-B/16" is OpenAI's architecture with random weights.
"""

import argparse
import tempfile
from pathlib import Path

from tabulate import tabulate

from ueo.clip.backbones import load_clip, name_in_tables
from ueo.commands import HelpFormatter
from ueo.commands.train import as_settings, defaults_of
from ueo.errors import ConfigError
from ueo.files import write_json
from ueo.runs.status import command
from ueo.studies import parity
from ueo.studies.released_code import released_code

RANDOM = "random:"
TOLERANCES = {"weights": 1e-5, "losses": 1e-4}  # in fp32 and above
FURTHER = 2.0  # at most this times the released code's distance from fp64, in half precision


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=HelpFormatter)
    add = p.add_argument
    add("dataset", nargs="?", default="emoji", help="name in configs/datasets/")
    add("--released", required=True, help="checkout of github.com/tim-learn/UEO")
    add("--domain", default="fluent", help="target domain")
    add("--setting", nargs="+", default=[], choices=parity.SETTINGS,
        help="label spaces (default: all for the steps, open for the epochs)")
    add("--backbone", default="TinyCLIP", help="name, file, or random:<architecture>")
    add("--steps", type=int, help="steps to compare one by one; 0: none")
    add("--epochs", type=int, help="epochs to compare, with augmentation; 0: none")
    add("--seeds", nargs="+", type=int, help="seeds of those epochs")
    add("--lr", type=float, help="learning rate of the prompt and the affine parameters")
    add("--batch", type=int, help="batch size")
    add("--precision", choices=("fp32", "fp16"), help="precision; fp16 is slow on a CPU")
    add("--device", choices=("auto", "cpu", "cuda"), help="device to run on")
    add("--root", help="data root: folder of the data sets")
    add("--output", default="output/parity.json", help="file for the numbers")
    p.set_defaults(**defaults_of(parity.ParitySettings))
    return p


def agrees(row: dict, precision: str) -> bool:
    """Whether weights and losses agree with the released code's within TOLERANCES.

    No two implementations agree that closely in half precision. There they must agree in fp64, and
    the half-precision error of each of our ways must be at most FURTHER times the released code's,
    or the spacing of half precision if that is larger."""
    same = "" if precision == "fp32" else "fp64 "
    good = all(row[f"{same}{what}"] <= limit for what, limit in TOLERANCES.items())
    near = precision == "fp32" or all(
        row[f"{way} {what}"] <= FURTHER * max(row[f"released {what}"], row[f"spacing {what}"])
        for way in ("fast", "plain") for what in TOLERANCES
    )
    return good and near


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 if everything stays within the tolerances, 1 otherwise."""
    if not args.steps and not args.epochs:
        raise ConfigError("--steps 0 --epochs 0: nothing would be compared")
    module, backbone = released_code(args.released), args.backbone
    shown = backbone if backbone.startswith(RANDOM) else name_in_tables(backbone)
    with tempfile.TemporaryDirectory() as folder:
        if backbone.startswith(RANDOM):
            backbone = parity.random_weights(backbone.removeprefix(RANDOM), Path(folder))
        args.backbone, args.scratch = backbone, Path(folder)
        args.size = load_clip(backbone, "fp32").preprocessing.size[0]
        asked = as_settings(parity.ParitySettings, args)
        steps = [parity.compare_steps(module, asked, setting)
                 for setting in args.setting or parity.SETTINGS if args.steps]
        epochs = [row for setting in args.setting or ("open",) if args.epochs
                  for row in parity.compare_epochs(module, asked, setting)]
    for row in steps:
        row["good"] = agrees(row, args.precision)
    for row in epochs:
        row["good"] = abs(row["ours"] - row["released"]) <= max(0.5, 2 * row["spread"])
    for rows in (steps, epochs):
        if rows:
            print("\n" + tabulate(rows, headers="keys", floatfmt=".3g" if rows is steps else ".2f"))
    write_json(Path(args.output), {"steps": steps, "epochs": epochs, "backbone": shown,
                                   "domain": args.domain, "lr": args.lr, "batch": args.batch})
    return 0 if all(row["good"] for row in steps + epochs) else 1
