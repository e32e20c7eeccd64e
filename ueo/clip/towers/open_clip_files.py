"""Find configurations and weights of open_clip's models, and build the models.

Published files are kept in the cache of the Hugging Face hub, as open_clip does. What is cached is
used without access to the network.
"""

import json
from pathlib import Path

import torch
from torch import nn

from ueo.clip.published.files import read_state
from ueo.clip.published.layouts import layout_of
from ueo.clip.towers import openai_files
from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.open_clip import build, fill, wrap
from ueo.clip.towers.open_clip_names import (
    CONFIG,
    EMBEDDED,
    FOLDER,
    PREFIX,
    Name,
    check_model,
    library,
    parse,
    refusal,
    weights_of,
)
from ueo.clip.weights import usable
from ueo.errors import CheckpointError, ConfigError, first_lines
from ueo.files import asset
from ueo.settings.preprocessing import Preprocessing

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # the first that exists


def load(name: str, precision: str, weights: dict[str, torch.Tensor] | None = None) -> Backbone:
    """Load the backbone on the CPU. precision, weights: see ueo/clip/backbones.py."""
    config = config_of(name)
    encode = tokeniser(parse(name), config["model_cfg"]["text_cfg"])
    state = read_weights(fetch(name)) if weights is None else weights
    _warn_of_other_activation(parse(name), config["model_cfg"])
    model = _built(config, name, precision)
    try:
        fill(model, state)
    except (ValueError, RuntimeError, KeyError) as error:
        layout = layout_of(state)
        holds = f"holds {layout.what} and does" if layout else "does"
        raise CheckpointError(
            f"{weights_file(name)}: {holds} not fit {parse(name).model} ({first_lines(error)})"
        ) from error
    return wrap(model, encode, config)


def _built(config: dict, name: str, precision: str) -> nn.Module:
    try:
        return build(config, half=precision == "fp16")
    except Exception as error:  # an older open_clip or timm may not know a name or key
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: {name} cannot be built by the open_clip and timm that are "
            f"installed ({first_lines(error)})"
        ) from error


def config_of(name: str) -> dict:
    """Return a model's {"model_cfg": ..., "preprocess_cfg": ...}, in open_clip's format.

    Raises ConfigError for a model that cannot be used, CheckpointError if a download fails.
    """
    wanted, known = parse(name), library()
    check_model(wanted)
    if wanted.brings_weights:
        config = _read_config(_configuration(wanted))
    else:
        config = {"model_cfg": known.get_model_config(wanted.model),
                  "preprocess_cfg": known.get_pretrained_cfg(wanted.model, _set_of(wanted))}
    if why := refusal(config["model_cfg"]):
        raise ConfigError(f"MODEL.BACKBONE.NAME: {name} cannot be used: {why}")
    steps = known.transform.merge_preprocess_dict({}, config.get("preprocess_cfg") or {})
    size = config["model_cfg"]["vision_cfg"].get("image_size", 224)
    return {"model_cfg": config["model_cfg"], "preprocess_cfg": {**steps, "size": size}}


def _configuration(wanted: Name) -> Path:
    if wanted.model in EMBEDDED:
        return asset(f"{EMBEDDED[wanted.model]}.json")
    return wanted.folder / CONFIG if wanted.folder else _of_hub(wanted.repository, [CONFIG])


def preprocessing(name: str) -> Preprocessing:
    """Return the preprocessing of a model, without reading its weights."""
    return Preprocessing.of_open_clip(config_of(name)["preprocess_cfg"])


def _set_of(wanted: Name) -> str:
    """Return the set of weights whose preprocessing applies: for a file, the model's first set."""
    sets = weights_of(wanted.model)
    return wanted.weights if wanted.weights in sets else next(iter(sets), "")


def _read_config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config["model_cfg"]["vision_cfg"], config["model_cfg"]["text_cfg"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"{path}: is no configuration of open_clip's (model_cfg with vision_cfg and text_cfg): "
            f"{first_lines(error)}"
        ) from error
    return config


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in a file. Raises CheckpointError if it is no file of weights."""
    return usable(read_state(path), path)


def weights_file(name: str) -> Path:
    """Return where the weights are, or REPOSITORY/FILE if they are not downloaded."""
    wanted = parse(name)
    if wanted.model in EMBEDDED:
        return asset(f"{EMBEDDED[wanted.model]}.safetensors")
    if wanted.folder is not None:
        return _in_folder(wanted.folder)
    repository, files = _published(wanted)
    if not repository:
        return Path(wanted.weights).expanduser()
    return _cached(repository, files) or Path(repository, files[0])


def absent(name: str) -> str:
    """Return which file is missing and how to get it, in words; "" if none is."""
    repository, files = _published(parse(name))
    return "" if not repository or _cached(repository, files) else (
        f"{files[0]} of {repository} is not in the cache of the Hugging Face hub: the first run "
        "that needs it downloads it")


def fetch(name: str) -> Path:
    """Return the file of the weights, downloaded if missing. Raises CheckpointError on failure."""
    wanted = parse(name)
    repository, files = _published(wanted)
    if repository:
        return _of_hub(repository, files)
    path = weights_file(name)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights; put {WEIGHTS[0]} there")
    return path


def _published(wanted: Name) -> tuple[str, list[str]]:
    """Return (repository of the hub, files in it that may hold the weights); ("", []) if the
    weights are a local file."""
    if wanted.repository:
        return wanted.repository, list(WEIGHTS)
    if wanted.brings_weights or wanted.weights not in weights_of(wanted.model):
        return "", []
    place = library().get_pretrained_cfg(wanted.model, wanted.weights)["hf_hub"]
    repository, _, file = place.rpartition("/")
    return repository, [file] if file else list(WEIGHTS)


def _in_folder(folder: Path) -> Path:
    found = [folder / file for file in WEIGHTS if (folder / file).is_file()]
    return found[0] if found else folder / WEIGHTS[0]


def _cached(repository: str, files: list[str]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, file) for file in files)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _of_hub(repository: str, files: list[str]) -> Path:
    """Return the first of `files` that the repository has, from the cache or the network."""
    if (path := _cached(repository, files)) is not None:
        return path
    import huggingface_hub

    try:  # ask first: without a network, a download would retry for half a minute
        there = [file for file in files if huggingface_hub.file_exists(repository, file)]
        return Path(huggingface_hub.hf_hub_download(repository, (there or files)[0]))
    except Exception as error:  # network errors have no common base
        raise CheckpointError(
            f"{files[0]} of {repository} could not be fetched from the Hugging Face hub "
            f"({first_lines(error)}); fetch it by hand and name it as {PREFIX}MODEL/FILE, or put "
            f"it beside its {CONFIG} and name the folder as {PREFIX}{FOLDER}FOLDER"
        ) from error


def tokeniser(wanted: Name, text: dict):
    """Return the tokeniser of a model with this text_cfg. Raises ConfigError for a missing package,
    CheckpointError for a file of the hub that cannot be read."""
    if not text.get("hf_tokenizer_name"):
        return library().SimpleTokenizer(context_length=text.get("context_length", 77),
                                         **text.get("tokenizer_kwargs", {}))
    try:
        return library().get_tokenizer(wanted.model)
    except ImportError as error:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME: the tokeniser of {wanted.model} needs a package that is not "
            f"installed ({first_lines(error)}); pip install transformers sentencepiece"
        ) from error
    except Exception as error:  # errors of transformers, for network or file
        raise CheckpointError(
            f"the tokeniser of {wanted.model} could not be read ({first_lines(error)[:200]}); with "
            "a network it is fetched once, into the hub's cache (HF_HOME)"
        ) from error


def _warn_of_other_activation(wanted: Name, config: dict) -> None:
    """Print a warning if weights were trained with another activation than the model has. Known for
    published sets, and for files with the name of one of OpenAI's."""
    if wanted.weights in weights_of(wanted.model):
        published = library().get_pretrained_cfg(wanted.model, wanted.weights)
        trained = published.get("quick_gelu", False)
    elif Path(wanted.weights).name in openai_files.file_names():
        trained = True
    else:
        return
    if trained != config.get("quick_gelu", False):
        kinds = ("QuickGELU", "GELU") if trained else ("GELU", "QuickGELU")
        other = (f"{wanted.model}-quickgelu" if trained
                 else wanted.model.removesuffix("-quickgelu"))
        print(f"{wanted.model}/{wanted.weights}: these weights were trained with {kinds[0]}, and "
              f"this model computes with {kinds[1]}; their model is {other}")
