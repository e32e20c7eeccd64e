"""Names of open_clip's models: what they load, where weights are, and what is refused."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file
from small_towers import configuration

from ueo.clip import backbones
from ueo.clip.towers import open_clip_files, open_clip_names
from ueo.clip.towers.open_clip import build
from ueo.clip.towers.open_clip_names import models
from ueo.commands import train
from ueo.errors import CheckpointError, ConfigError
from ueo.settings.preprocessing import Preprocessing

B16 = "open_clip:ViT-B-16/laion2b_s34b_b88k"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network. hub(repository, file, write) adds a file."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def unreachable(repository, file):
        raise OSError("no network")  # raised once: there is no retry

    def put(repository: str, file: str, write) -> None:
        folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs/main").write_text("abc")
        (folder / "snapshots/abc").mkdir(parents=True, exist_ok=True)
        write(folder / "snapshots/abc" / file)

    monkeypatch.setattr("huggingface_hub.file_exists", unreachable)
    return put


@pytest.mark.parametrize(("name", "words"), [
    ("open_clip:ViT-B-61/openai", ["no model 'ViT-B-61'", "did you mean 'ViT-B-16'"]),
    ("open_clip:ViT-B-16", ["names no weights", "laion2b_s34b_b88k"]),
    ("open_clip:ViT-B-16/laion2b_s34b", ["'laion2b_s34b' is neither a set of weights nor a file",
                                         "did you mean 'laion2b_s34b_b88k'"]),
    ("open_clip:roberta-ViT-B-32/laion2b_s12b_b32k", ["text tower is roberta-base of Hugging"]),
    ("open_clip:coca_ViT-B-32/laion2b_s13b_b90k", ["it is a CoCa"]),
    ("open_clip:", ["open_clip: names no model", "open_clip:local-dir:FOLDER"]),
    ("open_clip:/some/file.pt", ["open_clip: names no model"]),
    ("open_clip:hf-hub:", ["open_clip:hf-hub: names no model"]),
    ("open_clip:local-dir:", ["open_clip:local-dir: names no model"]),
    ("open_clip:hf-hub:a b/c", ["'a b/c' names no repository of the Hugging"]),
    ("local-dir:models/mine", ["is neither a file nor a known backbone", "open_clip:"]),
    ("open_clip:local-dir:nowhere", ["nowhere holds no open_clip_config.json"]),
])
def test_a_wrong_name_is_refused_in_one_line(name, words):
    with pytest.raises(ConfigError) as caught:
        backbones.check_name(name)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_without_open_clip_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ConfigError, match=r"pip install 'ueo-toolbox\[open_clip\]'"):
        backbones.check_name(B16)
    assert r"not installed; pip install" in backbones.listing()


def test_the_list_has_the_models_of_both_libraries_and_none_that_is_refused(capsys):
    with pytest.raises(SystemExit, match="0"):
        train.main(["--list-backbones"])
    listed = capsys.readouterr().out
    assert "  ViT-B/16\n" in listed and "  TinyCLIP\n" in listed
    assert "open_clip:ViT-B-16-SigLIP/  webli" in listed and "roberta" not in listed
    assert len(models()) > 100


@pytest.mark.parametrize(("name", "stem", "shown"), [
    (B16, "open_clip_vit_b_16_laion2b_s34b_b88k", B16),
    ("open_clip:ViT-B-16/w/B16 mine.pt", "open_clip_vit_b_16_b16_mine",
     "open_clip:ViT-B-16/B16 mine.pt"),
    ("open_clip:hf-hub:laion/CLIP-B", "open_clip_hf_hub_laion_clip_b",
     "open_clip:hf-hub:laion/CLIP-B"),
    ("open_clip:local-dir:/some/where/mine", "open_clip_mine", "open_clip:local-dir:mine"),
    ("open_clip:local-dir:/some/my ViT (2)/.", "open_clip_my_vit_2",
     "open_clip:local-dir:my ViT (2)"),
    ("ViT-B/16", "vit_b16", "ViT-B/16"),
    ("TinyCLIP", "tiny_clip", "TinyCLIP"),
])
def test_names_are_shortened_in_paths_and_tables(name, stem, shown):
    assert backbones.name_in_paths(name) == stem
    assert backbones.name_in_tables(name) == shown


def test_preprocessing_follows_the_model_and_its_weights():
    assert backbones.preprocessing("open_clip:ViT-B-16-SigLIP-384/webli") == Preprocessing(
        (384, 384), (0.5,) * 3, (0.5,) * 3, "bicubic", "squash")
    assert backbones.preprocessing(B16) == Preprocessing()
    assert backbones.preprocessing("ViT-B/16") is None


def test_the_error_of_a_failed_fetch_says_what_to_do(hub):
    assert backbones.weights_hash(B16) is None
    with pytest.raises(CheckpointError) as caught:
        backbones.fetch(B16)
    message = str(caught.value)
    assert "open_clip_model.safetensors of laion/CLIP-ViT-B-16-laion2B-s34B-b88K" in message
    assert "(no network)" in message and "open_clip:MODEL/FILE" in message and "\n" not in message


def test_a_repository_of_the_hub_is_read_from_the_cache_without_a_network(hub):
    config = {"model_cfg": configuration("vit"), "preprocess_cfg": {}}
    state = build(config).state_dict()
    hub("me/mine", "open_clip_config.json", lambda path: path.write_text(json.dumps(config)))
    hub("me/mine", "open_clip_pytorch_model.bin", lambda path: torch.save(state, path))
    name = "open_clip:hf-hub:me/mine"
    loaded = backbones.load_clip(name, "fp32")
    assert torch.equal(loaded.model.state_dict()["visual.proj"], state["visual.proj"])
    assert len(backbones.weights_hash(name)) == 12


def test_an_embedded_backbone_is_a_configuration_and_weights_in_assets(tmp_path, monkeypatch):
    config = {"model_cfg": configuration("vit"), "preprocess_cfg": {}}
    state, ids = build(config).state_dict(), torch.arange(100)
    compact = {**state, "token_embedding.weight": state["token_embedding.weight"][:100].clone(),
               "token_embedding.ids": ids}
    (tmp_path / "small_vit.json").write_text(json.dumps(config))
    save_file(compact, tmp_path / "small_vit.safetensors")
    monkeypatch.setitem(open_clip_names.EMBEDDED, "SmallViT", "small_vit")
    monkeypatch.setattr(open_clip_files, "asset", lambda name: tmp_path / name)
    backbones.check_name("SmallViT")
    loaded = backbones.load_clip("SmallViT", "fp32").model.state_dict()
    assert torch.equal(loaded["token_embedding.weight"][:100], compact["token_embedding.weight"])
    assert "SmallViT" in backbones.available_backbones() and "SmallViT" in backbones.listing()
    assert backbones.name_in_paths("SmallViT") == "small_vit"
    assert len(backbones.weights_hash("SmallViT")) == 12


@pytest.fixture
def folder(tmp_path):
    """A folder of a small ViT; folder.write(config=..., state=...) fills it."""
    config = {"model_cfg": configuration("vit"), "preprocess_cfg": {"size": 32}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(build(config).state_dict(), tmp_path / "open_clip_model.safetensors")
    return tmp_path


def changed(folder, change) -> str:
    """The name of the folder's model after `change` of its state dict."""
    path = folder / "open_clip_model.safetensors"
    state = open_clip_files.read_weights(path)
    save_file(change(state), path)
    return f"open_clip:local-dir:{folder}"


@pytest.mark.parametrize(("change", "words"), [
    (lambda s: {n: t for n, t in s.items() if n != "ln_final.bias"}, "ln_final.bias is missing"),
    (lambda s: {**s, "more": torch.ones(1)}, "more is one too many"),
    (lambda s: {**s, "positional_embedding": torch.ones(9, 64)},
     r"positional_embedding is \(9, 64\), not \(77, 64\)"),
    (lambda s: {**s, "ln_final.bias": torch.full((64,), torch.nan)}, "holds NaN or infinity"),
    (lambda s: {"ctx": torch.ones(4, 64)}, "holds a prompt of CoOp's kind and does not fit"),
])
def test_weights_that_do_not_fit_are_refused_by_their_first_difference(folder, change, words):
    with pytest.raises(CheckpointError, match=words):
        backbones.load_clip(changed(folder, change), "fp32")


def test_a_folder_without_weights_or_with_another_configuration_is_refused(folder):
    name = f"open_clip:local-dir:{folder}"
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no such weights"):
        backbones.load_clip(name, "fp32")
    (folder / "open_clip_config.json").write_text('{"model_cfg": {}}')
    with pytest.raises(CheckpointError, match="is no configuration of open_clip's"):
        backbones.load_clip(name, "fp32")


def test_a_tokeniser_that_is_missing_is_named(tmp_path, small_backbones, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match="pip install transformers sentencepiece"):
        backbones.load_clip(small_backbones("siglip"), "fp32")


def test_a_wrong_activation_for_the_weights_is_reported(
    folder, monkeypatch, capsys
):
    """The activation of published weights is in open_clip's list, that of a file in its name."""
    monkeypatch.setattr(open_clip_names, "_check_weights", lambda name, wanted: None)
    monkeypatch.setattr(open_clip_files, "fetch", lambda name: folder / "w.safetensors")
    monkeypatch.setattr(open_clip_files, "fill", lambda model, state: None)
    monkeypatch.setattr(open_clip_files, "read_weights", lambda path: {})
    monkeypatch.setattr(open_clip_files, "build", lambda config, half: build(
        {"model_cfg": configuration("vit"), "preprocess_cfg": {"size": 32}}))
    backbones.load_clip("open_clip:ViT-B-32/openai", "fp32")
    assert "trained with QuickGELU, and this model computes with GELU; their model is " \
        "ViT-B-32-quickgelu" in capsys.readouterr().out
    backbones.load_clip("open_clip:ViT-B-32/fetched/ViT-B-32.pt", "fp32")  # OpenAI's file
    assert "their model is ViT-B-32-quickgelu" in capsys.readouterr().out
    backbones.load_clip("open_clip:ViT-B-32-quickgelu/openai", "fp32")
    assert "trained with" not in capsys.readouterr().out


@pytest.mark.parametrize(("file", "said"), [("vit_laion400m.safetensors", True),
                                            ("vit_quickgelu_laion400m.safetensors", False),
                                            ("mine.safetensors", False)])
def test_laions_weights_in_openais_architecture_are_reported(
    file, said, tmp_path, weights, capsys
):
    save_file(backbones.load_clip(weights["vit"], "fp32").model.state_dict(), tmp_path / file)
    backbones.load_clip(str(tmp_path / file), "fp32")
    assert ("name open_clip:MODEL/" in capsys.readouterr().out) == said
