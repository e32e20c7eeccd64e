"""Trainers of classifiers: TrainerX (labelled images), TrainerXU (also unlabelled ones)."""

from dassl.engine.base import TrainerBase  # noqa: F401  (its place in Dassl)
from dassl.engine.simple_trainer import SimpleTrainer
from dassl.modeling import SimpleNet  # noqa: F401  (likewise)
from dassl.utils import DataValueError


class TrainerX(SimpleTrainer):
    """Trains on train_loader_x; a subclass defines build_model and forward_backward(batch)."""

    def run_epoch(self) -> None:
        if self.train_loader_x is None:
            raise DataValueError(f"{self.cfg.DATASET.NAME} has no labelled images to train on")
        self._check_shares(self.train_loader_x)
        self._run_batches(self.train_loader_x, len(self.train_loader_x))

    def parse_batch_train(self, batch):
        """(images, labels, domains) on the device."""
        return tuple(batch[key].to(self.device) for key in ("img", "label", "domain"))


class TrainerXU(SimpleTrainer):
    """Trains on labelled and unlabelled batches; forward_backward(batch_x, batch_u).

    TRAIN.COUNT_ITER names the loader that sets the length of an epoch; a shorter one restarts.
    """

    def run_epoch(self) -> None:
        x, u = self.train_loader_x, self.train_loader_u
        if x is None or u is None:
            missing = "labelled" if x is None else "unlabelled"
            raise DataValueError(f"{self.cfg.DATASET.NAME} has no {missing} images to train on")
        self._check_shares(x, u)
        count = self.batches_in_epoch()
        pairs = zip(_endless(x), _endless(u), strict=False)
        self._run_batches((pair for _, pair in zip(range(count), pairs, strict=False)), count)

    def batches_in_epoch(self) -> int:
        """Return the number of steps of an epoch, by TRAIN.COUNT_ITER."""
        x, u = len(self.train_loader_x), len(self.train_loader_u)
        return {"train_x": x, "train_u": u, "smaller_one": min(x, u)}[self.cfg.TRAIN.COUNT_ITER]

    def _step(self, batch):
        return self.forward_backward(*batch)

    def parse_batch_train(self, batch_x, batch_u):
        """(labelled images, labels, unlabelled images) on the device."""
        keys = (batch_x["img"], batch_x["label"], batch_u["img"])
        return tuple(value.to(self.device) for value in keys)


def _endless(loader):
    while True:
        yield from loader
