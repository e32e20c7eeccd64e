"""A finished run as a model for new images: predictions, thresholds, threads and refusals."""

import pickle
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, TOY_PLUGIN, read, toy_arguments

import ueo
from ueo.commands import train
from ueo.errors import CheckpointError, ConfigError, DataError
from ueo.files import read_json, write_json
from ueo.images.decoding import read_image
from ueo.inference.predict import PredictSettings, predict
from ueo.inference.report import write_report
from ueo.inputs import TRAINER_CODE
from ueo.open_set import mixture_threshold, otsu_threshold
from ueo.results.record import read_outputs


def paths_of(root: str, outputs: dict) -> list[str]:
    return [f"{root}/toy/{path}" for path in outputs["test_paths"]]


@pytest.mark.parametrize(("trainer", "options"), [
    ("UPL", ("TRAINER.UPL.CTX_INIT", "")),
    ("CoCoOp", ("TRAINER.CoCoOp.CTX_INIT", "", "DATASET.NUM_SHOTS", "2")),
    ("UEO", ("TRAINER.UEO.TUNE", "visual_prompt")),
])
def test_before_a_random_prompt_is_learnt_the_model_is_zero_shot_clip(
    toy, toy_root, trainer, options
):
    status, folder = toy("run", *options, trainer=trainer, kind="vit")
    assert status == 0
    outputs, model = read_outputs(folder), ueo.load(folder, "cpu")
    found = [p.before for p in model.predict(paths_of(toy_root, outputs))]
    assert found == [model.classes[i] for i in outputs["test_predictions_before"]]


@pytest.mark.parametrize("score", ["mcm", "neglabel"])
@pytest.mark.parametrize("trainer", ["TransCLIP", "StatA", "ZLaP"])
def test_thresholds_for_new_images_come_from_scores_of_single_images(
    toy, toy_root, few_words, tmp_path, trainer, score
):
    status, folder = toy("run", f"TRAINER.{trainer}.SCORE", score, trainer=trainer,
                         setting="closed")
    assert status == 0
    outputs, facts = read_outputs(folder), read_json(folder / "model.json", dict, "")
    listed = [path for path, label in zip(paths_of(toy_root, outputs), outputs["test_labels"])
              if label < len(facts["class_names"])]
    assert len(listed) == len(outputs["unlabelled_labels"])
    model = ueo.load(folder, "cpu")
    scores = np.array([p.score for p in model.predict(listed, before=False)])
    assert facts["thresholds"]["otsu"] == otsu_threshold(outputs["unlabelled_scores_after"])
    assert model.threshold == otsu_threshold(scores) != facts["thresholds"]["otsu"]
    asked = PredictSettings(str(folder), f"{toy_root}/toy", str(tmp_path / "new.csv"),
                            threshold="mixture", device="cpu", workers=0, plugin=(str(TOY_PLUGIN),))
    predict(asked, said := [].append)
    assert f"{mixture_threshold(scores):.4g} (mixture)" in "".join(said.__self__)
    assert '"command": null' in write_report(folder, toy_root).read_text()


@pytest.fixture(scope="module")
def finished(toy_root, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert train.main(toy_arguments(toy_root, weights, folder, epochs=1)) == 0
    return folder


def test_a_model_needs_neither_the_training_images_nor_their_list(
    finished, toy_root, tmp_path, monkeypatch
):
    outputs = read_outputs(finished)
    image = tmp_path / "new.png"
    shutil.copy(paths_of(toy_root, outputs)[0], image)
    folder = shutil.copytree(finished, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    config = read(folder)
    config["config"]["DATASET.ROOT"] = str(tmp_path / "gone")
    write_json(folder / "result.json", config)
    (prediction,) = ueo.load(folder, "cpu").predict([image], before=False)
    assert prediction.image == str(image) and prediction.before is None
    assert prediction.score == outputs["test_scores_after"][0]


def test_a_run_of_other_code_is_reported(finished, toy_root, tmp_path, capsys):
    ueo.load(finished, "cpu")
    assert "other code" not in capsys.readouterr().out
    folder = shutil.copytree(finished, tmp_path / "run")
    result = read(folder)
    result["inputs"][TRAINER_CODE] = "0" * 12
    write_json(folder / "result.json", result)
    ueo.load(folder, "cpu")
    assert "other code of UEO (000000000000, now " in capsys.readouterr().out


def test_a_single_path_needs_no_list(finished, toy_root):
    model = ueo.load(finished, device="cpu")
    path = paths_of(toy_root, read_outputs(finished))[0]
    (expected,) = model.predict([path])
    assert [*model.predict(path), *model.predict(Path(path))] == [expected, expected]


def test_the_documented_loop_over_a_loader_equals_predict(finished, toy_root):
    text = (REPOSITORY / "docs" / "own_images.md").read_text()
    (block,) = re.findall(r"```python\n(from torch.utils.data.*?)```", text, re.DOTALL)
    for written, here in (
        ("output/folder/UEO/vit_b16/as_is/photos/seed1", str(finished)),
        ("my/new_photos", f"{toy_root}/toy/red"), ("num_workers=4", "num_workers=0"),
    ):
        assert written in block
        block = block.replace(written, here)
    exec(block, found := {})
    clip, paths = found["clip"], [path for path, _ in found["data"].imgs]
    expected = [p.probability for p in found["model"].predict(paths, before=False)]
    last = found["probabilities"].amax(-1).tolist()
    assert last == pytest.approx(expected[-len(last):], abs=1e-5)
    assert not found["cosines"].requires_grad
    for part in (clip.visual, clip.prompt.ctx):
        part.requires_grad_(True)
        assert clip(found["images"]).requires_grad
        part.requires_grad_(False)


def test_a_loaded_model_can_be_trained_further(finished):
    clip = ueo.load(finished, "cpu").network.model
    clip.visual.requires_grad_(True)
    images = torch.randn(2, 3, *[clip.visual.input_resolution] * 2)
    clip(images).square().sum().backward()
    tuned = dict(clip.visual.named_parameters())
    assert {name for name, p in tuned.items() if p.grad is None} <= {"attnpool.k_proj.bias"}


@pytest.mark.parametrize("trainer", ["UEO", "Midway"])
def test_threads_that_share_a_model_get_the_same_predictions(toy, toy_root, trainer, capsys):
    _, folder = toy("run", "OPTIM.LR", "1e-2", trainer=trainer, epochs=1)
    paths = paths_of(toy_root, read_outputs(folder))[:6]
    expected = list(ueo.load(folder, "cpu").predict(paths))
    capsys.readouterr()
    model = ueo.load(folder, "cpu")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda path: next(model.predict(path)), paths * 3))
    finally:
        sys.setswitchinterval(interval)
    assert found == expected * 3
    assert capsys.readouterr().out.count("Precision: ") == 2, "the model before is built once"
    assert list(pickle.loads(pickle.dumps(model)).predict(paths)) == expected


def test_known_follows_the_threshold(finished, toy_root):
    model = ueo.load(finished, "cpu")
    paths = paths_of(toy_root, read_outputs(finished))[:8]
    scores = [p.score for p in model.predict(paths, before=False)]
    model.threshold = sorted(scores)[3]
    assert sum(p.known for p in model.predict(paths, before=False)) == 5
    model.threshold = None
    assert all(p.known for p in model.predict(paths, before=False))


def test_only_a_path_is_an_image_and_only_a_number_a_threshold(finished, toy_root):
    model = ueo.load(finished, "cpu")
    path = paths_of(toy_root, read_outputs(finished))[0]
    for image in (read_image(path), np.zeros((4, 4, 3), np.uint8), torch.zeros(3, 4, 4), 3):
        with pytest.raises(TypeError, match="expected str, bytes or os.PathLike object, not"):
            list(model.predict([image]))
    least = model.threshold
    with pytest.raises(ConfigError, match="threshold: is nan"):
        model.threshold = float("nan")
    with pytest.raises(TypeError, match="must be real number, not str"):
        model.threshold = "mixture"
    assert model.threshold == least
    for device in ("cuda:1", "CPU"):
        with pytest.raises(ConfigError, match=f"device '{device}': must be auto, cpu or cuda"):
            ueo.load(finished, device)


def test_one_plugin_may_be_named_without_a_tuple(finished):
    with pytest.raises(ConfigError, match="--plugin: nowhere.py is no"):
        ueo.load(finished, "cpu", plugin="nowhere.py")


def test_the_reader_of_images_is_pickled_without_the_model(finished, toy_root):
    """Workers that are not forked, as since Python 3.14, would otherwise each hold the model."""
    model, path = ueo.load(finished, "cpu"), paths_of(toy_root, read_outputs(finished))[0]
    sent = pickle.dumps(model.pixels)
    assert len(sent) < 10_000 and torch.equal(pickle.loads(sent)(path), model.pixels(path))


def test_probabilities_are_the_softmax_of_the_models_own_logits(finished, toy_root):
    model = ueo.load(finished, "cpu")
    path = paths_of(toy_root, read_outputs(finished))[0]
    (prediction,) = model.predict([path])
    network = model.network.model
    size = network.visual.input_resolution
    image = read_image(path).convert("RGB")
    pixels = model.pixels(path)
    assert pixels.shape == (size, size, 3) and image.size != (size, size)
    mean, std = (torch.tensor(v) for v in (model.cfg.INPUT.PIXEL_MEAN, model.cfg.INPUT.PIXEL_STD))
    with torch.no_grad():
        inputs = ((pixels / 255 - mean) / std).permute(2, 0, 1)[None]
        logits = network.logit_scale * network(inputs)[0]
    expected = torch.tensor([float(v) for v in logits]).exp()
    expected = sorted(expected / expected.sum(), reverse=True)
    assert prediction.probability == pytest.approx(float(expected[0]), rel=1e-4)
    assert prediction.runner_up_probability == pytest.approx(float(expected[1]), rel=1e-4)


def edited(name, **changes):
    """Change values of a JSON file in a run's folder."""
    return lambda f: write_json(f / name, {**read_json(f / name, dict, ""), **changes})


@pytest.mark.parametrize(("harm", "words"), [
    (lambda f: shutil.rmtree(f), "is no folder; name the folder of a finished run"),
    (lambda f: (f / "model.json").unlink(), "holds no model.json"),
    (lambda f: (f / "result.json").unlink(), "is not finished"),
    (lambda f: (f / "tuned" / "checkpoint").unlink(), "no such model"),
    (lambda f: write_json(f / "model.json", {"class_names": []}), "of another version"),
    (edited("model.json", weights="0" * 12), "was adapted from the weights 000000000000"),
    (edited("model.json", independent=False), "uses the statistics of each batch"),
    (edited("model.json", class_names=[]), "class_names missing or of another kind"),
    (edited("model.json", class_names=["another name"]), "class_names were edited"),
    (edited("model.json", class_names=[1, 2]), "class_names missing or of another kind"),
    (edited("model.json", images={"train_x": "x"}), "images missing or of another kind"),
    (edited("model.json", thresholds={}), "thresholds missing or of another kind"),
    (edited("model.json", thresholds={"otsu": "x"}), "thresholds missing or of another kind"),
    (edited("model.json", rule="otsus"), "thresholds missing or of another kind"),
    (edited("model.json", alone=[1]), "alone missing or of another kind"),
    (edited("model.json", alone={"thresholds": []}), "alone missing or of another kind"),
    (edited("model.json", score="mmc"), "score missing or of another kind"),
])
def test_a_folder_without_a_usable_model_is_refused_in_one_line(finished, tmp_path, harm, words):
    folder = shutil.copytree(finished, tmp_path / "run")
    harm(folder)
    with pytest.raises(CheckpointError) as raised:
        ueo.load(folder, "cpu")
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_a_record_without_a_configuration_is_no_model(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    edited("result.json", config={})(folder)
    with pytest.raises(ConfigError, match=r"its TRAINER\.NAME None is not known here"):
        ueo.load(folder, "cpu")


def test_a_number_too_large_for_the_models_precision_is_named(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    (path,) = (folder / "tuned").glob("model.pth.tar-*")
    found = torch.load(path, weights_only=False)
    name, value = next((n, v) for n, v in found["state_dict"].items() if v.is_floating_point())
    found["state_dict"][name] = torch.full_like(value, 1e200, dtype=torch.double)
    torch.save(found, path)
    with pytest.raises(CheckpointError, match=f"{name} holds NaN or infinity"):
        ueo.load(folder, "cpu")


def test_an_unreadable_image_is_named_without_advice_for_runs(toy, tmp_path):
    status, folder = toy("unread", trainer="ZeroshotCLIP")
    assert status == 0
    (tmp_path / "text.jpg").write_text("no image")
    model = ueo.load(folder, device="cpu")
    for path, why in ((tmp_path / "text.jpg", "no image that Pillow can read"),
                      (tmp_path, "no regular file"), (tmp_path / "b.jpg", "no such image")):
        with pytest.raises(DataError, match=f"{path}: {why}; leave it out") as raised:
            list(model.predict([path]))
        assert "BAD_IMAGES" not in str(raised.value)
