"""What a run that was asked to (TEST.KEEP_OUTPUTS) keeps for later scores: see outputs.py."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ueo.clip.local import local_features
from ueo.config import setting_of
from ueo.data import Images, evaluation_loader
from ueo.scores import local_mcm

Rows = Callable[[DataLoader, Callable[[Tensor], Tensor], str], Tensor]


class KeptOutputs:
    """What a run of `trainer` (a CLIPTrainer) keeps for later; nothing unless it was asked to."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.wanted = setting_of(trainer.cfg, "KEEP_OUTPUTS", "TEST")
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, epoch: int, cosines: dict, class_features: Tensor | None, rows: Rows) -> None:
        """Take in the model as it is; of all evaluations after training began the last one stays.

        cosines: {"test": (N, K), "unlabelled": (images, K)}; rows: Evaluations.rows.
        """
        if not self.wanted:
            return
        found = {
            "test_cosines": cosines["test"],
            **_test_outputs(self.trainer, class_features, rows),
            **self._training(cosines["unlabelled"], rows),
        }
        if class_features is not None:
            found["class_features"] = class_features
        when = "before" if epoch == 0 else "after"
        for name, tensor in found.items():
            tensor = tensor if tensor.dtype == torch.int64 else tensor.float()
            self.arrays[f"{name}_{when}"] = tensor.cpu().numpy()
        self.arrays["logit_scale"] = np.array(self.trainer.model.logit_scale)

    def _training(self, unlabelled: Tensor, rows: Rows) -> dict[str, Tensor]:
        """Labels and features of the training images; unlabelled: (images, K) cosines."""
        trainer, dataset = self.trainer, self.trainer.dm.dataset
        items = dataset.train_x if trainer.uses_labels else dataset.train_u
        labels = (
            torch.tensor([item.label for item in items])
            if trainer.uses_labels
            else unlabelled.argmax(-1)
        )
        row = {item.impath: i for i, item in enumerate(dataset.test)}
        if all(item.impath in row for item in items):
            self.arrays["train_rows"] = np.array([row[item.impath] for item in items])
            return {"train_labels": labels}
        tested = trainer.test_loader
        images = Images(items, tested.dataset.transform)
        loader = evaluation_loader(images, tested.batch_size, tested.num_workers)
        features = rows(loader, trainer.model.image_features, "features of the training images")
        return {"train_labels": labels, "train_features": features}


def _test_outputs(trainer, class_features: Tensor | None, rows: Rows) -> dict[str, Tensor]:
    """Features and local scores of the test images, from one pass over them."""
    model = trainer.model

    def both(images: Tensor) -> Tensor:
        features = model.image_features(images).float()
        if class_features is None:
            return features
        local = local_features(model.visual, images)
        score = local_mcm(local.float() @ class_features.float().T)
        return torch.cat([features, score[:, None]], dim=1)

    result = rows(trainer.test_loader, both, "features of the test images")
    if class_features is None:
        return {"test_features": result}
    return {"test_features": result[:, :-1], "test_local_score": result[:, -1]}
