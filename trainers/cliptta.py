"""CLIPTTA with outlier contrastive exposure (Lafon et al., NeurIPS 2025, arXiv:2507.14312).

Reference: github.com/MarcLafon/cliptta. The loss resembles the one that CLIP was trained with: each
image is paired with the prompt of its predicted class, and its entropy over the prompts of the
batch is minimised.

    L = sum over batch and memory of ( L_contrastive - trade_off * H(mean_i p_i) )
        - outlier_weight * (mean score of known images - mean score of unknown ones)^2

The score is the logarithm of MCM. Images above Otsu's threshold on the scores of the batch count as
known. Only they enter L_contrastive and the memory, the most confident images of each predicted
class. The paper takes 10 steps on a batch, then predicts it, as the online protocol does.
- released code: the threshold is learnt in these steps; here each step computes that of the batch.
- released code: the memory keeps images as they were, and draws from each class; here it keeps each
  image's latest score, selects the best images at each step of a stream or at the start of an
  epoch, and draws batches as large as the others from these at random.
"""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.images.loaders import EndlessLoader
from ueo.losses import entropy, halfway, outlier_exposure, soft_contrastive
from ueo.pseudo_labels import best_of_each
from ueo.scores import mcm
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer

EPS = 1e-6  # inside the logarithm of the marginal entropy, as released


@TRAINER_REGISTRY.register()
class CLIPTTA(CLIPTrainer):
    defaults = {
        "TRADE_OFF": Option(1.0, low=0),  # factor of the marginal entropy
        "OPEN_SET": True,  # False: every image counts as known, without the last term
        "OUTLIER_WEIGHT": Option(1.0, low=0),
        "WIDTH": Option(0.005, above=0),  # of the sigmoid around the threshold
        "MEMORY": Option(16, low=0),  # images a predicted class; 0: no memory
    }

    def setup(self) -> None:
        images = len(self.dm.dataset.train_u)
        self.scores = torch.zeros(images, device=self.device)  # each image's latest
        self.predicted = torch.full_like(self.scores, -1, dtype=torch.long)  # -1: unknown or unseen

    def buffers(self) -> dict[str, Tensor]:
        return {"scores": self.scores, "predicted": self.predicted}

    def prepare(self, zero_shot: Tensor) -> None:
        positions = torch.arange(len(zero_shot), device=self.device)
        self.remember(positions, zero_shot.to(self.device))
        self.memory = EndlessLoader(self.train_loader_x, self.cfg, self.device)
        self.refresh()

    def before_epoch(self) -> None:
        super().before_epoch()
        if self.epoch > 0:
            self.refresh()

    def remember(self, index: Tensor, cosines: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Store scores and predicted classes; return (scores, threshold, whether known).

        index: (batch,), positions of the images; cosines: (batch, K).
        """
        scores = mcm(cosines).log()
        threshold = halfway(scores)
        known = scores >= (threshold if self.options.OPEN_SET else -torch.inf)
        self.scores[index] = scores.detach()
        self.predicted[index] = cosines.argmax(1).masked_fill(~known, -1)
        return scores, threshold, known

    def _best(self) -> Tensor:
        """Return the positions of the images with the best scores in each predicted class."""
        return best_of_each(self.scores.cpu(), self.predicted.cpu(), self.options.MEMORY)[0]

    def refresh(self) -> None:
        if self.options.MEMORY:
            self.memory.chosen = self._best().tolist()
            self._draws = iter(self.memory)

    def prepare_batch(self, batch: dict) -> dict:
        index = batch["index"]
        self.remember(index.to(self.device), self.answer(batch))
        self._draws = iter(lambda: self.stream.draw(self._best(), len(index)), None)
        return batch

    def loss(self, batch: dict) -> dict[str, Tensor]:
        options, texts, images = self.options, self.model.class_features(), batch["img"]
        if options.MEMORY:
            memory, whole = self.whole_batch(next(self._draws))
            images = torch.cat([images, memory["img"]])  # one pass for both
        own, drawn = self.model.image_features(images).tensor_split([len(batch["img"])])
        cosines = (self._whole.rows(own) @ texts.T).float()  # (batch, K)
        scores, threshold, known = self.remember(batch["index"].to(self.device), cosines)
        contrast, marginal = self.terms(cosines, known, texts.requires_grad)
        if options.MEMORY:
            cosines = (whole.rows(drawn) @ texts.T).float()
            more = self.terms(cosines, torch.ones_like(cosines[:, 0]).bool(), texts.requires_grad)
            contrast, marginal = contrast + more[0], marginal + more[1]
        found = {"contrastive": contrast, "marginal": options.TRADE_OFF * marginal}
        if options.OPEN_SET:
            outliers = outlier_exposure(scores, threshold, options.WIDTH)
            found["outliers"] = options.OUTLIER_WEIGHT * outliers
        return {"loss": sum(found.values()), **found}

    def terms(self, cosines: Tensor, known: Tensor, both_ways: bool) -> tuple[Tensor, Tensor]:
        """Return the contrastive term of known images, and the negative marginal entropy of all."""
        # released code: the loss is symmetric, texts over images too, if the text tower is tuned
        logits = self.model.logit_scale * cosines  # (batch, K)
        marginal = -entropy(logits.softmax(-1).mean(0), EPS)
        return soft_contrastive(logits, known, both_ways), marginal
