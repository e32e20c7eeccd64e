"""The optimiser of what is tuned, and how its learning rates fall."""

from collections.abc import Callable

from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from ueo.clip.backbones import check_epsilon

# cosine to 0 over iterations; by iterations too, see DECAY; Dassl's, by epochs
SCHEDULES = ("iteration", "inverse", "epoch")
RATES = {"prompt": "PROMPT_LR", "visual_affine": "VISUAL_LR", "visual_prompt": "VISUAL_LR"}

Groups = dict[str, dict[str, nn.Parameter]]  # part -> {name: parameter}


def build_optimiser(module: nn.Module, groups: Groups, optim, options) -> Optimizer:
    """Dassl's optimiser with one group a part, each at its own rate or at OPTIM.LR.

    module: holds all parameters of `groups`; optim: the configuration's OPTIM; options: the
    trainer's.
    """
    own = {part: getattr(options, key) for part, key in RATES.items()}
    built = build_optimizer(module, optim, param_groups=[
        {"params": list(parameters.values()),
         "lr": optim.LR if own.get(part) is None else own[part]}
        for part, parameters in groups.items()
    ])
    check_epsilon(built)
    return built


def build_schedule(
    optimiser: Optimizer, optim, options, steps: Callable[[], int]
) -> LRScheduler:
    """The schedule that SCHEDULE names. steps: gives the number of iterations in all."""
    if options.SCHEDULE == "iteration":
        return CosineAnnealingLR(optimiser, T_max=steps())
    if options.SCHEDULE == "inverse":
        return LambdaLR(optimiser, lambda step: (1 + options.DECAY * step / steps()) ** -0.75)
    return build_lr_scheduler(optimiser, optim)
