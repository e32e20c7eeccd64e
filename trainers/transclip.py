"""TransCLIP (Zanella et al., NeurIPS 2024, arXiv:2406.01837): all images are classified jointly.

Features are modelled as a mixture of one Gaussian a class. An image's class depends on CLIP's own
prediction, on the Gaussians and on its nearest neighbours (ueo/transduction/mixture.py). Nothing is
trained: ten rounds run on features that were computed once.

Choices of ours: the logit scale is the model's, 100 for OpenAI's; the variance is at least 1e-6,
since that of a few images would be zero, and the released code divides by it. The method defines no
OOD score: SCORE is computed from the cosines plus what the method adds to them.
"""

from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.trainers.base import CLIPTrainer
from ueo.transduction.adapters import GaussianClasses
from ueo.transduction.mixture import fit


@TRAINER_REGISTRY.register()
class TransCLIP(CLIPTrainer):
    training_free = True
    deterministic = True
    bound_to_classes = True
    anchored = False  # True: to the text, as in StatA
    defaults = {"CTX_INIT": "template"}

    def adapter(self) -> GaussianClasses:
        model = self.model
        return GaussianClasses(self.num_classes, model.embedding, model.logit_scale)

    def prepare(self, zero_shot: Tensor) -> None:
        self._fit(self.passes.unlabelled_features())

    def online_step(self, batch: dict) -> Tensor:
        # each batch by itself, as in StatA's experiments with streams
        if len(batch["features"]) == 1 and not self.anchored:
            return batch["zero_shot"]  # one image has no variance
        self._fit(batch["features"])
        return self.model.adapter.jointly(batch["features"], self.model.class_features())

    def _fit(self, features: Tensor) -> None:
        texts = self.model.class_features().to(self.device).float()
        scale = self.model.logit_scale
        self.model.adapter.fill(fit(features.to(self.device), texts, scale, self.anchored))
