"""The grid plans, skips finished runs, resumes after a kill and reports failures; its scripts."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm
from conftest import REPOSITORY, read, trainer_names
from dassl.engine import TRAINER_REGISTRY
from test_documented_commands import called

from ueo.commands import compare, grid
from ueo.results.record import was_resumed
from ueo.trainers.base import CLIPTrainer


@pytest.fixture(scope="module")
def plan(weights, few_emoji, tmp_path_factory):
    """Command line of two quick runs on emoji, and the folder of their records."""
    folder = tmp_path_factory.mktemp("grid")
    argv = [
        "emoji", "--domain", "fluent", "--setting", "open", "--seed", "1", "--jobs", "2",
        "--backbone", weights["vit"], "--device", "cpu",
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--root", few_emoji, "--output", str(folder / "output"),
        "--set", "INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "1",
    ]
    return argv, folder / "output" / "emoji"


GRID = ("-m", "ueo.commands", "grid")


def wait_until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="module")
def finished(plan):
    """The output of a grid that was killed after UEO's first checkpoint and started again."""
    argv, folder = plan
    killed = subprocess.Popen([sys.executable, *GRID, *argv], start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(folder.glob("UEO/*/open/fluent/seed1/tuned/model.pth.tar-*")), 120)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    wait_until(lambda: group_is_gone(killed.pid), 60)  # its runs end with it
    again = warm.run(*GRID, *argv)
    assert again.returncode == 0, again.stderr
    return again.stdout


def test_a_killed_grid_is_finished_by_the_same_command(finished, plan):
    _, folder = plan
    records = sorted(folder.rglob("result.json"))
    assert [read(r.parent)["trainer"] for r in records] == ["UEO", "ZeroshotCLIP"]
    assert "ZeroshotCLIP" in finished and "UEO" in finished
    (table,) = folder.glob("table-UEO-*-fluent-*.md")  # one domain is a selection
    assert f"{table.stem}.{{txt,md" in finished and table.with_suffix(".json").is_file()
    assert all((record.parent / "scores.png").is_file() for record in records)


def test_a_second_call_runs_nothing_and_prints_the_same(finished, plan, capsys):
    argv, folder = plan
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert grid.main([*argv, "--thresholds"]) == 0
    out, _, of_thresholds = capsys.readouterr().out.partition("\nfluent: H-score (os_star / unk)")
    assert "2 runs, 2 finished, 0 to do" in out and "| open " in of_thresholds
    assert out.split("\n\n", 1)[1] == finished.split("\n\n", 1)[1]
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_an_option_of_the_optimiser_leaves_a_method_without_steps_alone(finished, plan, capsys):
    argv, _ = plan
    assert grid.main([*argv, "OPTIM.MAX_EPOCH", "1", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "2 runs, 1 finished, 1 to do" in out and out.splitlines()[-1].startswith("UEO")


def test_the_optimiser_of_a_method_without_steps_may_differ(finished, plan, capsys, tmp_path):
    argv, _ = plan
    yaml = Path(argv[argv.index("--config-file") + 1]).read_text().replace("LR: 3e-3", "LR: 1e-2")
    (tmp_path / "faster.yaml").write_text(yaml)
    argv = [*argv, "--trainers", "ZeroshotCLIP", "--config-file", str(tmp_path / "faster.yaml")]
    assert grid.main(argv) == 0 and "1 runs, 1 finished, 0 to do" in capsys.readouterr().out
    assert grid.main([*argv, "--trainers", "UEO"]) == 2
    assert "OPTIM.LR: 0.003 -> 0.01" in capsys.readouterr().err


def test_without_a_data_set_the_demonstration_is_planned(capsys, tmp_path):
    words = ["--trainers", "ZeroshotCLIP", "UEO", "--dry-run", "--seed", "1", "--setting", "open"]
    assert grid.main([*words, "--root", str(tmp_path), "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        f"{method} emoji_shift open fluent+scene2 seed 1"
        for method in ("ZeroshotCLIP", "InfoMax", "EntMin", "UEO")
    ]


def test_the_comparison_groups_methods_by_what_they_need(finished, plan, capsys):
    argv, folder = plan
    assert compare.main([*argv, "--trainers", "ZeroshotCLIP", "UEO", "--tables-only"]) == 0
    zero, ueo = json.loads(next(folder.glob("comparison-UEO-*.json")).read_text())
    assert (zero["group"], ueo["group"]) == ("zero-shot", "tuned without labels")
    (record,) = (read(r.parent) for r in folder.glob("UEO/*/open/fluent/seed1/result.json")
                 if "MAX_EPOCH=2" in str(r))
    for metric in ("pacc", "auroc", "fpr95", "h_score", "ece"):
        assert ueo[metric] == pytest.approx(record["metrics"]["test"][metric])
    # the grid was killed, perhaps in this run; a resumed run has no total time
    whole = None if was_resumed(record) else pytest.approx(record["wall_seconds"])
    assert ueo["seconds"] == whole
    assert ueo["gains"]["pacc"]["gain"] == pytest.approx(ueo["pacc"] - zero["pacc"])
    assert not zero["gains"] and "| tuned without labels | UEO" in capsys.readouterr().out


def test_a_dry_run_says_what_is_left_and_does_nothing(finished, plan, capsys):
    argv, folder = plan
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    argv = [*argv[:3], "--dry-run", "--setting", "open", "closed", "--seed", "1", "2", *argv[7:]]
    assert grid.main(argv) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert "6 runs, 2 finished, 4 to do" in first  # the zero-shot model needs one seed alone
    assert ", about 0:0" in first
    assert lines[-4:] == [
        "ZeroshotCLIP emoji closed fluent seed 1", "UEO emoji open fluent seed 2",
        "UEO emoji closed fluent seed 1", "UEO emoji closed fluent seed 2",
    ]
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(("dataset", "backbone", "notes"), [
    ("office31", "RN50", ["data {root}/office31: Office-31 is not", "weights of RN50: {home}/"]),
    ("imagenet", "TinyViT", ["data {root}/imagenet: no such folder"]),
    ("emoji", "open_clip:ViT-B-32/laion2b_s34b_b79k", ["weights of open_clip:ViT-B-32/laion2b"]),
    ("emoji", "TinyCLIP", []),  # both are shipped
])
def test_a_dry_run_names_data_and_weights_that_are_not_there(
    dataset, backbone, notes, tmp_path, monkeypatch, capsys
):
    root, home = tmp_path / "none", tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    argv = ["--backbone", backbone, "--root", str(root), "--output", str(tmp_path / "out")]
    assert grid.main([dataset, *argv, "--seed", "1", "--dry-run"]) == 0
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(found) == len(notes)
    for line, note in zip(found, notes, strict=True):
        assert line.startswith("note: " + note.format(root=root, home=home))
    assert not any(tmp_path.iterdir())


def test_a_run_that_fails_is_reported_at_the_end_and_stops_no_other(plan):
    argv, folder = plan
    argv = [*argv, "OPTIM.LR", "1e30", "--trainers", "UEO", "ZeroshotCLIP", "--setting", "closed"]
    argv[argv.index("--jobs") + 1] = "1"
    done = warm.run(*GRID, *argv)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("FAILED UEO emoji closed fluent seed 1: Error: Loss is infinite or NaN")
    assert "[2/2] ZeroshotCLIP emoji closed fluent seed 1: PACC" in done.stdout
    failed = next(folder.glob("UEO/*LR=1e30*")) / "closed/fluent/seed1"
    assert "Loss is infinite" in (failed / "console.txt").read_text()
    assert not (failed / "result.json").exists()


# mistakes


@pytest.mark.parametrize(("arguments", "parts"), [
    (["office_hone"], ["no data set 'office_hone'", "configs/datasets/office_hone.yaml",
                       "did you mean 'office_home'", "emoji"]),
    (["office_home"], ["Office-Home is not there", "scripts/data.sh download office_home"]),
    (["folder"], ["--path"]),
    (["emojis"], ["did you mean 'emoji'"]),
    (["emoji", "--trainers", "UEOO"], ["unknown trainer 'UEOO'", "did you mean 'UEO'"]),
    (["emoji", "--domain", "fluents"], ["'fluents'", "did you mean 'fluent'"]),
    (["emoji", "--setting", "opened"], ["'opened'", "did you mean 'open'"]),
    (["emoji", "--backbone", "RN5"], ["'RN5'", "did you mean 'RN50'"]),
    (["emoji", "--backbone", "RN50", "ViT-B/16"], ["ViT-B/16 is a backbone", "the same --output"]),
    (["--backbone", "RN50", "TinyViT"], ["TinyViT is a backbone", "once per backbone"]),
    (["emoji", "--jobs", "-1"], ["--jobs", "-1"]),
    (["emoji", "--set", "OPTIM.LR"], ["--set", "'OPTIM.LR' has no value"]),
    (["emoji", "--set", "OPTIM.LRR", "1"], ["OPTIM.LRR", "did you mean 'OPTIM.LR'"]),
    (["emoji", "--protocol", "free"], ["'free'", "released, independent"]),
    *((["emoji", option, "absent"],
       ["absent: cannot be read (No such file or directory) (a relative path, looked for in"])
      for option in ("--config-file", "--reference", "--expect")),
])
def test_a_mistake_is_one_line_and_runs_nothing(capsys, tmp_path, arguments, parts):
    argv = [*arguments, "--root", str(tmp_path / "data"), "--output", str(tmp_path / "output")]
    assert grid.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    for part in parts:
        assert part in line
    assert not list(tmp_path.rglob("config.json"))


def test_an_output_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    argv = ["emoji", "--root", str(tmp_path), "--output", str(tmp_path / "file" / "output")]
    assert grid.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and str(tmp_path / "file") in line


def test_the_main_script_hands_its_arguments_to_the_grid(tmp_path, capsys):
    line = (f"bash scripts/ueo/main.sh emoji --dry-run --domain fluent --seed 1 --output {tmp_path}"
            " --set OPTIM.LR 0.5")
    command, *argv = called(line, tmp_path)
    assert command == "grid" and grid.main(argv) == 0
    assert "8 runs, 0 finished, 8 to do" in capsys.readouterr().out


def test_a_methods_script_accepts_other_trainers(tmp_path, capsys):
    line = (f"bash scripts/ueo/main.sh emoji --dry-run --domain fluent --seed 1 --output {tmp_path}"
            " --trainers ZeroshotCLIP EntMin UEO")
    command, *argv = called(line, tmp_path)
    assert command == "grid" and grid.main(argv) == 0
    out = capsys.readouterr().out
    assert "12 runs, 0 finished, 12 to do" in out and "EntMin emoji open" in out


def test_every_method_of_the_readme_has_a_script_of_its_own():
    """Zero-shot CLIP is in every table and needs none; nor does an added trainer."""
    readme = (REPOSITORY / "README.md").read_text()
    rows = re.findall(r"^\| (`.*?)(?::| \|)", readme[readme.index("| trainer |"):], re.MULTILINE)
    known = {*TRAINER_REGISTRY.registered_names()}
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} & known
    assert {"UEO", "CoOp", "CoCoOp", "ZeroshotCLIP", "FineTune"} <= named
    calls = (REPOSITORY / "scripts").glob("*/main.sh")
    scripts = {p.parent.name.replace("_", ""): p.read_text() for p in calls}
    for name in named - {"ZeroshotCLIP"}:
        assert f"METHOD={name} exec bash" in scripts[name.lower()]
    called = {name for text in scripts.values() for name in re.findall(r"METHOD=(\w+)", text)}
    assert called <= known


def test_recipes_of_the_papers_are_read_for_every_method_that_has_one(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setitem(TRAINER_REGISTRY._obj_map, "Own", type("Own", (CLIPTrainer,), {}))
    argv = ["office31", "--recipe", "paper", "--seed", "1", "--output", str(tmp_path), "--dry-run"]
    assert grid.main([*argv, "--trainers", "all"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("Left out, having no paper.yaml: ")
    left_out = first.split(": ")[1].split(", ")
    for name in trainer_names():
        has_one = (REPOSITORY / f"configs/trainers/{name}/paper.yaml").is_file()
        rows = [line for line in lines if line.startswith(f"office31    {name} ")]
        assert bool(rows) == (has_one or name in ("UEO", "ZeroshotCLIP")) != (name in left_out)
        assert all("paper+" in row or "paper " in row for row in rows)
    assert "Own" in left_out and "UEO" not in left_out
    assert grid.main([*argv, "--trainers", "UEO", "Own"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "Error: --recipe paper: there is no configs/trainers/Own/paper.yaml"
