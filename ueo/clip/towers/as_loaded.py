"""Whether a tower is still as it was loaded.

The fast towers read weights and call few layers. There a replaced layer, or a hook on one, would
have no effect.
"""

from torch import Tensor, nn

PARAMETRIZATIONS = "parametrizations"  # of torch.nn.utils.parametrize: they show in the weight


class AsLoaded:
    """Remembers the class, sublayers and hooks of each layer of a tower."""

    def __init__(self, tower: nn.Module):
        self._before = [(name, layer, _state(layer)) for name, layer in tower.named_modules()]

    def changed(self) -> str:
        """Return the first layer that was changed, "mlp (Sequential)", or "". For a replaced layer,
        this is the one around it."""
        for name, layer, before in self._before:
            if _state(layer) != before and _unparametrized(layer) != before:
                return f"{name or 'the tower itself'} ({type(layer).__name__})"
        return ""


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict, in which parametrized weights replace the parts they are made of."""
    state = model.state_dict()
    for name, layer in model.named_modules():
        below = f"{name}." if name else ""
        for weight in layer._modules.get(PARAMETRIZATIONS, ()):
            parts = f"{below}{PARAMETRIZATIONS}.{weight}."
            state = {key: tensor for key, tensor in state.items() if not key.startswith(parts)}
            state[below + weight] = getattr(layer, weight)
    return state


def _state(layer: nn.Module) -> tuple:
    # one expression, because it is called for each layer in each step
    own = layer.__dict__
    return (type(layer), "forward" in own, *own["_modules"].values(), *own["_forward_hooks"],
            *own["_forward_pre_hooks"], *own["_backward_hooks"], *own["_backward_pre_hooks"])


def _unparametrized(layer: nn.Module) -> tuple:
    """Return the state of a layer without its parametrizations, which also change its class."""
    kind, replaced, *rest = _state(layer)
    made = layer._modules.get(PARAMETRIZATIONS)
    return (kind if made is None else kind.__bases__[0], replaced,
            *(part for part in rest if part is not made))
