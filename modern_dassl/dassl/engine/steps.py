"""What the built-in trainers share: steps, models with their optimisers, two views, a teacher."""

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
    """A trainer whose subclass defines step(*what parse_batch_train gives) -> what is logged.

    The subclass updates the models itself; the learning rates follow at the end of an epoch.
    """

    def forward_backward(self, *batches) -> dict | None:
        losses = self.step(*self.parse_batch_train(*batches))
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return losses

    @property
    def global_step(self) -> int:
        """Number of steps before this one, in all epochs."""
        return self.epoch * self.num_batches + self.batch_idx

    def on_device(self, batch: dict, *keys: str) -> tuple:
        """Entries of a batch on the device; an entry of several views is a list."""
        return tuple(
            [view.to(self.device) for view in batch[key]] if isinstance(batch[key], list)
            else batch[key].to(self.device)
            for key in keys
        )

    def add_model(self, name: str, model: nn.Module, rate: float = 1, schedule=None) -> None:
        """Move a model to the device and register it; self.<name>, optim_<name> and sched_<name>
        are the model, its optimiser and its schedule, as OPTIM says.

        rate: what the learning rate is multiplied by. schedule: optimiser -> another schedule.
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
        """The network of MODEL, without a classifier unless `num_classes` is given."""
        model = SimpleNet(self.cfg, self.cfg.MODEL, num_classes)
        self.add_model(name, model, schedule=schedule)


class TwoViews(Steps):
    """Each training image in two views: "img" by INPUT.TRANSFORMS, "img2" by STRONG_TRANSFORMS of
    the node TRAINER.<options>."""

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
    """Batches of N_DOMAIN source domains, equal parts of each, one after the other."""

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        name, options = type(self).__name__, cfg.DATALOADER.TRAIN_X
        if options.SAMPLER != "RandomDomainSampler":
            raise ConfigValueError(
                f"{name} needs batches by domain: set DATALOADER.TRAIN_X.SAMPLER to "
                f"RandomDomainSampler, it is {options.SAMPLER}"
            )
        check_whole_batches(name)

    def by_domain(self, domains: Tensor, *batches: Tensor) -> list[tuple]:
        """(domain, part of each of `batches`) of every domain of a batch; domains: on the CPU."""
        options = self.cfg.DATALOADER.TRAIN_X
        number = options.N_DOMAIN if options.N_DOMAIN > 0 else self.num_source_domains
        size = options.BATCH_SIZE // number
        parts = zip(*(batch.split(size) for batch in (domains, *batches)))
        return [(int(domain[0]), *part) for domain, *part in parts]


def check_whole_batches(name: str) -> None:
    """Raise ConfigValueError where torchrun shares batches out: the loss is of all pairs of images
    or of domains in a batch."""
    if distributed.launched():
        raise ConfigValueError(f"{name} needs whole batches: start it as one process")


def check_own_unlabelled_batches(cfg, name: str) -> None:
    """Raise ConfigValueError where unlabelled images would be drawn as labelled ones are."""
    if cfg.DATALOADER.TRAIN_U.SAME_AS_X:
        raise ConfigValueError(
            f"{name} draws unlabelled images of one domain: set DATALOADER.TRAIN_U.SAME_AS_X to "
            "False"
        )


class Teacher:
    """A second model whose weights follow the trained one's, for a subclass of Steps.

    It is registered, so that a resumed run goes on with the same teacher.
    """

    def build_model(self) -> None:
        super().build_model()
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)
        self.register_model("teacher", self.teacher)

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load the weights; the teacher stays as it is where a run has none, as genuine Dassl's."""
        models = self._models
        if not osp.isdir(osp.join(directory, "teacher")):
            self._models = OrderedDict(model=self.model)
        try:
            super().load_model(directory, epoch)
        finally:
            self._models = models

    def update_teacher(self, most: float) -> None:
        """Move the teacher; it keeps 1 - 1 / n of itself in step n, at most the share `most`."""
        keep = min(1 - 1 / (self.global_step + 1), most)
        ema_model_update(self.model, self.teacher, keep)


def accuracy(output: Tensor, label: Tensor) -> Tensor:
    """Percent of a batch."""
    return compute_accuracy(output, label)[0]


def soft_cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """- sum of target * log(probability), (batch, classes) each -> (batch,)."""
    return -(target * torch.log(probability + 1e-5)).sum(1)


def entropy(probability: Tensor) -> Tensor:
    """(batch, classes) -> (batch,)."""
    return soft_cross_entropy(probability, probability)


def pseudo_label_quality(predicted: Tensor, label: Tensor, kept: Tensor) -> dict[str, Tensor]:
    """Shares of right pseudo-labels, of right ones among those kept, and of those kept.

    predicted, label, kept (1.0 or 0.0): (batch,). The labels serve the log alone.
    """
    right = predicted.eq(label).float()
    return {
        "acc_thre": (right * kept).sum() / (kept.sum() + 1e-5),
        "acc_raw": right.mean(),
        "keep_rate": kept.mean(),
    }


