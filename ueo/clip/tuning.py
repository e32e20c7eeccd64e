"""What is tuned: named subsets of a prompted CLIP's parameters."""

from collections.abc import Collection

from torch import Tensor, nn

from ueo.errors import ConfigError
from ueo.names import listed

TOWERS = {  # part -> prefixes of its weights; token embeddings are never tuned
    "visual": ("visual.",),
    "text": ("text_encoder.",),
    "model": ("visual.", "text_encoder."),
}
AFFINE, ALL_AFFINE = "visual_affine", "visual_affine_all"  # UEO's released code; UEO's paper
PARTS = ("prompt", AFFINE, ALL_AFFINE, "visual_prompt", "adapter", *TOWERS)
HOLDS = {"model": ("visual", "text", AFFINE, ALL_AFFINE), "visual": (AFFINE, ALL_AFFINE),
         ALL_AFFINE: (AFFINE,)}  # parts that include others


def parse_parts(tune: str) -> tuple[str, ...]:
    """Return the PARTS that TUNE names, joined by "+"; "both" is the prompt and AFFINE. Raises
    ConfigError for another name."""
    names = ("prompt", AFFINE) if tune == "both" else tuple(tune.split("+"))
    for name in names:
        if name not in PARTS:
            raise ConfigError(
                f"{name!r} cannot be tuned; known: both, {', '.join(PARTS)} (join with '+')"
            )
    for whole, parts in HOLDS.items():
        for part in parts:
            if whole in names and part in names:
                raise ConfigError(f"{whole!r} includes {part!r}; name one of them")
    return names


def select(model: nn.Module, tune: str) -> dict[str, dict[str, nn.Parameter]]:
    """Return the tuned parameters of a PromptedCLIP in groups: part -> {name: parameter}."""
    available = {
        "prompt": {f"prompt.{n}": p for n, p in model.prompt.named_parameters()},
        **{part: {f"visual.{n}": p
                  for n, p in model.backbone.affine_parameters(of_all=part == ALL_AFFINE).items()}
           for part in (AFFINE, ALL_AFFINE)},
        "visual_prompt": {n: p for n, p in model.named_parameters() if n == "visual_prompt"},
        "adapter": {n: p for n, p in model.named_parameters() if n.startswith("adapter.")},
        **{
            part: {n: p for n, p in model.named_parameters() if n.startswith(towers)}
            for part, towers in TOWERS.items()
        },
    }
    parts = parse_parts(tune)
    if "adapter" in parts and not available["adapter"]:
        raise ConfigError("TUNE: 'adapter' cannot be tuned, this trainer has none")
    return {part: available[part] for part in parts}


def check_tuned(
    name: str, groups: dict[str, dict[str, nn.Parameter]], idle: Collection[str]
) -> None:
    """Raise ConfigError if some parameters that the trainer `name` added, in a part of its own or
    in its adapter, had no gradient in the first epoch, while others had one.

    idle: names of parameters without a gradient. An adapter may be idle as a whole, as MARS's is.
    """
    some = {part: [n for n in group if n in idle] for part, group in groups.items()}
    forgotten = [n for part, names in some.items() for n in names
                 if part not in PARTS or part == "adapter" and len(names) < len(groups[part])]
    if forgotten and len(idle) < sum(map(len, groups.values())):
        raise ConfigError(
            f"{name} tunes what its loss does not depend on: {listed(forgotten, 3)} had no "
            f"gradient in the first epoch; use it, or leave it out of {name}.trainable (if it is "
            "for later epochs, add 0 times its sum to the loss)"
        )


def summary(groups: dict[str, dict[str, nn.Parameter]], model: nn.Module) -> str:
    """Return a line with the number of parameters of each group and of the backbone; and another if
    a method changed the image tower, so that FAST skips nothing there."""
    numbers = (f"{part} {sum(p.numel() for p in group.values()):,}"
               for part, group in groups.items())
    whole = sum(p.numel() for p in model.backbone.model.parameters())
    changed = model.visual_as_loaded.changed() if model.fast else ""
    slow = f"\nFAST skips nothing in the image tower, which is changed in {changed}" * bool(changed)
    return f"Tuned parameters: {', '.join(numbers) or 'none'}; the backbone has {whole:,}{slow}"


def untuned_adapter(
    model: nn.Module, groups: dict[str, dict[str, nn.Parameter]]
) -> dict[str, Tensor]:
    """Return the state of the adapter that is in none of the groups; memory is shared."""
    tuned = {name for group in groups.values() for name in group}
    state = model.state_dict()
    return {n: t for n, t in state.items() if n.startswith("adapter.") and n not in tuned}


def as_module(
    parameters: dict[str, nn.Parameter], buffers: dict[str, Tensor] | None = None
) -> nn.Module:
    """Return a module that holds these parameters and buffers and nothing else, for checkpoints.

    The keys of its state dict are their names. Tensors are shared, not copied.
    """
    root = nn.Module()
    for name, parameter in parameters.items():
        parent, leaf = _place(root, name)
        parent.register_parameter(leaf, parameter)
    for name, buffer in (buffers or {}).items():
        parent, leaf = _place(root, name)
        parent.register_buffer(leaf, buffer)
    return root


def _place(root: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return (the submodule of `root` that holds a dotted name, created if missing; last part)."""
    *path, leaf = name.split(".")
    for part in path:
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    return root, leaf
