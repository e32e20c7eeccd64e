"""An export predicts what the run predicts, without the run and without its backbone's weights."""

import json
import os
import random
import re
import shutil

import clip
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from clip.model import build_model
from conftest import REPOSITORY, TOY_PLUGIN, disk, read, toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY
from safetensors.torch import load_file, save_file

import ueo
from ueo.commands import export, train
from ueo.errors import CheckpointError, ConfigError
from ueo.files import read_json, write_json
from ueo.inference.model_card import card
from ueo.inference.onnx_export import missing_packages, run_onnx
from ueo.results.record import read_outputs
from ueo.scores import SCORES

needs_onnx = pytest.mark.skipif(
    bool(missing_packages()), reason=f"needs the extra onnx: {', '.join(missing_packages())}"
)
FILES = {"README.md", "clip_state_dict.pt", "model.json", "model.safetensors"}


def finish(folder, root, weights, *options, **arguments):
    """Train a toy run in `folder`."""
    assert train.main([*toy_arguments(root, weights, folder, epochs=1, **arguments), *options]) == 0
    return folder


def exported(run, folder, *options) -> None:
    arguments = ["--model", str(run), "--output", str(folder), "--plugin", str(TOY_PLUGIN)]
    assert export.main([*arguments, "--no-onnx", *options]) == 0


def test_paths(root: str, run, number: int | None = None) -> list[str]:
    return [f"{root}/toy/{path}" for path in read_outputs(run)["test_paths"][:number]]


test_paths.__test__ = False


def answers(model, paths: list[str]) -> list[tuple]:
    return [(p.name, p.probability, p.score, p.known, p.runner_up_probability)
            for p in model.predict(paths, before=False)]


@pytest.mark.parametrize(("trainer", "options"), [
    *((name, ()) for name in trainer_names()),
    ("UEO", ("TRAINER.UEO.TUNE", "prompt+visual_affine+visual_prompt")),
])
def test_every_run_and_its_export_reproduce_the_test_predictions(
    toy_root, weights, tmp_path, trainer, options
):
    kind = "vit" if options or trainer in ("FLYP", "UPL", "CoOp", "TipAdapterF") else "rn"
    shots = ("DATASET.NUM_SHOTS", "2") if TRAINER_REGISTRY.get(trainer).uses_labels else ()
    own = {kind: shutil.copy(weights[kind], tmp_path)}  # a file that is removed below
    run = finish(tmp_path / "run", toy_root, own, *shots, *options, trainer=trainer, kind=kind)
    outputs, model, paths = read_outputs(run), ueo.load(run, "cpu"), test_paths(toy_root, run)
    order = random.Random(0).sample(range(len(paths)), len(paths))
    found = list(model.predict([paths[i] for i in order], batch_size=3))
    names = [model.classes[i] for i in outputs["test_predictions_after"][order]]
    if hasattr(model.network.model.adapter, "jointly"):  # the run classified all images jointly
        assert np.mean([p.name == name for p, name in zip(found, names)]) > 0.7
    else:
        assert [p.name for p in found] == names
        assert np.array_equal([p.score for p in found], outputs["test_scores_after"][order])
    before = [model.classes[i] for i in outputs["test_predictions_before"][order]]
    assert [p.before for p in found] == before
    assert all(p.probability >= p.runner_up_probability > 0 for p in found)
    assert len({p.name for p in found}) > 1
    expected = answers(model, paths[:12])
    exported(run, tmp_path / "export")
    shutil.rmtree(run)
    os.unlink(own[kind])
    assert answers(ueo.load(tmp_path / "export", "cpu"), paths[:12]) == expected
    assert {path.name for path in (tmp_path / "export").iterdir()} == FILES


@pytest.fixture(scope="module")
def runs(toy_root, weights, tmp_path_factory):
    """A finished run on each kind of tower, and its export."""
    place, found = tmp_path_factory.mktemp("runs"), {}
    for kind, options in (("rn", ()), ("vit", ("TRAINER.UEO.SCORE", "margin"))):
        run = finish(place / kind, toy_root, weights, *options, kind=kind)
        exported(run, place / f"{kind}_export")
        found[kind] = run, place / f"{kind}_export"
    return found


def test_an_export_has_no_predictions_before_adaptation(runs, toy_root):
    run, folder = runs["rn"]
    paths = test_paths(toy_root, run, 2)
    assert [p.before for p in ueo.load(folder, "cpu").predict(paths)] == [None, None]
    with pytest.raises(CheckpointError, match="does not hold the model before adaptation"):
        ueo.load(folder, "cpu").cosines(torch.zeros(1, 64, 64, 3, dtype=torch.uint8), before=True)


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_disk_is_one_line_and_leaves_no_export(runs, tmp_path, capsys, size):
    run = runs["rn"][0]
    with disk(size):
        status = export.main(["--model", str(run), "--output", str(tmp_path / "new"), "--no-onnx",
                              "--plugin", str(TOY_PLUGIN)])
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2 and "clip_state_dict.pt: not written, is the disk full?" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_the_documented_lines_give_the_same_probabilities(runs, toy_root, kind, monkeypatch):
    run, folder = runs[kind]
    model = ueo.load(folder, "cpu")
    pixels = torch.stack([model.pixels(path) for path in test_paths(toy_root, run, 4)])
    text = (REPOSITORY / "docs" / "export.md").read_text()
    (lines,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
                if "load_file" in block]
    steps = model.facts["preprocessing"]
    images = (pixels / 255 - torch.tensor(steps["mean"])) / torch.tensor(steps["std"])
    names = {"images": images.permute(0, 3, 1, 2)}
    monkeypatch.chdir(folder)
    exec(lines, names)
    expected = (model.network.model.logit_scale * model.cosines(pixels)).softmax(-1)
    assert torch.allclose(names["probabilities"], expected, atol=1e-5)
    assert tuple(steps["centre_crop"]) == pixels.shape[1:3]


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_clip_load_reads_the_merged_towers(runs, toy_root, kind):
    run, folder = runs[kind]
    path = folder / "clip_state_dict.pt"
    state = torch.load(path)
    loaded, _ = clip.load(str(path), device="cpu")
    assert set(loaded.state_dict()) == set(state)
    halves = dict(build_model(dict(state)).state_dict())  # what clip rounds to half precision
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, state[name].to(halves[name].dtype).float()), name
    model = ueo.load(run, "cpu")
    pixels = torch.stack([model.pixels(path) for path in test_paths(toy_root, run, 4)])
    with torch.no_grad():
        found = F.normalize(loaded.encode_image(model.normalise(pixels)), dim=-1)
        ours = model.network.model.image_features(model.normalise(pixels))
        text = loaded.encode_text(clip.tokenize(["a photo of a mug."]))
        own = model.network.model.text_features(["a photo of a mug."])
    assert (found * ours).sum(-1).min() > 0.999  # up to half precision
    assert F.cosine_similarity(text, own).min() > 0.999


def test_open_clip_reads_the_merged_towers(runs, toy_root):
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    run, folder = runs["vit"]
    image = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 64}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    theirs = open_clip.CLIP(32, image, text, quick_gelu=True).eval()
    open_clip.factory.load_checkpoint(theirs, str(folder / "clip_state_dict.pt"))
    model = ueo.load(run, "cpu")
    pixels = torch.stack([model.pixels(path) for path in test_paths(toy_root, run, 4)])
    images = model.normalise(pixels)
    with torch.no_grad():
        found = theirs.encode_image(images, normalize=True)
        assert torch.allclose(found, model.network.model.image_features(images), atol=1e-5)


def test_missing_packages_are_named_with_what_installs_them(runs, tmp_path, capsys, monkeypatch):
    run, _ = runs["rn"]
    monkeypatch.setattr("ueo.inference.onnx_export.missing_packages", lambda: ["onnxscript"])
    arguments = ["--model", str(run), "--output", str(tmp_path / "out"),
                 "--plugin", str(TOY_PLUGIN)]
    assert export.main([*arguments, "--onnx"]) == 2
    said = "needs onnxscript; pip install 'ueo-toolbox[onnx]'"
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert export.main(arguments) == 0
    assert f"model.onnx: left out, it {said}" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


@needs_onnx
@pytest.mark.parametrize("kind,options,trainer", [
    ("rn", (), "UEO"), ("vit", ("TRAINER.UEO.TUNE", "prompt+visual_prompt"), "UEO"),
    ("vit", (), "TransCLIP"), ("rn", (), "ZLaP"),
])
def test_onnxruntime_predicts_the_same(
    runs, toy_root, weights, tmp_path, capsys, kind, options, trainer
):
    run, _ = runs[kind]
    if options or trainer != "UEO":
        run = finish(tmp_path / "run", toy_root, weights, *options, kind=kind, trainer=trainer)
    capsys.readouterr()
    exported(run, tmp_path / "out", "--onnx")
    assert "differ from torch's by" in capsys.readouterr().out
    model = ueo.load(run, "cpu")
    paths = test_paths(toy_root, run, 5)
    pixels = torch.stack([model.pixels(path) for path in paths])
    for some in (pixels, pixels[:1]):  # any batch size
        probabilities, scores = run_onnx(tmp_path / "out" / "model.onnx", some.numpy())
        cosines = model.cosines(some)
        expected = (model.network.model.logit_scale * cosines).softmax(-1)
        assert np.abs(probabilities - expected.numpy()).max() < 1e-4
        assert np.abs(scores - SCORES[model.facts["score"]](cosines).numpy()).max() < 1e-5


@needs_onnx
def test_onnx_is_left_out_with_a_message_if_torch_cannot_export_the_model(
    toy_root, weights, tmp_path, capsys
):
    run = finish(tmp_path / "run", toy_root, weights, "OPTIM.LR", "0.2", trainer="Midway")
    exported(run, tmp_path / "out", "--onnx")
    assert "model.onnx: left out, torch cannot write what Midway" in capsys.readouterr().out
    paths = test_paths(toy_root, run, 3)
    assert answers(ueo.load(tmp_path / "out", "cpu"), paths) == answers(ueo.load(run, "cpu"), paths)


def test_the_model_card_describes_the_model_and_names_no_path(runs, toy_root):
    _, folder = runs["rn"]
    text, facts = (folder / "README.md").read_text(), read_json(folder / "model.json", dict, "")
    for words in ("UEO on Toy, red", "not calibrated", "| label space | open |", "PACC", "rn.safe",
                  "has no place for the learnt prompt", "its source gives their licence", "bike"):
        assert words in text
    for named in (text, json.dumps(facts)):
        assert str(toy_root) not in named and "/tmp" not in named and "/home" not in named
    assert facts["preprocessing"]["interpolation"] == "bicubic"


@pytest.mark.parametrize("backbone,licence", [
    ("ViT-B/16", "code and weights: MIT"), ("TinyCLIP", "`assets/LICENCES`"),
    ("mine.pt", "its source gives their licence"),
])
def test_the_card_of_a_model_without_labels(runs, backbone, licence):
    run, folder = runs["rn"]
    result, facts = read(run), read_json(folder / "model.json", dict, "")
    result["metrics"]["test"] = {"pacc": None, "auroc": None, "mean_score": 0.2}
    facts |= {"backbone": backbone, "rule": "none", "separation": 0.0,
              "thresholds": {"none": None}, "class_names": ["a|b", *map(str, range(150))]}
    text = card(result, facts, [], [])
    for words in ("have no labels", licence, "every image counts as known", "a\\|b, 0, 1,",
                  "and 51 more in model.json"):
        assert words in text


@pytest.mark.parametrize("asked,rule", [("otsu", "otsu"), ("0.25", "given"), ("-1", "given"),
                                        ("none", "none")])
def test_a_threshold_by_rule_or_as_a_number(runs, tmp_path, asked, rule):
    run, _ = runs["rn"]
    exported(run, tmp_path / "out", f"--threshold={asked}")
    model = ueo.load(tmp_path / "out", "cpu")
    assert model.facts["rule"] == rule
    assert model.threshold == {"0.25": 0.25, "-1": -1.0, "none": None}.get(
        asked, model.facts["thresholds"]["otsu"])


def refused(capsys, *arguments: str) -> str:
    """The one line on stderr of an export that is refused."""
    capsys.readouterr()
    assert export.main(["--no-onnx", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_refused_export_is_one_line(runs, tmp_path, capsys):
    run, folder = runs["rn"]
    assert "exists; name another folder, or pass --overwrite" in refused(
        capsys, "--model", str(run), "--output", str(folder))
    kept = tmp_path / "photos"
    kept.mkdir()
    assert "is no export, so --overwrite does not replace it" in refused(
        capsys, "--model", str(run), "--output", str(kept), "--overwrite")
    assert kept.is_dir()
    assert "is an export already" in refused(
        capsys, "--model", str(folder), "--output", str(tmp_path / "a"))
    assert "is no folder" in refused(
        capsys, "--model", str(tmp_path / "b"), "--output", str(tmp_path / "a"))
    assert "neither a number nor a rule; did you mean 'otsu'?" in refused(
        capsys, "--model", str(run), "--output", str(tmp_path / "a"), "--threshold", "otsi",
        "--plugin", str(TOY_PLUGIN))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


KEYED = '''
from dassl.engine import TRAINER_REGISTRY
from yacs.config import CfgNode

from ueo.clip.adapters import Cosines
from ueo.trainers.base import CLIPTrainer


class Sharpened(Cosines):
    def forward(self, features, class_features):
        return self.power * super().forward(features, class_features)


@TRAINER_REGISTRY.register(force=True)
class Keyed(CLIPTrainer):
    training_free = True

    def adapter(self):
        found = Sharpened()
        found.power = self.cfg.KEYED.POWER
        return found


def extend_cfg(cfg):
    cfg.KEYED = CfgNode({"POWER": 1.0})
'''


def test_configuration_keys_of_a_plug_in_are_exported(toy_root, weights, tmp_path):
    plugin = tmp_path / "keyed.py"
    plugin.write_text(KEYED)
    run = finish(tmp_path / "run", toy_root, weights, "KEYED.POWER", "3.0", trainer="Keyed",
                 plugins=[str(plugin)])
    paths, plugins = test_paths(toy_root, run, 4), (str(TOY_PLUGIN), str(plugin))
    expected = answers(ueo.load(run, "cpu", plugins), paths)
    assert export.main(["--model", str(run), "--output", str(tmp_path / "export"), "--no-onnx",
                        "--plugin", *plugins]) == 0
    assert answers(ueo.load(tmp_path / "export", "cpu", str(plugin)), paths) == expected
    TRAINER_REGISTRY._obj_map.pop("Keyed")
    for folder in (run, tmp_path / "export"):
        words = f"^{folder}: its TRAINER.NAME Keyed is not known .* --plugin"
        with pytest.raises(ConfigError, match=words):
            ueo.load(folder, "cpu", str(TOY_PLUGIN))
    record = read(run)
    record["config"]["TRAINER.NAME"] = "UEO"
    write_json(run / "result.json", record)
    with pytest.raises(ConfigError, match=f"^{run}: its option KEYED.POWER is not known .* --pl"):
        ueo.load(run, "cpu", str(TOY_PLUGIN))


LOW_RANK = '''
import torch
from dassl.engine import TRAINER_REGISTRY
from torch import nn
from torch.nn.utils import parametrize

from ueo.trainers.ueo import UEO


class Added(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.a = nn.Parameter(torch.full((1, weight.shape[1]), 0.1))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], 1))

    def forward(self, weight):
        return weight + self.b @ self.a


@TRAINER_REGISTRY.register(force=True)
class LowRank(UEO):
    defaults = {"REPLACED": False}

    def setup(self):
        for block in self.model.visual.transformer.resblocks:
            last = block.mlp.c_proj
            parametrize.register_parametrization(last, "weight", Added(last.weight))
            if self.options.REPLACED:
                block.mlp.c_proj = nn.Sequential(last)

    def trainable(self):
        named = self.model.named_parameters()
        return {"added": {n: p for n, p in named if n.endswith((".a", ".b"))}}
'''


@pytest.mark.parametrize("tower, replaced", [("vit", False), ("vit", True), ("tiny_vit", False)])
def test_a_plug_ins_changes_to_a_tower_are_merged_or_the_file_is_left_out(
    tower, replaced, toy_root, weights, tmp_path, capsys
):
    plugin = tmp_path / "low_rank.py"
    plugin.write_text(LOW_RANK)
    given = {"kind": "vit"} if tower == "vit" else {"backbone": "TinyViT"}
    run = finish(tmp_path / "run", toy_root, weights, "TRAINER.LowRank.REPLACED", str(replaced),
                 trainer="LowRank", plugins=[str(plugin)], **given)
    assert ("FAST skips nothing" in capsys.readouterr().out) == replaced
    paths, plugins = test_paths(toy_root, run, 4), (str(TOY_PLUGIN), str(plugin))
    model, folder = ueo.load(run, "cpu", plugins), tmp_path / "export"
    learnt = [p for n, p in model.network.model.named_parameters() if n.endswith(".b")]
    assert learnt and all(p.abs().max() > 0 for p in learnt)
    assert export.main(["--model", str(run), "--output", str(folder), "--no-onnx",
                        "--plugin", *plugins]) == 0
    out = capsys.readouterr().out
    assert answers(ueo.load(folder, "cpu", plugins), paths) == answers(model, paths)
    whole = folder / ("clip_state_dict.pt" if tower == "vit" else "open_clip_model.safetensors")
    if replaced:
        assert not whole.exists() and "left out, LowRank changed a tower in transformer" in out
        assert whole.name not in (folder / "README.md").read_text()
        return
    pixels = model.normalise(torch.stack([model.pixels(path) for path in paths]))
    if tower == "vit":
        theirs = build_model(torch.load(whole)).float().eval()
    else:
        import open_clip

        theirs = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        found = F.normalize(theirs.encode_image(pixels), dim=-1)
        torch.testing.assert_close(found, model.network.model.image_features(pixels),
                                   atol=1e-3, rtol=0)


def test_a_model_with_batch_statistics_is_not_exported(toy_root, weights, tmp_path, capsys):
    run = finish(tmp_path / "run", toy_root, weights, "TRAINER.EntMin.BATCH_STATS", "True",
                 trainer="EntMin")
    line = refused(capsys, "--model", str(run), "--plugin", str(TOY_PLUGIN))
    assert "uses the statistics of each batch" in line and not (run / "export").exists()


def test_overwrite_replaces_an_export(runs, tmp_path):
    run, _ = runs["vit"]
    exported(run, tmp_path / "out")
    exported(run, tmp_path / "out", "--overwrite", "--threshold", "0.5")
    assert ueo.load(tmp_path / "out", "cpu").threshold == 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def with_weights(change):
    """Change the tensors of an export."""
    def harm(folder):
        path = folder / "model.safetensors"
        state = {name: tensor.clone() for name, tensor in load_file(path).items()}
        state["class_features"] = change(state["class_features"]).contiguous()
        save_file(state, path)

    return harm


def with_facts(**changes):
    """Change the facts of an export; None removes one."""
    def harm(folder):
        facts = {**read(folder), **changes}
        write_json(folder / "model.json", {k: v for k, v in facts.items() if v is not None})

    return harm


@pytest.mark.parametrize("harm,words", [
    (with_weights(lambda classes: classes * float("nan")), "class_features holds NaN or infinity"),
    (with_weights(lambda classes: classes[:1]), "does not fit its model.json (ValueError: class_f"),
    (with_facts(logit_scale="x"), "does not fit its model.json (TypeError: "),
    (with_facts(logit_scale=None), "does not fit its model.json (KeyError: "),
    (with_facts(image_tower=None), "does not fit its model.json (KeyError: "),
    (with_facts(image_tower={"class": "x", "arguments": {"output_dim": 1}}), "does not fit its"),
    (with_facts(config=None), "holds no configuration"),
    (lambda f: (f / "model.safetensors").unlink(), "cannot be read"),
    (lambda f: (f / "model.safetensors").write_bytes(b"no"), "cannot be read"),
    (lambda f: write_json(f / "model.json", {**read(f), "format": 99}), "is of format 99"),
    (lambda f: write_json(f / "model.json", {**read(f), "class_names": "x"}), "of another version"),
    (lambda f: shutil.copy(f.parent / "vit.safetensors", f / "model.safetensors"), "does not fit"),
])
def test_a_damaged_export_is_refused_in_one_line(runs, tmp_path, harm, words):
    folder = shutil.copytree(runs["rn"][1], tmp_path / "export")
    shutil.copy(folder / "model.json", folder / "result.json")  # what `read` reads
    shutil.copy(runs["vit"][1] / "model.safetensors", tmp_path / "vit.safetensors")
    harm(folder)
    with pytest.raises(CheckpointError) as raised:
        ueo.load(folder, "cpu")
    assert words in str(raised.value) and "\n" not in str(raised.value)
