"""A checkout of the released UEO code and this project on the same data, weights and seed.

What the checkout lacks (data_list.py) and what it needs a GPU for is stood in for; it is read,
never changed. Released code multiplies cosines by 100 whatever the model, so this project does too
here. Compared are

1. the weight of every sample,
2. the loss of each of the first steps: same batches, no augmentation, fp32,
3. with augmentation, GACC, PACC and AUROC of each epoch, beside the spread over seeds.
"""

import argparse
import importlib.util
import io
import math
import re
import sys
import types
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dassl.data.datasets import build_dataset
from dassl.engine import build_trainer
from dassl.utils import set_random_seed
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ueo.clip.architectures import random_clip
from ueo.clip.backbones import load_clip
from ueo.errors import DataError
from ueo.grids.choices import dataset_yaml, trainer_yamls
from ueo.images.decoding import read_image
from ueo.runs.configure import RunSettings, build_cfg

SETTINGS = ("closed", "partial", "open", "open_partial", "all")
METRICS = {"GACC": "accuracy", "PACC": "pacc", "AUROC": "auroc"}


@dataclass(frozen=True)
class ParitySettings:
    """What both are run on. size: of the images, in pixels; scratch: a folder for what runs write.
    """

    dataset: str
    domain: str
    backbone: str
    size: int
    scratch: Path
    steps: int = 50
    epochs: int = 3
    seeds: tuple[int, ...] = (1, 2, 3)
    lr: float = 1e-4
    batch: int = 64
    precision: str = "fp32"
    device: str = "auto"
    root: str = "data"


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


def build(asked: ParitySettings, setting: str, epochs: int, seed: int):
    """This project's trainer for one run, its logit scale that of the released code."""
    options = {
        "INPUT.SIZE": (asked.size, asked.size), "OPTIM.MAX_EPOCH": epochs, "OPTIM.LR": asked.lr,
        "TRAINER.UEO.EVAL_FREQ": 1, "TRAINER.UEO.PREC": asked.precision,
        "DATALOADER.TRAIN_X.BATCH_SIZE": asked.batch, "DATASET.CHECK_COUNTS": False,
    }
    cfg = build_cfg(RunSettings(
        root=asked.root,
        output_dir=str(asked.scratch / f"{setting}-{seed}-{epochs}"),
        trainer="UEO",
        config_file=tuple(trainer_yamls("UEO", asked.backbone, asked.dataset, "common")),
        dataset_config_file=str(dataset_yaml(asked.dataset)),
        domain=(asked.domain,),
        setting=setting,
        backbone=asked.backbone,
        seed=seed,
        device=asked.device,
        options=tuple(part for key, value in options.items() for part in (key, str(value))),
    ))
    set_random_seed(seed)
    trainer = build_trainer(cfg)
    trainer.model.logit_scale = 100.0
    return trainer


def run_released(
    module, trainer, asked: ParitySettings, loaders: dict, epochs: int, evaluate: bool
):
    """(losses, weights of each batch, what it wrote) of the released code on `loaders`."""
    dataset = build_dataset(trainer.cfg)
    space = dataset.space
    wanted = argparse.Namespace(
        net=asked.backbone, allclassnames=dataset.class_list, src_classes=list(space.known),
        tar_classes=list(space.unlabelled), tst_classes=list(space.test), plr=asked.lr,
        vlr=asked.lr,
        trade=1.0, noweight=False, oracle=False, epochs=epochs, out_file=io.StringIO(),
        eval_epoch=1 if evaluate else epochs + 1,
    )
    model = load_clip(asked.backbone, asked.precision, trainer.device)
    module.clip = types.SimpleNamespace(tokenize=module.clip.tokenize,
                                        load=lambda *names, **options: (model, None))
    with without_gpu(), recorded(module) as (losses, weights), redirect_stdout(io.StringIO()):
        module.train_clip(wanted, loaders)
    return losses, weights, wanted.out_file.getvalue()


def loaders_of(trainer, asked: ParitySettings, transform, shuffle: bool) -> dict[str, DataLoader]:
    """The three loaders of the released code, over this project's lists."""
    plain, dataset = trainer.test_loader.dataset.transform, build_dataset(trainer.cfg)
    sets = {"target": (dataset.train_u, transform, asked.batch, shuffle),
            "test": (dataset.test, plain, 3 * asked.batch, False),
            "tar_test": (dataset.train_u, plain, 3 * asked.batch, False)}
    return {name: DataLoader(Triples(items, t), batch_size=size, shuffle=mixed)
            for name, (items, t, size, mixed) in sets.items()}


def compare_steps(module, asked: ParitySettings, setting: str) -> dict:
    """Largest difference of weights, and of losses over the first steps, in one setting."""
    trainer = build(asked, setting, 1, 1)
    per_epoch = len(trainer.train_loader_x)
    epochs = math.ceil(asked.steps / per_epoch)
    trainer = build(asked, setting, epochs, 1)
    loaders = loaders_of(trainer, asked, trainer.test_loader.dataset.transform, shuffle=False)
    theirs, weights, _ = run_released(module, trainer, asked, loaders, epochs, evaluate=False)
    ours = []
    with redirect_stdout(io.StringIO()):
        trainer.before_train()
        for trainer.epoch in range(epochs):
            trainer.num_batches = per_epoch
            for trainer.batch_idx, (images, _, index) in enumerate(loaders["target"]):
                ours.append(trainer.forward_backward({"img": images, "index": index})["loss"])
    first = torch.cat(weights[:per_epoch])  # in the order of the list
    return {
        "setting": setting, "steps": asked.steps,
        "weights": float((first - trainer.weight.cpu()).abs().max()),
        "losses": float(np.abs(np.subtract(ours, theirs))[: asked.steps].max()),
    }


def compare_epochs(module, asked: ParitySettings, setting: str) -> list[dict]:
    """Metrics of each epoch with augmentation: means over seeds, their difference, the spread."""
    theirs, ours = [], []
    for seed in asked.seeds:
        trainer = build(asked, setting, asked.epochs, seed)
        augment = module.image_clip_train(asked.size)
        loaders = loaders_of(trainer, asked, augment, shuffle=True)
        set_random_seed(seed)
        text = run_released(module, trainer, asked, loaders, asked.epochs, evaluate=True)[2]
        tests = [line for line in text.splitlines() if line.startswith("(Tar-test)")]
        theirs.append([[float(re.search(rf"{m}:([\d.]+)", line)[1]) for m in METRICS]
                       for line in tests])
        set_random_seed(seed)
        with redirect_stdout(io.StringIO()):
            trainer.train()
        history = trainer.evaluations.history
        ours.append([[entry["test"][m] for m in METRICS.values()] for entry in history])
    a, b = np.array(theirs), np.array(ours)  # (seeds, epochs, metrics)
    spread = np.maximum(a.std(0, ddof=1), b.std(0, ddof=1)) if len(asked.seeds) > 1 else 0 * a[0]
    return [
        {"setting": setting, "epoch": e, "metric": m, "released": float(a[:, e, i].mean()),
         "ours": float(b[:, e, i].mean()), "spread": float(spread[e, i])}
        for e in range(a.shape[1]) for i, m in enumerate(METRICS)
    ]
