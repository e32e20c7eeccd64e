"""The online protocol: answers follow from past images alone; resuming, domains, refusals."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import made_shards
import numpy as np
import pytest
import torch
from conftest import picture, read, toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY
from PIL import Image
from pretended_gpu import pretended_gpu

import ueo
from modern_dassl import distributed
from ueo.commands import train
from ueo.errors import ConfigError
from ueo.files import read_json
from ueo.grids.choices import has_online_form
from ueo.open_set import otsu_threshold
from ueo.results.check_outputs import check_outputs
from ueo.results.record import OWN_SCORE, score_of
from ueo.runs.online import partial_state

ONLINE = ("DATASET.PROTOCOL", "online")
METHODS = [*filter(has_online_form, trainer_names()), "AdaND"]
OF_METHOD = {"CLIPTTA": ("ONLINE.STEPS", "2"), "EntMin": ("ONLINE.ANSWER", "before"),
             "AdaND": ("TRAINER.AdaND.WARM_UP", "1")}
ADAM = ("OPTIM.NAME", "adam", "OPTIM.LR", "1e-2")  # so that answers change
PARTS = ("predictions", "scores", "confidences")


@pytest.fixture
def stream(toy):
    """Outputs of a toy run that follows a stream: stream(name, trainer, KEY, VALUE, ...)."""

    def run(name: str, trainer: str, *options: str, **arguments) -> dict[str, np.ndarray]:
        options = (*ONLINE, *ADAM, *OF_METHOD.get(trainer, ()), *options)
        status, folder = toy(name, *options, trainer=trainer, **arguments)
        assert status == 0
        check_outputs(folder, read(folder))
        return dict(np.load(folder / "outputs.npz"))

    return run


def answers(outputs: dict, when: str = "after") -> list[np.ndarray]:
    """Predictions, scores and confidences in the order of the stream."""
    return [outputs[f"test_{part}_{when}"][outputs["stream_order"]] for part in PARTS]


def same(first: list[np.ndarray], second: list[np.ndarray], images=slice(None)) -> bool:
    return all(np.array_equal(a[images], b[images]) for a, b in zip(first, second))


def test_these_methods_have_an_online_form():
    assert {"ZeroshotCLIP", "UEO", "EntMin", "UniEntPlus", "CLIPTTA", "TransCLIP", "StatA", "ZLaP",
            "TDA", "AdaND"} == set(METHODS)


@pytest.mark.parametrize("trainer", METHODS)
def test_later_images_change_no_earlier_answer(stream, toy_root, tmp_path, trainer):
    first = stream("first", trainer)
    come = 32 if trainer != "TDA" else 33  # two batches; TDA answers image by image
    root = tmp_path / "other"
    shutil.copytree(toy_root, root)
    rng = np.random.default_rng(0)
    for path in first["test_paths"][first["stream_order"][come:]]:
        Image.fromarray(picture(rng, 1, 0)).save(root / "toy" / path)
    other = stream("other run", trainer, root=str(root))
    assert np.array_equal(first["stream_order"], other["stream_order"])
    assert same(answers(first), answers(other), slice(0, come))
    assert not same(answers(first, "before"), answers(other, "before"), slice(come, None))
    moved = not same(answers(first, "before"), answers(first))
    assert moved == (trainer != "ZeroshotCLIP")


@pytest.mark.parametrize("trainer", ["UEO", "CLIPTTA", "TDA", "StatA", "AdaND"])
def test_a_stream_after_kill_9_resumes_to_the_same_answers(stream, tmp_path, monkeypatch, capsys,
                                                           trainer):
    unbroken = stream("unbroken", trainer)
    monkeypatch.setattr(partial_state, "SECONDS", -1.0)
    kind, folder = TRAINER_REGISTRY.get(trainer), tmp_path / "killed"

    def work(step=kind.online_step):
        kind.online_step = lambda self, batch: (
            made_shards.kill_self() if self.batch_idx == 2 else step(self, batch))
        stream("killed", trainer)

    made_shards.killed(work)
    assert (folder / partial_state.FILE).is_file() and not (folder / "result.json").exists()
    again = stream("killed", trainer)
    assert "Resume after batch 2" in capsys.readouterr().out
    assert all(np.array_equal(unbroken[name], again[name]) for name in unbroken)
    assert read(folder)["stream"] == read(folder.parent / "unbroken")["stream"]
    assert read(folder)["resumed_from_batch"] == 2
    assert score_of(read(folder)) == (OWN_SCORE if trainer == "AdaND" else "mcm")
    assert not (folder / partial_state.FILE).exists()


@pytest.mark.parametrize("trainer, precision", [
    ("UEO", "fp16"), ("EntMin", "amp"), ("CLIPTTA", "fp32"), ("StatA", "fp16"), ("TDA", "fp16"),
    ("AdaND", "fp32"),
])
def test_a_stream_runs_on_a_gpu(toy_root, weights, tmp_path, capsys, trainer, precision):
    argv = toy_arguments(toy_root, weights, tmp_path, trainer=trainer)
    argv[argv.index("--device") + 1] = "auto"
    options = (*ONLINE, *OF_METHOD.get(trainer, ()), f"TRAINER.{trainer}.PREC", precision)
    with pretended_gpu():
        assert train.main([*argv, *options]) == 0, capsys.readouterr().err
    assert read(tmp_path)["environment"]["device"] == "pretended"


@pytest.mark.parametrize("trainer", ["UEO", "TDA", "StatA", "AdaND"])
def test_the_model_at_the_end_of_a_stream_predicts_new_images(toy, toy_root, trainer):
    _, folder = toy("run", *ONLINE, trainer=trainer)
    outputs, model = np.load(folder / "outputs.npz"), ueo.load(folder, device="cpu")
    found = list(model.predict([f"{toy_root}/toy/{path}" for path in outputs["test_paths"]]))
    assert [p.before for p in found] == [
        model.classes[i] for i in outputs["test_predictions_before"]]
    assert len({p.name for p in found}) > 1


@pytest.mark.parametrize("trainer", ["TransCLIP", "StatA", "ZLaP", "TDA", "AdaND"])
def test_the_threshold_for_new_images_comes_from_the_final_model(toy, toy_root, trainer):
    """The stream's own threshold comes from the scores of its answers, so it is another."""
    _, folder = toy("run", *ONLINE, *OF_METHOD.get(trainer, ()), trainer=trainer)
    outputs, model = np.load(folder / "outputs.npz"), ueo.load(folder, device="cpu")
    found = [*model.predict([f"{toy_root}/toy/{path}" for path in outputs["test_paths"]])]
    assert model.threshold == otsu_threshold(np.array([p.score for p in found]))
    assert 0.2 < np.mean([p.known for p in found]) < 0.8
    own = read_json(folder / "model.json", dict, "")["thresholds"]["otsu"]
    assert own == otsu_threshold(outputs["unlabelled_scores_after"]) != model.threshold


def test_a_damaged_file_is_named(toy, capsys):
    folder = Path(toy("run", *ONLINE, trainer="UEO")[1])
    (folder / "result.json").unlink()
    (folder / partial_state.FILE).write_bytes(b"PK no archive")
    assert toy("run", *ONLINE, trainer="UEO")[0] == 2
    assert f"{partial_state.FILE}: damaged; remove it" in capsys.readouterr().err


def test_a_stream_resumes_where_fewer_gpus_are_visible(tmp_path, monkeypatch):
    state, given = torch.get_rng_state(), []
    torch.save({"epoch": 0, "batches": 3, "state": {}, "random": state, "cuda": [state] * 4},
               tmp_path / partial_state.FILE)
    monkeypatch.setattr(partial_state, "put_back", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", given.extend)
    assert partial_state.resume(SimpleNamespace(output_dir=tmp_path))["batches"] == 3
    assert len(given) == 1


@pytest.mark.parametrize("reset", ["True", "False"])
def test_domains_follow_one_another(stream, reset):
    options = ("ONLINE.ORDER", "listed", "DATALOADER.TRAIN_X.BATCH_SIZE", "20")
    both = stream("both", "UEO", *options, "ONLINE.THEN", "['blue']", "ONLINE.RESET", reset)
    alone = stream("alone", "UEO", *options, "DATASET.TARGET_DOMAINS", "['blue']")
    later = len(alone["test_labels"])
    assert all(path.startswith("blue") for path in both["test_paths"][-later:])
    assert all(path.startswith("red") for path in both["test_paths"][:-later])
    found = [part[-later:] for part in answers(both)]
    assert same(found, answers(alone)) == (reset == "True")


def test_batches_of_one_leave_ueo_unchanged_and_tda_the_same(stream):
    one, many = (("DATALOADER.TRAIN_X.BATCH_SIZE", size) for size in ("1", "16"))
    for size, learns in ((one, False), (many, True)):
        found = stream(f"ueo {size[1]}", "UEO", *size, "OPTIM.NAME", "sgd", "OPTIM.LR", "0.1")
        close = np.allclose(found["test_scores_after"], found["test_scores_before"], atol=1e-5)
        assert close != learns
    assert same(answers(stream("tda", "TDA", *one)), answers(stream("tda 16", "TDA", *many)))


@pytest.mark.parametrize("trainer", [
    "UniEntPlus", "CLIPTTA", "TransCLIP", "StatA", "ZLaP", "AdaND",
])
def test_methods_answer_images_one_at_a_time(stream, trainer):
    outputs = stream("run", trainer, "DATALOADER.TRAIN_X.BATCH_SIZE", "1", kind="vit")
    assert np.isfinite(outputs["test_scores_after"]).all()


def test_batch_statistics_count_from_the_first_batch_on(stream):
    plain, own = (stream(value, "EntMin", "TRAINER.EntMin.BATCH_STATS", value, kind="rn")
                  for value in ("False", "True"))
    assert not same(answers(plain), answers(own), slice(0, 16))


@pytest.mark.parametrize("trainer,options,message", [
    ("UPL", (), "UPL needs all images at once"),
    ("DANCE", (), "DANCE needs all images at once"),
    ("CPL", (), "CPL needs all images at once"),
    ("Midway", (), "Midway needs all images at once"),
    ("CoOp", (), "CoOp trains with labels"),
    ("AdaND", ("DATASET.PROTOCOL", "released"), "AdaND runs on streams only"),
    ("UEO", ("DATASET.NUM_SHOTS", "1"), "DATASET.NUM_SHOTS takes images out"),
    ("UEO", ("TRAINER.UEO.WEIGHTING", "oracle"), "UEO reads labels"),
    ("UEO", ("TEST.KEEP_OUTPUTS", "True"), "in a stream the model changes, leave it False"),
    ("UEO", ("ONLINE.THEN", "['red']"), "ONLINE.THEN: a domain comes twice"),
    ("UEO", ("ONLINE.ORDER", "sorted"), "known: listed, shuffled, correlated, classes"),
])
def test_what_a_stream_does_not_support_is_refused(toy, capsys, trainer, options, message):
    assert toy("run", *ONLINE, *options, trainer=trainer)[0] == 2
    assert message in capsys.readouterr().err


def test_several_processes_are_refused(build, monkeypatch):
    trainer = build(*ONLINE)
    monkeypatch.setattr(distributed, "launched", lambda: True)
    with pytest.raises(ConfigError, match="one process reads the stream; do without torchrun"):
        trainer._refuse()


def test_options_of_streams_are_recorded_online_alone(toy):
    _, folder = toy("run", "ONLINE.ORDER", "classes", trainer="ZeroshotCLIP")
    assert not [key for key in read(folder)["config"] if key.startswith("ONLINE")]
    _, folder = toy("online", *ONLINE, "ONLINE.ORDER", "classes", trainer="ZeroshotCLIP")
    result = read(folder)
    assert result["config"]["ONLINE.ORDER"] == "classes" and result["protocol"] == "online"
    last = result["stream"]["answers"][-1]
    assert last["images"] == result["counts"]["test"] == result["counts"]["unlabelled"]
    assert last["so_far"]["accuracy"] == pytest.approx(result["metrics"]["test"]["accuracy"])
    assert last["so_far"]["h_score"] == pytest.approx(result["metrics"]["test"]["h_score"])


def test_images_that_have_not_arrived_are_out_of_reach(build):
    trainer = build(*ONLINE)
    trainer.stream = trainer._open_stream()
    for loader in (trainer.unlabelled_loader, trainer.train_loader_x, trainer.dm.test_loader):
        with pytest.raises(ConfigError, match="UEO needs all images at once"):
            iter(loader)
    batches = iter(trainer.stream)
    batch = next(batches)
    assert torch.equal(trainer.stream.again(batch["index"]), batch["img"])
    with pytest.raises(ValueError, match="image 16 of the stream has not arrived"):
        trainer.stream.again(torch.tensor([3, 16]))


def test_clipttas_memory_holds_past_images_alone(build):
    trainer = build(*ONLINE, trainer="CLIPTTA")
    trainer.stream = trainer._open_stream()
    trainer.num_batches, trainer.batch_idx = len(trainer.stream), 0
    for batch in list(trainer.stream)[:2]:
        trainer.online_step(batch)
        drawn = next(trainer._draws)["index"]
        assert len(drawn) and drawn.max() <= batch["index"].max()


def test_before_training_a_random_context_answers_as_zero_shot_clip(stream):
    zero_shot = answers(stream("zero-shot", "ZeroshotCLIP"))
    random = ("TRAINER.UEO.CTX_INIT", "", "TRAINER.UEO.N_CTX", "3")
    found = answers(stream("random", "UEO", *random), "before")
    assert same(found[:1], zero_shot[:1]) and np.allclose(found[1], zero_shot[1], atol=1e-6)


@pytest.mark.parametrize("size, steps, waiting", [("16", 3, 0), ("20", 3, 0), ("1", 3, 3)])
def test_adand_learns_from_each_batch_and_from_queues_of_single_images(
        build, size, steps, waiting):
    """There are 46 images and 5 of noise. Single images wait in a queue of 16."""
    options = ("DATALOADER.TRAIN_X.BATCH_SIZE", size, "TRAINER.AdaND.QUEUE", "16")
    trainer = build(*ONLINE, *options, trainer="AdaND")
    trainer.stream = trainer._open_stream()
    trainer.num_batches, trainer.batch_idx = len(trainer.stream), 0
    for batch in trainer.stream:
        trainer.online_step(batch)
    assert trainer.counts.tolist() == [waiting, 51, steps]


def test_adands_detector_learns_and_scores(build):
    trainer = build(*ONLINE, *OF_METHOD["AdaND"], trainer="AdaND")
    trainer.stream = trainer._open_stream()
    trainer.num_batches, trainer.batch_idx = len(trainer.stream), 0
    start = trainer.detector.weight.clone()
    found = [trainer.online_step(batch) for batch in trainer.stream]
    assert trainer.counts.tolist() == [0, 46 + 46 // 8, 3]  # waiting, images and noise, steps
    assert not torch.equal(start, trainer.detector.weight)
    largest = (trainer.model.logit_scale * found[0]["cosines"]).softmax(-1).amax(1)
    assert torch.allclose(found[0]["scores"], largest)
    assert not torch.allclose(
        found[2]["scores"], (trainer.model.logit_scale * found[2]["cosines"]).softmax(-1).amax(1))
