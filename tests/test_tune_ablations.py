"""The same tuning for all methods, and ablations of UEO: plans, choices and tables."""

import json

import pytest

from ueo.commands import tune
from ueo.commands.studies import ablations
from ueo.studies.ablations import VARIATIONS
from ueo.studies.tuning import choose


@pytest.fixture
def options(weights, few_emoji, tmp_path):
    return [
        "--backbone", weights["vit"], "--device", "cpu", "--root", few_emoji,
        "--output", str(tmp_path / "output"), "--setting", "open", "--set", "INPUT.SIZE",
        "(32, 32)", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0",
    ]


def test_every_method_is_tuned_on_the_same_grid_by_the_same_rule(options, tmp_path, capsys):
    argv = ["emoji", "--trainers", "UEO", "EntMin", "--rates", "1e-3", "1e-1", *options]
    assert tune.main(argv) == 0
    (file,) = (tmp_path / "output/emoji").glob("tuning-vit+*.json")
    result = json.loads(file.read_text())
    assert result["domain"] == "fluent_3d" and set(result["scores"]) == {"UEO", "EntMin"}
    for name, scores in result["scores"].items():
        for rate, score in scores.items():
            (file,) = (tmp_path / f"output/emoji/{name}").glob(
                f"*LR={rate}/open/fluent_3d/seed1/result.json")
            assert score == json.loads(file.read_text())["metrics"]["test"]["hm"]
        assert result["chosen"][name] == max(scores, key=scores.get)
    capsys.readouterr()
    assert tune.main(argv) == 0
    out = capsys.readouterr().out
    assert "4 finished, 0 to do" in out and "Not measured" not in out
    next((tmp_path / "output/emoji/UEO").glob("*LR=1e-3/open/fluent_3d/seed1/result.json")).unlink()
    assert tune.main([*argv, "--tables-only"]) == 0
    assert "Not measured with every value (-): UEO; the choice" in capsys.readouterr().out
    before = {file: file.read_bytes() for file in (tmp_path / "output/emoji").glob("tuning-*")}
    less = argv[:3] + argv[4:]  # without EntMin
    for call in (less, [*argv, "--seed", "1", "2"], [*less, "--rates", "1e-1"]):
        assert tune.main([*call, "--tables-only"]) == 0
    assert len([*(tmp_path / "output/emoji").glob("tuning-*")]) == 4
    assert all(file.read_bytes() == kept for file, kept in before.items())


def test_runs_with_different_values_have_different_names(capsys):
    argv = ["emoji", "--trainers", "UEO", "--setting", "open", "--dry-run"]
    assert tune.main([*argv, "--rates", "1e-3", "1e-1"]) == 0
    said = capsys.readouterr().out.splitlines()
    for rate in ("1e-3", "1e-1"):
        assert f"UEO emoji open fluent_3d seed 1 (tiny_clip+LR={rate})" in said
    assert tune.main([*argv, "--rates", "1e-3"]) == 0
    assert "UEO emoji open fluent_3d seed 1" in capsys.readouterr().out.splitlines()


def test_a_rate_that_diverged_is_never_chosen():
    assert choose({"A": {"1": None, "2": 50.0}, "B": {"1": None}}) == {"A": "2", "B": None}


def test_tuning_on_another_domain_is_refused(capsys):
    assert tune.main(["emoji", "--domain", "fluent", "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert "--domain fluent: choosing reads labels, so it is limited to fluent_3d" in error
    assert tune.main(["emoji", "--domain", "fluent_3d", "--trainers", "UEO", "--dry-run"]) == 0


def test_zero_shot_clip_alone_has_nothing_to_choose(capsys):
    assert tune.main(["emoji", "--trainers", "ZeroshotCLIP"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: --trainers ZeroshotCLIP: has nothing to choose")


def test_ablations_of_another_method_are_refused(capsys):
    assert ablations.main(["emoji", "--trainers", "ZeroshotCLIP", "InfoMax", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: --trainers: ablations compare UEO")


def test_without_a_tuning_domain_there_is_nothing_to_tune_on(capsys):
    assert tune.main(["office31", "--dry-run"]) == 2
    assert "no tuning domain" in capsys.readouterr().err


def test_ablations_are_in_one_table_and_end_in_a_verdict(options, tmp_path, capsys):
    argv = ["emoji", "--domain", "fluent", "--seed", "1", "--only", "uniform", "prompt-only"]
    assert ablations.main([*argv, *options]) == 0
    out = capsys.readouterr().out
    assert "4 runs" in out and "prompt-only" in out and "over equal weights" in out
    (file,) = (tmp_path / "output/emoji").glob("table-ablations-*.json")
    summary = json.loads(file.read_text())
    assert summary["methods"] == ["ZeroshotCLIP", "UEO", "prompt-only", "uniform"]
    assert "the smallest" in summary["verdict"]


def test_an_ablation_that_needs_a_vit_runs_only_if_named(options, tmp_path, capsys):
    argv = ["emoji", "--domain", "fluent", "--seed", "1", *options, "--dry-run"]
    assert ablations.main(argv) == 0
    assert f"{len(VARIATIONS)} runs" in capsys.readouterr().out  # with zero-shot, not visual-prompt
    assert ablations.main([*argv[:5], "--only", "visual-prompt", *argv[5:]]) == 0
    assert "3 runs" in capsys.readouterr().out


def test_an_unknown_variation_is_refused(capsys):
    assert ablations.main(["emoji", "--only", "unifrm"]) == 2
    assert "did you mean 'uniform'" in capsys.readouterr().err
