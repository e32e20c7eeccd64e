"""Learning-rate schedulers with a warm-up, one step per epoch.

In warm-up epoch e = 0 .. W-1 the rate is CONS_LR (constant), or MIN_LR in epoch 0 and LR * e / W
later (linear). Epoch W is epoch 0 of the successor, the scheduler that follows. The state of a
warm-up is plain data and includes the successor's.
"""

from dassl.utils import ConfigValueError, check_availability
from dassl.utils.scheduler_state import load_plain_state, plain_state
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]
WARMUP_TYPES = ["constant", "linear"]


class _BaseWarmupScheduler(LRScheduler):
    """Sets its own rates for `warmup_epoch` epochs, then those of `successor`.

    last_epoch counts up to warmup_epoch and stops; then the successor counts.
    """

    def __init__(self, optimizer, successor, warmup_epoch: int, last_epoch=-1, verbose=False):
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        super().__init__(optimizer, last_epoch)

    def warmup_lr(self, base_lr: float) -> float:
        """Return the rate of warm-up epoch `last_epoch` for a group with base rate `base_lr`."""
        raise TypeError(f"{type(self).__name__} must define warmup_lr(base_lr)")

    def get_lr(self) -> list[float]:
        """Return the rate of each group."""
        if self.last_epoch < self.warmup_epoch:
            return [self.warmup_lr(base) for base in self.base_lrs]
        return self.successor.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Advance to the next epoch."""
        if self.last_epoch < self.warmup_epoch:
            super().step(epoch)
        else:
            self.successor.step(epoch)
            self._last_lr = self.successor.get_last_lr()

    def state_dict(self) -> dict:
        """Return the state as plain data."""
        own = {k: v for k, v in vars(self).items() if k not in ("optimizer", "successor")}
        return {**own, "successor": plain_state(self.successor)}

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state. Raise ValueError if it is of a scheduler without a warm-up."""
        state = dict(state_dict)
        successor = state.pop("successor", None)
        if not isinstance(successor, dict):
            raise ValueError("it is of a scheduler without a warm-up, this run's has one")
        load_plain_state(self.successor, successor)
        vars(self).update(state)


class ConstantWarmupScheduler(_BaseWarmupScheduler):
    """The rate is `cons_lr` during the warm-up."""

    def __init__(self, optimizer, successor, warmup_epoch, cons_lr, last_epoch=-1, verbose=False):
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def warmup_lr(self, base_lr: float) -> float:
        return self.cons_lr


class LinearWarmupScheduler(_BaseWarmupScheduler):
    """The rate is `min_lr` in epoch 0, then grows linearly to the full one."""

    def __init__(self, optimizer, successor, warmup_epoch, min_lr, last_epoch=-1, verbose=False):
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def warmup_lr(self, base_lr: float) -> float:
        if self.last_epoch == 0:
            return self.min_lr
        return base_lr * self.last_epoch / self.warmup_epoch


def build_lr_scheduler(optimizer, optim_cfg) -> LRScheduler:
    """Build OPTIM.LR_SCHEDULER, after a warm-up if OPTIM.WARMUP_EPOCH > 0.

    Raise ConfigValueError for an unknown name or an invalid STEPSIZE.
    """
    check_availability(optim_cfg.LR_SCHEDULER, AVAI_SCHEDS, "OPTIM.LR_SCHEDULER")
    scheduler = _BUILDERS[optim_cfg.LR_SCHEDULER](optimizer, optim_cfg)
    warmup = optim_cfg.WARMUP_EPOCH
    if warmup <= 0:
        return scheduler
    check_availability(optim_cfg.WARMUP_TYPE, WARMUP_TYPES, "OPTIM.WARMUP_TYPE")
    if not optim_cfg.WARMUP_RECOUNT:
        scheduler.last_epoch = warmup
    if optim_cfg.WARMUP_TYPE == "constant":
        return ConstantWarmupScheduler(optimizer, scheduler, warmup, optim_cfg.WARMUP_CONS_LR)
    return LinearWarmupScheduler(optimizer, scheduler, warmup, optim_cfg.WARMUP_MIN_LR)


def _single_step(optimizer, cfg) -> StepLR:
    sizes = cfg.STEPSIZE
    size = sizes[-1] if isinstance(sizes, list | tuple) and sizes else sizes
    if not isinstance(size, int):
        raise ConfigValueError(f"OPTIM.STEPSIZE: single_step takes one whole number, not {sizes!r}")
    return StepLR(optimizer, step_size=size if size > 0 else cfg.MAX_EPOCH, gamma=cfg.GAMMA)


def _multi_step(optimizer, cfg) -> MultiStepLR:
    if not isinstance(cfg.STEPSIZE, list | tuple):
        raise ConfigValueError(
            f"OPTIM.STEPSIZE: multi_step takes a list of epochs, not {cfg.STEPSIZE!r}"
        )
    return MultiStepLR(optimizer, milestones=list(cfg.STEPSIZE), gamma=cfg.GAMMA)


def _cosine(optimizer, cfg) -> CosineAnnealingLR:
    return CosineAnnealingLR(optimizer, T_max=cfg.MAX_EPOCH)


_BUILDERS = {"single_step": _single_step, "multi_step": _multi_step, "cosine": _cosine}
