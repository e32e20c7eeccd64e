"""Load the model that a run has adapted, and predict images with it.

    model = ueo.load("output/photos/UEO/vit_b16/as_is/photos/seed1")
    for prediction in model.predict(["a.jpg", "b.jpg"]):
        print(prediction.image, prediction.name if prediction.known else "none of these")
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from dassl.data.transforms import build_transform
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.clip.backbones import weights_hash
from ueo.errors import CheckpointError
from ueo.images.decoding import read_image
from ueo.images.transforms import Normaliser, on_images, plain_way
from ueo.results.predictions import Prediction, predictions_of
from ueo.results.record import read_result
from ueo.runs.checkpoint import MODEL, load_tuned, read_facts
from ueo.runs.configure import RunSettings, build_cfg
from ueo.runs.start import chosen_device
from ueo.scores import SCORES


class AdaptedModel:
    """What a run ended with. `classes`: the K known names; `threshold`: the least score of a known
    image, None where all are; set it to move the verdict."""

    def __init__(self, folder: str | Path, device: str = "auto", plugin: tuple[str, ...] = ()):
        self.folder = Path(folder)
        self.facts = read_facts(folder)
        if not self.facts["independent"]:
            raise CheckpointError(
                f"{folder}: its BatchNorm takes each batch's own statistics, so an image has no "
                "prediction of its own"
            )
        self.cfg = _configuration(self.folder, device, plugin)
        self.device = torch.device(chosen_device(device))
        _check_weights(self.folder, self.facts, self.cfg.MODEL.BACKBONE.NAME)
        self.classes: list[str] = self.facts["class_names"]
        self.threshold: float | None = self.facts["thresholds"][self.facts["rule"]]
        self.score = SCORES[self.facts["score"]]
        self.network = _network(self.cfg, self.facts, self.device)
        self._load_tuned()
        self.network.model.requires_grad_(False)
        self._class_features = _class_features(self.network.model)
        self._before: nn.Module | None = None
        transform = build_transform(self.cfg, is_train=False)
        self._view = plain_way(on_images(transform))
        self._normalise = Normaliser(self.cfg.INPUT, self.device)

    def _load_tuned(self) -> None:
        if self.facts["trained"]:
            load_tuned(self.network.saved_state(), self.folder / MODEL)

    def predict(
        self, images: Iterable[str | Path], batch_size: int = 0, before: bool = True
    ) -> Iterator[Prediction]:
        """A prediction for each image file, in their order. The batch size changes no result.

        before: also say what the model predicted before it was adapted, which takes twice the
        time. Raises DataError for a file that cannot be read.
        """
        paths, size = iter(images), batch_size or self.cfg.DATALOADER.TEST.BATCH_SIZE
        while batch := [str(path) for path in islice(paths, size)]:
            pixels = torch.stack([self.pixels(path) for path in batch])
            yield from self.predict_pixels(batch, pixels, before)

    def pixels(self, path: str | Path) -> Tensor:
        """An image as the encoder's input before normalisation: (height, width, 3), uint8."""
        return self._view(np.asarray(read_image(path)))

    def predict_pixels(
        self, names: list[str], pixels: Tensor, before: bool = True
    ) -> Iterator[Prediction]:
        """Predictions of a batch. names: what each image is called; pixels: (batch, height, width,
        3), uint8."""
        cosines = self.cosines(pixels)
        probabilities = (self.network.model.logit_scale * cosines).softmax(-1)
        return predictions_of(
            names, probabilities.numpy(), self.score(cosines).double().numpy(), self.threshold,
            self.classes, self.cosines(pixels, before=True).argmax(-1).numpy() if before else None,
        )

    @torch.no_grad()
    def cosines(self, pixels: Tensor, before: bool = False) -> Tensor:
        """(batch, K), unscaled, fp32, on the CPU, of pixels (batch, height, width, 3), uint8.
        before: of the model before it was adapted."""
        model, classes = self.network.model, self._class_features
        if before:
            if self._before is None:
                self._before = _network(self.cfg, self.facts, self.device).model
                self._before_classes = _class_features(self._before)
            model, classes = self._before, self._before_classes
        with model.evaluating():
            features = model.steadily(model.image_features, self._normalise(pixels))
            return model.steadily(lambda rows: model.cosines(rows, classes), features).float().cpu()


def load(folder: str | Path, device: str = "auto", plugin: tuple[str, ...] = ()) -> AdaptedModel:
    """The model of the finished run in `folder`. device: "auto", "cpu" or "cuda"; plugin: Python
    files that its trainer needs. Raises CheckpointError or DataError for a folder without one."""
    return AdaptedModel(folder, device, plugin)


def _configuration(folder: Path, device: str, plugin: tuple[str, ...]):
    """The run's own, on `device`."""
    finished = read_result(folder)
    if finished is None:
        raise CheckpointError(f"{folder}: is not finished (result.json); start its run again")
    options = [part for key, value in finished["config"].items() for part in (key, str(value))]
    return build_cfg(RunSettings(device=device, plugin=plugin, options=tuple(options)))


def _check_weights(folder: Path, facts: dict, backbone: str) -> None:
    now = weights_hash(backbone)
    if facts["weights"] and now != facts["weights"]:
        raise CheckpointError(
            f"{folder}: was adapted from the weights {facts['weights']} of {backbone}, "
            + ("which are not there" if now is None else f"and those here are {now}")
        )


def _network(cfg, facts: dict, device: torch.device):
    """The run's trainer with its network alone: no image is read, and nothing can be trained."""
    kind = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
    trainer = kind.__new__(kind)
    trainer._models, trainer.cfg, trainer.device = OrderedDict(), cfg, device
    known = SimpleNamespace(
        classnames=facts["class_names"],
        template=facts["template"],
        **{name: range(length) for name, length in facts["images"].items()},
    )
    trainer.dm = SimpleNamespace(dataset=known)
    trainer.check_cfg(cfg)
    trainer.build_network()
    return trainer


@torch.no_grad()
def _class_features(model: nn.Module) -> Tensor | None:
    return model.class_features()
