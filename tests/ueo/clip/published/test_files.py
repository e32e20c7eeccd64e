"""Others' weight files: wrappers around weights are ignored, and files without them are named."""

import argparse
import io
import zipfile

import pytest
import torch
from conftest import random_clip
from PIL import Image

from ueo.clip.backbones import load_clip
from ueo.clip.published.layouts import LAYOUTS, OPENAI, layout_of
from ueo.clip.weights import read_weights
from ueo.errors import CheckpointError

TENSOR = torch.zeros(2, 2)
MODULES = {f"{name}.weight": TENSOR for name in ("conv1", "bn1", "layer1.0.conv1", "fc")}
OPTIMISER = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]}


@pytest.fixture(scope="module")
def state():
    return random_clip("vit").state_dict()


def named(start: str, state: dict) -> dict:
    return {f"{start}{name}": value for name, value in state.items()}


def dassl(state: dict) -> dict:
    """A checkpoint as genuine Dassl saves it, with pickled objects, which are not executed."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], 0.1)
    schedule = {"successor": torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 5)}
    return {"state_dict": state, "epoch": 50, "optimizer": optimiser.state_dict(),
            "scheduler": schedule, "val_result": None}


@pytest.mark.parametrize(("wrap", "said"), [
    (lambda s: {"state_dict": named("module.", s)}, "'state_dict', 'module.' before each name"),
    (lambda s: {"model": named("module.", s), "optimizer": OPTIMISER}, "'model', 'module.'"),
    (lambda s: {"model_state_dict": s, "epoch": 3, "loss": 0.1}, "'model_state_dict'"),
    (lambda s: {"model": {"state_dict": named("clip_model.", s)}}, "'model', 'state_dict', 'clip_"),
    (lambda s: named("module.model.", s), "'module.' before each name, 'model.' before each name"),
    (lambda s: named("clip.", s), "'clip.' before each name"),
    (lambda s: {"model": s, "args": argparse.Namespace(lr=0.1)}, "'model'"),
    (dassl, "'state_dict'"),
])
def test_wrappers_around_the_weights_are_ignored_with_a_message(
    state, tmp_path, capsys, wrap, said
):
    path = tmp_path / "mine.pt"
    torch.save(wrap(state), path)
    found = read_weights(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}: ignored around the weights: {said}")


def test_plain_weights_give_no_message(state, tmp_path, capsys):
    torch.save(state, tmp_path / "mine.pt")
    assert load_clip(str(tmp_path / "mine.pt"), "fp32").preprocessing.size == (32, 32)
    assert capsys.readouterr().out == ""


PROMPT = {"ctx": TENSOR, "token_prefix": TENSOR, "token_suffix": TENSOR}
META_NET = {f"meta_net.linear{i}.{part}": TENSOR for i in (1, 2) for part in ("weight", "bias")}
MAPLE = {**named("prompt_learner.", PROMPT), "prompt_learner.compound_prompts_text.0": TENSOR,
         "prompt_learner.proj.weight": TENSOR, "image_encoder.proj": TENSOR}
PROMPTSRC = {**named("prompt_learner.", PROMPT), "image_encoder.VPT": TENSOR,
             "image_encoder.transformer.resblocks.1.VPT_shallow": TENSOR}


@pytest.mark.parametrize(("content", "said"), [
    (dassl(PROMPT), "a prompt of CoOp's kind; .* MODEL.INIT_WEIGHTS takes this file"),
    (dassl({**PROMPT, **META_NET}), "a prompt of CoCoOp's kind; .* MODEL.INIT_WEIGHTS"),
    (dassl(MAPLE), "MaPLe's prompts for both towers"),
    (dassl(PROMPTSRC), "prompts for both towers, as of PromptSRC or IVLP"),
    (dassl({"image_encoder.VPT": TENSOR}), r"visual prompts \(VPT\)"),
    (dassl({"prompt.ctx": TENSOR, "visual.ln_pre.bias": TENSOR}), "a run of this toolbox"),
    (named("vision_model.", MODULES), "a model of Hugging Face's"),
    (named("text_model.", MODULES), "a model of Hugging Face's"),
    ({"model": named("visual_encoder.", MODULES)}, "BLIP's or ALBEF's"),
    (named("visual.trunk.", MODULES), "open_clip's model with an image tower of timm's"),
    (named("text.", MODULES), "open_clip's model with a text tower of its own"),
    ({"state_dict": named("module.", MODULES), "arch": "resnet50"}, "an image classifier"),
    ({"blocks.0.attn.qkv.weight": TENSOR, "head.weight": TENSOR}, "an image classifier"),
    ({"encoder.layers.encoder_layer_0.ln_1.weight": TENSOR}, "an image classifier"),
    (OPTIMISER, "the state of an optimiser, no weights"),
    ({"model": torch.nn.Linear(2, 2)}, "a whole model, pickled, .* save the state dict"),
])
def test_weights_of_something_else_are_named(tmp_path, content, said):
    path = tmp_path / "mine.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo("weights/model.pt"), b"")
    return file.getvalue()


@pytest.mark.parametrize("name", ["ViT-B-16.pt", "ViT-B-16.safetensors"])
@pytest.mark.parametrize(("content", "said"), [
    (image(), "is an image"),
    (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
    (b"\n<html><body>404</body></html>", "is a web page"),
    (b'{"architectures": ["CLIPModel"]}', "is a text in JSON"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pointer of Git LFS"),
    (archive(), "is a zip archive of other files"),
    (b"", "is empty"),
])
def test_a_file_without_weights_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_the_small_clips_have_openais_layout():
    for kind in ("rn", "vit"):
        assert layout_of(random_clip(kind).state_dict()) is OPENAI
    assert len({layout.what for layout in LAYOUTS}) == len(LAYOUTS)
