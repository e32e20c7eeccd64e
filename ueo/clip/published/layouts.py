"""Recognise whose weights a state dict holds, by the names of its tensors."""

import re
from collections.abc import Iterable
from typing import NamedTuple

CONVERT = "OpenAI's names are expected (visual.conv1.weight, ...), so convert it"
NO_BACKBONE = "a CLIP is expected here"
AS_START = f"{NO_BACKBONE}, MODEL.INIT_WEIGHTS takes this file"


class Layout(NamedTuple):
    """what: the weights in words. marks: patterns, each of which some tensor's name matches.
    remedy: what to do if a backbone in OpenAI's layout is expected."""

    what: str
    marks: tuple[str, ...]
    remedy: str


OURS = Layout("what a run of this toolbox has tuned", (r"^prompt\.ctx$",), AS_START)
COOP = Layout("a prompt of CoOp's kind", (r"^ctx$",), AS_START)
COCOOP = Layout("a prompt of CoCoOp's kind", (r"^ctx$", r"^meta_net\."), AS_START)
OPENAI = Layout("OpenAI's CLIP", (r"^visual\.(proj|attnpool\.c_proj\.weight)$",), "")
LAYOUTS = (  # the first that fits
    Layout("MaPLe's prompts for both towers", (r"\bcompound_prompts_text\.",), NO_BACKBONE),
    Layout("prompts for both towers, as of PromptSRC or IVLP",
           (r"\bVPT(_shallow)?$", r"\bprompt_learner\.ctx$"), NO_BACKBONE),
    Layout("visual prompts (VPT)", (r"\bVPT(_shallow)?$",), NO_BACKBONE),
    Layout("a whole model with a prompt in it", (r"\bprompt_learner\.ctx$",), NO_BACKBONE),
    COCOOP,
    COOP,
    OURS,
    Layout("BLIP's or ALBEF's model", (r"^visual_encoder\.",), CONVERT),
    Layout("a model of Hugging Face's, such as CLIPModel", (r"^(vision|text)_model\.",), CONVERT),
    Layout("open_clip's model with an image tower of timm's", (r"^visual\.trunk\.",), CONVERT),
    Layout("open_clip's model with a text tower of its own", (r"^text\.",), CONVERT),
    OPENAI,
    Layout("an image classifier of torchvision, timm or their kin, which knows no text",
           (r"^(layer1\.0|blocks\.0|stages\.0|features\.\d+|encoder\.layers\.encoder_layer_0)\.",),
           NO_BACKBONE),
)


def layout_of(names: Iterable[str]) -> Layout | None:
    """Return the layout of a state dict with these names, or None if it is unknown."""
    names = list(names)
    return next((layout for layout in LAYOUTS if all(
        any(re.search(mark, name) for name in names) for mark in layout.marks)), None)
