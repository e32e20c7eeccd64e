"""Export a finished run as one portable folder.

    model.safetensors    the image tower as tuned, class features, adapter: what predicting needs
    negative_names.npz   features of the negative names, if the score uses them
    model.json           class names, threshold, pre-processing, ...: how to use them
    clip_state_dict.pt   the whole CLIP with what was tuned of it, for clip.load and open_clip; an
                         open_clip model has open_clip_config.json and open_clip_model.safetensors
                         instead, for open_clip's local-dir:
    model.onnx           pixels -> class probabilities and score
    README.md            a card: data, recipe, metrics, licence
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from dassl.config import get_cfg_default
from safetensors.torch import save_file

from ueo.clip.backbones import name_in_tables
from ueo.clip.model import PromptedCLIP
from ueo.clip.towers import open_clip_files
from ueo.clip.towers.as_loaded import plain_state
from ueo.clip.towers.openai_layout import (
    OWN_TEXT,
    image_tower,
    not_merged,
    openai_layout,
    smallest,
)
from ueo.errors import ConfigError
from ueo.files import check_writable, saving, write_json
from ueo.inference import onnx_export
from ueo.inference.adapted_model import AdaptedModel
from ueo.inference.exported_model import CLASSES, FORMAT, OPEN_CLIP, WEIGHTS, is_export
from ueo.inference.model_card import card
from ueo.results.record import read_result
from ueo.runs.checkpoint import FACTS, chosen_threshold, with_threshold
from ueo.settings.config import flatten
from ueo.settings.known_keys import OWN
from ueo.temporaries import temporary_folder

OPENAI, ONNX, CARD = "clip_state_dict.pt", "model.onnx", "README.md"
OF_OPEN_CLIP = (open_clip_files.CONFIG, open_clip_files.WEIGHTS[0])
KEPT = ("TRAINER.", "INPUT.", "SEED", "MODEL.BACKBONE.NAME", "MODEL.TF32", "DATASET.NUM_SHOTS",
        "DATASET.UPRIGHT", "DATALOADER.TEST.BATCH_SIZE")  # keys that predicting needs
TURNED = "turned as the camera noted (EXIF)"
AS_STORED = "not turned, whatever the camera noted (EXIF)"
DATASET = "UFTFolder"  # a configuration needs one; an export reads no image


@dataclass(frozen=True)
class ExportSettings:
    """output: MODEL/export by default. onnx: None to write it if its packages are installed.
    threshold: a rule or a number; the run's by default."""

    model: str
    output: str = ""
    onnx: bool | None = None
    threshold: str = ""
    overwrite: bool = False
    plugin: tuple[str, ...] = ()


def export(settings: ExportSettings, say: Callable[[str], None] = print) -> Path:
    """Write the folder, whole or not at all, and return it. say: called with a line on each file.

    Raises CheckpointError if the run is not finished, ConfigError for an invalid option.
    """
    run = Path(settings.model)
    target = Path(settings.output or run / "export")
    _check_target(target, settings.overwrite)
    with_onnx = _with_onnx(settings.onnx, say)
    if is_export(run):
        raise ConfigError(f"--model {run}: is an export already; name the folder of the run")
    model = AdaptedModel(run, "cpu", settings.plugin)
    facts = exported_facts(model, settings.threshold)
    check_writable(target.parent, "--output")
    with temporary_folder(target.parent, f".{target.name}-") as folder:
        folder.chmod(0o755)  # its 0700 would keep colleagues on a cluster out
        _write_weights(model, folder, say)
        if with_onnx:
            _write_onnx(model, facts, folder, say)
        write_json(folder / FACTS, facts)
        files = [path.name for path in folder.iterdir()]
        text = card(read_result(run), facts, not_merged(model.network), files)
        (folder / CARD).write_text(text, encoding="utf-8")
        for path in folder.iterdir():
            path.chmod(0o644)
        _put(folder, target)
    say(f"{CARD}, {FACTS}: the card, and class names, threshold and pre-processing")
    return target


def exported_facts(model: AdaptedModel, threshold: str = "") -> dict:
    """Return model.json: that of the run, and what else predicting needs."""
    clip, config = model.network.model, portable(model)
    return {
        **with_threshold(model.facts, threshold),
        "format": FORMAT,
        "trainer": model.cfg.TRAINER.NAME,
        "backbone": config["MODEL.BACKBONE.NAME"],
        "logit_scale": clip.logit_scale,
        **built_from(clip),
        "preprocessing": preprocessing(model),
        "config": config,
    }


def built_from(clip: PromptedCLIP) -> dict:
    """Return the facts that an empty image tower is built from; each library has its own."""
    if clip.backbone.config:
        return {OPEN_CLIP: clip.backbone.config, "logit_bias": clip.logit_bias}
    return {"image_tower": image_tower(clip)}


def preprocessing(model: AdaptedModel) -> dict:
    """Describe what happens to an image before the image tower, in the order of the keys."""
    inputs = model.cfg.INPUT
    normalised, size = "normalize" in inputs.TRANSFORMS, list(inputs.SIZE)  # height, width
    shape = {
        "shortest": {"resize_shorter_side": max(size), "centre_crop": size},
        "squash": {"resize_both_sides": size},
        "longest": {"resize_within": size, "pad_with_black": size},
    }
    return {
        "colours": "RGB, 8 bits a channel",
        "orientation": TURNED if model.cfg.DATASET.UPRIGHT else AS_STORED,
        "interpolation": inputs.INTERPOLATION,
        **shape[inputs.RESIZE_MODE or "shortest"],
        "divide_by": 255,
        "mean": list(inputs.PIXEL_MEAN) if normalised else [0.0] * 3,
        "std": list(inputs.PIXEL_STD) if normalised else [1.0] * 3,
    }


def portable(model: AdaptedModel) -> dict:
    """Return the configuration that the network is built from, without any path. It includes keys
    that the `extend_cfg` of a plug-in may have added."""
    config, name = read_result(model.folder)["config"], model.cfg.TRAINER.NAME
    paths = {f"TRAINER.{name}.{option}" for option in model.network.input_files}
    added = set()
    if not type(model.network).__module__.startswith("ueo."):
        added = {*config} - {*flatten(get_cfg_default())} - {*flatten(OWN)}
    kept = {
        key: value for key, value in config.items()
        if (key.startswith(KEPT) or key in added and not key.startswith("DATASET."))
        and key not in paths and not os.path.isabs(str(value))
    }
    backbone = name_in_tables(config["MODEL.BACKBONE.NAME"])
    return {**kept, "MODEL.BACKBONE.NAME": backbone, "DATASET.NAME": DATASET}


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not overwrite:
        raise ConfigError(f"--output {target}: exists; name another folder, or pass --overwrite")
    if not is_export(target):
        raise ConfigError(
            f"--output {target}: is no export, so --overwrite does not replace it; name another"
        )


def _with_onnx(asked: bool | None, say: Callable[[str], None]) -> bool:
    missing = onnx_export.missing_packages()
    if missing and asked:
        raise ConfigError(f"--onnx: needs {', '.join(missing)}; {onnx_export.INSTALL}")
    if missing and asked is None:
        say(f"{ONNX}: left out, it needs {', '.join(missing)}; {onnx_export.INSTALL}")
    return not missing if asked is None else asked


def _write_weights(model: AdaptedModel, folder: Path, say: Callable[[str], None]) -> None:
    clip, classes = model.network.model, model.class_features
    state, whole = clip.state_dict(), _write_whole(model, folder)
    if classes is not None:
        state = {n: t for n, t in state.items() if not n.startswith(OWN_TEXT)}
        state[CLASSES] = classes
    _save(smallest(state), folder / WEIGHTS)
    if model.negatives is not None:
        model.negatives.write(folder)
    say(f"{WEIGHTS}: what predicting needs ({_size(folder / WEIGHTS)})")
    say(whole)


def _write_whole(model: AdaptedModel, folder: Path) -> str:
    """Write the whole CLIP in the format of the library it comes from, unless the trainer changed a
    tower. Returns what to say of it."""
    clip = model.network.model
    config, file = clip.backbone.config, OF_OPEN_CLIP[1] if clip.backbone.config else OPENAI
    if changed := clip.visual_as_loaded.changed() or clip.text_as_loaded.changed():
        return f"{file}: left out, {model.cfg.TRAINER.NAME} changed a tower in {changed}"
    if config:
        write_json(folder / OF_OPEN_CLIP[0], config)
        _save(smallest(plain_state(clip.backbone.model)), folder / file)
    else:
        with saving(folder / file):
            torch.save(smallest(openai_layout(plain_state(clip), clip.logit_scale)), folder / file)
    without = not_merged(model.network)
    readers = "open_clip (local-dir:)" if config else "clip.load and open_clip"
    return (f"{file}: the whole CLIP for {readers} ({_size(folder / file)})"
            + (f"; it has no place for {', '.join(without)}" if without else ""))


def _save(state: dict[str, torch.Tensor], file: Path) -> None:
    with saving(file):
        save_file(state, file, {"format": "pt"})


def _write_onnx(model: AdaptedModel, facts: dict, folder: Path, say: Callable[[str], None]) -> None:
    if model.class_features is None:
        say(f"{ONNX}: left out, it cannot hold the prompts that {facts['trainer']} makes for each "
            "image")
        return
    said = {key: facts[key] for key in ("class_names", "score", "preprocessing")}
    said["threshold"] = chosen_threshold(facts)
    try:
        differs = onnx_export.write_onnx(model, folder / ONNX, said)
    except onnx_export.NoGraphError:
        say(f"{ONNX}: left out, torch cannot write what {facts['trainer']} does as one graph")
        return
    say(f"{ONNX}: pixels to probabilities and score ({_size(folder / ONNX)}); onnxruntime's "
        f"differ from torch's by {differs:.0e} at most")


def _put(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`, whose content is lost."""
    with temporary_folder(target.parent, f".{target.name}-") as old:
        if target.exists():
            os.replace(target, old)
        os.replace(folder, target)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.1f} MB"
