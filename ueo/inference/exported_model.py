"""An exported model (export.py): predicts without the run and its backbone's weights."""

from functools import partial
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from modern_dassl.finite import first_not_finite
from ueo.clip.backbones import load_clip
from ueo.clip.towers import open_clip_exports
from ueo.clip.towers.openai_layout import (
    OWN_TEXT,
    openai_layout,
    with_a_text_tower,
    with_an_image_tower,
)
from ueo.errors import CheckpointError, DataError, first_line
from ueo.files import read_json
from ueo.inference.adapted_model import AdaptedModel, configuration, network
from ueo.runs.checkpoint import FACTS

FORMAT = 1  # of the folder; +1 for a change that an older ueo.load would misread
WEIGHTS = "model.safetensors"
OPEN_CLIP = "open_clip"  # the fact with the configuration that open_clip builds a model from
CLASSES = "class_features"  # (K, embedding), beside the names of PromptedCLIP's state dict
AGAIN = "export the run again"


def is_export(folder: str | Path) -> bool:
    """Whether `folder` is an export, not a run."""
    try:
        return "format" in read_json(Path(folder, FACTS), dict, AGAIN)
    except (FileNotFoundError, DataError):
        return False


class ExportedModel(AdaptedModel):
    """An AdaptedModel without the weights before adaptation: its predictions have no `before`."""

    knows_before = False

    def _configuration(self, device: str, plugin: tuple[str, ...]):
        if self.facts["format"] != FORMAT:
            raise CheckpointError(
                f"{self.folder / FACTS}: is of format {self.facts['format']}, and this version of "
                f"ueo reads format {FORMAT}; {AGAIN}, or update ueo"
            )
        config = self.facts.get("config")
        if not isinstance(config, dict):
            raise CheckpointError(f"{self.folder / FACTS}: holds no configuration; {AGAIN}")
        return configuration(config, device, plugin, self.folder)

    def _adapted(self):
        path = self.folder / WEIGHTS
        try:
            state = load_file(path)
        except Exception as error:  # a damaged file may raise anything
            why = first_line(error)
            raise CheckpointError(f"{path}: cannot be read ({why}); {AGAIN}") from error
        if name := first_not_finite(state):
            raise CheckpointError(f"{path}: {name} holds NaN or infinity; {AGAIN}")
        classes = state.pop(CLASSES, None)
        try:
            trainer = self._filled(state, classes is not None)
            if classes is not None and classes.shape[-2] != len(self.classes):
                raise ValueError(f"{CLASSES} of {classes.shape[-2]}, not {len(self.classes)} names")
        except Exception as error:  # what damaged facts lead to may raise anything
            raise CheckpointError(
                f"{path}: does not fit its {FACTS} ({type(error).__name__}: {first_line(error)}); "
                f"{AGAIN}"
            ) from error
        return trainer, classes if classes is None else classes.to(self.device, trainer.model.dtype)

    def _filled(self, state: dict[str, Tensor], without_text: bool):
        """Return the run's trainer with these weights. Raises RuntimeError if one is missing or
        unexpected, and other errors for damaged facts."""
        if OPEN_CLIP in self.facts:
            load = partial(open_clip_exports.unfilled, self.facts[OPEN_CLIP],
                           self.facts["logit_scale"], self.facts["logit_bias"],
                           state.get("token_embedding.weight"))
        else:
            tower = self.facts["image_tower"]
            weights = openai_layout(state, self.facts["logit_scale"])
            weights = with_an_image_tower(weights, tower)
            embedding = tower["arguments"]["output_dim"]
            load = partial(load_clip, weights=with_a_text_tower(weights, embedding))
        trainer = network(self.cfg, self.facts, self.device, load)
        missing, unexpected = trainer.model.load_state_dict(state, strict=False)
        absent = [n for n in missing if not (without_text and n.startswith(OWN_TEXT))]
        if wrong := [*absent, *unexpected]:
            raise RuntimeError(f"{wrong[0]} is missing or unexpected")
        return trainer
