"""The optimiser, its learning rates and schedule, and loss scaling in half precision."""

from collections.abc import Callable

import torch
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from ueo.errors import ConfigError

# cosine to 0 over iterations; inverse decay over iterations, see DECAY; Dassl's, over epochs
SCHEDULES = ("iteration", "inverse", "epoch")
RATES = {  # options of the parts whose rate is not <PART>_LR; a whole tower has OPTIM.LR
    "visual": None, "visual_affine": "VISUAL_LR", "visual_affine_all": "VISUAL_LR",
    "visual_prompt": "VISUAL_LR",
}

# The initial scale of an amp loss: the largest power of two in half precision. torch's default,
# 2 ** 16, is infinite there, so the first step of a half-precision loss would be skipped.
FIRST_SCALE = 2.0**15

Groups = dict[str, dict[str, nn.Parameter]]  # part -> {name: parameter}


def build_optimiser(module: nn.Module, groups: Groups, optim, options) -> Optimizer:
    """Build Dassl's optimiser with one parameter group a part. Its learning rate is the trainer's
    option <PART>_LR (or that of RATES); if that is None or not declared, OPTIM.LR.

    module: holds all parameters of `groups`; optim: the configuration's OPTIM; options: the
    trainer's. Raises ConfigError as `check_epsilon` does.
    """
    own = {part: options.get(RATES.get(part, f"{part.upper()}_LR")) for part in groups}
    built = build_optimizer(module, optim, param_groups=[
        {"params": list(parameters.values()), "lr": optim.LR if own[part] is None else own[part]}
        for part, parameters in groups.items()
    ])
    check_epsilon(built, list(groups), optim.NAME, options.trainer)
    return built


def check_epsilon(optimiser: Optimizer, parts: list[str], name: str, trainer: str) -> None:
    """Raise ConfigError if the optimiser divides by an epsilon that is 0 in half precision.

    parts: of its parameter groups; name: OPTIM.NAME.
    """
    half = [
        part for part, group in zip(parts, optimiser.param_groups)
        if torch.tensor(group.get("eps", 1.0), dtype=torch.float16) == 0
        and any(p.dtype == torch.float16 for p in group["params"])
    ]
    if not half:
        return
    ways = [f"TRAINER.{trainer}.PREC amp", "OPTIM.NAME sgd"]
    if half == ["prompt"]:
        ways.insert(0, f"TRAINER.{trainer}.CTX_FP32 True")
    raise ConfigError(
        f"OPTIM.NAME {name}: its epsilon is 0 in half precision, in which PREC fp16 keeps "
        f"{' and '.join(half)}, and steps would be NaN; set {' or '.join(ways)}"
    )


class LossScaler(torch.amp.GradScaler):
    """Scales an amp loss, and counts the steps it skips because a gradient is infinite in half
    precision; the scale is then reduced. skipped: their number since the run began, also after a
    resume.
    """

    def __init__(self, device: str = "cuda"):
        super().__init__(device, init_scale=FIRST_SCALE)
        self.skipped = self._told = 0

    def step(self, optimizer: Optimizer, *args, **kwargs):
        taken = []
        handle = optimizer.register_step_post_hook(lambda *_: taken.append(True))
        try:
            return super().step(optimizer, *args, **kwargs)
        finally:
            handle.remove()
            self.skipped += not taken

    def tell(self) -> None:
        """Print how many steps were skipped since the last call, if any."""
        if self.skipped > self._told:
            print("amp: steps skipped because a gradient was infinite in half precision: "
                  f"{self.skipped - self._told}; the loss scale is now {self.get_scale():.0f}")
        self._told = self.skipped

    def state_dict(self) -> dict:
        state = super().state_dict()  # empty if scaling is disabled
        return {**state, "skipped": self.skipped} if state else state

    def load_state_dict(self, state: dict) -> None:
        self.skipped = self._told = state.get("skipped", 0)
        super().load_state_dict(state)


def build_schedule(
    optimiser: Optimizer, optim, options, steps: Callable[[], int]
) -> LRScheduler:
    """Build the schedule that SCHEDULE names. steps: returns the total number of iterations."""
    if options.SCHEDULE == "iteration":
        return CosineAnnealingLR(optimiser, T_max=steps())
    if options.SCHEDULE == "inverse":
        return LambdaLR(optimiser, lambda step: (1 + options.DECAY * step / steps()) ** -0.75)
    return build_lr_scheduler(optimiser, optim)
