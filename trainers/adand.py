"""Adaptive noise detector, AdaND (Cao et al., ICLR 2025, arXiv:2502.14604).

Reference: github.com/tmlr-group/ZS-NTTA. Frozen CLIP classifies the images of a stream. A linear
layer on its features, the detector, learns online whether an image is of a known class:

    L = CE(W f_i + b, y_i),   y_i = 1 (known) where max p_i is above Otsu's threshold, else 0

The threshold is computed on the last WINDOW confidences. One noise image with y = 0 is added for
every eighth image, so that known images are not learnt as unknown in a stream without unknown ones.
The OOD score is max p until the detector has taken more than WARM_UP steps, then its softmax. As
released, each batch is a step, however small. With batches of one image, a step is taken whenever
QUEUE images have come; those left over at the end of the stream are not used.

- released code: it searches thresholds in steps of 0.01; here Otsu's threshold is a score.
"""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.images.transforms import Normaliser
from ueo.open_set import otsu_threshold
from ueo.scores import msp
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer

NOISE = 8  # images of the stream for each noise image


@TRAINER_REGISTRY.register()
class AdaND(CLIPTrainer):
    online_only = True
    defaults = {
        "CTX_INIT": "template",
        "WINDOW": Option(512, low=1),
        "QUEUE": Option(64, low=1),  # images a step, where batches hold one image
        "WARM_UP": Option(10, low=0),
    }

    def setup(self) -> None:
        size, device = self.model.embedding, self.device
        self.normalise = Normaliser(self.cfg.INPUT, device)
        with torch.random.fork_rng([]):
            torch.manual_seed(max(self.cfg.SEED, 0))
            self.detector = nn.Linear(size, 2).to(device)
        rows = self.options.QUEUE + 2 * self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE
        self.waiting = torch.zeros(rows, size + 1, device=device)  # feature, then 1 if known
        self.confidences = torch.zeros(self.options.WINDOW, device=device)  # newest last
        self.counts = torch.zeros(3, dtype=torch.long)  # how many wait, confidences, steps

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        named = self.detector.named_parameters()
        return {"detector": {f"detector.{name}": p for name, p in named}}

    def buffers(self) -> dict[str, Tensor]:
        return {"waiting": self.waiting, "confidences": self.confidences, "counts": self.counts,
                **super().buffers()}

    def loss(self, batch: dict) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(self.detector(batch["rows"]), batch["known"].long())}

    def online_step(self, batch: dict) -> dict[str, Tensor]:
        come = batch["index"].tolist()
        own, noise = len(come), (come[-1] + 1) // NOISE - come[0] // NOISE
        rows, known, cosines = self._labelled(batch["img"], noise)
        with torch.no_grad():
            scores = self.detector(rows[:own]).softmax(-1)[:, 1]
        # released code: the detector takes over once the step index, from 0, exceeds WARM_UP
        if self.counts[2] <= self.options.WARM_UP:
            scores = msp(cosines, self.model.logit_scale)
        self._learn(rows, known)
        return {"cosines": cosines, "scores": scores}

    @torch.no_grad()
    def _labelled(self, images: Tensor, noise: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return (features of images and noise, not normalised; whether each is known; cosines of
        the images)."""
        both, own = torch.cat([images.to(self.device), self._noise(noise, images)]), len(images)
        rows = self.model.padded(self.model.encode_images, both).float()
        cosines = F.normalize(rows, dim=-1) @ self.model.class_features().float().T
        confidence = msp(cosines, self.model.logit_scale)
        known = confidence >= self._threshold(confidence)
        known[own:] = False
        return rows, known, cosines[:own]

    def _noise(self, count: int, like: Tensor) -> Tensor:
        """(count, 3, height, width): normal noise, stretched to the range of an image's pixels."""
        noise = torch.randn(count, *like.shape[1:]).flatten(1)
        low, high = noise.aminmax(dim=1, keepdim=True)
        pixels = ((noise - low) / (high - low) * 255).byte().view(count, *like.shape[1:])
        return self.normalise(pixels.permute(0, 2, 3, 1))

    def _threshold(self, confidence: Tensor) -> float:
        """Return Otsu's threshold on the last WINDOW confidences, these included."""
        kept = self.confidences.numel()
        kept_before = self.confidences[kept - int(self.counts[1]):]
        last = torch.cat([kept_before, confidence])[-kept:]
        self.confidences[kept - len(last):] = last
        self.counts[1] = len(last)
        return otsu_threshold(last.cpu().numpy())

    def _learn(self, rows: Tensor, known: Tensor) -> None:
        """Take a step on the batch; with batches of one image, once QUEUE of them have come."""
        one_by_one = self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 1
        start, end = int(self.counts[0]), int(self.counts[0]) + len(rows)
        self.waiting[start:end] = torch.cat([rows, known[:, None].float()], 1)
        self.counts[0] = end
        if end >= (self.options.QUEUE if one_by_one else 1):
            rows, known = self.waiting[:end].split([rows.shape[1], 1], 1)
            own = torch.arange(end)
            self.forward_backward({"rows": rows.clone(), "known": known[:, 0], "index": own})
            self.counts[0] = 0
            self.counts[2] += 1
