"""The log, as the parsers of CoOp's family read it: the last number is that of the test set."""

import re

import pytest
from conftest import read

from ueo.runs.checkpoint import POINTER
from ueo.trainers.base import CLIPTrainer

COOP, MAPLE, TEST_LOG = "Finish training", "Finished training", "=> result"


def parsed(folder, keyword: str = "accuracy", signal: str = COOP) -> float | None:
    """The number that the family's parse_test_res.py reads: the last `* keyword: number%` in
    log.txt after a line that equals `signal`."""
    found, started = None, False
    for line in (folder / "log.txt").read_text().splitlines():
        started = started or line.strip() == signal
        match = re.search(rf"\* {keyword}: ([\.\deE+-]+)%", line)
        if match and started:
            found = float(match[1])
    return found


def alone_of(folder) -> list[str]:
    return ["--eval-only", "--model-dir", str(folder)]


def agrees(folder, signal: str = COOP) -> None:
    """Check that parsers read the record's numbers of the test set."""
    test, unlabelled = (read(folder)["metrics"][name] for name in ("test", "unlabelled"))
    assert test["accuracy"] != unlabelled["accuracy"]
    assert parsed(folder, "accuracy", signal) == round(test["accuracy"], 1)
    assert parsed(folder, "error", signal) == pytest.approx(100 - test["accuracy"], abs=0.051)
    assert parsed(folder, "macro_f1", signal) is not None
    assert parsed(folder, "pacc", signal) == round(test["pacc"], 2)


@pytest.mark.parametrize("trainer", ["UEO", "ZeroshotCLIP", "TipAdapter"])
def test_logs_of_trained_and_untrained_runs_are_read(toy, trainer):
    options = ["DATASET.NUM_SHOTS", "2"] if trainer == "TipAdapter" else []
    status, folder = toy("run", "TRAINER.UEO.EVAL_FREQ", "1", *options, trainer=trainer,
                         setting="partial")
    assert status == 0
    for signal in (COOP, MAPLE):
        agrees(folder, signal)


def test_lines_of_an_earlier_run_are_not_read(toy):
    toy("run", "OPTIM.LR", "0.5", epochs=1)
    toy("run", plugins=["--overwrite"], setting="partial")
    status, folder = toy("run", plugins=["--overwrite"], setting="partial", epochs=3)
    assert status == 0
    agrees(folder)
    assert len(list(folder.glob("log.txt-*"))) == 2


def test_a_resumed_run_is_read(toy, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CLIPTrainer, "after_train", interrupted)
        status, folder = toy("run", setting="partial")
    assert status == 130 and parsed(folder) is None
    status, folder = toy("run", setting="partial")
    assert status == 0 and read(folder)["resumed_from_epoch"] == 2
    agrees(folder)


def test_an_evaluation_alone_is_read_and_names_the_epoch_of_its_checkpoint(
    toy, tmp_path, capsys
):
    _, folder = toy("run", "TRAIN.CHECKPOINT_FREQ", "1", setting="partial", epochs=3)
    for epoch in (1, 2):
        capsys.readouterr()
        status, alone = toy("alone", setting="partial", epochs=3, plugins=[
            *alone_of(folder), "--load-epoch", str(epoch)])
        assert status == 0
        out = capsys.readouterr().out
        assert f"*test* set, epoch {epoch}" in out and "epoch 3" not in out
    assert (folder / "tuned" / POINTER).is_file()
    status, alone = toy("last", setting="partial", epochs=3, plugins=alone_of(folder))
    assert parsed(alone, signal=TEST_LOG) == parsed(folder)
    before = (folder / "log.txt").read_text()
    toy("run", setting="partial", epochs=3, plugins=alone_of(folder))
    assert (folder / "log.txt").read_text() == before


def test_accuracies_by_class(toy):
    status, folder = toy("run", "TEST.PER_CLASS_RESULT", "True", "TEST.COMPUTE_CMAT", "True",
                         setting="partial")
    assert status == 0
    lines = (folder / "log.txt").read_text().splitlines()
    lines = lines[lines.index(COOP):]
    form = r"\* class: (\d+) \((\w+)\)\ttotal: [\d,]+\tcorrect: [\d,]+\tacc: [\d.]+%"
    names = [m[2] for line in lines if (m := re.fullmatch(form, line))]
    assert len(names) == read(folder)["counts"]["known_classes"]
    assert parsed(folder, "average") == round(read(folder)["metrics"]["test"]["pacc"], 1)
    assert (folder / "cmat.pt").is_file()
    agrees(folder)


@pytest.mark.parametrize("options", [
    ["TEST.NO_TEST", "True"], ["TEST.SPLIT", "val"], ["TEST.FINAL_MODEL", "best_val"],
])
def test_options_that_would_record_another_model_or_set_are_refused(toy, capsys, options):
    status, _ = toy("run", *options, "DATASET.NUM_SHOTS", "2", trainer="CoOp")
    assert status == 2 and options[0].split(".")[0] in capsys.readouterr().err
