"""What a run keeps for later scores if TEST.KEEP_OUTPUTS is set (results/kept_outputs.py)."""

import numpy as np
import torch
from torch import Tensor

from ueo.clip.towers.layouts import described, layout
from ueo.images.hidden_labels import GroundTruth
from ueo.images.items import Images
from ueo.images.loaders import EvaluationLoader
from ueo.runs.passes import Passes
from ueo.scores import local_mcm
from ueo.settings.config import setting_of


class KeptOutputs:
    """Arrays that a run of `trainer` (a CLIPTrainer) keeps, if `wanted`. passes: those of the run.
    """

    def __init__(self, trainer, truth: GroundTruth, passes: Passes):
        self.trainer, self._truth, self._passes = trainer, truth, passes
        self.wanted = setting_of(trainer.cfg, "KEEP_OUTPUTS", "TEST")
        self.arrays: dict[str, np.ndarray] = {}

    def add(
        self, epoch: int, cosines: dict, features: Tensor, classes: Tensor | None,
        against_names: dict[str, Tensor],
    ) -> None:
        """Add the arrays of the current model, before training (epoch 0) or after.

        cosines: {"test": (N, K), "unlabelled": (images, K)}; features: (N, embedding) of the test
        images; classes: (K, embedding), or None if prompts depend on the image; against_names:
        {score: (N,)} of the test images.
        """
        found = {
            "test_cosines": cosines["test"],
            "test_features": features,
            **self._training(cosines["unlabelled"]),
            **{f"test_{name}": scores for name, scores in against_names.items()},
        }
        if classes is not None:
            found["class_features"] = classes
            self._add_local_score(found, epoch, classes)
        when = "before" if epoch == 0 else "after"
        for name, tensor in found.items():
            tensor = tensor if tensor.dtype in (torch.int64, torch.float64) else tensor.float()
            self.arrays[f"{name}_{when}"] = tensor.cpu().numpy()
        self.arrays["logit_scale"] = np.array(self.trainer.model.logit_scale)
        if self.trainer.model.logit_bias is not None:
            self.arrays["logit_bias"] = np.array(self.trainer.model.logit_bias)

    def _add_local_score(self, found: dict, epoch: int, classes: Tensor) -> None:
        model = self.trainer.model
        if classes.shape[1] != model.embedding:
            print("No local scores are kept of the adapted model, so there is no GL-MCM after "
                  "training: its features come from two models")
            return

        def score(images: Tensor) -> Tensor:
            local = model.local_features(images)
            return local_mcm(local.float() @ classes.float().T)

        changed = model.visual_as_loaded.changed()
        if layout(model.visual) is None or changed:
            if epoch == 0:
                where = f", changed in {changed}" if changed else ""
                print("No local scores are kept, so there is no GL-MCM: the image tower is a "
                      f"{described(model.visual)}{where}, and they need a ViT or ResNet built "
                      "like OpenAI's")
            return
        loader = self.trainer.test_loader
        found["test_local_score"] = self._passes.rows(loader, score, "places of test")

    def _training(self, unlabelled: Tensor) -> dict[str, Tensor]:
        """Labels and features of the training images; unlabelled: (images, K) cosines."""
        trainer, dataset = self.trainer, self._truth.dataset
        items = dataset.train_x if trainer.uses_labels else dataset.train_u
        labels = (
            torch.tensor([item.label for item in items])
            if trainer.uses_labels
            else unlabelled.argmax(-1)
        )
        rows = self._truth.rows_in_test(items)
        if rows is not None:
            self.arrays["train_rows"] = np.array(rows)
            return {"train_labels": labels}
        tested = trainer.test_loader.dataset
        images = Images(items, tested.transform, True, tested.store, keep_views=True,
                        upright=tested.upright)
        loader = EvaluationLoader(images, trainer.cfg, trainer.device)
        return {
            "train_labels": labels,
            "train_features": self._passes.image_features(loader, "training images"),
        }
