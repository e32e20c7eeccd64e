"""Names of open_clip's models, and which of the models can be used here.

    open_clip:ViT-B-16/laion2b_s34b_b88k        a model and a published set of weights
    open_clip:ViT-B-16/weights/b16.safetensors  a model and the path of a file of weights for it
    open_clip:hf-hub:laion/CLIP-ViT-B-16-...    a repository of the Hugging Face hub
    open_clip:local-dir:models/mine             a folder with open_clip_config.json and weights
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ueo.errors import ConfigError
from ueo.names import did_you_mean
from ueo.settings.options import quoted

PREFIX, HUB, FOLDER = "open_clip:", "hf-hub:", "local-dir:"
CONFIG = "open_clip_config.json"
# name -> stem of its configuration (.json) and weights (.safetensors) in assets/
EMBEDDED = {"TinyViT": "tiny_vit"}
HOW_TO_NAME = (f"{PREFIX}MODEL/SET, {PREFIX}MODEL/PATH of a file, {PREFIX}{FOLDER}FOLDER or "
               f"{PREFIX}{HUB}OWNER/NAME")
INSTALL = "pip install 'ueo-toolbox[open_clip]'"


@dataclass(frozen=True)
class Name:
    """model: open_clip's name, or a place with the prefix HUB or FOLDER. weights: name of a set, or
    path of a file; "" if the place holds them."""

    model: str
    weights: str

    @property
    def repository(self) -> str:
        """OWNER/NAME on the hub; "" for a model that is elsewhere."""
        return self.model.removeprefix(HUB) if self.model.startswith(HUB) else ""

    @property
    def folder(self) -> Path | None:
        if not self.model.startswith(FOLDER):
            return None
        return Path(os.path.abspath(Path(self.model.removeprefix(FOLDER)).expanduser()))

    @property
    def brings_weights(self) -> bool:
        """Whether the model's place also holds its weights."""
        return bool(self.repository) or self.folder is not None or self.model in EMBEDDED


def is_named(name: str) -> bool:
    """Whether a backbone's name is one of open_clip's."""
    return name.startswith(PREFIX) or name in EMBEDDED


def parse(name: str) -> Name:
    """Split a backbone's name, one for which `is_named` holds."""
    if name in EMBEDDED:
        return Name(name, "")
    rest = name.removeprefix(PREFIX)
    if rest.startswith((HUB, FOLDER)):
        return Name(rest, "")
    model, _, weights = rest.partition("/")
    return Name(model, weights)


def library():
    """Import open_clip. Raises ConfigError, with the command to install it, if it is missing."""
    try:
        import open_clip
    except ImportError as error:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: this backbone needs the package open_clip; {INSTALL}"
        ) from error
    return open_clip


def refusal(config: dict) -> str:
    """Return why a model of this configuration cannot be used here; "" if it can."""
    text = config["text_cfg"]
    if "hf_model_name" in text:
        return (f"its text tower is {text['hf_model_name']} of Hugging Face's transformers, which "
                "takes no learnt prompt")
    if "multimodal_cfg" in config or text.get("embed_cls"):
        return "it is a CoCa, whose text tower appends a token of its own to a prompt"
    return ""


def models() -> list[str]:
    """Return the names of open_clip's own models that can be used here."""
    known = library()
    return [name for name in known.list_models() if not refusal(known.get_model_config(name))]


def weights_of(model: str) -> list[str]:
    """Return the sets of weights that open_clip knows for one of its models."""
    return library().list_pretrained_tags_by_model(model)


def is_published(name: str) -> bool:
    """Whether a backbone is one of open_clip's with published weights."""
    if not is_named(name):
        return False
    wanted = parse(name)
    return bool(wanted.repository) or wanted.weights in weights_of(wanted.model)


def check(name: str) -> None:
    """Raise ConfigError unless a model and its weights have this name, as far as that can be
    checked without a network."""
    wanted = parse(name)
    check_model(wanted)
    if not wanted.brings_weights:
        _check_weights(name, wanted)


def check_model(wanted: Name) -> None:
    """Check as `check` does, but not the weights."""
    if not wanted.model.removeprefix(HUB).removeprefix(FOLDER).strip():
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: {PREFIX}{wanted.model} names no model; {HOW_TO_NAME}"
        )
    library()
    if wanted.folder is not None:
        _check_folder(wanted.folder)
    elif wanted.repository:
        _check_repository(wanted.repository)
    elif not wanted.brings_weights:
        _check_known(wanted)


def _check_repository(repository: str) -> None:
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except ValueError as error:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: {quoted(repository)} names no repository of the Hugging Face "
            f"hub; {HOW_TO_NAME}"
        ) from error


def _check_folder(folder: Path) -> None:
    if not (folder / CONFIG).is_file():
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: {folder} holds no {CONFIG}; name a folder that "
            "open_clip has written, or one with this file and the weights"
        )


def _check_known(wanted: Name) -> None:
    config = library().get_model_config(wanted.model)
    if config is None:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: open_clip has no model {quoted(wanted.model)}"
            f"{did_you_mean(wanted.model[:80], models())}; --list-backbones lists them"
        )
    if why := refusal(config):
        raise ConfigError(f"MODEL.BACKBONE.NAME: {wanted.model} cannot be used: {why}")


def _check_weights(name: str, wanted: Name) -> None:
    sets = weights_of(wanted.model)
    if wanted.weights in sets or Path(wanted.weights).expanduser().is_file():
        return
    known = f"known for {wanted.model}: {', '.join(sets) or 'none'}"
    if not wanted.weights:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: {quoted(name)} names no weights; add /SET or /PATH of a file; "
            f"{known}"
        )
    raise ConfigError(
        f"MODEL.BACKBONE.NAME: {quoted(wanted.weights)} is neither a set of weights nor a file"
        f"{did_you_mean(wanted.weights[:80], sets)}; {known}"
    )


def without_path(name: str) -> str:
    """Return the name as tables show it, with only the last part of a path."""
    wanted = parse(name)
    if wanted.folder is not None:
        return f"{PREFIX}{FOLDER}{wanted.folder.name}"
    if not wanted.weights:
        return name
    return f"{PREFIX}{wanted.model}/{Path(wanted.weights).name}"


def stem(name: str) -> str:
    """Return the name in a form for paths: "open_clip_vit_b_16_laion2b_s34b_b88k"."""
    if name in EMBEDDED:
        return EMBEDDED[name]
    wanted = parse(name)
    parts = [wanted.model, Path(wanted.weights).stem if wanted.weights else ""]
    if wanted.folder is not None:
        parts = [wanted.folder.name]
    joined = "_".join(["open_clip", *filter(None, parts)]).lower()
    return re.sub(r"[^\w.]+", "_", joined).strip("_")
