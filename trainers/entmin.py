"""Entropy minimisation, as in Tent (Wang et al., ICLR 2021, arXiv:2006.10726).

Reference: github.com/DequanWang/tent. Every prediction is sharpened, of known classes or not:

    L = mean_i H(p_i)

Tent normalises with batch statistics and tunes the affine parameters of BatchNorm online. Here
CLIP's statistics are kept, unless BATCH_STATS is set, and images are seen for several epochs.
"""

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from modern_dassl import distributed
from ueo.errors import ConfigError
from ueo.losses import entropy
from ueo.settings.shared_names import SHARED
from ueo.trainers.base import CLIPTrainer


@SHARED.register()
class EntMin(CLIPTrainer):
    capturable = True
    by_image = True
    defaults = {
        "BATCH_STATS": False,  # normalise with batch statistics, also in tests, as Tent does
    }

    @property
    def _option(self) -> str:
        return f"TRAINER.{type(self).__name__}.BATCH_STATS"

    def prepare(self, zero_shot: Tensor) -> None:
        if self.options.BATCH_STATS:
            if distributed.launched():
                raise ConfigError(f"{self._option}: a batch must be in one process")
            use_batch_statistics(self.model.visual, self._option)

    def test(self, split=None) -> float:
        if self.options.BATCH_STATS:
            use_batch_statistics(self.model.visual, self._option)
        return super().test(split)

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # (batch, K)
        return {"loss": entropy(prob).mean()}


def use_batch_statistics(visual: nn.Module, option: str) -> None:
    """Make every BatchNorm of an image encoder use batch statistics, in evaluation mode too.

    option: that asks for this.  Raises ConfigError for an encoder without BatchNorm.
    """
    layers = [m for m in visual.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        raise ConfigError(f"{option}: this backbone has no BatchNorm")
    for layer in layers:
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = None
