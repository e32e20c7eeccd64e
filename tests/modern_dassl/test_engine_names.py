"""Every name that a module of Dassl holds, and what it takes: dassl_names.txt."""

import importlib
import inspect
import os
import sys
import types
from pathlib import Path

import dassl.optim
import numpy
import pytest
import torch
import torchvision
from dassl.config import get_cfg_default

STORED = [
    line for line in (Path(__file__).parent / "dassl_names.txt").read_text().splitlines()
    if not line.startswith("#")
]
HELD = dict(line.split(": ") for line in STORED if ": " in line)
CALLED = [line.rstrip(")").split("(") for line in STORED if "(" in line]
PROPERTIES = [line for line in STORED if ": " not in line and "(" not in line]


def found(path):
    """The object at a dotted path: in a module, or an attribute of a class there."""
    parts = path.split(".")
    for i in range(len(parts), 0, -1):
        try:
            obj = importlib.import_module(".".join(parts[:i]))
        except ModuleNotFoundError:
            continue
        for part in parts[i:]:
            obj = getattr(obj, part)
        return obj


@pytest.mark.parametrize("module", HELD)
def test_names(module, monkeypatch):
    fake = types.SimpleNamespace(SummaryWriter=object)  # tensorboard need not be installed
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    held = importlib.import_module(module)
    assert [name for name in HELD[module].split() if not hasattr(held, name)] == []


def test_arguments():
    """Arguments have Dassl's names in Dassl's order; ours may take more."""
    differ = {}
    for path, arguments in CALLED:
        expected = arguments.split(", ") if arguments else []
        own = [str(p).split("=")[0].split(":")[0].strip()
               for p in inspect.signature(found(path)).parameters.values()]  # fmt: skip
        own = own[own[:1] == ["self"] :]
        if own[: len(expected)] != expected:
            differ[path] = own, expected
    assert differ == {}


def test_properties():
    assert [path for path in PROPERTIES if not isinstance(found(path), property)] == []


def test_what_is_lent_is_what_it_is_called():
    from dassl.data.data_manager import TorchDataset
    from dassl.data.transforms.transforms import Compose
    from dassl.engine.trainer import build_optimizer, nn, np, osp

    assert (TorchDataset, Compose) == (torch.utils.data.Dataset, torchvision.transforms.Compose)
    assert (build_optimizer, nn, np, osp) == (dassl.optim.build_optimizer, torch.nn, numpy, os.path)
    with pytest.raises(ImportError, match="cannot import name 'absent'"):
        from dassl.engine.trainer import absent  # noqa: F401


def test_a_lent_name_says_what_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="trainer.SummaryWriter needs torch.utils.tensorboard"):
        from dassl.engine.trainer import SummaryWriter  # noqa: F401


def test_names_are_the_same_objects():
    for short, long, name in (
        ("dassl.engine", "dassl.engine.build", "TRAINER_REGISTRY"),
        ("dassl.data.datasets", "dassl.data.datasets.build", "DATASET_REGISTRY"),
        ("dassl.modeling", "dassl.modeling.backbone.build", "BACKBONE_REGISTRY"),
        ("dassl.engine", "dassl.engine.trainer", "SimpleNet"),
        ("dassl.data.transforms", "dassl.data.transforms.transforms", "build_transform"),
    ):
        modules = importlib.import_module(short), importlib.import_module(long)
        assert getattr(modules[0], name) is getattr(modules[1], name)


def test_keys_that_configurations_set():
    cfg = get_cfg_default()
    cfg.merge_from_list([
        "DATALOADER.TRAIN_X.BATCH_SIZE", "32", "DATALOADER.TEST.BATCH_SIZE", "100",
        "DATALOADER.NUM_WORKERS", "8", "DATALOADER.K_TRANSFORMS", "2", "INPUT.SIZE", "(224, 224)",
        "INPUT.INTERPOLATION", "bicubic", "INPUT.PIXEL_MEAN", "[0.5, 0.5, 0.5]",
        "INPUT.TRANSFORMS", '["randaugment", "normalize"]', "MODEL.BACKBONE.NAME", "ViT-B/16",
        "OPTIM.NAME", "sgd", "OPTIM.LR", "0.002", "OPTIM.MAX_EPOCH", "50", "OPTIM.LR_SCHEDULER",
        "cosine", "OPTIM.WARMUP_EPOCH", "1", "OPTIM.WARMUP_TYPE", "constant",
        "OPTIM.WARMUP_CONS_LR", "1e-5", "TRAIN.PRINT_FREQ", "5", "TEST.FINAL_MODEL", "best_val",
        "TEST.PER_CLASS_RESULT", "True", "TEST.NO_TEST", "True", "DATASET.NUM_SHOTS", "16",
    ])  # fmt: skip
    assert cfg.INPUT.SIZE == (224, 224) and cfg.OPTIM.WARMUP_CONS_LR == 1e-5


def test_defaults_are_dassls():
    """Configurations of other projects leave them out and count on them."""
    cfg = get_cfg_default()
    expected = {
        "INPUT": {"SIZE": (224, 224), "INTERPOLATION": "bilinear", "TRANSFORMS": (),
                  "PIXEL_MEAN": [0.485, 0.456, 0.406], "PIXEL_STD": [0.229, 0.224, 0.225],
                  "CROP_PADDING": 4, "RRCROP_SCALE": (0.08, 1.0), "CUTOUT_N": 1, "CUTOUT_LEN": 16,
                  "GN_MEAN": 0.0, "GN_STD": 0.15, "RANDAUGMENT_N": 2, "RANDAUGMENT_M": 10,
                  "COLORJITTER_B": 0.4, "COLORJITTER_C": 0.4, "COLORJITTER_S": 0.4,
                  "COLORJITTER_H": 0.1, "RGS_P": 0.2, "GB_P": 0.5, "GB_K": 21},
        "OPTIM": {"NAME": "adam", "LR": 3e-4, "WEIGHT_DECAY": 5e-4, "MOMENTUM": 0.9,
                  "SGD_DAMPNING": 0, "SGD_NESTEROV": False, "RMSPROP_ALPHA": 0.99,
                  "ADAM_BETA1": 0.9, "ADAM_BETA2": 0.999, "STAGED_LR": False, "NEW_LAYERS": (),
                  "BASE_LR_MULT": 0.1, "LR_SCHEDULER": "single_step", "STEPSIZE": (-1,),
                  "GAMMA": 0.1, "MAX_EPOCH": 10, "WARMUP_EPOCH": -1, "WARMUP_TYPE": "linear",
                  "WARMUP_CONS_LR": 1e-5, "WARMUP_MIN_LR": 1e-5, "WARMUP_RECOUNT": True},
        "TRAIN": {"CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10, "COUNT_ITER": "train_x"},
        "TEST": {"EVALUATOR": "Classification", "PER_CLASS_RESULT": False, "COMPUTE_CMAT": False,
                 "NO_TEST": False, "SPLIT": "test", "FINAL_MODEL": "last_step"},
    }
    for node, values in expected.items():
        assert {key: cfg[node][key] for key in values} == values
    loaders = cfg.DATALOADER
    own = {"SAMPLER": "RandomSampler", "BATCH_SIZE": 32, "N_DOMAIN": 0, "N_INS": 16}
    assert dict(loaders.TRAIN_X) == own and dict(loaders.TRAIN_U) == {"SAME_AS_X": True, **own}
    assert dict(loaders.TEST) == {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32}
    assert (loaders.K_TRANSFORMS, loaders.RETURN_IMG0) == (1, False)
    assert (cfg.SEED, cfg.USE_CUDA, cfg.DATASET.NUM_SHOTS) == (-1, True, -1)
