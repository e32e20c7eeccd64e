"""Whole runs on open_clip's models, by the names that a user types."""

import json
import shutil

import numpy as np
import pytest
from conftest import read
from small_towers import LEARNT_BIAS, configuration

import ueo
from ueo.clip.backbones import weights_hash
from ueo.inputs import WEIGHTS
from ueo.results.kept_outputs import read_kept
from ueo.studies.scored_runs import read_run


@pytest.fixture
def as_open_clip(weights, tmp_path):
    """The small CLIPs of OpenAI's layout as models of open_clip: a folder beside each file."""
    def made(kind: str) -> str:
        folder = tmp_path / f"as_open_clip_{kind}"
        folder.mkdir()
        config = configuration({"rn": "resnet", "vit": "vit_quickgelu"}[kind])
        config["text_cfg"]["layers"] = 1
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
        if kind == "rn":
            shutil.copy(weights["rn"], folder / "open_clip_model.safetensors")
        else:
            shutil.copy(weights["vit"], folder / "open_clip_pytorch_model.bin")
        return f"open_clip:local-dir:{folder}"

    return made


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_a_run_is_the_same_with_either_library(kind, toy, as_open_clip):
    of_file = toy("of_file", kind=kind, epochs=1)[1]
    name = as_open_clip(kind)
    status, folder = toy("of_open_clip", "MODEL.BACKBONE.NAME", name, kind=kind, epochs=1)
    assert status == 0
    theirs, ours = (np.load(f / "outputs.npz") for f in (of_file, folder))
    for key in theirs:
        if theirs[key].dtype.kind == "f":
            np.testing.assert_allclose(ours[key], theirs[key], atol=1e-6, err_msg=key)
    assert read(folder)["inputs"][WEIGHTS] == weights_hash(name) is not None
    assert read(folder)["counts"]["tuned_parameters"] == read(of_file)["counts"]["tuned_parameters"]


def test_a_run_on_a_siglip_can_be_loaded_and_predicts_the_same(
    toy, toy_root, small_backbones, pretended_transformers
):
    status, folder = toy("run", "MODEL.BACKBONE.NAME", small_backbones("siglip"),
                         "INPUT.SIZE", "(32, 32)", "TEST.KEEP_OUTPUTS", "True")
    assert status == 0
    found = read(folder)
    assert found["config"]["INPUT.RESIZE_MODE"] == "squash"
    assert found["config"]["INPUT.PIXEL_MEAN"] == [0.5, 0.5, 0.5]
    scores, bias = read_run(folder).scores, read_kept(folder)["logit_bias"]
    assert bias == LEARNT_BIAS
    order = scores["max_logit"].argsort(kind="stable")
    assert (np.diff(scores["sigmoid"][order]) >= 0).all()
    model, outputs = ueo.load(folder, device="cpu"), np.load(folder / "outputs.npz")
    paths = [f"{toy_root}/toy/{path}" for path in outputs["test_paths"][:8]]
    named = [p.name for p in model.predict(paths)]
    assert named == [model.classes[k] for k in outputs["test_predictions_after"][:8]]
