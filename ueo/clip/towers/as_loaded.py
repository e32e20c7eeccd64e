"""Whether a tower is still what was loaded.

Where unused computation is skipped, weights are read and most layers are not called: a layer put in
place of another, or a hook on one, would have no effect there.
"""

from torch import Tensor, nn

PARAMETRIZATIONS = "parametrizations"  # of torch.nn.utils.parametrize: they show in the weight


class AsLoaded:
    """Remembers each layer of a tower: its class, the layers in it and its hooks."""

    def __init__(self, tower: nn.Module):
        self._before = [(name, layer, _state(layer)) for name, layer in tower.named_modules()]

    def changed(self) -> str:
        """The first layer that is not as it was, "mlp (Sequential)"; "" if there is none. Where a
        layer was replaced, it is the one around it."""
        for name, layer, before in self._before:
            if _state(layer) != before and _unparametrized(layer) != before:
                return f"{name or 'the tower itself'} ({type(layer).__name__})"
        return ""


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict, with each weight that a parametrization makes in place of its parts."""
    state = model.state_dict()
    for name, layer in model.named_modules():
        below = f"{name}." if name else ""
        for weight in layer._modules.get(PARAMETRIZATIONS, ()):
            parts = f"{below}{PARAMETRIZATIONS}.{weight}."
            state = {key: tensor for key, tensor in state.items() if not key.startswith(parts)}
            state[below + weight] = getattr(layer, weight)
    return state


def _state(layer: nn.Module) -> tuple:
    # called for each layer in each step, so it is one expression
    own = layer.__dict__
    return (type(layer), "forward" in own, *own["_modules"].values(), *own["_forward_hooks"],
            *own["_forward_pre_hooks"], *own["_backward_hooks"], *own["_backward_pre_hooks"])


def _unparametrized(layer: nn.Module) -> tuple:
    """The state of a layer but for its parametrizations, which give it a class of their own."""
    kind, replaced, *rest = _state(layer)
    made = layer._modules.get(PARAMETRIZATIONS)
    return (kind if made is None else kind.__bases__[0], replaced,
            *(part for part in rest if part is not made))
