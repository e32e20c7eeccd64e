"""Load the model of a finished run and predict images with it.

    model = ueo.load("output/folder/UEO/vit_b16/as_is/photos/seed1")
    for prediction in model.predict(["a.jpg", "b.jpg"]):
        print(prediction.image, prediction.name if prediction.known else "none of these")
"""

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from dassl.engine import TRAINER_REGISTRY
from PIL.Image import Image
from torch import Tensor, nn

from ueo.clip.backbones import load_clip, weights_hash
from ueo.clip.model import PromptedCLIP
from ueo.clip.negatives import names as negative_names
from ueo.clip.towers.interface import Backbone
from ueo.errors import CheckpointError, ConfigError, DataError
from ueo.images.decoding import read_image
from ueo.images.hashes import of_file
from ueo.images.shards.reading import Member
from ueo.images.transforms import Normaliser, evaluation_transform, image_steps
from ueo.images.unreadable import why_unreadable
from ueo.inputs import START, TRAINER_CODE, Inputs
from ueo.results.predictions import Prediction, predictions_of
from ueo.results.record import read_result
from ueo.runs.checkpoint import MODEL, chosen_threshold, load_tuned, of_new_images, read_facts
from ueo.runs.code_hash import code_hash
from ueo.runs.configure import RunSettings, build_cfg, options_of_record
from ueo.runs.start import chosen_device
from ueo.scores import AGAINST_NAMES, SCORES

# not an attribute: a model with a lock could not be copied or sent to another process
ONE_AT_A_TIME = threading.Lock()


class AdaptedModel:
    """The model of a finished run. classes: the K known names. threshold: the lowest score that
    counts as known, None: all do; can be set. class_features: (K, embedding), None if each image
    has its own. pixels: turns an image into the encoder's input, see `_pixels`."""

    knows_before = True  # whether it can also predict with the model before adaptation

    def __init__(self, folder: str | Path, device: str = "auto", plugin: tuple[str, ...] = ()):
        self.folder = Path(folder)
        self.facts = of_new_images(read_facts(folder))
        if not self.facts["independent"]:
            raise CheckpointError(
                f"{folder}: its BatchNorm uses the statistics of each batch, so the prediction of "
                "an image depends on the others"
            )
        self.cfg = self._configuration(device, plugin)
        self.device = torch.device(chosen_device(device))
        self.classes: list[str] = self.facts["class_names"]
        self.threshold = chosen_threshold(self.facts)
        self.negatives = (negative_names.read(folder)
                          if self.facts["score"] in AGAINST_NAMES else None)
        self.network, self.class_features = self._adapted()
        self.network.model.requires_grad_(False)
        self.network.model.keeps_folded = True
        self._before: tuple[PromptedCLIP, Tensor | None] | None = None
        view = image_steps(evaluation_transform(self.cfg))
        # not a method: it is sent to worker processes, and the model should not be
        self.pixels = partial(_pixels, view, bool(self.cfg.DATASET.UPRIGHT))
        self.normalise = Normaliser(self.cfg.INPUT, self.device)

    def _configuration(self, device: str, plugin: tuple[str, ...]):
        """Return the run's configuration, on `device`."""
        finished = read_result(self.folder)
        if finished is None:
            raise CheckpointError(
                f"{self.folder}: is not finished, it holds no result.json; start it again"
            )
        cfg = configuration(finished["config"], device, plugin, self.folder)
        _check_start(self.folder, finished["inputs"], cfg.MODEL.INIT_WEIGHTS)
        _warn_of_other_code(self.folder, finished["inputs"], cfg.TRAINER.NAME)
        return cfg

    def _adapted(self):
        """Return (the run's trainer, its class features (K, embedding) or None)."""
        _check_weights(self.folder, self.facts, self.cfg.MODEL.BACKBONE.NAME)
        trainer = network(self.cfg, self.facts, self.device)
        if self.facts["trained"]:
            load_tuned(trainer.saved_state(), self.folder / MODEL)
        return trainer, _class_features(trainer.model)

    @property
    def threshold(self) -> float | None:
        return self._threshold

    @threshold.setter
    def threshold(self, score: float | None) -> None:
        if score is not None and math.isnan(score):
            raise ConfigError("threshold: is nan, which no score reaches; None makes all known")
        self._threshold = score

    def predict(
        self, images: Iterable[str | Path] | str | Path, batch_size: int = 0, before: bool = True
    ) -> Iterator[Prediction]:
        """Yield a prediction for each image file, in their order, or for a single path. The batch
        size does not change results.

        before: also predict with the model before adaptation, which doubles the time. Raises
        DataError for a file that cannot be read, TypeError for what is not a path.
        """
        one = isinstance(images, str | os.PathLike)  # iterating over a string yields letters
        paths = iter([images] if one else images)
        size = batch_size or self.cfg.DATALOADER.TEST.BATCH_SIZE
        while batch := [os.fsdecode(path) for path in islice(paths, size)]:
            pixels = torch.stack([self._read(path) for path in batch])
            yield from self.predict_pixels(batch, pixels, before)

    def _read(self, path: str) -> Tensor:
        try:
            return self.pixels(path)
        except DataError as error:  # its advice is for a run
            raise DataError(
                f"{path}: {why_unreadable(path, error)}; leave it out, or use scripts/predict.sh, "
                "which reads folders and skips such files"
            ) from error

    def predict_pixels(
        self, names: list[str], pixels: Tensor, before: bool = True
    ) -> Iterator[Prediction]:
        """Yield predictions of a batch. names: of the images; pixels: (batch, height, width,
        3), uint8."""
        features, cosines = self._features_and_cosines(pixels)
        probabilities = (self.network.model.logit_scale * cosines).softmax(-1)
        scores = self.score(features, cosines).cpu().double().numpy()
        start = None
        if before and self.knows_before:
            start = self.cosines(pixels, before=True).argmax(-1).numpy()
        return predictions_of(
            names, probabilities.numpy(), scores, self.threshold, self.classes, start)

    @torch.no_grad()
    def score(self, features: Tensor, cosines: Tensor, padded: bool = True) -> Tensor:
        """(batch,): the run's OOD score, from features (batch, embedding) and cosines (batch, K).
        padded: see PromptedCLIP.padded."""
        name = self.facts["score"]
        if self.negatives is None:
            return SCORES[name](cosines)
        return self.negatives.score(name, self.network.model, features, cosines, padded)

    def cosines(self, pixels: Tensor, before: bool = False) -> Tensor:
        """Unscaled cosines (batch, K), fp32, on the CPU. pixels: (batch, height, width, 3), uint8;
        before: by the model before adaptation."""
        return self._features_and_cosines(pixels, before)[1]

    @torch.no_grad()
    def _features_and_cosines(
        self, pixels: Tensor, before: bool = False
    ) -> tuple[Tensor, Tensor]:
        """(features (batch, embedding), on the device; the result of `cosines`)."""
        model, classes = self._start() if before else (self.network.model, self.class_features)
        with _alone(model), model.evaluating():
            features = model.padded(model.image_features, self.normalise(pixels))
            cosines = model.padded(lambda rows: model.cosines(rows, classes), features)
            return features, cosines.float().cpu()

    def _start(self) -> tuple[PromptedCLIP, Tensor | None]:
        """Return (the model before adaptation, its class features); builds them lazily."""
        if not self.knows_before:
            raise CheckpointError(
                f"{self.folder}: an export does not hold the model before adaptation; use the run"
            )
        with ONE_AT_A_TIME:
            if self._before is None:
                start = network(self.cfg, self.facts, self.device)
                start.make_zero_shot()
                start.model.keeps_folded = True
                self._before = start.model, _class_features(start.model)
        return self._before


def _alone(model: PromptedCLIP) -> AbstractContextManager:
    """Return a lock against other threads if the model computes image features in its own way: it
    may swap its weights meanwhile, as Midway's does."""
    own = type(model).image_features is not PromptedCLIP.image_features
    return ONE_AT_A_TIME if own else nullcontext()


def _pixels(view: Callable[[Image], Image], upright: bool, image: str | Path | Member) -> Tensor:
    """An image as the encoder's input before normalisation: (height, width, 3), uint8."""
    name, data = image if isinstance(image, Member) else (image, None)
    return torch.from_numpy(np.array(view(read_image(name, upright, data=data))))


def configuration(flat: dict, device: str, plugin: tuple[str, ...], folder: Path):
    """Build the configuration with these keys, on `device`. folder: named in errors."""
    options = options_of_record(flat, plugin, str(folder))
    return build_cfg(RunSettings(device=device, plugin=plugin, options=options))


def _check_weights(folder: Path, facts: dict, backbone: str) -> None:
    now = weights_hash(backbone)
    if facts["weights"] and now != facts["weights"]:
        raise CheckpointError(
            f"{folder}: was adapted from the weights {facts['weights']} of {backbone}, "
            + ("which are not there" if now is None else f"and those here are {now}")
        )


def _check_start(folder: Path, inputs: Inputs, start: str) -> None:
    """Raise CheckpointError if the file that the run started from has changed or is gone."""
    if start and of_file(start, None) != inputs.get(START):
        raise CheckpointError(f"{folder}: started from {start}, which has changed or is not there")


def _warn_of_other_code(folder: Path, inputs: Inputs, trainer: str) -> None:
    now, then = code_hash(TRAINER_REGISTRY.get(trainer)), inputs.get(TRAINER_CODE)
    if now != then:
        print(f"{folder}: was adapted by other code of {trainer} ({then}, now {now}), so its "
              "predictions may differ; train it again to be sure")


def network(cfg, facts: dict, device: torch.device, load: Callable[..., Backbone] = load_clip):
    """Build the run's trainer with its network alone: it reads no image and cannot be trained.
    load: see CLIPTrainer.build_network."""
    kind = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
    trainer = kind.__new__(kind)
    trainer._models, trainer.cfg, trainer.device = OrderedDict(), cfg, device
    known = SimpleNamespace(
        classnames=facts["class_names"],
        template=facts["template"],
        **{name: range(length) for name, length in facts["images"].items()},
    )
    trainer.dm, trainer.num_classes = SimpleNamespace(dataset=known), len(known.classnames)
    trainer.check_cfg(cfg)
    trainer.build_network(load)
    return trainer


@torch.no_grad()
def _class_features(model: nn.Module) -> Tensor | None:
    return model.class_features()
