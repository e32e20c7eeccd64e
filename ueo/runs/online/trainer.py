"""A run on a stream: every batch is predicted, and adapted to, when it arrives."""

import time

import torch
from torch import Tensor
from tqdm import tqdm

from modern_dassl import distributed
from ueo.errors import ConfigError, refuse
from ueo.images.hidden_labels import hide_labels
from ueo.runs.evaluation import Evaluations
from ueo.runs.online import partial_state
from ueo.runs.online.evaluations import StreamEvaluations
from ueo.runs.online.orders import batches
from ueo.runs.online.stream import Stream
from ueo.runs.recorded_trainer import TRAINED
from ueo.runs.shards.evaluations import ShardEvaluations
from ueo.runs.shards.trainer import ShardsTrainer
from ueo.settings.config import is_online, is_sharded, setting_of


class OnlineTrainer(ShardsTrainer):
    """A trainer that can run on a stream (protocol "online"). A subclass may define `online_step`.
    """

    online_only = False  # True: it runs on streams only
    needs_all_images = False  # True: `prepare` or the last epoch needs them; refused online
    stream: Stream

    def online_step(self, batch: dict) -> Tensor | dict[str, Tensor]:
        """Predict a batch of the stream and adapt to it. Returns unscaled cosines (batch, K), or
        {"cosines": these, "scores": (batch,)} if the method has its own OOD score.

        batch: see ueo/runs/online/stream.py. By default ONLINE.STEPS steps are taken on it.
        """
        options = self.cfg.ONLINE
        batch = self.prepare_batch(batch)
        answer = self.answer(batch) if options.ANSWER == "before" else None
        for _ in range(options.STEPS if self.groups else 0):
            self.forward_backward(batch)
        return self.answer(batch) if answer is None else answer

    def prepare_batch(self, batch: dict) -> dict:
        """Compute what the steps on a batch of the stream need. Returns the batch for `loss`. By
        default `prepare` sees the batch as if it were all images."""
        self.prepare(batch["zero_shot"])
        return {**batch, "index": torch.arange(len(batch["index"]))}

    @torch.no_grad()
    def answer(self, batch: dict) -> Tensor:
        """Unscaled cosines (batch, K), fp32, of a batch of the stream by the current model."""
        model, features = self.model, batch["features"].to(self.model.dtype)
        if "img" in batch:
            features = model.padded(model.image_features, batch["img"])
        classes = model.class_features()
        return model.padded(lambda rows: model.cosines(rows, classes), features).float()

    # what a run asks for

    def build_data_loader(self) -> None:
        if is_online(self.cfg):
            self._refuse()
        elif self.online_only:
            raise ConfigError(f"{type(self).__name__} runs on streams only; use --protocol online")
        super().build_data_loader()

    def make_evaluations(self) -> Evaluations:
        kind = StreamEvaluations if is_online(self.cfg) else Evaluations
        return (ShardEvaluations if is_sharded(self.cfg) else kind)(self, self._truth)

    def update_lr(self, *args, **options) -> None:
        if not is_online(self.cfg):  # no schedule: the end of a stream is unknown
            super().update_lr(*args, **options)

    def train(self) -> None:
        if is_online(self.cfg):
            self._follow()
        else:
            super().train()

    def _refuse(self) -> None:
        """Raise ConfigError for what is impossible online."""
        name, cfg = type(self).__name__, self.cfg
        if self.needs_all_images:
            raise NotYetHere(name).refusal
        refuse(
            "--protocol online",
            (self.uses_labels, f"{name} trains with labels"),
            (self.reads_labels, f"{name} reads labels"),
            (cfg.DATASET.NUM_SHOTS > 0, "DATASET.NUM_SHOTS takes images out of the stream"),
            (distributed.launched(), "one process reads the stream; do without torchrun"),
            self._scored_together(),
            (setting_of(cfg, "KEEP_OUTPUTS", "TEST"), "TEST.KEEP_OUTPUTS keeps the features that"
             " one model gives of all images; in a stream the model changes, leave it False"),
        )

    def _follow(self) -> None:
        """Predict the whole stream, or what an interrupted run left of it; write the record."""
        self.stream = self._open_stream()
        start = partial_state.state_of(self) if self.cfg.ONLINE.RESET else None
        found = partial_state.resume(self) or {"batches": 0, "answers": {}}
        self.evaluations.resumed_from_batch = found["batches"]
        first, answers = found["batches"], {n: [rows] for n, rows in found["answers"].items()}
        self.epoch, self.num_batches, began = 0, len(self.stream), time.monotonic()
        coming = tqdm(self.stream.starting_with(first), "stream", self.num_batches, leave=False,
                      initial=first, disable=None)
        for self.batch_idx, batch in enumerate(coming, first):
            if start and self.batch_idx in self.stream.begins:
                partial_state.put_back(self, start)
            clock = time.perf_counter()
            found = self.online_step(batch)
            found = found if isinstance(found, dict) else {"cosines": found}
            for name, rows in found.items():
                answers.setdefault(name, []).append(rows.detach().float().cpu())
            self.evaluations.count_training(time.perf_counter() - clock, len(batch["index"]))
            if time.monotonic() - began > partial_state.SECONDS:
                self.check_losses()
                partial_state.write(self, self.batch_idx + 1, answers={
                    name: torch.cat(parts) for name, parts in answers.items()})
                began = time.monotonic()
        self.evaluations.add_stream({name: torch.cat(rows) for name, rows in answers.items()})
        if self.get_model_names():
            self.save_model(self.max_epoch - 1, self.output_dir)
            self.epochs_done = self.max_epoch
        print(TRAINED)
        self.evaluations.write_record()
        partial_state.remove(self)

    def _open_stream(self) -> Stream:
        """Return the stream, after the zero-shot model has predicted all images one by one. From
        then on no loader gives an image before it arrives."""
        cfg, items = self.cfg, self._truth.items("unlabelled")
        with self.zero_shot():
            zero_shot = self.evaluations.run(epoch=0)["unlabelled"]
        domains = torch.tensor([item.domain for item in items]).numpy()
        found = batches(
            cfg.ONLINE.ORDER, self._truth.labels("unlabelled").numpy(), domains,
            cfg.DATALOADER.TRAIN_X.BATCH_SIZE, cfg.ONLINE.GAMMA, cfg.SEED,
        )
        of = [int(domains[batch[0]]) for batch in found]
        begins = [i for i in range(1, len(of)) if of[i] != of[i - 1]]
        stream = Stream(self.unlabelled_loader, found, self.evaluations.features, zero_shot,
                        read=not self.training_free, begins=begins)
        self.evaluations.stream = stream
        self.unlabelled_loader = gone = NotYetHere(type(self).__name__)
        hide_labels(self, self.dm.dataset, gone, gone, gone)
        if self.groups:
            for group in self.optim.param_groups:
                group["lr"] = group["initial_lr"]
        self.model.keep_classes()
        return stream

    def train_on(self, chosen: list[int]) -> None:
        if is_online(self.cfg):
            raise NotYetHere(type(self).__name__).refusal
        super().train_on(chosen)


class NotYetHere:
    """Replaces the loader of all images. Any use raises ConfigError."""

    def __init__(self, trainer: str):
        self.refusal = ConfigError(
            f"--protocol online: {trainer} needs all images at once, and they have not arrived "
            "yet; define online_step, or use a method of docs/online.md"
        )

    def __getattr__(self, name: str):
        raise self.refusal

    def __iter__(self):
        raise self.refusal

    def __len__(self) -> int:
        raise self.refusal
