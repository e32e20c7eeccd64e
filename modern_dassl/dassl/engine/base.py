"""Base of all trainers: models, their optimizers and schedulers, checkpoints, steps, epochs."""

import os.path as osp
from collections import OrderedDict

import torch
from dassl.engine.checkpoints import last_common, weights_file
from dassl.engine.prograd import remove_conflicts
from dassl.engine.scalars import ScalarLog
from dassl.utils import (
    CheckpointReadError,
    ConfigValueError,
    LossError,
    load_checkpoint,
    save_checkpoint,
    set_random_states,
    tolist_if_not,
)
from dassl.utils.scheduler_state import plain_state
from dassl.utils.torchtools import POINTER, restore
from torch import nn

from modern_dassl import distributed


class TrainerBase(ScalarLog):
    """Generic trainer. Subclasses define run_epoch, forward_backward, test and the model hooks."""

    def __init__(self):
        self._models: OrderedDict[str, nn.Module] = OrderedDict()
        self._optims, self._scheds = OrderedDict(), OrderedDict()
        self.start_epoch = self.epoch = 0
        self.best_result = float("-inf")

    # models

    def register_model(self, name: str = "model", model=None, optim=None, sched=None) -> None:
        """Register a model: it is saved, loaded and stepped under `name`. Under torchrun it gets
        the main process's weights, and its gradients are averaged over processes.

        Raise AttributeError before TrainerBase.__init__ and ConfigValueError for a known name.
        """
        if "_models" not in self.__dict__:
            raise AttributeError("register_model was called before super().__init__()")
        if name in self._models:
            raise ConfigValueError(f"a model named {name!r} is registered already")
        self._models[name], self._optims[name], self._scheds[name] = model, optim, sched
        if model is not None:
            distributed.unify(model)

    def get_model_names(self, names=None) -> list[str]:
        """Return all names, or `names` as a list. Raise ConfigValueError for an unknown one."""
        known = list(self._models)
        if names is None:
            return known
        names = tolist_if_not(names)
        for name in names:
            if name not in known:
                raise ConfigValueError(
                    f"no model is named {name!r}; known: {', '.join(known) or 'none'}"
                )
        return names

    def set_model_mode(self, mode: str = "train", names=None) -> None:
        """Set training mode for "train", evaluation mode for "eval" and "test"."""
        if mode not in ("train", "eval", "test"):
            raise ConfigValueError(f"mode must be train, eval or test, not {mode!r}")
        for name in self.get_model_names(names):
            self._models[name].train(mode == "train")

    # checkpoints

    def save_model(
        self, epoch: int, directory: str, is_best: bool = False, val_result=None, model_name=""
    ) -> None:
        """Write a checkpoint of each model after epoch `epoch` (counted from 0).

        It contains plain data, enough to resume the run exactly.
        """
        for name in self.get_model_names():
            optim, sched = self._optims[name], self._scheds[name]
            scaler = getattr(self, "scaler", None)
            state = {
                "state_dict": self._models[name].state_dict(),
                "epoch": epoch + 1,
                "optimizer": None if optim is None else optim.state_dict(),
                "scheduler": None if sched is None else plain_state(sched),
                "val_result": None if val_result is None else float(val_result),
                "best_result": float(self.best_result),
                "scaler": None if scaler is None else scaler.state_dict(),
            }
            if distributed.is_main():
                save_checkpoint(
                    state, osp.join(directory, name), is_best=is_best, model_name=model_name
                )
        distributed.barrier()

    def resume_model_if_exist(self, directory: str) -> int:
        """Resume from the last checkpoints in `directory`; return the epoch to start with, or 0 if
        no model has a checkpoint there.

        This restores models, optimizers, schedulers, the GradScaler `scaler`, the best result and
        the random states. Raise MissingFileError if only some models have a checkpoint, and
        CheckpointReadError.
        """
        names = self.get_model_names()
        if not any(osp.isfile(osp.join(directory, name, POINTER)) for name in names):
            print("No checkpoint found, train from scratch")
            return 0
        print(f"Found checkpoint at {directory} (will resume training)")
        scaler = getattr(self, "scaler", None)
        for name, path in last_common(directory, names).items():
            print(f'Loading checkpoint from "{path}"')
            found = load_checkpoint(path)
            restore(found, path, self._models[name], self._optims[name], self._scheds[name], scaler)
        self.best_result = found.get("best_result", self.best_result)
        if "random_states" in found:
            try:
                set_random_states(found["random_states"])
            except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise CheckpointReadError(f"{path}: its random states are damaged") from error
        else:
            print("The checkpoint holds no random states: the order of images will be another one")
        print(f"Previous epoch: {found['epoch']}")
        return found["epoch"]

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load the weights of each model from `directory`.

        epoch: number of finished epochs; None for the best model, or the last if none was saved.
        Raise MissingFileError, CheckpointReadError.
        """
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        for name in self.get_model_names():
            path = weights_file(osp.join(directory, name), epoch)
            found = load_checkpoint(path)
            restore(found, path, self._models[name])
            value = found.get("val_result")
            result = f", val_result={value:.1f}" if isinstance(value, int | float) else ""
            print(f"Load {path} to {name} (epoch={found['epoch']}{result})")

    # steps

    def update_lr(self, names=None) -> None:
        """Step the schedulers; called by the trainer, usually on the last batch of an epoch."""
        for name in self.get_model_names(names):
            if self._scheds[name] is not None:
                self._scheds[name].step()

    def detect_anomaly(self, loss: torch.Tensor) -> None:
        """Raise LossError, a FloatingPointError, unless the loss is finite."""
        if not torch.isfinite(loss).all():
            where = f"epoch {self.epoch + 1}"
            if getattr(self, "batch_idx", None) is not None:
                where += f", batch {self.batch_idx + 1}"
            raise LossError(f"Loss is infinite or NaN in {where}")

    def model_zero_grad(self, names=None) -> None:
        """Clear the gradients of the models' optimizers."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].zero_grad()

    def model_backward(self, loss: torch.Tensor) -> None:
        """Check the loss, then compute gradients."""
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names=None) -> None:
        """Step the models' optimizers."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].step()

    def model_backward_and_update(self, loss: torch.Tensor, names=None) -> None:
        """Clear gradients, check the loss, compute gradients and step."""
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)

    def prograd_backward_and_update(self, loss_a, loss_b, lambda_=1, names=None) -> None:
        """Take a step on loss_a that to first order does not increase loss_b; see prograd.py."""
        self.detect_anomaly(loss_b)
        names = self.get_model_names(names)
        parameters = [
            p for name in names for p in self._models[name].parameters() if p.requires_grad
        ]
        reference = torch.autograd.grad(loss_b, parameters, retain_graph=True, allow_unused=True)
        distributed.average(b for b in reference if b is not None)
        self.model_zero_grad(names)
        self.model_backward(loss_a)
        remove_conflicts(parameters, reference, lambda_)
        self.model_update(names)

    def get_current_lr(self, names=None) -> float:
        """Return the learning rate of the first parameter group of the first optimizer."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                return self._optims[name].param_groups[0]["lr"]
        raise ConfigValueError(f"{type(self).__name__} registered no model with an optimizer")

    # the loop

    def train(self, start_epoch: int, max_epoch: int) -> None:
        """Run epochs start_epoch .. max_epoch - 1 with their hooks."""
        self.start_epoch, self.max_epoch = start_epoch, max_epoch
        self.before_train()
        for self.epoch in range(self.start_epoch, self.max_epoch):
            self.before_epoch()
            self.run_epoch()
            self.after_epoch()
        self.after_train()

    def before_train(self) -> None:
        """Hook."""

    def after_train(self) -> None:
        """Hook."""

    def before_epoch(self) -> None:
        """Hook."""

    def after_epoch(self) -> None:
        """Hook."""

    def run_epoch(self) -> None:
        self._undefined("run_epoch()")

    def test(self, split=None):
        self._undefined("test(split)")

    def parse_batch_train(self, batch):
        self._undefined("parse_batch_train(batch)")

    def parse_batch_test(self, batch):
        self._undefined("parse_batch_test(batch)")

    def forward_backward(self, batch):
        self._undefined("forward_backward(batch)")

    def model_inference(self, input):
        self._undefined("model_inference(input)")

    def _undefined(self, method: str):
        raise TypeError(f"{type(self).__name__} must define {method}")
