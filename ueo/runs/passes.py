"""Passes over images: what the model gives of every image of a loader; and scores that need more
than cosines."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from modern_dassl import distributed
from ueo.clip.negatives.names import NamesOfRun, NegativeNames
from ueo.clip.prompts import TEMPLATE, PromptEnsemble, PromptLearner, build_prompt
from ueo.errors import ConfigError
from ueo.images.loaders import EvaluationLoader
from ueo.inputs import TF32
from ueo.scores import AGAINST_NAMES, SCORES, TANL
from ueo.settings.config import setting_of
from ueo.settings.options import declared


def progress(batches: Iterable, title: str) -> Iterable:
    """`batches` with a bar on a terminal, of the main process alone."""
    hidden = None if distributed.is_main() else True  # None: unless it is a terminal
    return tqdm(batches, desc=title, leave=False, disable=hidden)


class Passes:
    """Passes of the model of `trainer` (a CLIPTrainer) as it is, without gradients."""

    def __init__(self, trainer):
        self.trainer = trainer

    @torch.no_grad()
    def unlabelled_cosines(self) -> Tensor:
        """(images, K) of the unlabelled set by the model as it is, test transform."""
        features = self.image_features(self.trainer.unlabelled_loader, "unlabelled")
        return self.cosines(features, self.trainer.model.class_features())

    def cosines(self, features: Tensor, classes: Tensor | None, alone: bool = False) -> Tensor:
        """(images, K), fp32, on the CPU, of the features (images, embedding); all of them at once
        where the adapter does so (ueo/transduction/adapters.py), unless each is to be alone."""
        model, size = self.trainer.model, self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
        if hasattr(model.adapter, "jointly") and not alone:
            return model.adapter.jointly(features.to(self.trainer.device), classes).cpu()
        parts = features.to(model.dtype).split(size)
        return torch.cat([
            model.steadily(lambda rows: model.cosines(rows, classes), part.to(self.trainer.device))
            .float().cpu() for part in parts
        ])

    @torch.no_grad()
    def scores_alone(self, features: Tensor, names: NegativeNames | None) -> np.ndarray:
        """(images,), the OOD scores of images by themselves, as of new ones. features: (images,
        embedding); names: those of a score against names."""
        model, score = self.trainer.model, self.trainer.options.SCORE
        cosines = self.cosines(features, model.class_features(), alone=True)
        if score in AGAINST_NAMES:
            size = self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
            return names.scores(score, model, features, cosines, size).numpy()
        return SCORES[score](cosines).double().numpy()

    def image_features(self, loader: DataLoader, name: str, shared: bool = False) -> Tensor:
        """Unit vectors (images, embedding) of an evaluation loader's images, fp32, on the CPU.

        shared: take those of an earlier run with the same images and the same image encoder.
        """
        model, images = self.trainer.model, loader.dataset
        # the encoder's hash does not tell of a hook
        alike = model.independent and not model.visual_as_loaded.changed()
        if not shared or images.store is None or not alike or distributed.launched():
            return self.rows(loader, model.image_features, name)
        key = f"{model.encoder_hash()} {images.content_hash()} {loader.batch_size}"
        kept = self.kept(key, lambda: self.rows(loader, model.image_features, name).numpy())
        return torch.from_numpy(kept)

    def kept(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array kept under `key` by an earlier run that computes as this one does; that of
        `make` where there is none, or nothing is kept."""
        store, trainer = self.trainer.test_loader.dataset.store, self.trainer
        if store is None or distributed.launched():
            return make()
        return store.array(" ".join((
            key, torch.__version__, str(trainer.device), trainer.precision,
            str(torch.get_num_threads()), str(trainer.inputs.get(TF32)),
        )), make)

    def rows(self, loader: DataLoader, function: Callable[[Tensor], Tensor], name: str) -> Tensor:
        """`function` of all images of an evaluation loader, one row each: (images, ...), fp32, on
        the CPU. Under torchrun every process computes a part and gets them all.

        Where a result depends on what is beside an image in its batch, batches are drawn at random:
        most lists stand class after class, and their batches would tell of labels.
        """
        model, place = self.trainer.model, slice(None)
        if not model.independent:
            images, generator = loader.dataset, torch.Generator().manual_seed(0)
            order = torch.randperm(len(images), generator=generator)
            drawn = images.only([images.chosen[i] for i in order.tolist()])
            loader = EvaluationLoader(drawn, self.trainer.cfg, self.trainer.device)
            place = order.argsort()
        with model.evaluating():
            parts = [
                model.steadily(function, batch["img"].to(self.trainer.device)).float().cpu()
                for batch in progress(loader, f"evaluate {name}")
            ]
        return distributed.gather(torch.cat(parts))[place]


def zero_shot_prompt(trainer, names: list[str]) -> PromptLearner:
    """The prompts of names in the template of the data set of `trainer`, or in CLIP's."""
    template = getattr(trainer.dm.dataset, "template", TEMPLATE)
    backbone, whole = trainer.model.backbone, not trainer.options.FAST
    return PromptLearner(names, backbone, template, whole=whole).requires_grad_(False)


class AgainstNames:
    """Scores of the images of `trainer`, a CLIPTrainer that has learnt nothing yet, against names
    that no class has; `asked`: which of them, by its SCORE and by what it keeps."""

    def __init__(self, trainer, passes: Passes):
        self.trainer, self.names, score = trainer, None, trainer.options.SCORE
        keeps = all(setting_of(trainer.cfg, k, "TEST") for k in ("KEEP_OUTPUTS", "KEEP_NEGATIVES"))
        self.reported = score in AGAINST_NAMES
        choices = declared(type(trainer))["SCORE"].choices
        if keeps and choices and not {*AGAINST_NAMES} & {*choices}:
            raise ConfigError(f"TEST.KEEP_NEGATIVES: {type(trainer).__name__} has no score against "
                              "names; leave it False")
        self.asked = AGAINST_NAMES if keeps else (score,) * self.reported
        if self.asked:
            # no class feature: each image has prompts of its own
            bound = trainer.bound_to_classes or trainer.options.CSC or (
                trainer.model.class_features() is None)
            self._of_run = NamesOfRun(trainer.model, list(trainer.dm.dataset.classnames),
                                      self._prompts, bound, passes.kept)

    def _prompts(self, names: list[str]) -> PromptLearner | PromptEnsemble:
        """Prompts of names with the contexts of the model as it is, or, where each class has one of
        its own or nothing is learnt of a random one, with the data set's template."""
        model, options = self.trainer.model, self.trainer.options
        if options.CSC or self.trainer.starts_at_random:
            return zero_shot_prompt(self.trainer, names)
        template = getattr(self.trainer.dm.dataset, "template", TEMPLATE)
        prompt = build_prompt(names, model.backbone, options, template, seed=0)
        for ours, own in zip(prompt.members(), model.prompt.members()):
            ours.ctx = own.ctx
        return prompt

    def scores(self, features: Tensor, cosines: dict[str, Tensor], rows: list[int] | None,
               unlabelled: Tensor | None) -> dict[str, dict[str, Tensor]]:
        """{"test": {score: (N,)}, "unlabelled": {score: (images,)}} by the model as it is.

        features: (N, embedding) of the test images; cosines: (images, K) of each set. rows: where
        the unlabelled images stand among the test images, or else unlabelled: their features.
        """
        model, size = self.trainer.model, self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
        its = features[rows] if unlabelled is None else unlabelled
        names: NegativeNames = self._of_run.now()
        if TANL in self.asked:
            names = names.activate(model, its, cosines["unlabelled"], size)
        self.names, found = names, {"test": {}, "unlabelled": {}}
        for score in self.asked:
            test = names.scores(score, model, features, cosines["test"], size)
            found["test"][score] = test
            found["unlabelled"][score] = test[rows] if unlabelled is None else names.scores(
                score, model, its, cosines["unlabelled"], size)
        return found
