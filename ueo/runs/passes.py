"""Passes over all images of a loader: features, cosines, and the scores that need more than
cosines."""

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
    """Return `batches` with a progress bar, on a terminal and in the main process only."""
    hidden = None if distributed.is_main() else True  # None: hidden unless on a terminal
    return tqdm(batches, desc=title, leave=False, disable=hidden)


class Passes:
    """Passes of the current model of `trainer` (a CLIPTrainer), without gradients."""

    def __init__(self, trainer):
        self.trainer = trainer

    @torch.no_grad()
    def unlabelled_cosines(self) -> Tensor:
        """(images, K): cosines of the unlabelled set by the current model, test transform."""
        features = self.unlabelled_features(shared=False)
        return self.cosines(features, self.trainer.model.class_features())

    def unlabelled_features(self, shared: bool = True) -> Tensor:
        """Features of the unlabelled images, see `image_features`."""
        return self.image_features(self.trainer.unlabelled_loader, "unlabelled", shared)

    def cosines(self, features: Tensor, classes: Tensor | None, alone: bool = False) -> Tensor:
        """(images, K), fp32, on the CPU: cosines of features (images, embedding). A transductive
        adapter (ueo/transduction/adapters.py) gets all images at once, unless `alone`."""
        model, size = self.trainer.model, self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
        if hasattr(model.adapter, "jointly") and not alone:
            return model.adapter.jointly(features.to(self.trainer.device), classes).cpu()
        parts = features.to(model.dtype).split(size)
        return torch.cat([
            model.padded(lambda rows: model.cosines(rows, classes), part.to(self.trainer.device))
            .float().cpu() for part in parts
        ])

    @torch.no_grad()
    def scores_alone(self, features: Tensor, names: NegativeNames | None) -> np.ndarray:
        """(images,): OOD scores of images that are predicted one by one, as new ones are. features:
        (images, embedding); names: the negative names, for a score that uses them."""
        model, score = self.trainer.model, self.trainer.options.SCORE
        cosines = self.cosines(features, model.class_features(), alone=True)
        if score in AGAINST_NAMES:
            size = self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
            return names.scores(score, model, features, cosines, size).numpy()
        return SCORES[score](cosines).double().numpy()

    def image_features(self, loader: DataLoader, name: str, shared: bool = False) -> Tensor:
        """Unit vectors (images, embedding) of an evaluation loader's images, fp32, on the CPU.

        shared: take them from the cache if an earlier run had the same images and image encoder.
        """
        model, images = self.trainer.model, loader.dataset
        # encoder_hash() does not see hooks
        alike = model.independent and not model.visual_as_loaded.changed()
        if not shared or images.store is None or not alike or distributed.launched():
            return self.rows(loader, model.image_features, name)
        key = f"{model.encoder_hash()} {images.content_hash()} {loader.batch_size}"
        kept = self.cached(key, lambda: self.rows(loader, model.image_features, name).numpy())
        return torch.from_numpy(kept)

    def cached(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array that an earlier run cached under `key`, if it computed with the same
        torch, device, precision, threads and TF32; else that of `make`."""
        store, trainer = self.trainer.test_loader.dataset.store, self.trainer
        if store is None or distributed.launched():
            return make()
        return store.array(" ".join((
            key, torch.__version__, str(trainer.device), trainer.precision,
            str(torch.get_num_threads()), str(trainer.inputs.get(TF32)),
        )), make)

    def rows(self, loader: DataLoader, function: Callable[[Tensor], Tensor], name: str) -> Tensor:
        """Apply `function` to all images of an evaluation loader: (images, ...), fp32, on the CPU.
        Under torchrun every process computes a part and gets all rows.

        If a result depends on the other images of its batch, batches are drawn at random: most
        lists are sorted by class, so that their batches would reveal labels.
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
                model.padded(function, batch["img"].to(self.trainer.device)).float().cpu()
                for batch in progress(loader, f"evaluate {name}")
            ]
        return distributed.gather(torch.cat(parts))[place]


def zero_shot_prompt(trainer, names: list[str]) -> PromptLearner:
    """Return prompts of `names` in the template of the trainer's data set, or in CLIP's."""
    template = getattr(trainer.dm.dataset, "template", TEMPLATE)
    backbone, whole = trainer.model.backbone, not trainer.options.FAST
    return PromptLearner(names, backbone, template, whole=whole).requires_grad_(False)


class AgainstNames:
    """Scores of images against negative names, which no class has. trainer: a CLIPTrainer that has
    not learnt anything yet. asked: names of the scores, by SCORE and TEST.KEEP_NEGATIVES."""

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
            # without class features, each image has its own prompts
            bound = trainer.bound_to_classes or trainer.options.CSC or (
                trainer.model.class_features() is None)
            self._of_run = NamesOfRun(trainer.model, list(trainer.dm.dataset.classnames),
                                      self._prompts, bound, passes.cached)

    def _prompts(self, names: list[str]) -> PromptLearner | PromptEnsemble:
        """Return prompts of `names` with the current contexts of the model; with the data set's
        template if contexts are class-specific or still at a random start."""
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
        """{"test": {score: (N,)}, "unlabelled": {score: (images,)}} by the current model.

        features: (N, embedding) of the test images; cosines: (images, K) of each set. rows:
        positions of the unlabelled images in the test set; None: `unlabelled` has their features.
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
