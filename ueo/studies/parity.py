"""Compare a checkout of the released UEO code with this project on the same data, weights and seed.

The released code multiplies cosines by 100 for every model, so this project does so here. Compared
are

1. the weight of every sample,
2. the loss of each of the first steps: same batches, no augmentation,
3. with augmentation, GACC, PACC and AUROC of each epoch, with the spread over seeds.

In half precision (slow on a CPU) both also run in fp64, where they must agree. The median distance
of each half-precision way from the fp64 result is reported. Two ways cannot agree better than each
of them is accurate, and in either way a single loss is sometimes off by many times as much.
"""

import argparse
import io
import math
import re
import types
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from dassl.data.datasets import build_dataset
from dassl.engine import TRAINER_REGISTRY
from dassl.utils import set_random_seed
from torch.utils.data import DataLoader

from ueo.clip.architectures import random_clip
from ueo.clip.backbones import load_clip
from ueo.clip.towers.openai import in_fp64
from ueo.grids.choices import dataset_yaml, trainer_yamls
from ueo.label_space import STANDARD_SETTINGS
from ueo.runs.configure import RunSettings, build_cfg
from ueo.studies.released_code import Triples, recorded, without_gpu

SETTINGS = (*STANDARD_SETTINGS, "all")
METRICS = {"GACC": "accuracy", "PACC": "pacc", "AUROC": "auroc"}


@dataclass(frozen=True)
class ParitySettings:
    """The common settings. size: of the images, in pixels; scratch: folder for output of runs."""

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


def random_weights(name: str, folder: Path) -> str:
    """Write random weights of OpenAI's architecture `name`; return the path of the file."""
    path = folder / f"random_{name.replace('/', '')}.pt"
    torch.save(random_clip(name).state_dict(), path)
    return str(path)


def build(asked: ParitySettings, setting: str, epochs: int, seed: int, fast: bool = True):
    """Build this project's trainer for one run, with the logit scale of the released code."""
    options = {
        "TRAINER.UEO.FAST": fast,
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
    kind = TRAINER_REGISTRY.get("UEO")  # runs on a CPU would use fp32
    kind = type("UEO", (kind,), {"choose_precision": lambda self: asked.precision})
    trainer = kind(cfg)
    trainer.model.logit_scale = 100.0
    return trainer


def exact(asked: ParitySettings, setting: str, epochs: int):
    """Build the trainer in fp64; its cosines are still fp32."""
    trainer = build(replace(asked, precision="fp32"), setting, epochs, 1)
    in_fp64(trainer.model).dtype = torch.float64
    return trainer


def run_released(
    module, trainer, asked: ParitySettings, loaders: dict, epochs: int, evaluate: bool,
    fp64: bool = False,
):
    """Return (losses, weights of each batch, log) of the released code on `loaders`, in the
    requested precision or in fp64."""
    dataset = build_dataset(trainer.cfg)
    space = dataset.space
    wanted = argparse.Namespace(
        net=asked.backbone, allclassnames=dataset.class_list, src_classes=list(space.known),
        tar_classes=list(space.unlabelled), tst_classes=list(space.test), plr=asked.lr,
        vlr=asked.lr,
        trade=1.0, noweight=False, oracle=False, epochs=epochs, out_file=io.StringIO(),
        eval_epoch=1 if evaluate else epochs + 1,
    )
    model = load_clip(asked.backbone, "fp32" if fp64 else asked.precision, trainer.device).model
    model = in_fp64(model) if fp64 else model
    module.clip = types.SimpleNamespace(tokenize=module.clip.tokenize,
                                        load=lambda *names, **options: (model, None))
    with (without_gpu(trainer.device), recorded(module) as (losses, weights),
          redirect_stdout(io.StringIO())):
        module.train_clip(wanted, loaders)
    return losses, weights, wanted.out_file.getvalue()


def loaders_of(trainer, asked: ParitySettings, transform, shuffle: bool) -> dict[str, DataLoader]:
    """Return the three loaders of the released code, over this project's image lists."""
    plain, dataset = trainer.test_loader.dataset.transform, build_dataset(trainer.cfg)
    sets = {"target": (dataset.train_u, transform, asked.batch, shuffle),
            "test": (dataset.test, plain, 3 * asked.batch, False),
            "tar_test": (dataset.train_u, plain, 3 * asked.batch, False)}
    return {name: DataLoader(Triples(items, t), batch_size=size, shuffle=mixed)
            for name, (items, t, size, mixed) in sets.items()}


def steps_of(trainer, loaders: dict, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (losses of the steps, weights of the samples) of our trainer on `loaders`."""
    losses = []
    with redirect_stdout(io.StringIO()):
        trainer.before_train()
        for trainer.epoch in range(epochs):
            trainer.num_batches = len(loaders["target"])
            for trainer.batch_idx, (images, _, index) in enumerate(loaders["target"]):
                found = trainer.forward_backward({"img": images, "index": index})
                losses.append(float(found["loss"]))
    return np.array(losses), trainer.weight.cpu().numpy()


def compare_steps(module, asked: ParitySettings, setting: str) -> dict:
    """Return the largest difference of weights, and of losses over the first steps, in one setting.

    In half precision also return the difference in fp64, each way's median distance from the
    released code in fp64, and the spacing of half-precision numbers, the finest distance there."""
    trainer = build(asked, setting, 1, 1)
    loaders = loaders_of(trainer, asked, trainer.test_loader.dataset.transform, shuffle=False)
    per_epoch = len(loaders["target"])
    epochs = math.ceil(asked.steps / per_epoch)

    def released(fp64: bool) -> tuple[np.ndarray, np.ndarray]:
        losses, weights, _ = run_released(module, trainer, asked, loaders, epochs, False, fp64)
        return np.array(losses), torch.cat(weights[:per_epoch]).numpy()  # in list order

    ways = {"released": released(False),
            "fast": steps_of(build(asked, setting, epochs, 1), loaders, epochs)}
    row = {"setting": setting, "steps": asked.steps, **apart(ways["released"], ways["fast"], asked)}
    if asked.precision == "fp16":
        truth = released(True)
        ways["plain"] = steps_of(build(asked, setting, epochs, 1, fast=False), loaders, epochs)
        same = steps_of(exact(asked, setting, epochs), loaders, epochs)
        row |= _named("fp64", apart(same, truth, asked))
        for name, way in ways.items():
            row |= _named(name, apart(way, truth, asked, np.median))
        entropy = math.log(trainer.num_classes)  # maximum; a loss has two
        row |= _named("spacing", {"weights": float(np.spacing(np.float16(truth[1].max()))),
                                  "losses": float(np.spacing(np.float16(entropy)))})
    return row


def apart(one: tuple, other: tuple, asked: ParitySettings, of=np.max) -> dict[str, float]:
    """Return `of` (default: the maximum) the absolute differences of weights and of losses."""
    (losses, weights), (other_losses, other_weights) = one, other
    return {"weights": float(of(np.abs(weights - other_weights))),
            "losses": float(of(np.abs(losses - other_losses)[: asked.steps]))}


def _named(way: str, distances: dict[str, float]) -> dict[str, float]:
    return {f"{way} {what}": distance for what, distance in distances.items()}


def compare_epochs(module, asked: ParitySettings, setting: str) -> list[dict]:
    """Return both sides' metrics per epoch with augmentation: means over seeds, and the spread."""
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
