"""CDAC: adversarial clustering of the target, pseudo-labels and consistency.

Li et al., Cross-Domain Adaptive Clustering for Semi-Supervised Domain Adaptation, CVPR 2021.
"""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.da.mme import Prototypes
from dassl.engine.steps import TwoViews, accuracy, check_whole_batches, pseudo_label_quality
from dassl.engine.trainer import TrainerXU
from dassl.modeling.ops.utils import sigmoid_rampup
from dassl.utils import ConfigValueError
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR


@TRAINER_REGISTRY.register()
class CDAC(TwoViews, TrainerXU):
    """The classifier separates similar target images, the features pull them together. Strong views
    learn the weak view's class and each other's probabilities. Learning rates fall every step.
    """

    options = "CDAC"

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        if cfg.DATALOADER.K_TRANSFORMS != 2:
            raise ConfigValueError(
                "CDAC needs two strong views: set DATALOADER.K_TRANSFORMS to 2, not "
                f"{cfg.DATALOADER.K_TRANSFORMS}"
            )
        check_whole_batches("CDAC")

    def build_model(self) -> None:
        steps = self.max_epoch * self.batches_in_epoch()

        def schedule(optim):
            return LambdaLR(optim, lambda step: (1 + 10 * step / steps) ** -0.75)

        self.add_features(schedule=schedule)
        rate = self.cfg.TRAINER.CDAC.CLASS_LR_MULTI
        self.add_model("C", Prototypes(self.F.fdim, self.num_classes), rate, schedule)

    def forward_backward(self, *batches):
        losses = self.step(*self.parse_batch_train(*batches))
        self.update_lr()
        return losses

    def parse_batch_train(self, batch_x, batch_u):
        """(source images, labels), (weak view, two strong views, labels) of the target."""
        images, labels = self.on_device(batch_x, "img", "label")
        weak, strong, labels_u = self.on_device(batch_u, "img", "img2", "label")
        return images[0], labels, weak[0], *strong, labels_u

    def step(self, images, labels, weak, strong, strong2, labels_u):
        output = self.C(self.F(images))
        loss_x = F.cross_entropy(output, labels)
        self.model_backward_and_update(loss_x)

        options = self.cfg.TRAINER.CDAC
        weak, strong, strong2 = self.F(weak), self.F(strong), self.F(strong2)
        pair = [self.C(view, reverse=True).softmax(1) for view in (weak, strong)]
        loss_aac = -clustering_loss(similar(weak, options.TOPK_MATCH), *pair)
        weak, strong, strong2 = self.C(weak), self.C(strong), self.C(strong2)
        probability, predicted = weak.detach().softmax(1).max(1)
        kept = (probability >= options.P_THRESH).float()
        loss_pl = (F.cross_entropy(strong2, predicted, reduction="none") * kept).mean()
        loss_cons = self.consistency_weight() * F.mse_loss(strong.softmax(1), strong2.softmax(1))
        loss_u = loss_aac + loss_pl + loss_cons
        self.model_backward_and_update(loss_u)

        quality = pseudo_label_quality(predicted, labels_u, kept)
        return {
            "loss_x": loss_x,
            "acc_x": accuracy(output, labels),
            "loss_u": loss_u,
            "aac_loss": loss_aac,
            "pl_loss": loss_pl,
            "cons_loss": loss_cons,
            "p_u_pred_acc": quality["acc_raw"],
            "p_u_pred_acc_thre": quality["acc_thre"],
            "p_u_pred_keep": quality["keep_rate"],
        }

    def consistency_weight(self) -> float:
        options = self.cfg.TRAINER.CDAC
        steps = options.RAMPUP_ITRS
        ramp = sigmoid_rampup(self.global_step, steps) if steps > 0 else 1
        return options.RAMPUP_COEF * ramp

    def model_inference(self, input):
        return self.C(self.F(input))


def similar(features: Tensor, k: int) -> Tensor:
    """Return (batch, batch): 1.0 if two images have the same k largest features, else 0.0."""
    largest = features.detach().argsort(1, descending=True)[:, :k].sort(1).values
    return (largest[:, None] == largest).all(2).float()


def clustering_loss(same: Tensor, probability: Tensor, other: Tensor) -> Tensor:
    """Return the cross-entropy of `same` and the probability of a common class, over all pairs."""
    together = probability @ other.T
    return -(same * (together + 1e-7).log() + (1 - same) * (1 - together + 1e-7).log()).mean()
