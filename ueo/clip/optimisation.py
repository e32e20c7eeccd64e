"""The optimiser of what is tuned, how its learning rates fall, and steps in half precision."""

from collections.abc import Callable

import torch
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from ueo.errors import ConfigError

# cosine to 0 over iterations; by iterations too, see DECAY; Dassl's, by epochs
SCHEDULES = ("iteration", "inverse", "epoch")
RATES = {  # where it is not <PART>_LR; a tower's weights have OPTIM.LR
    "visual": None, "visual_affine": "VISUAL_LR", "visual_affine_all": "VISUAL_LR",
    "visual_prompt": "VISUAL_LR",
}

# The first scale of an amp loss, the largest power of two that half precision holds: torch's own,
# 2 ** 16, is infinite there, so the first step of a loss in half would always be skipped.
FIRST_SCALE = 2.0**15

Groups = dict[str, dict[str, nn.Parameter]]  # part -> {name: parameter}


def build_optimiser(module: nn.Module, groups: Groups, optim, options) -> Optimizer:
    """Dassl's optimiser with one group a part: at the rate of the trainer's option <PART>_LR
    (or that of RATES), or at OPTIM.LR where that is None or not declared.

    module: holds all parameters of `groups`; optim: the configuration's OPTIM; options: the
    trainer's. Raises ConfigError where a step would be NaN.
    """
    own = {part: options.get(RATES.get(part, f"{part.upper()}_LR")) for part in groups}
    built = build_optimizer(module, optim, param_groups=[
        {"params": list(parameters.values()), "lr": optim.LR if own[part] is None else own[part]}
        for part, parameters in groups.items()
    ])
    check_epsilon(built, list(groups), optim.NAME, options.trainer)
    return built


def check_epsilon(optimiser: Optimizer, parts: list[str], name: str, trainer: str) -> None:
    """Raise ConfigError where the optimiser divides by its epsilon and that is 0 in half precision.

    parts: what each of its groups holds; name: OPTIM.NAME.
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
    """Scales an amp loss, and counts the steps that it leaves out because a gradient was infinite
    in half precision, which it answers with a smaller scale.

    skipped: so many since the run began, resumed or not.
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
        """Print how many steps were left out since this was last called, where there were any."""
        if self.skipped > self._told:
            print("amp: steps left out because a gradient was infinite in half precision: "
                  f"{self.skipped - self._told}; the loss is scaled by {self.get_scale():.0f} now")
        self._told = self.skipped

    def state_dict(self) -> dict:
        state = super().state_dict()  # empty where it is switched off
        return {**state, "skipped": self.skipped} if state else state

    def load_state_dict(self, state: dict) -> None:
        self.skipped = self._told = state.get("skipped", 0)
        super().load_state_dict(state)


def build_schedule(
    optimiser: Optimizer, optim, options, steps: Callable[[], int]
) -> LRScheduler:
    """The schedule that SCHEDULE names. steps: gives the number of iterations in all."""
    if options.SCHEDULE == "iteration":
        return CosineAnnealingLR(optimiser, T_max=steps())
    if options.SCHEDULE == "inverse":
        return LambdaLR(optimiser, lambda step: (1 + options.DECAY * step / steps()) ** -0.75)
    return build_lr_scheduler(optimiser, optim)
