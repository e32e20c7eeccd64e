"""Layers of a model: freeze, count, initialise; set learning rates."""

from dassl.utils.errors import ConfigValueError
from dassl.utils.tools import check_availability
from torch import nn


def open_all_layers(model: nn.Module) -> None:
    """Set the model to training mode and make all parameters trainable."""
    model.train().requires_grad_(True)


def open_specified_layers(model: nn.Module, open_layers) -> None:
    """Train only the named children and freeze the others.

    Raise ConfigValueError for a name that is no child.
    """
    if isinstance(model, nn.DataParallel):
        model = model.module
    names = [open_layers] if isinstance(open_layers, str) else list(open_layers)
    children = dict(model.named_children())
    for name in names:
        check_availability(name, list(children), "open_layers")
    for name, child in children.items():
        child.train(name in names)
        child.requires_grad_(name in names)


def count_num_param(model: nn.Module | None = None, params=None) -> int:
    """Count the parameters of a model, or of an iterable of parameters or group dictionaries."""
    if model is not None:
        return sum(p.numel() for p in model.parameters())
    if params is None:
        raise ConfigValueError("count_num_param needs a model or params")
    total = 0
    for item in params:
        group = item["params"] if isinstance(item, dict) else [item]
        total += sum(p.numel() for p in group)
    return total


_INITIALISERS = {
    "normal": lambda w, gain: nn.init.normal_(w, 0.0, gain),
    "xavier": lambda w, gain: nn.init.xavier_normal_(w, gain=gain),
    "kaiming": lambda w, gain: nn.init.kaiming_normal_(w, a=0, mode="fan_in"),
    "orthogonal": lambda w, gain: nn.init.orthogonal_(w, gain=gain),
}


def init_network_weights(model: nn.Module, init_type: str = "normal", gain: float = 0.02) -> None:
    """Initialise convolutions and linear layers; norms get weight 1, every bias 0."""
    if init_type not in _INITIALISERS:
        raise ConfigValueError(
            f"initialisation {init_type!r} is unknown; known: {', '.join(_INITIALISERS)}"
        )
    norms = (nn.modules.batchnorm._BatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)
    for module in model.modules():
        is_layer = isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if is_layer:
            _INITIALISERS[init_type](weight.data, gain)
        elif isinstance(module, norms) and weight is not None:
            nn.init.constant_(weight.data, 1.0)
        if (is_layer or isinstance(module, norms)) and bias is not None:
            nn.init.constant_(bias.data, 0.0)


def set_bn_to_eval(m: nn.Module) -> None:
    """Make a batch norm use its stored statistics: `model.apply(set_bn_to_eval)`."""
    if "BatchNorm" in type(m).__name__:
        m.eval()


def adjust_learning_rate(
    optimizer, base_lr, epoch, stepsize=20, gamma=0.1, linear_decay=False, final_lr=0, max_epoch=100
) -> None:
    """Set the rate of an epoch: linear from base_lr to final_lr, or in steps by gamma."""
    if linear_decay:
        rate = base_lr + (final_lr - base_lr) * epoch / max_epoch
    else:
        rate = base_lr * gamma ** (epoch // stepsize)
    for group in optimizer.param_groups:
        group["lr"] = rate
