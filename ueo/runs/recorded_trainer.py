"""The engine's training loop with evaluations on the way, checkpoints and a record at the end.

The zero-shot model is evaluated first. Then a method computes what it needs once (`prepare`) and
trains. trainers/base.py has what a method defines.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from dassl.data.datasets import DatasetBase
from dassl.engine import TrainerX
from torch import Tensor

from modern_dassl.read_numbers import read_numbers
from ueo.clip.published.prompts import load_prompt
from ueo.errors import CheckpointError, ConfigError
from ueo.images.hidden_labels import GroundTruth, UnlabelledDataset, hide_labels
from ueo.images.loaders import TrainingLoader, loaders
from ueo.images.other_datasets import check_labelled, complete
from ueo.inputs import WEIGHTS
from ueo.runs.checkpoint import FACTS, MODEL, checkpoint_file, load_tuned, models_of, read_facts
from ueo.runs.current_inputs import method_inputs
from ueo.runs.evaluation import Evaluations
from ueo.runs.passes import zero_shot_prompt

TRAINED = "Finish training\nFinished training"  # log parsers wait for CoOp's words or MaPLe's


class RecordedTrainer(TrainerX):
    """A trainer that writes result.json. A subclass builds the model, sets `groups` (part -> {name:
    parameter}, empty where nothing is tuned) and `evaluations`, and defines `prepare`."""

    uses_labels = False  # True: train on labelled images, which are not tested
    set_by_hand: dict[str, list] = {}  # see recipe.set_by_hand; goes into the record
    epochs_done = 0  # of the current model, with those of a loaded checkpoint
    evaluations: Evaluations

    def build_data_loader(self) -> None:
        super().build_data_loader()
        self._unread: list[tuple[str, Tensor]] = []  # (step, loss)
        cfg, dataset = self.cfg, self.dm.dataset
        complete(dataset, cfg)
        self.inputs = {**dataset.inputs, **method_inputs(cfg)}
        self._truth = GroundTruth(dataset)
        if self.uses_labels:
            check_labelled(type(self).__name__, dataset)
        self.train_loader_x, self.test_loader, self.unlabelled_loader = self.make_loaders(dataset)
        if not self.uses_labels:
            hidden, training = UnlabelledDataset(dataset, dataset.train_u), self.train_loader_x
            hide_labels(self, hidden, training, training, self.test_loader)

    def make_loaders(self, dataset: DatasetBase) -> tuple:
        """Return the loaders of (training images, test set, unlabelled set)."""
        return loaders(self.cfg, dataset, self.uses_labels, self.device)

    def train_on(self, chosen: list[int]) -> None:
        """Train only on these positions of the unlabelled list. To be called in `prepare`."""
        whole = self.train_loader_x
        self.train_loader_x = TrainingLoader(
            whole.dataset.only(chosen), self.cfg, self.device, whole.budget
        )
        if self.options.SCHEDULE == "iteration":
            self.sched.T_max = self.all_steps()

    def all_steps(self) -> int:
        """Iterations of the whole training."""
        return self.cfg.OPTIM.MAX_EPOCH * len(self.train_loader_x)

    def train(self) -> None:
        if self.groups:
            return super().train()
        prepared = bool(self.get_model_names())  # `prepare` fills buffers: save and test them
        if not prepared:
            print(TRAINED)
        self.before_train()
        if prepared:
            self.save_model(self.max_epoch - 1, self.output_dir)
            self.epochs_done = self.max_epoch
            print(TRAINED)
            self.test()
        self.evaluations.write_record()

    def start_from_zero_shot(self) -> None:
        """Evaluate the zero-shot model, and call `prepare` with its unlabelled cosines."""
        with self.zero_shot():
            self.prepare(self.evaluations.run(epoch=0)["unlabelled"])

    @property
    def starts_at_random(self) -> bool:
        """Whether the contexts to be learnt are still at a random start."""
        return self._starts and "prompt" in self.groups and not self.options.CTX_INIT

    @property
    def _starts(self) -> bool:
        return self.epochs_done == 0 and not self.cfg.MODEL.INIT_WEIGHTS

    @contextmanager
    def zero_shot(self) -> Iterator[None]:
        """Make the model zero-shot CLIP (`make_zero_shot`) within the block, then restore it."""
        own = self.model.prompt, self.model.visual_prompt
        self.make_zero_shot()
        try:
            yield
        finally:
            self.model.prompt, self.model.visual_prompt = own

    def make_zero_shot(self) -> None:
        """Replace contexts that are still random, and so say nothing of the classes, by the data
        set's prompt; remove a visual prompt, which starts at random too."""
        if self.starts_at_random:
            self.model.prompt = zero_shot_prompt(self, list(self.dm.dataset.classnames))
        if self._starts:
            self.model.visual_prompt = None

    def before_train(self) -> None:
        self.start_from_zero_shot()
        if self.groups:
            super().before_train()  # may load a checkpoint, so the zero-shot model comes first
            self.evaluations.resume(self.start_epoch)
            self.epochs_done = self.start_epoch

    def run_epoch(self) -> None:
        start = time.perf_counter()
        super().run_epoch()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.evaluations.count_training(
            time.perf_counter() - start, len(self.train_loader_x.dataset)
        )

    def detect_anomaly(self, loss: Tensor) -> None:
        """Keep the loss for `check_losses`: reading it now would make the host wait."""
        step = f"epoch {self.epoch + 1}, batch {self.batch_idx + 1}"
        self._unread.append((step, loss.detach()))
        done, frequency = self.batch_idx + 1, self.cfg.TRAIN.PRINT_FREQ
        last = done == self.num_batches
        if last or done % frequency == 0 or self.num_batches < frequency:  # when losses are printed
            self.check_losses()

    def check_losses(self) -> None:
        """Raise FloatingPointError if a loss since the last call is infinite or NaN. Called before
        anything that follows from these losses is printed, evaluated or saved."""
        unread, self._unread = self._unread, []
        for (step, _), loss in zip(unread, read_numbers([loss for _, loss in unread])):
            if not math.isfinite(loss):
                raise FloatingPointError(f"Loss is infinite or NaN in {step}")

    def save_model(self, *args, **options) -> None:
        self.check_losses()
        super().save_model(*args, **options)

    def after_epoch(self) -> None:
        done = self.epochs_done = self.epoch + 1
        if self.options.EVAL_FREQ > 0 and done % self.options.EVAL_FREQ == 0:
            if done < self.max_epoch:
                self.evaluations.run(epoch=done)
        super().after_epoch()
        if self.cfg.TRAIN.CHECKPOINT_FREQ <= 0 and done < self.max_epoch:
            self.save_model(self.epoch, self.output_dir)
            self._forget_checkpoint(done - 1)

    def after_train(self) -> None:
        super().after_train()
        if self.cfg.TRAIN.CHECKPOINT_FREQ <= 0:
            self._forget_checkpoint(self.max_epoch - 1)
        self.evaluations.write_record()

    def _forget_checkpoint(self, epoch: int) -> None:
        Path(self.output_dir, MODEL, f"model.pth.tar-{epoch}").unlink(missing_ok=True)

    def load_start(self) -> None:
        """Start from the prompt in MODEL.INIT_WEIGHTS, if that is set."""
        if path := self.cfg.MODEL.INIT_WEIGHTS:
            self._load_prompt(Path(path).expanduser())

    def _load_prompt(self, path: Path) -> None:
        name, backbone = type(self).__name__, self.cfg.MODEL.BACKBONE.NAME
        classnames = list(self.dm.dataset.classnames)
        self.epochs_done = load_prompt(self.model, path, name, backbone, classnames)
        if self.options.CSC:  # a file of our runs holds no class names
            self.check_classes(str(path.absolute().parents[1]), str(path))

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load a checkpoint of the run in `directory`, as the engine does; but genuine Dassl cannot
        read one without a validation result.

        Raises CheckpointError for one that is missing, damaged, of another model or of other
        weights; ConfigError if this trainer tunes nothing, and as `check_classes` does.
        """
        if not directory:
            return
        folder = models_of(Path(directory))
        if folder.name != MODEL:
            self._load_prompt(checkpoint_file(folder, epoch))
        elif self.get_model_names():
            self.check_classes(directory)
            self._check_weights(directory)
            self.epochs_done = load_tuned(self._models[MODEL], folder, epoch)
        elif checkpoint_file(folder, epoch).is_file():
            raise ConfigError(
                f"--model-dir {directory}: {type(self).__name__} tunes nothing, so nothing of that "
                "run would be evaluated; name the run's own trainer, or leave out --model-dir"
            )

    def _check_weights(self, directory: str) -> None:
        """Raise CheckpointError if the run in `directory` was adapted from other weights."""
        ours, known = self.inputs.get(WEIGHTS), Path(directory, FACTS).is_file()
        theirs = read_facts(directory)["weights"] if known else None
        if theirs and ours and theirs != ours:
            raise CheckpointError(
                f"--model-dir {directory}: was adapted from the weights {theirs}, and those of "
                f"{self.cfg.MODEL.BACKBONE.NAME} here are {ours}; name its own --backbone"
            )

    def check_classes(self, directory: str, named: str = "") -> None:
        """Raise ConfigError if what is learnt is bound to its classes, and the run in `directory`
        had other classes or another order. named: begins the message, instead of --model-dir."""
        bound = self.bound_to_classes or self.options.CSC
        if not bound or not Path(directory, FACTS).is_file():
            return
        theirs, ours = read_facts(directory)["class_names"], list(self.dm.dataset.classnames)
        if theirs != ours:
            what = "another order" if sorted(theirs) == sorted(ours) else "others"
            raise ConfigError(
                f"{named or f'--model-dir {directory}'}: what {type(self).__name__} learns is "
                f"bound to its {len(theirs)} classes (first {theirs[0]!r}), and the {len(ours)} "
                f"here (first {ours[0]!r}) are {what}; use it on its own classes"
            )

    @torch.no_grad()
    def test(self, split=None) -> float:
        """Evaluate both sets; returns the accuracy on known test images."""
        self.evaluations.run(epoch=self.epochs_done, last=True)
        return self.evaluations.history[-1]["test"]["accuracy"]
