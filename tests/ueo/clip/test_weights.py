"""Weight files: which are read, and how others are refused."""

import os

import pytest
import torch
from clip.model import CLIP
from conftest import random_clip
from safetensors.torch import save_file

from ueo.clip import backbones
from ueo.clip.architectures import ARCHITECTURES
from ueo.clip.backbones import load_clip, own_copy
from ueo.clip.towers import openai_files
from ueo.errors import CheckpointError, ConfigError

FIRST = "visual.conv1.weight"


@pytest.fixture(scope="module")
def state():
    return random_clip("vit").state_dict()


def save(tmp_path, content) -> str:
    torch.save(content, tmp_path / "mine.pt")
    return tmp_path / "mine.pt"


class Trap:
    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.mark.parametrize(("change", "said"), [
    (lambda s: {f"vision_model.{k}": v for k, v in s.items()}, "Hugging Face's, such as CLIPModel"),
    (lambda s: {f"visual.trunk.{k}": v for k, v in s.items()}, "open_clip's"),
    (lambda s: {**s, FIRST: s[FIRST] * float("nan")}, f"{FIRST} holds NaN or infinity"),
    (lambda s: {k: v for k, v in s.items() if k != "visual.proj"}, "has neither visual.proj"),
    (lambda s: {k: v for k, v in s.items() if k != FIRST}, "make no OpenAI CLIP model"),
    (lambda s: {**s, FIRST: s[FIRST][:, :1]}, "make no OpenAI CLIP model"),
    (lambda s: dict.fromkeys(s, 1.0), "is a float, not a tensor"),
    (lambda s: {}, "holds no OpenAI CLIP model"), (lambda s: [1], "holds a list, no state dict"),
    (lambda s: torch.zeros(2), "holds a Tensor, no state dict"),
    (lambda s: dict(enumerate(s.values())), "holds a dict, no state dict"),
    (lambda s: torch.nn.Linear(2, 2), "whole model, .* save the state dict"),
    (lambda s: Trap(), "refused, it names posix.system, which .* run a program"),
])
def test_the_refusal_of_a_file_says_what_it_contains(state, tmp_path, monkeypatch, change, said):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path, change(state))
    with pytest.raises(CheckpointError, match=said) as caught:
        load_clip(str(path), "fp32")
    assert str(caught.value).startswith(str(path)) and "fetch" not in str(caught.value)
    assert "\n" not in str(caught.value) and not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["mine.pt", "mine.safetensors"])
@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04K\x01.", None])
def test_a_damaged_file_is_named(state, tmp_path, name, content):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(state, path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(CheckpointError, match=f"{name}: "):
        load_clip(str(path), "fp32")


@pytest.mark.parametrize(("name", "parameters"), [
    ("RN50", 102_007_137), ("RN101", 119_688_033), ("ViT-B/32", 151_277_313),
    ("ViT-B/16", 149_620_737), ("ViT-L/14", 427_616_513),
])
def test_architectures_have_the_published_numbers_of_parameters(name, parameters):
    with torch.device("meta"):
        model = CLIP(*ARCHITECTURES[name])
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("precision", ["fp16", "fp32", "amp"])
def test_a_copy_equals_reading_anew_and_so_do_random_numbers_after_it(
    precision, state, tmp_path, monkeypatch
):
    path, readings = str(save(tmp_path, state)), []
    monkeypatch.setattr(backbones, "_serves_many_runs", lambda device: False)
    read = openai_files.read_weights
    monkeypatch.setattr(openai_files, "read_weights", lambda p: readings.append(p) or read(p))
    for seed in (1, 2, 1, 2):
        torch.manual_seed(seed)
        expected, drawn = load_clip(path, precision).model.state_dict(), torch.rand(3)
        torch.manual_seed(seed)
        copied = own_copy(path, precision).model
        assert torch.equal(torch.rand(3), drawn)
        assert all(torch.equal(t, expected[n]) and t.dtype == expected[n].dtype
                   for n, t in copied.state_dict().items())
        with torch.no_grad():
            copied.visual.proj.zero_()  # must not reach another copy
    assert len(readings) == 4 + 2  # own_copy reads once per seed


def test_a_copy_is_of_the_current_file(state, tmp_path):
    path = save(tmp_path, state)
    assert torch.equal(own_copy(str(path), "fp32").model.logit_scale, state["logit_scale"])
    changed = {**state, "logit_scale": state["logit_scale"] + 1}
    path.unlink()
    save(tmp_path, changed)
    assert torch.equal(own_copy(str(path), "fp32").model.logit_scale, changed["logit_scale"])
    path.unlink()
    with pytest.raises(ConfigError, match="neither a file"):
        own_copy(str(path), "fp32")


def test_a_damaged_file_put_there_by_hand_is_called_damaged(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no network")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(openai_files.clip.clip, "_download", fails)
    file = tmp_path / ".cache/clip/RN50.pt"
    with pytest.raises(CheckpointError, match=f"{file}$"):
        openai_files.download("RN50")
    file.write_bytes(b"half of it")
    with pytest.raises(CheckpointError, match=f"{file} in place of the file there, which is dam"):
        openai_files.download("RN50")
    assert file.read_bytes() == b"half of it"
