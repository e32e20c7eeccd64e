"""The bench: its plan, its choices and its gains, on runs of one epoch."""

import json
import shutil

import numpy as np
import pytest
import torch

from ueo.commands.studies import bench
from ueo.errors import DataError
from ueo.grids.grid_settings import GridSettings
from ueo.losses import mutual_information
from ueo.metrics import auroc
from ueo.results.bootstrap import ACCEPTED, mean_gains
from ueo.results.record import read_outputs, read_result
from ueo.runs.configure import register
from ueo.studies.bench import gains, judgement, latex, protocol
from ueo.studies.bench.report import gains_tables, markdown

REPORT = "bench-EntMin-TinyCLIP-MAX_EPOCH=1-open"
JUDGEMENT = "bench-EntMin-over-ZeroshotCLIP-TinyCLIP-MAX_EPOCH=1-open"


def test_the_tuning_domain_is_not_reported():
    of_group = protocol.domains()
    assert of_group == {
        "shifted": ("fluent+scene2", "fluent_flat+scene2", "fluent_high_contrast+scene2",
                    "noto_v1+scene2"),
        "clean": ("fluent", "fluent_flat", "fluent_high_contrast", "noto_v1"),
    }


@pytest.fixture(scope="module")
def finished(few_emoji, tmp_path_factory):
    """A bench with one label space, epoch and seed, two domains instead of eight, and few images.
    Returns (output, command line)."""
    output = tmp_path_factory.mktemp("bench")
    shutil.copytree(few_emoji, output / "data")  # not shared: domains are generated in it
    patch = pytest.MonkeyPatch()
    patch.setattr(protocol, "RATES", {"sgd": ("1e-3", "1e-1")})
    patch.setattr(protocol, "SEVERAL_SEEDS", (1,))
    patch.setattr("ueo.studies.bench.runs.domains",
                  lambda: {"shifted": ("noto_v1+scene2",), "clean": ("noto_v1",)})
    words = ["--models", "TinyCLIP", "--trainers", "ZeroshotCLIP", "EntMin", "--setting", "open",
             "--root", str(output / "data"), "--output", str(output), "--jobs", "1",
             "--set", "OPTIM.MAX_EPOCH", "1"]
    assert bench.main(words) == 0
    yield output, words
    patch.undo()


def test_choices_and_gains_are_written(finished, capsys):
    output, words = finished
    results = json.loads((output / "emoji_shift" / f"{REPORT}.json").read_text())
    (choice,) = results["choices"]
    assert choice["key"] == "OPTIM.LR" and choice["by_labels"] in ("1e-3", "1e-1")
    assert choice["hm"][choice["by_labels"]] == max(choice["hm"].values())
    assert choice["mutual_information"][choice["without_labels"]] == max(
        choice["mutual_information"].values())
    assert {(row["group"], row["method"]) for row in results["gains"]} == {
        ("shifted", "EntMin"), ("clean", "EntMin")}
    for row in results["gains"]:
        for metric in gains.METRICS:
            found = row[metric]
            assert found["interval"][0] <= found["gain"] <= found["interval"][1]
            assert np.mean(list(found["by_seed"].values())) == pytest.approx(found["gain"])
            assert set(found["by_model"]) == {"TinyCLIP"}
            (of_domain,) = row["by_domain"].values()
            assert of_domain[metric]["interval"] == found["interval"]
    records = [read_result(file.parent) for file in (output / "emoji_shift").rglob("result.json")]
    zero = {r["domain"]: r for r in records if r["trainer"] == "ZeroshotCLIP"}
    for row in results["gains"]:
        (domain,) = row["by_domain"]
        recorded = zero[domain]["metrics"]["test"]
        for metric in gains.METRICS:
            assert row[metric]["base"] == pytest.approx(recorded[metric])
        picture = output / "emoji_shift" / f"{REPORT}-{row['group']}-shipped.png"
        assert picture.is_file() and picture.with_suffix(".pdf").is_file()
    assert "| EntMin" in markdown(results)
    tex = (output / "emoji_shift" / f"{REPORT}.tex").read_text()
    for row in results["gains"]:
        bounds = ", ".join(f"{bound:+.2f}" for bound in row["pacc"]["interval"])
        assert f"[{bounds}]" in tex and f"{row['group']} styles" in tex
    assert tex.count(r" \\") == 1 + 2 * 2 and "(TinyCLIP)" in tex
    assert bench.main([*words, "--tables-only"]) == 0  # the same from the records alone
    assert json.loads((output / "emoji_shift" / f"{REPORT}.json").read_text()) == results


def test_every_method_runs_on_the_shipped_models_and_some_on_the_others(monkeypatch):
    monkeypatch.setattr(protocol, "SEVERAL_SEEDS", (1, 2, 3))
    register()
    everything = GridSettings(trainers=("all",))
    assert len(protocol.methods(everything, "TinyCLIP")) > 20
    assert set(protocol.methods(everything, "other.safetensors")) == set(protocol.EVERYWHERE)
    assert protocol.methods(GridSettings(trainers=("UPL",)), "other.safetensors") == ["UPL"]
    assert protocol.seeds("UEO", "TinyCLIP") == (1, 2, 3)
    assert protocol.seeds("UEO", "other.safetensors") == protocol.seeds("UPL", "TinyCLIP") == (1,)


def test_methods_are_compared_only_on_the_same_models(monkeypatch):
    monkeypatch.setattr(gains, "finished", lambda folders: list(folders))
    monkeypatch.setattr(gains, "row", lambda group, method, by_model: {
        "group": group, "method": method, "models": list(by_model)})

    class Finished:
        folder = "somewhere"

    everywhere = {(model, "clean", method): [Finished()] for model in ("TinyCLIP", "other")
                  for method in ("ZeroshotCLIP", "UEO")}
    found = gains.measured({**everywhere, ("TinyCLIP", "clean", "UPL"): [Finished()]})
    assert [(row["scope"], row["method"], row["models"]) for row in found] == [
        ("shipped", "UEO", ["TinyCLIP"]), ("shipped", "UPL", ["TinyCLIP"]),
        ("all", "UEO", ["TinyCLIP", "other"])]


def test_options_that_the_protocol_fixes_are_refused(capsys):
    assert bench.main(["office31"]) == 2
    assert "office31: the bench is on emoji_shift" in capsys.readouterr().err
    assert bench.main(["--seed", "7"]) == 2
    assert "--seed: the bench's protocol fixes it" in capsys.readouterr().err


def test_a_model_of_another_kind_is_refused(tmp_path, capsys):
    assert bench.main(["--models", "RN50", "--trainers", "UEO", "--root", str(tmp_path)]) == 2
    assert "RN50" in capsys.readouterr().err


def test_mutual_information_is_one_if_confident_and_varied_and_zero_if_equal():
    assert mutual_information(torch.eye(4)) == pytest.approx(1, abs=1e-4)
    assert mutual_information(torch.eye(4)[[2] * 5]) == pytest.approx(0, abs=1e-4)
    assert mutual_information(torch.full((5, 4), 0.25)) == pytest.approx(0, abs=1e-4)


def test_the_gain_in_h_score_uses_the_accepted_images():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 6, 300), rng.integers(0, 4, 300)

    def run(predictions, accepted):
        return {"test_labels": labels, "test_predictions_after": predictions,
                "test_scores_after": rng.random(300), ACCEPTED: accepted,
                "test_paths": np.arange(300)}, 4

    right = np.where(labels < 4, labels, 0)
    accepted = labels < 5
    found = mean_gains({"d": [run(right, accepted)]}, {"d": [run(predictions, accepted)]},
                       ("h_score",), 50)["h_score"]
    refused = np.mean(labels[labels >= 4] == 5)
    recall = np.mean([np.mean(predictions[labels == c] == c) for c in range(4)])
    expected = 2 * refused / (1 + refused) - 2 * recall * refused / (recall + refused)
    assert found[0] == pytest.approx(100 * expected)
    assert found[1][0] < found[0] < found[1][1]


def bench_run(domain, seed=1, right=0.5, rows=slice(None), images=600):
    """A run with four known and two unknown classes, as `gains.finished` returns it."""
    labels, rng = np.arange(images) % 6, np.random.default_rng(0)
    outputs = {
        "test_labels": labels, "test_scores_after": (labels < 4) + rng.normal(size=images),
        "test_predictions_after": (labels + (rng.random(images) >= right)) % 4,
        "test_paths": np.array([f"{domain}/{i}" for i in range(images)]),
        ACCEPTED: rng.random(images) < 0.7,
    }
    result = {"dataset": "", "domain": domain, "setting": "open", "seed": seed, "trainer": "X",
              "counts": {"known_classes": 4}, "config": {}, "inputs": {},
              "environment": {"engine": "e"}}
    return {"folder": "f", "result": result, "outputs": {k: v[rows] for k, v in outputs.items()}}


def test_objects_are_resampled_only_if_domains_share_them():
    """Two copies of one emoji domain give no narrower interval than one."""
    register()

    def width(dataset, *domains):
        ours, base = ([bench_run(domain, right=right) for domain in domains]
                      for right in (0.9, 0.5))
        for run in (*ours, *base):
            run["result"] |= {"dataset": dataset}
            run["outputs"]["test_paths"] = np.array(
                [f"{run['result']['domain']}/class/{i}" for i in range(600)])
        low, high = gains.row("clean", "X", {"m": (ours, base)})["pacc"]["interval"]
        return high - low

    assert width("EmojiShift", "a", "b") == pytest.approx(width("EmojiShift", "a"))
    assert width("UFTOfficeHome", "a", "b") < 0.85 * width("UFTOfficeHome", "a")


def test_a_model_counts_once_whatever_its_number_of_seeds():
    """The model with three seeds is better, but the method equals zero-shot CLIP: no gain."""
    few, many = [bench_run("d", right=0.2)], [bench_run("d", seed, 0.9) for seed in (1, 2, 3)]
    found = gains.row("clean", "X", {"few": (few, few), "many": (many, many[:1])})
    for metric in gains.METRICS:
        assert found[metric]["gain"] == pytest.approx(0, abs=1e-9)
        assert found[metric]["verdict"] == "not decided"
    better = [bench_run("d", seed, right) for seed, right in ((1, 0.92), (2, 0.94), (3, 0.96))]
    found = gains.row("clean", "X", {"few": (few, few), "many": (better, many[:1])})["pacc"]
    assert found["by_model"]["few"] == 0 and found["by_model"]["many"] > 2
    assert found["gain"] == pytest.approx(found["by_model"]["many"] / 2)
    assert found["by_domain"]["d"] == pytest.approx(found["gain"])
    assert list(found["by_seed"]) == ["1", "2", "3"]  # the seeds of one model
    assert np.mean(list(found["by_seed"].values())) == pytest.approx(found["by_model"]["many"])


def test_methods_are_compared_on_images_that_both_were_tested_on():
    """The other method's labelled shots are missing from its test set."""
    ours, shots = bench_run("d"), bench_run("d", rows=slice(60, None))
    for pair in ((ours, shots), (shots, ours)):
        found = gains.row("clean", "X", {"model": ([pair[0]], [pair[1]])})["pacc"]
        assert found["gain"] == 0 and found["by_seed"] == {"1": 0}


def test_records_of_different_devices_are_not_compared():
    ours, base = bench_run("d"), bench_run("d")
    base["result"]["inputs"] = {"device": "cuda"}
    ours["result"]["inputs"] = {"device": "cpu"}
    with pytest.raises(DataError, match="cannot be in one table: device is 'cpu' and 'cuda'"):
        gains.row("clean", "X", {"model": ([ours], [base])})
    fast, slow = bench_run("d", 1), bench_run("d", 2)
    for run, rate in ((fast, 0.1), (slow, 0.01)):
        run["result"]["config"] = {"OPTIM.LR": rate}
    with pytest.raises(DataError, match="OPTIM.LR is 0.1 and 0.01"):
        gains.row("clean", "X", {"model": ([fast, slow], [bench_run("d")])})
    gains.row("clean", "X", {"model": ([fast], [slow])})  # like one method in two streams


def test_tables_mark_methods_with_labels_and_name_their_scores():
    ours, shots = bench_run("d"), bench_run("d", rows=slice(60, None))
    shots["result"] |= {"uses_labels": True, "trainer": "CoOp"}
    ours["result"]["config"] = {"TRAINER.X.SCORE": "max_logit"}
    rows = [{"scope": "shipped"} | gains.row("clean", name, {"model": ([own], [bench_run("d")])})
            for name, own in (("CoOp", shots), ("X", ours))]
    text = markdown({"gains": rows, "choices": []})
    assert "| CoOp†" in text and "| X " in text and "† trained with labelled images" in text
    assert "OOD score: MCM, but max logit for X" in text
    tex = latex.table(rows)
    assert r"CoOp$^\dagger$" in tex and "max logit for X" in tex and "trained with labelled" in tex
    assert "oracle" not in text + tex
    ours["result"]["reads_labels"] = True
    oracle = {"scope": "shipped"} | gains.row("clean", "X", {"model": ([ours], [bench_run("d")])})
    text, tex = markdown({"gains": [oracle], "choices": []}), latex.table([oracle])
    assert "| X‡" in text and "‡ an oracle" in text
    assert r"X$^\ddagger$" in tex and r"$^\ddagger$ an oracle" in tex
    over = {"scope": "shipped", "over": "CoOp"} | gains.row("clean", "X", {
        "model": ([ours], [shots])})
    table, *remarks = gains_tables([over], "over")
    assert "| CoOp† " in table and len(remarks) == 2
    assert gains_tables(rows[1:])[1:] == remarks[1:]  # the same remark on scores, none on labels


def test_a_judged_method_is_compared_with_the_others_by_its_own_score_too(finished, capsys):
    output, words = finished
    register(())
    patched = pytest.MonkeyPatch()
    patched.setattr(judgement, "SAME_SCORE", ("ZeroshotCLIP", "EntMin", "StatA"))
    patched.setattr(judgement, "score_of", lambda plans, method: "max_logit")
    try:
        assert bench.main([*words, "--judge", "EntMin"]) == 0
        assert "over" in capsys.readouterr().out
    finally:
        patched.undo()
    found = json.loads((output / "emoji_shift" / f"{JUDGEMENT}.json").read_text())
    gained = json.loads((output / "emoji_shift" / f"{REPORT}.json").read_text())["gains"]
    for ours, theirs in zip(found["as_they_are"], gained):
        assert ours["over"] == "ZeroshotCLIP" and ours["hm"]["interval"] == theirs["hm"]["interval"]
    assert [(row["group"], row["setting"]) for row in found["each_setting"]] == [
        ("shifted", "open"), ("clean", "open")]
    for group in ("shifted", "clean"):
        picture = output / "emoji_shift" / f"{JUDGEMENT}-{group}-shipped.png"
        assert picture.is_file() and picture.with_suffix(".pdf").is_file()
    (ours, *_), by_score = found["as_they_are"], found["by_its_score"]
    (over_zero,) = [r for r in by_score if (r["group"], r["over"]) == ("shifted", "ZeroshotCLIP")]
    assert over_zero["pacc"]["gain"] == ours["pacc"]["gain"]
    assert over_zero["auroc"]["gain"] != ours["auroc"]["gain"]
    record = next(output.glob("emoji_shift/ZeroshotCLIP/*SCORE*/open/noto_v1+scene2/seed1"))
    logits = read_outputs(record)["test_scores_after"]
    assert over_zero["auroc"]["base"] == pytest.approx(
        100 * auroc(read_outputs(record)["test_labels"] < 28, logits))


def test_a_method_that_does_not_run_is_not_judged(finished, capsys):
    assert bench.main([*finished[1], "--judge", "UEO"]) == 2
    assert "--judge UEO: is none of the methods that run" in capsys.readouterr().err
