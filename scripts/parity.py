"""Run a checkout of the released UEO code and this project on the same data, weights and seed.

    bash scripts/parity.sh --released DIR [emoji] [--domain fluent] [--steps 50] [--epochs 3]

DIR holds demo.py of github.com/tim-learn/UEO; it is read, never changed. What it lacks
(data_list.py) and what it needs a GPU for is stood in for. Released code multiplies cosines by 100
whatever the model, so this project does too here. Compared are

1. the weight of every sample,
2. the loss of each of the first steps: same batches, no augmentation, fp32, in all five settings,
3. with augmentation, GACC, PACC and AUROC of each epoch, beside the spread over seeds, in the label
   space open unless --setting names others.

The backbone may be "random:RN50" or "random:ViT-B/16": OpenAI's architecture, random weights.
"""

import argparse
import importlib.util
import io
import math
import re
import sys
import tempfile
import types
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import common  # noqa: E402
import numpy as np  # noqa: E402
import planning  # noqa: E402
import torch  # noqa: E402
from dassl.data.datasets import build_dataset  # noqa: E402
from tabulate import tabulate  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

import train  # noqa: E402
from ueo.clip.architectures import random_clip  # noqa: E402
from ueo.clip.backbones import load_clip  # noqa: E402
from ueo.errors import ConfigError, DataError  # noqa: E402
from ueo.files import write_json  # noqa: E402
from ueo.images.decoding import read_image  # noqa: E402
from ueo.results import tables  # noqa: E402

SETTINGS = ("closed", "partial", "open", "open_partial", "all")
METRICS = {"GACC": "accuracy", "PACC": "pacc", "AUROC": "auroc"}

class Triples(Dataset):
    """(image, label, index), as the released code's lists give them."""

    def __init__(self, items, transform):
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        item = self.items[index]
        return self.transform(read_image(item.impath)), item.label, index


def released_code(folder: str) -> types.ModuleType:
    """demo.py of a checkout, as a module. Raises DataError when it is not there."""
    file = Path(folder) / "demo.py"
    if not file.is_file():
        raise DataError(f"--released {folder}: holds no demo.py; name a checkout of tim-learn/UEO")
    sys.modules["data_list"] = types.SimpleNamespace(ImageList=None, ImageList_idx=None)
    spec = importlib.util.spec_from_file_location("released_ueo", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "train_clip"):
        raise DataError(f"{file}: has no train_clip; another version of the released code")
    return module


@contextmanager
def without_gpu():
    """Let `.cuda()` do nothing where there is no GPU."""
    if torch.cuda.is_available():
        yield
        return
    kept = torch.Tensor.cuda, nn.Module.cuda
    torch.Tensor.cuda = nn.Module.cuda = lambda self, *args, **options: self
    try:
        yield
    finally:
        torch.Tensor.cuda, nn.Module.cuda = kept


@contextmanager
def recorded(module: types.ModuleType):
    """Yield (losses, weights of each batch) of the released code, filled as it trains."""
    losses, weights = [], []
    backward, weighted = torch.Tensor.backward, module.loss_entropy_wei

    def spy(self, *args, **options):
        losses.append(self.item())
        return backward(self, *args, **options)

    def spy_weights(prob, weight):
        weights.append(weight.detach().float().cpu())
        return weighted(prob, weight)

    torch.Tensor.backward, module.loss_entropy_wei = spy, spy_weights
    try:
        yield losses, weights
    finally:
        torch.Tensor.backward, module.loss_entropy_wei = backward, weighted


def random_weights(name: str, folder: Path) -> str:
    """A file with random weights of OpenAI's architecture `name`."""
    path = folder / f"random_{name.replace('/', '')}.pt"
    torch.save(random_clip(name).state_dict(), path)
    return str(path)


def build(args: argparse.Namespace, setting: str, epochs: int, seed: int):
    """This project's trainer for one run, its logit scale that of the released code."""
    argv = [
        "--root", args.root, "--trainer", "UEO", "--config-file", *planning.trainer_yamls(
            "UEO", args.backbone, args.dataset, "common"), "--dataset-config-file",
        str(planning.CONFIGS / f"datasets/{args.dataset}.yaml"), "--backbone", args.backbone,
        "--domain", args.domain, "--setting", setting, "--seed", str(seed), "--device", args.device,
        "--output-dir", str(args.scratch / f"{setting}-{seed}-{epochs}"),
        "INPUT.SIZE", f"({args.size}, {args.size})", "OPTIM.MAX_EPOCH", str(epochs),
        "OPTIM.LR", str(args.lr), "TRAINER.UEO.EVAL_FREQ", "1", "TRAINER.UEO.PREC", args.precision,
        "DATALOADER.TRAIN_X.BATCH_SIZE", str(args.batch), "DATASET.CHECK_COUNTS", "False",
    ]
    cfg = train.build_cfg(train.parser().parse_args(argv))
    train.set_random_seed(seed)
    trainer = train.build_trainer(cfg)
    trainer.model.logit_scale = 100.0
    return trainer


def run_released(module, trainer, args, loaders: dict, epochs: int, evaluate: bool):
    """(losses, weights of each batch, what it wrote) of the released code on `loaders`."""
    dataset = build_dataset(trainer.cfg)
    space = dataset.space
    wanted = argparse.Namespace(
        net=args.backbone, allclassnames=dataset.class_list, src_classes=list(space.known),
        tar_classes=list(space.unlabelled), tst_classes=list(space.test), plr=args.lr, vlr=args.lr,
        trade=1.0, noweight=False, oracle=False, epochs=epochs, out_file=io.StringIO(),
        eval_epoch=1 if evaluate else epochs + 1,
    )
    model = load_clip(args.backbone, args.precision, trainer.device)
    module.clip = types.SimpleNamespace(tokenize=module.clip.tokenize,
                                        load=lambda *names, **options: (model, None))
    with without_gpu(), recorded(module) as (losses, weights), redirect_stdout(io.StringIO()):
        module.train_clip(wanted, loaders)
    return losses, weights, wanted.out_file.getvalue()


def loaders_of(trainer, args, transform, shuffle: bool) -> dict[str, DataLoader]:
    """The three loaders of the released code, over this project's lists."""
    plain, dataset = trainer.test_loader.dataset.transform, build_dataset(trainer.cfg)
    sets = {"target": (dataset.train_u, transform, args.batch, shuffle),
            "test": (dataset.test, plain, 3 * args.batch, False),
            "tar_test": (dataset.train_u, plain, 3 * args.batch, False)}
    return {name: DataLoader(Triples(items, t), batch_size=size, shuffle=mixed)
            for name, (items, t, size, mixed) in sets.items()}


def compare_steps(module, args, setting: str) -> dict:
    """Largest difference of weights, and of losses over the first steps, in one setting."""
    trainer = build(args, setting, 1, 1)
    per_epoch = len(trainer.train_loader_x)
    epochs = math.ceil(args.steps / per_epoch)
    trainer = build(args, setting, epochs, 1)
    loaders = loaders_of(trainer, args, trainer.test_loader.dataset.transform, shuffle=False)
    theirs, weights, _ = run_released(module, trainer, args, loaders, epochs, evaluate=False)
    ours = []
    with redirect_stdout(io.StringIO()):
        trainer.before_train()
        for trainer.epoch in range(epochs):
            trainer.num_batches = per_epoch
            for trainer.batch_idx, (images, _, index) in enumerate(loaders["target"]):
                ours.append(trainer.forward_backward({"img": images, "index": index})["loss"])
    first = torch.cat(weights[:per_epoch])  # in the order of the list
    return {
        "setting": setting, "steps": args.steps,
        "weights": float((first - trainer.weight.cpu()).abs().max()),
        "losses": float(np.abs(np.subtract(ours, theirs))[: args.steps].max()),
    }


def compare_epochs(module, args, setting: str) -> list[dict]:
    """Metrics of each epoch with augmentation: means over seeds, their difference, the spread."""
    theirs, ours = [], []
    for seed in args.seeds:
        trainer = build(args, setting, args.epochs, seed)
        augment = module.image_clip_train(args.size)
        loaders = loaders_of(trainer, args, augment, shuffle=True)
        train.set_random_seed(seed)
        text = run_released(module, trainer, args, loaders, args.epochs, evaluate=True)[2]
        tests = [line for line in text.splitlines() if line.startswith("(Tar-test)")]
        theirs.append([[float(re.search(rf"{m}:([\d.]+)", line)[1]) for m in METRICS]
                       for line in tests])
        train.set_random_seed(seed)
        with redirect_stdout(io.StringIO()):
            trainer.train()
        history = trainer.evaluations.history
        ours.append([[entry["test"][m] for m in METRICS.values()] for entry in history])
    a, b = np.array(theirs), np.array(ours)  # (seeds, epochs, metrics)
    spread = np.maximum(a.std(0, ddof=1), b.std(0, ddof=1)) if len(args.seeds) > 1 else 0 * a[0]
    return [
        {"setting": setting, "epoch": e, "metric": m, "released": float(a[:, e, i].mean()),
         "ours": float(b[:, e, i].mean()), "spread": float(spread[e, i])}
        for e in range(a.shape[1]) for i, m in enumerate(METRICS)
    ]


def run(args: argparse.Namespace) -> int:
    """0 when all stay within the tolerances, 1 otherwise."""
    if not args.steps and not args.epochs:
        raise ConfigError("--steps 0 --epochs 0: nothing would be compared")
    module, is_random = released_code(args.released), args.backbone.startswith("random:")
    shown = args.backbone if is_random else tables.backbone_name(args.backbone)
    with tempfile.TemporaryDirectory() as folder:
        args.scratch = Path(folder)
        if is_random:
            args.backbone = random_weights(args.backbone.removeprefix("random:"), args.scratch)
        size = load_clip(args.backbone, "fp32").visual.input_resolution
        args.size = size
        steps = [compare_steps(module, args, s) for s in args.setting or SETTINGS if args.steps]
        epochs = [row for s in args.setting or ("open",) if args.epochs
                  for row in compare_epochs(module, args, s)]
    for row in steps:
        row["good"] = row["weights"] <= 1e-5 and row["losses"] <= 1e-4
    for row in epochs:
        row["good"] = abs(row["ours"] - row["released"]) <= max(0.5, 2 * row["spread"])
    for rows in (steps, epochs):
        if rows:
            print("\n" + tabulate(rows, headers="keys", floatfmt=".3g" if rows is steps else ".2f"))
    write_json(Path(args.output), {"steps": steps, "epochs": epochs,
                                   "backbone": shown, "domain": args.domain, "lr": args.lr,
                                   "batch": args.batch})
    return 0 if all(row["good"] for row in steps + epochs) else 1


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 alike, 1 different, 2 a user's mistake."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("dataset", nargs="?", default="emoji", help="name in configs/datasets/")
    p.add_argument("--released", required=True, help="checkout of github.com/tim-learn/UEO")
    p.add_argument("--domain", default="fluent", help="target domain")
    p.add_argument("--setting", nargs="+", default=[], choices=SETTINGS,
                   help="label spaces; unless given all for the steps, open for the epochs")
    p.add_argument("--backbone", default="TinyCLIP", help="name, file, or random:<architecture>")
    p.add_argument("--steps", type=int, default=50, help="steps to compare; 0: none")
    p.add_argument("--epochs", type=int, default=3, help="epochs with augmentation; 0: none")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="of those epochs")
    p.add_argument("--lr", type=float, default=1e-4, help="of prompt and affine parameters")
    p.add_argument("--batch", type=int, default=64, help="batch size")
    p.add_argument("--precision", default="fp32", choices=("fp32", "fp16"), help="fp16 on a GPU")
    p.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    p.add_argument("--root", default="data", help="data root")
    p.add_argument("--output", default="output/parity.json", help="where the numbers go")
    return common.guarded(lambda: run(p.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
