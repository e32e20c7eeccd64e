"""A run on shards: it trains in epochs and can resume in the middle of one."""

import time
from collections.abc import Iterator

import torch

from modern_dassl import distributed
from modern_dassl.distributed import WholeBatch
from ueo.errors import refuse
from ueo.images.shards.loaders import EvaluationShards, TrainingShards
from ueo.runs.online import partial_state
from ueo.runs.recorded_trainer import RecordedTrainer
from ueo.scores import AGAINST_NAMES
from ueo.settings.config import is_sharded, setting_of


class ShardsTrainer(RecordedTrainer):
    """A trainer that can train on shards, if a subclass sets `by_image`."""

    # True: `prepare` treats each image by itself and a step needs only its batch, so that images
    # need not be available together
    by_image = False

    def build_data_loader(self) -> None:
        if is_sharded(self.cfg):
            self._refuse_on_shards()
        super().build_data_loader()

    def _refuse_on_shards(self) -> None:
        """Raise ConfigError for what is impossible on shards."""
        name = type(self).__name__
        refuse(
            "images in shards",
            (self.uses_labels or self.reads_labels, f"{name} reads labels, and shards have none"),
            (not self.by_image, f"{name} needs all images at once (docs/streams.md has the methods "
             "that do not; a method of your own sets by_image = True)"),
            self._scored_together(),
            (setting_of(self.cfg, "KEEP_OUTPUTS", "TEST"), "TEST.KEEP_OUTPUTS keeps the features "
             "of all images"),
        )

    def _scored_together(self) -> tuple[bool, str]:
        """Return a reason for `refuse`: whether the OOD score needs all images at once."""
        score = self.options.SCORE
        return score in AGAINST_NAMES, (
            f"TRAINER.{type(self).__name__}.SCORE {score} is scored on all images together")

    def make_loaders(self, dataset) -> tuple:
        if not is_sharded(self.cfg):
            return super().make_loaders(dataset)
        training = TrainingShards(dataset.shards, self.cfg, self.device)
        every = EvaluationShards(dataset.shards, self.cfg, self.device)
        return training, every, every

    def start_from_zero_shot(self) -> None:
        if not is_sharded(self.cfg):
            super().start_from_zero_shot()
            return
        with torch.no_grad(), self.zero_shot():
            self.evaluations.run(epoch=0)
            self._frozen = self.model.class_features().float().cpu()  # (K, embedding)
        self.train_loader_x.open(self.evaluations.take_tables())
        self._epoch_seed, self._first, self._written = None, 0, time.monotonic()
        if self.groups and self.options.SCHEDULE == "iteration":
            self.sched.T_max = self.all_steps()

    def before_train(self) -> None:
        super().before_train()
        if is_sharded(self.cfg) and self.groups:
            found = partial_state.resume(self, self.start_epoch)
            if found:
                self._epoch_seed, self._first = found["seed"], found["batches"]
                self.evaluations.resumed_from_batch = self._first

    def all_steps(self) -> int:
        if is_sharded(self.cfg) and not hasattr(self.train_loader_x, "order"):
            return 1  # the number of images is not known yet
        return super().all_steps()

    def run_epoch(self) -> None:
        if not is_sharded(self.cfg):
            super().run_epoch()
            return
        whole = self.train_loader_x
        self.train_loader_x = _Epoch(self, whole, self._first, self._epoch_seed)
        super().run_epoch()
        self.train_loader_x, self._first, self._epoch_seed = whole, 0, None

    def after_train(self) -> None:
        super().after_train()
        if is_sharded(self.cfg) and distributed.is_main():
            partial_state.remove(self)

    def with_zero_shot(self, batch: dict) -> dict:
        """Call `prepare` with the frozen model's cosines of a batch; return what `loss` gets."""
        features = WholeBatch.of(batch["index"].cpu()).rows(batch.pop("features"))
        self.prepare(features @ self._frozen.T)
        return batch

    def save_progress(self, seed: int, batches: int) -> None:
        """Every partial_state.SECONDS, save the state after this many batches of an epoch."""
        if time.monotonic() - self._written > partial_state.SECONDS:
            self.check_losses()
            if distributed.is_main():
                partial_state.write(self, batches, epoch=self.epoch, seed=seed)
            self._written = time.monotonic()


class _Epoch:
    """A loader of one epoch from batch `first` on, for the engine's loop. seed: of an epoch that is
    resumed; None: draw one."""

    shared_equally = True

    def __init__(self, trainer: ShardsTrainer, loader: TrainingShards, first: int,
                 seed: int | None):
        self.trainer, self.loader, self.first, self.seed = trainer, loader, first, seed
        self.batch_size = loader.batch_size
        self.dataset = range(first * loader.batch_size, len(loader.dataset))  # remaining images

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict]:
        seed = self.loader.begin_epoch() if self.seed is None else self.seed
        for number, batch in enumerate(self.loader.epoch(seed, self.first), self.first):
            yield {**self.trainer.with_zero_shot(batch), "number": number}
            self.trainer.save_progress(seed, number + 1)  # the step has been taken
