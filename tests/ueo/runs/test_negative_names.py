"""Runs with scores against negative names: record, prediction, export and resuming."""

import socket

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, TOY_PLUGIN, killed_in_epoch, read, toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY

import ueo
from ueo.clip.backbones import load_clip
from ueo.clip.model import PromptedCLIP
from ueo.clip.negatives import names as negative_names
from ueo.clip.negatives.scores import neglabel
from ueo.clip.prompts import PromptLearner
from ueo.commands import export, predict, train
from ueo.errors import DataError
from ueo.results.kept_outputs import read_kept
from ueo.results.record import read_outputs
from ueo.studies.scored_runs import measure, read_run

pytestmark = pytest.mark.usefixtures("few_words")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    connect = socket.socket.connect

    def local(self, address):
        assert self.family == socket.AF_UNIX, f"the network was asked: {address}"
        return connect(self, address)  # between processes

    monkeypatch.setattr(socket.socket, "connect", local)


def options(trainer: str, score: str, *more: str) -> list[str]:
    labels = TRAINER_REGISTRY.get(trainer).uses_labels
    return [f"TRAINER.{trainer}.SCORE", score, *more, *["DATASET.NUM_SHOTS", "2"] * labels]


def predicted(folder, root: str, model=None) -> list:
    """Predictions of the run's test images. model: the run's model if it is already loaded."""
    paths = [f"{root}/toy/{path}" for path in read_outputs(folder)["test_paths"]]
    model = model or ueo.load(folder, "cpu")
    return list(model.predict(paths, batch_size=5, before=False))


@pytest.mark.parametrize("trainer", [name for name in trainer_names() if name != "Midway"])
def test_every_trainer_reports_the_score_and_its_model_reproduces_it(toy, toy_root, trainer):
    score = "tanl" if trainer in ("UEO", "TipAdapter", "CoCoOp") else "neglabel"
    status, folder = toy(trainer, *options(trainer, score), trainer=trainer, kind="vit", epochs=1)
    assert status == 0
    outputs, result = read_outputs(folder), read(folder)
    scores = outputs["test_scores_after"]
    assert len(np.unique(scores)) > len(scores) // 2 and ((0 <= scores) & (scores <= 1)).all()
    assert result["metrics"]["test"]["auroc"] is not None
    model = ueo.load(folder, "cpu")
    found = predicted(folder, toy_root, model)
    if not hasattr(model.network.model.adapter, "jointly"):
        # a method that classifies all images jointly scores single images differently
        np.testing.assert_allclose([p.score for p in found], scores, rtol=1e-9)


@pytest.mark.parametrize("score", ["neglabel", "tanl"])
def test_the_score_of_an_image_does_not_depend_on_its_batch(toy, toy_root, score):
    _, folder = toy("run", "TRAINER.UEO.SCORE", score, trainer="UEO")
    outputs, model = read_outputs(folder), ueo.load(folder, "cpu")
    paths = [f"{toy_root}/toy/{path}" for path in outputs["test_paths"]]
    for size in (1, 7):
        found = [p.score for p in model.predict(paths, batch_size=size, before=False)]
        np.testing.assert_array_equal(found, outputs["test_scores_after"])


def test_the_score_equals_its_formula_on_the_models_features(toy, weights, few_words):
    _, folder = toy("run", *options("ZeroshotCLIP", "neglabel", "TEST.KEEP_OUTPUTS", "True"),
                    trainer="ZeroshotCLIP", kind="vit")
    chosen, kept = negative_names.read(folder), read_kept(folder)
    assert set(chosen.names) < set(few_words.names) - set(CLASSES)
    assert len(chosen.names) == int(0.15 * (len(few_words.names) - 2))
    backbone = load_clip(weights["vit"], "fp32")
    model = PromptedCLIP(backbone, PromptLearner(["any"], backbone))
    with torch.no_grad():
        texts = model.text_features([f"a photo of a {name}." for name in chosen.names])
    torch.testing.assert_close(texts, chosen.features, atol=1e-5, rtol=0)
    images = torch.from_numpy(kept["features"])
    expected = neglabel(torch.from_numpy(kept["cosines"]), images @ texts.T,
                        float(kept["logit_scale"]))
    np.testing.assert_allclose(read_outputs(folder)["test_scores_after"], expected, atol=1e-5)


def test_a_shared_context_is_used_for_negative_names_and_a_class_specific_one_is_not(toy):
    def features(name: str, *more: str) -> tuple:
        _, folder = toy(name, *options("UEO", "neglabel", "OPTIM.LR", "0.05", *more), kind="vit")
        return folder, negative_names.read(folder)

    _, start = features("start", "TRAINER.UEO.TUNE", "visual_affine")
    folder, learnt = features("learnt", "TRAINER.UEO.TUNE", "prompt")
    _, own = features("own", "TRAINER.UEO.TUNE", "prompt", "TRAINER.UEO.CSC", "True")
    assert start.names == learnt.names and (own.bound, learnt.bound) == (True, False)
    torch.testing.assert_close(own.features, start.features, atol=1e-5, rtol=0)
    assert (learnt.features * start.features).sum(1).median() < 0.9995
    model = ueo.load(folder, "cpu").network.model
    ctx = model.prompt.ctx
    tokens = model.backbone.tokenise([f"a photo of a {learnt.names[0]}."])
    with torch.no_grad():
        embedded = model.token_embedding(tokens.ids)
        embedded[:, 1 : 1 + len(ctx)] = ctx
        feature = F.normalize(model.text_encoder(embedded, tokens.pooled), dim=-1)[0]
    torch.testing.assert_close(feature, learnt.features[0], atol=1e-5, rtol=0)


def test_a_random_context_scores_as_zero_shot_clip_before_training(toy):
    random = ("TRAINER.UEO.CTX_INIT", "", "TRAINER.UEO.N_CTX", "3", "TRAINER.UEO.TUNE", "prompt")
    _, zero_shot = toy("zero", *options("ZeroshotCLIP", "neglabel"), trainer="ZeroshotCLIP")
    _, folder = toy("random", *options("UEO", "neglabel", *random), epochs=1)
    expected, found = read_outputs(zero_shot), read_outputs(folder)
    np.testing.assert_allclose(found["test_scores_before"], expected["test_scores_after"],
                               rtol=1e-6)
    start, learnt = (negative_names.read(f) for f in (zero_shot, folder))
    assert start.names == learnt.names
    assert not torch.allclose(start.features, learnt.features, atol=1e-3)


def test_both_scores_are_kept_beside_others_and_change_none(toy):
    _, plain = toy("plain", "TEST.KEEP_OUTPUTS", "True", kind="vit")
    _, kept = toy("kept", "TEST.KEEP_OUTPUTS", "True", "TEST.KEEP_NEGATIVES", "True", kind="vit")
    a, b = read_outputs(plain), read_outputs(kept)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not (kept / negative_names.FILE).exists()  # the reported score does not need it
    for when in ("before", "after"):
        found, without = read_run(kept, when), read_run(plain, when)
        assert set(found.scores) - set(without.scores) == {"neglabel", "tanl"}
        assert 0 <= measure(found)["tanl"]["auroc"] <= 100


def test_words_without_a_token_are_left_out_and_counted(toy, tmp_path, weights, few_words, capsys):
    state = torch.load(weights["vit"])
    ids = load_clip(weights["vit"], "fp32").tokenise(["guitar", *few_words.names]).ids
    lost = ids[1:, 1].unique()[:100]  # first tokens of some words
    lost = lost[~torch.isin(lost, ids[0])]
    state["token_embedding.weight"][lost] = 0
    torch.save(state, tmp_path / "few_tokens.pt")
    status, folder = toy("run", *options("ZeroshotCLIP", "neglabel", "INPUT.SIZE", "(32, 32)"),
                         trainer="ZeroshotCLIP", backbone=str(tmp_path / "few_tokens.pt"))
    assert status == 0
    printed = capsys.readouterr().out
    count = int(torch.isin(ids[1:], lost).any(1).sum())
    assert f"{count} of {len(few_words.names)} words are left out" in printed
    rows = {name: row for name, row in zip(few_words.names, ids[1:])}
    assert not any(torch.isin(rows[n], lost).any() for n in negative_names.read(folder).names)


def test_a_killed_run_resumes_to_the_same_scores(toy, monkeypatch):
    asked = options("UEO", "tanl", "OPTIM.LR", "0.05")
    _, whole = toy("whole", *asked, kind="vit", epochs=2)
    kind = TRAINER_REGISTRY.get("UEO")
    with killed_in_epoch(kind):
        assert toy("again", *asked, kind="vit", epochs=2)[0] == 130
    status, again = toy("again", *asked, kind="vit", epochs=2)
    assert status == 0 and read(again)["resumed_from_epoch"] == 1
    a, b = read_outputs(whole), read_outputs(again)
    np.testing.assert_allclose(a["test_scores_after"], b["test_scores_after"], rtol=1e-5)


def test_predict_and_export_use_the_score_and_a_missing_file_is_named(toy_root, weights, tmp_path):
    run = tmp_path / "run"
    arguments = toy_arguments(toy_root, weights, run, kind="vit", epochs=1)
    assert train.main([*arguments, *options("UEO", "neglabel")]) == 0
    csv = tmp_path / "new.csv"
    assert predict.main(["--model", str(run), "--path", f"{toy_root}/toy/red/mug", "--output",
                         str(csv), "--plugin", str(TOY_PLUGIN), "--device", "cpu"]) == 0
    assert len(csv.read_text().splitlines()) > 5
    assert export.main(["--model", str(run), "--output", str(tmp_path / "export"), "--plugin",
                        str(TOY_PLUGIN)]) == 0  # an ONNX file is compared with the model
    expected = [p.score for p in predicted(run, toy_root)]
    paths = [f"{toy_root}/toy/{path}" for path in read_outputs(run)["test_paths"]]
    found = ueo.load(tmp_path / "export", "cpu").predict(paths, before=False)
    assert [p.score for p in found] == pytest.approx(expected, rel=1e-9)
    (run / negative_names.FILE).unlink()
    with pytest.raises(DataError, match="negative_names.npz is missing; train the model again"):
        ueo.load(run, "cpu")


def test_features_of_the_words_are_stored_for_later_runs(toy, tmp_path, monkeypatch):
    shared = options("ZeroshotCLIP", "neglabel", "DATASET.STORE", str(tmp_path / "store"))
    _, first = toy("first", *shared, trainer="ZeroshotCLIP", kind="vit")
    monkeypatch.setattr(negative_names, "readable", None)  # is called to encode words
    status, second = toy("second", *shared, trainer="ZeroshotCLIP", kind="vit")
    assert status == 0
    a, b = read_outputs(first), read_outputs(second)
    assert np.array_equal(a["test_scores_after"], b["test_scores_after"])
