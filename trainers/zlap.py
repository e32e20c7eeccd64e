"""ZLaP (Stojnic et al., CVPR 2024, arXiv:2404.04072): label propagation from class names to images
on a graph of their features (ueo/transduction/propagation.py). Nothing is trained.

Choice of ours: the method defines no OOD score; SCORE is computed from an image's label shares
instead of cosines.
"""

from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.trainers.base import CLIPTrainer
from ueo.transduction.adapters import Propagated, propagated_shares
from ueo.transduction.propagation import propagate


@TRAINER_REGISTRY.register()
class ZLaP(CLIPTrainer):
    training_free = True
    deterministic = True
    bound_to_classes = True
    defaults = {"CTX_INIT": "template"}

    def adapter(self) -> Propagated:
        images = len(self.dm.dataset.train_u)
        return Propagated(images, self.num_classes, self.model.embedding)

    def prepare(self, zero_shot: Tensor) -> None:
        features = self.passes.unlabelled_features().to(self.device)
        texts = self.model.class_features().to(self.device).float()
        self.model.adapter.fill(features, propagate(features, texts))

    def online_step(self, batch: dict) -> Tensor:
        # each batch by itself, as in StatA's experiments with streams; nothing is kept for later
        texts = self.model.class_features().float()
        return propagated_shares(batch["features"].float(), texts)
