"""Build the optimizer of a configuration."""

import warnings

import torch
from dassl.optim.radam import RAdam
from dassl.utils import ConfigTypeError, ConfigValueError, check_availability
from torch import nn

AVAI_OPTIMS = ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"]


def build_optimizer(model, optim_cfg, param_groups=None) -> torch.optim.Optimizer:
    """Build the optimizer OPTIM.NAME for the parameters of `model`.

    model:        a Module, or an iterable of parameters or of group dictionaries.
    param_groups: replace the groups of `model` and override STAGED_LR.

    Raise ConfigValueError for an unknown name and ConfigTypeError for another kind of model.
    """
    check_availability(optim_cfg.NAME, AVAI_OPTIMS, "OPTIM.NAME")
    staged = optim_cfg.STAGED_LR
    if param_groups is not None and staged:
        warnings.warn("OPTIM.STAGED_LR is ignored: parameter groups were given", stacklevel=2)
    if param_groups is None:
        param_groups = _staged(model, optim_cfg) if staged else _parameters(model)
    return _BUILDERS[optim_cfg.NAME](param_groups, optim_cfg)


def _parameters(model):
    if isinstance(model, nn.Module):
        return model.parameters()
    try:
        return list(model)
    except TypeError as error:
        raise ConfigTypeError(
            "an optimizer needs a module, parameters or parameter groups, not "
            f"{type(model).__name__}"
        ) from error


def _staged(model, optim_cfg) -> list[dict]:
    """Return two groups: NEW_LAYERS with LR, all other layers with BASE_LR_MULT * LR."""
    if not isinstance(model, nn.Module):
        raise ConfigTypeError(
            f"OPTIM.STAGED_LR needs a module, to find its layers, not {type(model).__name__}"
        )
    if isinstance(model, nn.DataParallel):
        model = model.module
    named = optim_cfg.NEW_LAYERS
    new_layers = [named] if isinstance(named, str) else list(named)
    if not new_layers:
        warnings.warn("OPTIM.NEW_LAYERS is empty, so no layer gets the full OPTIM.LR", stacklevel=3)
    children = dict(model.named_children())
    for name in new_layers:
        check_availability(name, list(children), "OPTIM.NEW_LAYERS")
    base, new = [], []
    for name, child in children.items():
        (new if name in new_layers else base).extend(child.parameters())
    return [{"params": base, "lr": optim_cfg.LR * optim_cfg.BASE_LR_MULT}, {"params": new}]


def _adam(kind, **fixed):
    def build(groups, cfg):
        betas = (cfg.ADAM_BETA1, cfg.ADAM_BETA2)
        return kind(groups, lr=cfg.LR, betas=betas, weight_decay=cfg.WEIGHT_DECAY, **fixed)

    return build


def _sgd(groups, cfg):
    if cfg.SGD_NESTEROV and (cfg.MOMENTUM <= 0 or cfg.SGD_DAMPNING != 0):
        raise ConfigValueError("OPTIM.SGD_NESTEROV needs OPTIM.MOMENTUM > 0 and SGD_DAMPNING 0")
    return torch.optim.SGD(
        groups,
        lr=cfg.LR,
        momentum=cfg.MOMENTUM,
        weight_decay=cfg.WEIGHT_DECAY,
        dampening=cfg.SGD_DAMPNING,
        nesterov=cfg.SGD_NESTEROV,
    )


def _rmsprop(groups, cfg):
    return torch.optim.RMSprop(
        groups,
        lr=cfg.LR,
        momentum=cfg.MOMENTUM,
        weight_decay=cfg.WEIGHT_DECAY,
        alpha=cfg.RMSPROP_ALPHA,
    )


_BUILDERS = {
    "adam": _adam(torch.optim.Adam),
    "amsgrad": _adam(torch.optim.Adam, amsgrad=True),
    "adamw": _adam(torch.optim.AdamW),
    "radam": _adam(RAdam),
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}
