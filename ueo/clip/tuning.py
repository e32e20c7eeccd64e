"""What moves during fine-tuning: named subsets of a prompted CLIP's parameters."""

from collections.abc import Collection

from torch import Tensor, nn

from ueo.errors import ConfigError
from ueo.names import listed

TOWERS = {  # their weights; embeddings of tokens stay as they are
    "visual": ("visual.",),
    "text": ("text_encoder.",),
    "model": ("visual.", "text_encoder."),
}
AFFINE, ALL_AFFINE = "visual_affine", "visual_affine_all"  # as the released code; as the paper says
PARTS = ("prompt", AFFINE, ALL_AFFINE, "visual_prompt", "adapter", *TOWERS)
HOLDS = {"model": ("visual", "text", AFFINE, ALL_AFFINE), "visual": (AFFINE, ALL_AFFINE),
         ALL_AFFINE: (AFFINE,)}


def parse_parts(tune: str) -> tuple[str, ...]:
    """"both" or names of PARTS joined by "+", as a tuple. Raises ConfigError for another name."""
    names = ("prompt", AFFINE) if tune == "both" else tuple(tune.split("+"))
    for name in names:
        if name not in PARTS:
            raise ConfigError(
                f"{name!r} cannot be tuned; known: both, {', '.join(PARTS)} (join with '+')"
            )
    for whole, parts in HOLDS.items():
        for part in parts:
            if whole in names and part in names:
                raise ConfigError(f"{whole!r} holds {part!r} already; name one of them")
    return names


def select(model: nn.Module, tune: str) -> dict[str, dict[str, nn.Parameter]]:
    """Trainable parameters of a PromptedCLIP, in groups: part -> {name: parameter}."""
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
    """Raise ConfigError where the trainer `name` added something to what is tuned, a part of its
    own or to its adapter, that had no gradient in the first epoch, and other parameters had.

    idle: names of those without. A whole adapter may have its turn later, as that of MARS.
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


def counted(groups: dict[str, dict[str, nn.Parameter]], model: nn.Module) -> str:
    """How many parameters each group has, and the model without what a method adds to it; and
    where a method changed the image tower, so that FAST skips nothing there."""
    numbers = (f"{part} {sum(p.numel() for p in group.values()):,}"
               for part, group in groups.items())
    whole = sum(p.numel() for p in model.backbone.model.parameters())
    changed = model.visual_as_loaded.changed() if model.fast else ""
    slow = f"\nFAST skips nothing in the image tower, which is changed in {changed}" * bool(changed)
    return f"Tuned parameters: {', '.join(numbers) or 'none'}; the backbone has {whole:,}{slow}"


def untuned_adapter(
    model: nn.Module, groups: dict[str, dict[str, nn.Parameter]]
) -> dict[str, Tensor]:
    """State of the model's adapter that is in none of the groups; it shares the model's memory."""
    tuned = {name for group in groups.values() for name in group}
    state = model.state_dict()
    return {n: t for n, t in state.items() if n.startswith("adapter.") and n not in tuned}


def as_module(
    parameters: dict[str, nn.Parameter], buffers: dict[str, Tensor] | None = None
) -> nn.Module:
    """A module tree that holds just these parameters, so that a checkpoint holds nothing else but
    the buffers, further state of a method.

    Its state dict has the keys of both; they are shared, not copied.
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
    """The module below `root` that a dotted name leads to, made where it is missing; last part."""
    *path, leaf = name.split(".")
    for part in path:
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    return root, leaf
