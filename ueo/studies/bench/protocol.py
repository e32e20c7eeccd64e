"""The protocol of docs/bench.md: domains, tuned options, and which method runs on which model."""

from dataclasses import replace

from dassl.engine import TRAINER_REGISTRY
from safetensors import SafetensorError, safe_open

from ueo.clip.backbones import weights_file
from ueo.errors import CheckpointError, ConfigError
from ueo.grids.choices import ALL, reported_domains, trainer_names
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings
from ueo.grids.plan import plan
from ueo.studies.tuning import RATE, on_tuning_domain

DATASET = "emoji_shift"
SHIPPED = {"resnet": "TinyCLIP", "vit": "TinyViT"}  # other models use their choices
SHIFTED, CLEAN = "shifted", "clean"  # groups of domains
RATES = {"sgd": ("1e-3", "3e-3", "1e-2", "3e-2", "1e-1"),
         "adamw": ("1e-5", "3e-5", "1e-4", "3e-4", "1e-3")}
OTHER_KEYS = {"TipAdapter": ("TRAINER.TipAdapter.ALPHA", ("0.1", "0.3", "1", "3", "10"))}
TUNING_SEED = 1
SEVERAL_SEEDS = (1, 2, 3)
DEMONSTRATION = ("InfoMax", "EntMin", "UEO")  # run by scripts/ueo/main.sh
EVERYWHERE = (*DEMONSTRATION, "UniEntPlus", "MARS", "Midway", "TransCLIP", "StatA", "ZLaP")


def domains() -> dict[str, tuple[str, ...]]:
    """Return the reported domains of each group, without the tuning domain."""
    shifted = reported_domains(DATASET)
    return {SHIFTED: shifted, CLEAN: tuple(domain.split("+")[0] for domain in shifted)}


def architecture(model: str) -> str:
    """Return the architecture of a tiny CLIP, from the metadata of its file. Raise ConfigError for
    any other model."""
    for name, shipped in SHIPPED.items():
        if model == shipped:
            return name
    try:
        with safe_open(weights_file(model), "pt") as file:
            found = (file.metadata() or {}).get("architecture")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{model}: no safetensors file ({error})") from error
    if found not in SHIPPED:
        raise ConfigError(
            f"{model}: is none of the bench's models; use {', '.join(SHIPPED.values())} or a file "
            "that assets/build/pretrain.py wrote"
        )
    return found


def methods(settings: GridSettings, model: str) -> list[str]:
    """Return the methods that run on a model besides zero-shot CLIP: those named, or for `all`
    every method on a shipped model and EVERYWHERE on another."""
    names = [name for name in trainer_names(settings) if name != ZERO_SHOT]
    if ALL not in settings.trainers or model in SHIPPED.values():
        return names
    return [name for name in names if name in EVERYWHERE]


def seeds(method: str, model: str) -> tuple[int, ...]:
    """Return the seeds of the reported runs."""
    several = method in DEMONSTRATION and model in SHIPPED.values()
    return SEVERAL_SEEDS if several else SEVERAL_SEEDS[:1]


def to_tune(settings: GridSettings, method: str, model: str) -> tuple[str, tuple[str, ...]]:
    """Return the option to choose for a method, and its values: the learning rate; for a method
    without an optimiser another option, or ("", ()) if there is none."""
    if not TRAINER_REGISTRY.get(method).training_free:
        (run, *_) = plan(replace(tuning_settings(settings, model), trainers=(method,)), DATASET)
        return RATE, RATES[run.config["OPTIM.NAME"]]
    return OTHER_KEYS.get(method, ("", ()))


def tuning_settings(settings: GridSettings, model: str) -> GridSettings:
    """Return the settings of the tuning runs: the tuning domain and one seed."""
    settings = replace(settings, domain=(), seed=(TUNING_SEED,), backbone=model)
    return on_tuning_domain(settings, DATASET)
