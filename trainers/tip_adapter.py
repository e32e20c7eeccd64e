"""Tip-Adapter (Zhang et al., ECCV 2022, arXiv:2207.09519): few-shot, without training.

Reference: github.com/gaopengcuhk/Tip-Adapter, main.py. The keys F of a cache are the features of
the labelled images, its values L their one-hot labels. An image's logits are CLIP's plus those of
its neighbours in the cache:

    logits = scale * f T' + alpha * exp(-beta (1 - f F')) L

Evaluation reads logits / scale, which can be compared with cosines. alpha and beta are options: the
released code searches them on labelled validation images, which no method here has. The defaults
are those that its search starts from on ImageNet; for DTD and EuroSAT it has alpha 2, for aircraft
5. A key is the mean over an image's augmented views: of unit vectors here, of features before
normalisation in the released code.
"""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.clip.adapters import Cache
from ueo.images.loaders import EvaluationLoader
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class TipAdapter(CLIPTrainer):
    uses_labels = True
    training_free = True
    bound_to_classes = True
    defaults = {
        "TUNE": "adapter",
        "CTX_INIT": "template",
        "ALPHA": Option(1.17, low=0),  # weight of the cache
        "BETA": Option(1.0, low=0),  # its sharpness
        "VIEWS": Option(10, low=1),  # augmented views of each image, training transform
    }

    def adapter(self) -> Cache:
        classes = self.num_classes
        # the same number of rows in every domain: a checkpoint of one can be tested on another
        rows = max(self.cfg.DATASET.NUM_SHOTS * classes, len(self.dm.dataset.train_x))
        strength = self.options.ALPHA / self.model.logit_scale
        return Cache(rows, classes, self.model.embedding, strength, self.options.BETA)

    def prepare(self, zero_shot: Tensor) -> None:
        training = self.train_loader_x.dataset
        images = training.only(training.chosen)  # with a seed of its own
        loader = EvaluationLoader(images, self.cfg, self.device)
        keys = 0
        for view in range(self.options.VIEWS):
            images.seed.random_(2**62, generator=self._generator(view))
            keys = keys + self.passes.rows(loader, self.model.image_features, "cache")
        labels = torch.tensor([item.label for item in self.dm.dataset.train_x])
        self.model.adapter.fill(F.normalize(keys, dim=-1), labels)
