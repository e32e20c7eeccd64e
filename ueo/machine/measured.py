"""The timed work: a training step of UEO and an evaluation, with random weights and images."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from dassl.data.transforms import build_transform
from PIL import Image

from ueo.clip.architectures import ARCHITECTURES, random_clip
from ueo.clip.backbones import load_clip
from ueo.clip.captured import CapturedStep
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.interface import Backbone
from ueo.clip.tuning import select
from ueo.images.device.budget import Budget
from ueo.images.items import Images
from ueo.images.loaders import EvaluationLoader, TrainingLoader
from ueo.images.pixel_cache import open_store
from ueo.images.transforms import evaluation_transform
from ueo.losses import universal_entropy
from ueo.runs.start import keep_freed_memory

WORDS = ("alarm clock", "backpack", "battery", "bed", "bike", "bottle", "bucket", "calculator",
         "calendar", "candles", "chair", "clipboards", "computer", "couch", "curtains", "desk lamp",
         "drill", "eraser", "exit sign", "fan")


def names(count: int) -> list[str]:
    """Return class names of one to four tokens."""
    pairs = [f"{a} {b}" for a in WORDS for b in WORDS]
    return [*WORDS, *pairs, *(f"{p} {w}" for p in pairs for w in WORDS)][:count]


def pictures(folder: Path, count: int, size: int) -> list[str]:
    """Return paths of size x size JPEGs with structure at all scales (quality 88), made once."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{size}-{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            spectrum = np.fft.rfftn(np.random.default_rng(number).normal(size=(size, size, 3)),
                                    axes=(0, 1))
            y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
            spectrum /= np.maximum(np.hypot(y, x), 1 / size)[..., None]
            image = np.fft.irfftn(spectrum, (size, size), axes=(0, 1))
            image = 128 + 50 * (image - image.mean()) / image.std()
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path, quality=88)
    return [str(path) for path in paths]


def made_up(name: str, device: torch.device) -> Backbone:
    """Return OpenAI's architecture with random weights, or another backbone with its own weights;
    in half precision on a GPU."""
    precision = "fp16" if device.type == "cuda" else "fp32"
    weights = random_clip(name).state_dict() if name in ARCHITECTURES else None
    return load_clip(name, precision, device, weights)


class TimedModel:
    """A prompted CLIP with its optimiser, trained in the plain or the fast way, to be timed.

    graphs: whether forward and backward are one CUDA graph, as in a fast run.
    """

    def __init__(self, backbone: str, count: int, fast: bool, device: torch.device):
        """count: number of class names."""
        if device.type == "cpu":
            keep_freed_memory()  # as a run does
        towers = made_up(backbone, device)
        prompt = PromptLearner(names(count), towers, whole=not fast)
        self.model = PromptedCLIP(towers, prompt, fast=fast).to(device)
        groups = select(self.model, "both")
        parameters = [p.requires_grad_() for group in groups.values() for p in group.values()]
        self.optim = torch.optim.SGD(parameters, lr=1e-4)
        self.graphs = fast and device.type == "cuda"
        self._captured = {
            loss: CapturedStep(partial(self._gradients, loss), parameters, type(self).__name__)
            for loss in (self._text, self._images, self._universal_entropy)
        }

    def text(self, images: torch.Tensor) -> None:
        """Compute class features and the gradient of the context."""
        self._launch(self._text, {})

    def step(self, images: torch.Tensor) -> None:
        """Take one step of UEO."""
        self._launch(self._universal_entropy, {"img": images})
        self.optim.step()

    def images(self, images: torch.Tensor) -> None:
        """Take a step without its text side: image features and gradients of tuned weights."""
        self._launch(self._images, {"img": images})
        self.optim.step()

    def _launch(self, loss: Callable[[dict], torch.Tensor], batch: dict) -> None:
        if self.graphs:
            self._captured[loss](batch)
        else:
            self._gradients(loss, batch)

    def _gradients(self, loss: Callable[[dict], torch.Tensor], batch: dict) -> dict:
        self.optim.zero_grad()
        found = loss(batch)
        found.backward()
        return {"loss": found.detach()}

    def _text(self, batch: dict) -> torch.Tensor:
        return self.model.class_features().float().sum()

    def _images(self, batch: dict) -> torch.Tensor:
        return self.model.image_features(batch["img"]).float().sum()

    def _universal_entropy(self, batch: dict) -> torch.Tensor:
        prob = (self.model.logit_scale * self.model(batch["img"]).float()).softmax(-1)
        return sum(universal_entropy(prob, prob.detach().amax(-1)))

    def evaluation(self, images: torch.Tensor) -> None:
        """Compute image features as in an evaluation; folding is not timed."""
        self.model.image_features(images)


def batches(cfg, paths: list[str], device: torch.device, store: Path, training: bool,
            identical: bool = False) -> Iterator[torch.Tensor]:
    """Return endless batches on the device, as a run makes them once all images are decoded.

    store: folder of the decoded images. identical: give the same pixels as the released loader.
    """
    items = [SimpleNamespace(impath=path, label=0, domain=0) for path in paths]
    kept = open_store(store, "benchmark", len(paths), None)
    budget = Budget(device, None, cfg.DATALOADER.NUM_WORKERS)
    if training:
        images = Images(items, build_transform(cfg), hide=True, store=kept, plain=identical)
        loader = TrainingLoader(images, cfg, device, budget)
    else:
        images = Images(items, evaluation_transform(cfg), store=kept, keep_views=True)
        loader = EvaluationLoader(images, cfg, device, budget)
    for index in range(len(images)):
        images[index]
    return without_end(loader, device)


def without_end(loader, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield the images of epoch after epoch, on the device."""
    for _ in itertools.count():
        for batch in loader:
            yield batch["img"].to(device)
