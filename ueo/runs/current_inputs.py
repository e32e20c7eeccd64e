"""The inputs of a run (ueo/inputs.py) as they are now: images, device, engine, weights, code."""

import os

import torch
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY

import modern_dassl
from ueo import inputs
from ueo.clip.backbones import fetch_unidentified, weights_hash
from ueo.clip.precision import tf32
from ueo.images.hashes import cache_of, of_file
from ueo.images.other_datasets import complete
from ueo.inputs import Inputs
from ueo.runs.code_hash import code_hash
from ueo.settings.config import options_of, setting_of


def data_inputs(cfg, prepare: bool = False) -> Inputs:
    """Return the inputs of the configured domain. prepare: put shipped files in place first.

    Raises DataError if the data is missing.
    """
    kind = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    if hasattr(kind, "inputs_of"):
        if prepare:
            kind.prepare(cfg.DATASET.ROOT)
        return kind.inputs_of(cfg)
    dataset = kind(cfg)
    complete(dataset, cfg)
    return dataset.inputs


def method_inputs(cfg, prepare: bool = False) -> Inputs:
    """Return device, precision, engine, weights, code and files of the configuration. prepare:
    fetch weights whose hash is not published."""
    if prepare:
        fetch_unidentified(cfg.MODEL.BACKBONE.NAME)
    device = "cuda" if cfg.USE_CUDA and torch.cuda.is_available() else "cpu"
    return of_method(
        cfg, device, modern_dassl.engine_name(), weights_hash(cfg.MODEL.BACKBONE.NAME),
        TRAINER_REGISTRY.get(cfg.TRAINER.NAME), DATASET_REGISTRY.get(cfg.DATASET.NAME),
    )


def of_method(cfg, device: str, engine: str, weights: str | None, trainer: type,
              dataset: type) -> Inputs:
    """Return device, engine, weights and the trainer's own inputs.

    device: "cuda" or "cpu". weights: see `weights_hash`.
    """
    options = options_of(cfg, trainer)
    found = {
        inputs.DEVICE: device,
        inputs.ENGINE: engine,
        inputs.TRAINER_CODE: code_hash(trainer),
        inputs.DATASET_CODE: code_hash(dataset),
    }
    if weights is not None:
        found[inputs.WEIGHTS] = weights
    if device == "cuda":
        found[inputs.TF32] = tf32(setting_of(cfg, "TF32", "MODEL"))
    if "PREC" in options:
        found[inputs.PRECISION] = options["PREC"] if device == "cuda" else "fp32"
    cache = cache_of(cfg, "files")
    if cfg.MODEL.INIT_WEIGHTS:
        found[inputs.START] = of_file(cfg.MODEL.INIT_WEIGHTS, cache)
    for option in getattr(trainer, "input_files", ()):
        path = getattr(options, option)
        if path and os.path.exists(os.path.expanduser(path)):
            found[f"TRAINER.{cfg.TRAINER.NAME}.{option}"] = of_file(path, cache)
    return found
