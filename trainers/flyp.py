"""Fine-tune like you pre-train, FLYP (Goyal et al., CVPR 2023, arXiv:2212.00638).

Reference: github.com/locuslab/FLYP. Each labelled image is paired with the prompt of its class, and
CLIP's own contrastive loss is minimised over the pairs of a batch:

    L = contrastive( scale * f_i . t_label(j) )

As in the public code, another image of the same class counts as a negative, although its text is
the same. Choices of ours: one prompt a class instead of random templates; the logit scale and the
token embeddings, which the public code tunes too, are frozen.
"""

from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.losses import contrastive
from ueo.trainers.base import CLIPTrainer
from ueo.trainers.finetune import WHOLE_MODEL


@TRAINER_REGISTRY.register()
class FLYP(CLIPTrainer):
    uses_labels = True
    capturable = True
    defaults = WHOLE_MODEL

    def contrast(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return the contrastive loss of pairs. images, texts: (pairs, embedding), unit vectors."""
        return contrastive(self.model.logit_scale * (images @ texts.T).float())

    def on_classes(self, images: Tensor, batch: dict) -> Tensor:
        """Return the contrastive loss of features (batch, embedding) and their classes' prompts."""
        labels = batch["label"].to(self.device)  # (batch,)
        return self.contrast(images, self.model.class_features()[labels])

    def loss(self, batch: dict) -> dict[str, Tensor]:
        return {"loss": self.on_classes(self.features(batch["img"]), batch)}
