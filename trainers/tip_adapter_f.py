"""Tip-Adapter-F (Zhang et al., ECCV 2022, arXiv:2207.09519): few-shot, the cache's keys are tuned.

Reference: github.com/gaopengcuhk/Tip-Adapter, main.py. The keys start as Tip-Adapter's and are
learnt on the labelled images; the values are fixed:

    L = mean_i CE(logits_i, label_i)

The released code keeps the epoch that is best on the test images and then searches alpha and beta
again; here the last epoch is kept and both are options.
"""

from dassl.engine import TRAINER_REGISTRY

from ueo.settings.options import Option
from ueo.trainers.tip_adapter import TipAdapter


@TRAINER_REGISTRY.register()
class TipAdapterF(TipAdapter):
    training_free = False
    capturable = True
    defaults = {
        "EPS": Option(1e-4, above=0),  # of Adam and its kin, as released
    }

    def build_model(self) -> None:
        super().build_model()
        for group in self.optim.param_groups:
            if "eps" in group:
                group["eps"] = self.options.EPS
