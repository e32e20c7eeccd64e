"""Parts of the built-in trainers: steps, models with their optimisers, two views, a teacher."""

import copy
import os.path as osp
from collections import OrderedDict

import torch
from dassl.data import DataManager
from dassl.data.transforms import build_transform
from dassl.metrics import compute_accuracy
from dassl.modeling import SimpleNet
from dassl.modeling.ops.utils import ema_model_update
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import ConfigValueError, count_num_param
from torch import Tensor, nn

from modern_dassl import distributed


class Steps:
    """A trainer whose subclass defines step(*parsed batch) -> {name: number to log}.

    The subclass updates the models itself; learning rates change at the end of an epoch.
    """

    def forward_backward(self, *batches) -> dict | None:
        losses = self.step(*self.parse_batch_train(*batches))
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return losses

    @property
    def global_step(self) -> int:
        """The number of steps before this one, in all epochs."""
        return self.epoch * self.num_batches + self.batch_idx

    def on_device(self, batch: dict, *keys: str) -> tuple:
        """Return entries of a batch on the device; an entry with several views is a list."""
        return tuple(
            [view.to(self.device) for view in batch[key]] if isinstance(batch[key], list)
            else batch[key].to(self.device)
            for key in keys
        )

    def add_model(self, name: str, model: nn.Module, rate: float = 1, schedule=None) -> None:
        """Move a model to the device, build its optimiser and schedule from OPTIM, and register
        them; set self.<name>, self.optim_<name> and self.sched_<name>.

        rate: factor of the learning rate. schedule: function optimiser -> another schedule.
        """
        model.to(self.device)
        print(f"Building {name}\n# params: {count_num_param(model):,}")
        optim = build_optimizer(model, self.cfg.OPTIM)
        for group in optim.param_groups:
            group["lr"] *= rate
        sched = schedule(optim) if schedule else build_lr_scheduler(optim, self.cfg.OPTIM)
        self.register_model(name, model, optim, sched)
        for prefix, value in (("", model), ("optim_", optim), ("sched_", sched)):
            setattr(self, prefix + name, value)

    def add_features(self, name: str = "F", num_classes: int = 0, schedule=None) -> None:
        """Add the network of MODEL; it has a classifier only if `num_classes` is given."""
        model = SimpleNet(self.cfg, self.cfg.MODEL, num_classes)
        self.add_model(name, model, schedule=schedule)


class TwoViews(Steps):
    """Gives two views of each training image: "img" by INPUT.TRANSFORMS, "img2" by
    TRAINER.<options>.STRONG_TRANSFORMS."""

    options: str

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        if not cfg.TRAINER[self.options].STRONG_TRANSFORMS:
            raise ConfigValueError(
                f"TRAINER.{self.options}.STRONG_TRANSFORMS is empty; name the transforms of the "
                "second view, for example ['random_flip', 'randaugment_fixmatch', 'normalize']"
            )

    def build_data_loader(self) -> None:
        strong = self.cfg.TRAINER[self.options].STRONG_TRANSFORMS
        views = [
            build_transform(self.cfg, is_train=True),
            build_transform(self.cfg, is_train=True, choices=strong),
        ]
        self.use_data(DataManager(self.cfg, custom_tfm_train=views))


class DomainBatches(Steps):
    """Batches of N_DOMAIN source domains, with equally many images of each, in blocks."""

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        name, options = type(self).__name__, cfg.DATALOADER.TRAIN_X
        if options.SAMPLER != "RandomDomainSampler":
            raise ConfigValueError(
                f"{name} needs batches by domain: set DATALOADER.TRAIN_X.SAMPLER to "
                f"RandomDomainSampler, not {options.SAMPLER}"
            )
        check_whole_batches(name)

    def by_domain(self, domains: Tensor, *batches: Tensor) -> list[tuple]:
        """Return (domain, its part of each of `batches`) for every domain; domains: on the CPU."""
        options = self.cfg.DATALOADER.TRAIN_X
        number = options.N_DOMAIN if options.N_DOMAIN > 0 else self.num_source_domains
        size = options.BATCH_SIZE // number
        parts = zip(*(batch.split(size) for batch in (domains, *batches)))
        return [(int(domain[0]), *part) for domain, *part in parts]


def check_whole_batches(name: str) -> None:
    """Raise ConfigValueError under torchrun, which splits batches: the loss uses all pairs of
    images or of domains in a batch."""
    if distributed.launched():
        raise ConfigValueError(f"{name} needs whole batches: start it as one process")


def check_own_unlabelled_batches(cfg, name: str) -> None:
    """Raise ConfigValueError if unlabelled images would be sampled like labelled ones."""
    if cfg.DATALOADER.TRAIN_U.SAME_AS_X:
        raise ConfigValueError(
            f"{name} draws unlabelled images of one domain: set DATALOADER.TRAIN_U.SAME_AS_X to "
            "False"
        )


class Teacher:
    """Mixin for Steps: a second model whose weights follow those of the trained one.

    It is registered, so a resumed run continues with the same teacher.
    """

    def build_model(self) -> None:
        super().build_model()
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)
        self.register_model("teacher", self.teacher)

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load the weights; keep the teacher if the run has none, as runs of genuine Dassl."""
        models = self._models
        if not osp.isdir(osp.join(directory, "teacher")):
            self._models = OrderedDict(model=self.model)
        try:
            super().load_model(directory, epoch)
        finally:
            self._models = models

    def update_teacher(self, most: float) -> None:
        """Move the teacher to the model; in step n it keeps min(1 - 1 / n, most) of itself."""
        keep = min(1 - 1 / (self.global_step + 1), most)
        ema_model_update(self.model, self.teacher, keep)


def accuracy(output: Tensor, label: Tensor) -> Tensor:
    """Return the accuracy of a batch in percent."""
    return compute_accuracy(output, label)[0]


def soft_cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """- sum of target * log(probability), (batch, classes) each -> (batch,)."""
    return -(target * torch.log(probability + 1e-5)).sum(1)


def entropy(probability: Tensor) -> Tensor:
    """(batch, classes) -> (batch,)."""
    return soft_cross_entropy(probability, probability)


def pseudo_label_quality(predicted: Tensor, label: Tensor, kept: Tensor) -> dict[str, Tensor]:
    """Return the share of correct pseudo-labels among those kept and among all, and the share kept.

    predicted, label, kept (1.0 or 0.0): (batch,). The labels are only used for the log.
    """
    right = predicted.eq(label).float()
    return {
        "acc_thre": (right * kept).sum() / (kept.sum() + 1e-5),
        "acc_raw": right.mean(),
        "keep_rate": kept.mean(),
    }


