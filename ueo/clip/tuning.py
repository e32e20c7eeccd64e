"""What moves during fine-tuning: named subsets of a prompted CLIP's parameters."""

from torch import Tensor, nn

from ueo.errors import ConfigError

NORM_MARKS = ("bn", "ln")
TOWERS = {  # their weights; embeddings of tokens stay as they are
    "visual": ("visual.",),
    "text": ("text_encoder.",),
    "model": ("visual.", "text_encoder."),
}
PARTS = ("prompt", "visual_affine", "visual_prompt", *TOWERS)
HOLDS = {"model": ("visual", "text", "visual_affine"), "visual": ("visual_affine",)}


def visual_affine(visual: nn.Module) -> dict[str, nn.Parameter]:
    """Affine parameters of the visual branch's normalisation layers, chosen by name.

    # paper: the affine parameters of all normalisation layers; released code: those whose name
    # holds "bn" or "ln", which leaves out the BatchNorm of ResNet's `downsample.1`.
    """
    return {
        name: parameter
        for name, parameter in visual.named_parameters()
        if any(mark in name for mark in NORM_MARKS)
    }


def parse_parts(tune: str) -> tuple[str, ...]:
    """"both" or names of PARTS joined by "+", as a tuple. Raises ConfigError for another name."""
    names = ("prompt", "visual_affine") if tune == "both" else tuple(tune.split("+"))
    for name in names:
        if name not in PARTS:
            raise ConfigError(
                f"TUNE: {name!r} cannot be tuned; known: both, {', '.join(PARTS)} (join with '+')"
            )
    for whole, parts in HOLDS.items():
        for part in parts:
            if whole in names and part in names:
                raise ConfigError(f"TUNE: {whole!r} holds {part!r} already; name one of them")
    return names


def select(model: nn.Module, tune: str) -> dict[str, dict[str, nn.Parameter]]:
    """Trainable parameters of a PromptedCLIP, in groups: part -> {name: parameter}."""
    available = {
        "prompt": {f"prompt.{n}": p for n, p in model.prompt.named_parameters()},
        "visual_affine": {f"visual.{n}": p for n, p in visual_affine(model.visual).items()},
        "visual_prompt": {n: p for n, p in model.named_parameters() if n == "visual_prompt"},
        **{
            part: {n: p for n, p in model.named_parameters() if n.startswith(towers)}
            for part, towers in TOWERS.items()
        },
    }
    return {part: available[part] for part in parse_parts(tune)}


def as_module(
    parameters: dict[str, nn.Parameter], buffers: dict[str, Tensor] | None = None
) -> nn.Module:
    """A module tree that holds just these parameters, so that a checkpoint holds nothing else but
    the buffers, further state of a method.

    Its state dict has the keys of both; they are shared, not copied.
    """
    root = nn.Module()
    for name, parameter in parameters.items():
        *path, leaf = name.split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        module.register_parameter(leaf, parameter)
    for name, buffer in (buffers or {}).items():
        root.register_buffer(name, buffer)
    return root
