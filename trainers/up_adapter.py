"""Unsupervised prototype adapter, UP-Adapter (Zhang et al., PRCV 2023, arXiv:2308.11507).

We found no code, and only the abstract of the paper. It says: for each class that CLIP predicts,
the most confident unlabelled images are selected; their features give the class's prototype; the
prototypes initialise a learnable model, which is tuned; its prediction is added to CLIP's:

    P_k = normalised mean of f_i over the images selected for class k
    logits = scale * f T' + alpha * exp(-beta (1 - f P')),    L = mean_i CE(logits_i, pseudo_i)

All else is our choice: TOP_K images a class, as in UPL; features under the test transform; a class
without an image has its class feature as prototype; the sum has Tip-Adapter's form, a cache of one
key a class, and is trained as a whole; pseudo-labels are assigned once; alpha and beta.
"""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.clip.adapters import Cache
from ueo.pseudo_labels import prototypes, train_on_confident
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class UPAdapter(CLIPTrainer):
    bound_to_classes = True
    capturable = True
    defaults = {
        "TUNE": "adapter",
        "CTX_INIT": "template",
        "TOP_K": Option(16, low=1),  # images a predicted class
        "ALPHA": Option(1.0, low=0),  # weight of the prototype model
        "BETA": Option(5.5, low=0),  # its sharpness
    }

    def adapter(self) -> Cache:
        classes = self.num_classes
        strength = self.options.ALPHA / self.model.logit_scale
        return Cache(classes, classes, self.model.embedding, strength, self.options.BETA)

    def prepare(self, zero_shot: Tensor) -> None:
        self.pseudo = train_on_confident(self, zero_shot, self.options.TOP_K)
        features = self.passes.unlabelled_features()
        with torch.no_grad():
            class_features = self.model.class_features().float().cpu()
        keys = prototypes(features, self.pseudo.cpu(), class_features)
        self.model.adapter.fill(keys, torch.arange(len(keys)))

    def loss(self, batch: dict) -> dict[str, Tensor]:
        pseudo = self.pseudo[batch["index"].to(self.device)]  # (batch,)
        return {"loss": F.cross_entropy(self.logits(batch["img"]), pseudo)}
