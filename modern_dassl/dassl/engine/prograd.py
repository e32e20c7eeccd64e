"""Prompt-aligned gradients, ProGrad (Zhu et al., ICCV 2023, arXiv:2205.14865)."""

from collections.abc import Iterable

from torch import Tensor, nn


def remove_conflicts(
    parameters: Iterable[nn.Parameter], reference: Iterable[Tensor | None], strength: float
) -> None:
    """If the gradients a and b of a parameter conflict (a . b < 0), replace a by
    a - strength * (a . b / |b|^2) b.

    parameters: a is their .grad; reference: b of each parameter, or None.
    """
    for parameter, b in zip(parameters, reference, strict=True):
        if parameter.grad is None or b is None:
            continue
        dot = (parameter.grad * b).sum()
        if dot < 0:
            parameter.grad -= strength * dot / (b * b).sum() * b
