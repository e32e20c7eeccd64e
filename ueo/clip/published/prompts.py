"""Start a prompted CLIP from a prompt that was learnt elsewhere.

Reads checkpoints `prompt_learner/model.pth.tar-N` of CoOp and CoCoOp (github.com/KaiyangZhou/CoOp),
of UPL (github.com/tonyhuang2022/UPL) and of code with their layout; and those of our own runs.
"""

from pathlib import Path

from torch import Tensor

from modern_dassl.finite import first_not_finite
from ueo.clip.architectures import ARCHITECTURES
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.published.files import read_file, unwrapped
from ueo.clip.published.layouts import COCOOP, COOP, OURS, layout_of
from ueo.errors import CheckpointError, ConfigError

PREFIX, SUFFIX = "token_prefix", "token_suffix"  # embedded start of text; name and end of text
NETWORK = "meta_net."  # of CoCoOp
OUR_NAMES = {"ctx": "prompt.ctx", "meta_net.linear1.": "meta_net.0.",
             "meta_net.linear2.": "meta_net.2."}  # their prefixes -> ours
ITS_BACKBONE = "name the backbone that it was learnt with"
WIDTH = 7  # position of the text tower's width in ARCHITECTURES
SAME = 0.01  # largest relative distance of equal embeddings, which may be rounded to fp16


def load_prompt(
    model: PromptedCLIP, path: Path, trainer: str, backbone: str, classnames: list[str]
) -> int:
    """Load the prompt, and whatever else was learnt, from the file `path`; return the number of its
    epochs, 0 if unknown.

    trainer, backbone: the run's, for messages; classnames: the K known names. Raises
    CheckpointError if the file holds no prompt or does not fit, and says what it holds and which
    options would fit; ConfigError for an ensemble.
    """
    if not isinstance(model.prompt, PromptLearner):
        raise ConfigError(f"{path}: holds one prompt; set TRAINER.{trainer}.ENSEMBLE 1")
    state, start, suffix, epoch = _read_prompt(path)
    _check_context(state["prompt.ctx"], model.prompt, path, trainer)
    if start is not None:
        _check_backbone(start, model.prompt.prefix, path, backbone)
    if suffix is not None and state["prompt.ctx"].dim() == 3:
        _check_names(suffix, model, classnames, path)
    own = model.state_dict()
    _check_rest(state, own, path, trainer)
    for name, tensor in state.items():
        own[name].copy_(tensor)  # in place: it shares memory with the parameter
    print(f"Load {path} (epoch={epoch}); class names stand at the {model.prompt.position}")
    if start is not None:
        print(f"{PREFIX} and {SUFFIX} in it belong to its own class names and are not used")
    return epoch


def _read_prompt(path: Path) -> tuple[dict[str, Tensor], Tensor | None, Tensor | None, int]:
    """Return (what was learnt, by our names; embedded start of text, (classes, 1, width), or None;
    embedded class names and what follows, (classes, length, width), or None; epochs)."""
    content = read_file(path)
    state, _ = unwrapped(content, path)
    layout = layout_of(state)
    if layout not in (COOP, COCOOP, OURS):
        found = layout.what if layout else ", ".join(list(state)[:3]) or "nothing"
        raise CheckpointError(
            f"{path}: holds {found}; a prompt (ctx) of CoOp, CoCoOp, UPL or a run of this toolbox "
            "is expected"
        )
    if name := first_not_finite(state):
        raise CheckpointError(f"{path}: {name} holds NaN or infinity; its run diverged")
    learnt = {_our_name(n): tensor for n, tensor in state.items() if n not in (PREFIX, SUFFIX)}
    epoch = content.get("epoch")
    return learnt, state.get(PREFIX), state.get(SUFFIX), epoch if isinstance(epoch, int) else 0


def _our_name(name: str) -> str:
    start = next((start for start in OUR_NAMES if name.startswith(start)), "")
    return OUR_NAMES.get(start, "") + name.removeprefix(start)


def _check_context(theirs: Tensor, prompt: PromptLearner, path: Path, trainer: str) -> None:
    """Raise CheckpointError, with what would fit, unless the contexts have the same shape."""
    ours, classes = prompt.ctx, len(prompt.end)
    if theirs.shape == ours.shape:
        return
    if theirs.dim() not in (2, 3):
        remedy = "no context has such a shape"
    elif (width := theirs.shape[-1]) != ours.shape[-1]:
        fitting = [name for name, sizes in ARCHITECTURES.items() if sizes[WIDTH] == width]
        remedy = ITS_BACKBONE + (f", such as {', '.join(fitting)}" if fitting else "")
    elif theirs.dim() == 3 and len(theirs) != classes:
        remedy = f"class-specific contexts fit no other classes, and this run knows {classes}"
    else:
        remedy = "set " + " ".join(f"TRAINER.{trainer}.{o}" for o in _fitting(theirs, ours))
    raise CheckpointError(
        f"{path}: holds {_described(theirs)}, and this run has {_described(ours)}; {remedy}"
    )


def _fitting(theirs: Tensor, ours: Tensor) -> list[str]:
    """Return options with values that give our context the shape of theirs."""
    length = theirs.shape[-2]
    options = [] if length == ours.shape[-2] else [f"N_CTX {length}", "CTX_INIT ''"]
    return options if theirs.dim() == ours.dim() else [*options, f"CSC {theirs.dim() == 3}"]


def _described(context: Tensor) -> str:
    if context.dim() not in (2, 3):
        return f"a context of shape {tuple(context.shape)}"
    text = f"{context.shape[-2]} context vectors of {context.shape[-1]} numbers"
    return text if context.dim() == 2 else f"{text} for each of {len(context)} classes"


def _check_backbone(theirs: Tensor, ours: Tensor, path: Path, backbone: str) -> None:
    """Raise CheckpointError if the embedded start of text differs, so that the prompt is of another
    backbone. theirs, ours: (classes, 1, width)."""
    if not _alike(theirs[0], ours[0]):
        raise CheckpointError(
            f"{path}: was learnt with another backbone than {backbone}, which embeds the start of "
            f"text differently ({PREFIX}); {ITS_BACKBONE}"
        )


def _check_names(theirs: Tensor, model: PromptedCLIP, classnames: list[str], path: Path) -> None:
    """Raise CheckpointError if class-specific contexts belong to other class names, or to these in
    another order. theirs: (classes, length, width)."""
    for k, name in enumerate(classnames):
        length = model.backbone.tokenise.count(name.replace("_", " "))
        length += length == model.prompt.name_lengths[k]  # and the period, if it comes next
        if not _alike(theirs[k, :length], model.prompt.suffix[k, :length]):
            raise CheckpointError(
                f"{path}: holds a context for each of {len(theirs)} classes, of which number "
                f"{k + 1} is not {name!r} ({SUFFIX}); such contexts fit their own class names "
                "alone, in their order"
            )


def _alike(theirs: Tensor, ours: Tensor) -> bool:
    theirs, ours = theirs.float(), ours.float().cpu()
    return theirs.shape == ours.shape and bool((theirs - ours).norm() <= SAME * ours.norm())


def _check_rest(state: dict[str, Tensor], own: dict[str, Tensor], path: Path, trainer: str) -> None:
    """Raise CheckpointError for tensors that the model lacks or has in another shape, and for a
    network that the file lacks."""
    unknown = [name for name in state if name not in own]
    if any(name.startswith(NETWORK) for name in unknown):
        raise CheckpointError(
            f"{path}: holds {COCOOP.what}, with a network ({NETWORK}) that {trainer} lacks; "
            "--trainer CoCoOp has it"
        )
    if unknown:
        some = ", ".join(unknown[:3])
        raise CheckpointError(f"{path}: holds {some}, for which {trainer} has no place")
    if any(name.startswith(NETWORK) and name not in state for name in own):
        raise CheckpointError(
            f"{path}: holds {COOP.what}, without {trainer}'s network ({NETWORK}); --trainer CoOp "
            "needs none"
        )
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise CheckpointError(
                f"{path}: {name} has the shape {tuple(tensor.shape)}, and {tuple(own[name].shape)} "
                f"here; {ITS_BACKBONE}"
            )
