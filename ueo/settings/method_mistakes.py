"""Checks for common mistakes in a new method, each with an error of one sentence."""

from numbers import Real

from torch import Tensor, nn

from ueo.errors import ConfigError

GROUPS = "{part: {name: parameter}}"


def without_loss(name: str) -> ConfigError:
    """Return the error for a trainer `name` that takes steps but defines no loss."""
    return ConfigError(
        f"{name} has no loss: define loss(self, batch), which returns what is minimised; or set "
        "uses_labels (cross-entropy) or training_free (no step)"
    )


def check_groups(name: str, groups) -> None:
    """Raise ConfigError unless `groups`, from `trainable` of the trainer `name`, is well formed."""
    good = isinstance(groups, dict) and all(
        isinstance(part, dict) and all(isinstance(p, nn.Parameter) for p in part.values())
        for part in groups.values()
    )
    if not good:
        raise ConfigError(f"{name}.trainable must return {GROUPS}, as super().trainable() does")


def check_buffers(name: str, saved: dict[str, Tensor], now: dict[str, Tensor]) -> None:
    """Raise ConfigError if the trainer `name` replaced a tensor of its `buffers`, so that
    checkpoints save an old one. saved: the tensors that they save; now: what `buffers` returns."""
    for key, tensor in saved.items():
        if key not in now or now[key].data_ptr() != tensor.data_ptr():
            raise ConfigError(
                f"{name}.buffers returns another tensor {key!r} than at first, which checkpoints "
                "keep; change it in place, as by copy_()"
            )


def as_losses(name: str, found, parts) -> dict[str, Tensor | Real]:
    """Check and return what `loss` of the trainer `name` returned, a bare scalar as {"loss": it}.

    parts: the tuned parts of the model, for a message. Raises ConfigError unless "loss" is one
    number with a gradient and every other entry, which is logged, is one number.
    """
    losses = found if isinstance(found, dict) else {"loss": found}
    if "loss" not in losses:
        raise ConfigError(
            f"{name}.loss returned {_listed(losses)}; what is minimised must be called 'loss'"
        )
    for key, value in losses.items():
        if not _is_number(value) or key == "loss" and not isinstance(value, Tensor):
            what = f"{key!r}: {_kind(value)}" if isinstance(found, dict) else _kind(value)
            raise ConfigError(
                f"{name}.loss returned {what}; it must return a tensor of one number, or "
                "{'loss': such a tensor, further names: numbers to log}"
            )
    if not losses["loss"].requires_grad:
        raise ConfigError(
            f"{name}.loss returned a number without a gradient: it depends on nothing that is "
            f"tuned ({', '.join(parts)}), or was detached"
        )
    return losses


def _is_number(value) -> bool:
    return value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, Real)


def _kind(value) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return "nothing (None)" if value is None else f"a {type(value).__name__}"


def _listed(losses: dict) -> str:
    return f"{', '.join(map(repr, losses))} alone" if losses else "an empty dictionary"
