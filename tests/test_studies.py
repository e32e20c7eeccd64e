"""Both studies by their own commands, on a small part of the embedded default."""

import json
import shutil
from urllib.parse import quote

import pytest
from conftest import read

from ueo.commands.studies import ood_study, robust

DOMAINS = ("fluent", "noto_v1")


@pytest.fixture(scope="module")
def emoji_root(few_emoji, tmp_path_factory):
    """A data root of this file alone: domains are generated in it."""
    return str(shutil.copytree(few_emoji, tmp_path_factory.mktemp("emoji"), dirs_exist_ok=True))


@pytest.fixture
def call(weights, emoji_root, tmp_path, capsys, few_words):
    """call(command, *arguments): (exit status, what it printed), on a small random CLIP."""

    def run(command, *arguments: str) -> tuple[int, str]:
        argv = ["emoji", "--domain", *DOMAINS, "--seed", "1", *arguments, "--root", emoji_root,
                "--output", str(tmp_path), "--backbone", weights["vit"], "--device", "cpu",
                "--set", "INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", "1",
                "DATALOADER.NUM_WORKERS", "0"]
        capsys.readouterr()
        return command.main(argv), capsys.readouterr().out

    return run


def test_the_study_of_scores_measures_every_score_and_never_runs_twice(call, tmp_path):
    argv = ["--trainers", "ZeroshotCLIP", "TipAdapter", "UPAdapter", "--shots", "4", "--shift"]
    status, out = call(ood_study, *argv)
    assert status == 0 and "6 runs, 0 finished, 6 to do" in out
    (file,) = (tmp_path / "emoji").glob("study-*.json")
    found = json.loads(file.read_text())
    assert (found["domains"], found["seeds"]) == (["fluent", "noto_v1"], [1])
    scores = {row["score"] for row in found["rows"]}
    assert {"mcm", "energy", "gl_mcm", "mahalanobis", "knn", "msp", "neglabel", "tanl"} <= scores
    assert len(found["rows"]) == 6 * len(scores)
    for row in found["rows"]:
        if row["score"] == "mcm":
            run = next((tmp_path / "emoji" / row["method"]).glob(f"*/closed/{row['domain']}/seed1"))
            assert row["auroc"] == pytest.approx(read(run)["metrics"]["test"]["auroc"], abs=1e-3)
    *_, recognition, shift = found["claims"]
    assert [c["of"] for c in shift["comparisons"]] == [
        "UPAdapter, 4 over ZeroshotCLIP", "UPAdapter, 4 over TipAdapter, 4"]
    assert all("interval" in c for c in (*recognition["comparisons"], *shift["comparisons"]))
    pictures = sorted(p.name.split("-")[-1] for p in file.parent.glob("study-*.png"))
    assert pictures == ["accuracy.png", "histograms.png", "roc.png", "shots.png"]
    for name in file.parent.glob("study-*.png"):
        assert quote(name.name, safe="+=,") in file.with_suffix(".md").read_text()
    before = file.read_bytes()
    status, out = call(ood_study, *argv)
    assert status == 0 and "6 finished, 0 to do" in out
    assert "ETA" not in out and file.read_bytes() == before
    status, out = call(ood_study, *argv, "--trainers", "ZeroshotCLIP", "CoOp", "--tables-only")
    assert status == 0 and "Runs are missing: CoOp, 4 lacks all runs. Means" in out
    kept = next(file.parent.glob("UPAdapter/*/closed/fluent/seed1/features.npz"))
    kept.unlink()
    assert "6 runs, 5 finished, 1 to do" in call(ood_study, *argv, "--dry-run")[1]


@pytest.mark.parametrize("dataset", ["emoji", "emoji_shift"])
def test_anchors_are_in_the_plan_where_captions_are_embedded(dataset, tmp_path, capsys):
    assert robust.main([dataset, "--dry-run", "--output", str(tmp_path)]) == 0
    assert "ARF" in capsys.readouterr().out


def test_the_table_of_robustness_contains_every_test(call, tmp_path):
    argv = ["--trainers", "FLYP", "TipAdapter", "--shots", "4"]
    status, out = call(robust, *argv)
    assert status == 0 and "fine-tuning on class prompts alone" in out
    (file,) = (tmp_path / "emoji").glob("robust-*.json")
    found = json.loads(file.read_text())
    rows = {row["arm"]: row for row in found["means"]}
    assert list(rows) == ["zero-shot", "contrastive", "contrastive, WiSE-FT", "TipAdapter"]
    assert all(None not in row.values() for arm, row in rows.items() if arm != "TipAdapter")
    assert rows["TipAdapter"]["new"] is None  # its cache is bound to its classes
    zero = rows["zero-shot"]
    assert zero["own domain"] == zero["other domains"]
    runs = list((tmp_path / "emoji/FLYP").glob("*/closed/*/seed1"))
    assert len(runs) == 2 * 2
    adapted = [r for r in runs if (r / "robust/fluent").is_dir()]
    for column, same in (("own domain", True), ("other domains", False)):
        paccs = [read(r / "robust" / domain / "alpha1")["metrics"]["test"]["pacc"]
                 for r in adapted for domain in DOMAINS if (r.parent.name == domain) == same]
        assert rows["contrastive"][column] == pytest.approx(sum(paccs) / len(paccs))
    whole = next(r for r in runs if (r / "robust/fluent").is_dir() and r.parent.name == "fluent")
    assert read(whole)["metrics"]["test"] == read(whole / "robust/fluent/alpha1")["metrics"]["test"]
    half = next(r for r in runs if (r / "robust/new").is_dir())
    assert read(half)["counts"]["known_classes"] == 14
    assert read(half / "robust/all/alpha0.5")["counts"]["known_classes"] == 28
    assert not found["uneven"]
    status, out = call(robust, *argv)
    assert status == 0 and "ETA" not in out
    status, out = call(robust, *argv, "--trainers", "FLYP", "CoOp", "--tables-only")
    assert status == 0 and "Runs are missing: own: CoOp lacks all runs. Means" in out


@pytest.mark.parametrize(("command", "arguments", "message"), [
    (ood_study, ["emoji", "--shots", "0"], "--shots"),
    (robust, ["emoji", "--shots", "-1"], "--shots"),
    (robust, ["emoji", "--domain", "fluemt"], "did you mean 'fluent'"),
    (robust, ["emoji", "office31"], "emoji office31: this command takes one data set"),
    (robust, ["emoji", "--set", "OPTIM.LR"], "--set takes KEY VALUE pairs, but 'OPTIM.LR' has no"),
])
def test_mistakes_are_one_line(command, arguments, message, tmp_path, capsys):
    assert command.main([*arguments, "--output", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
