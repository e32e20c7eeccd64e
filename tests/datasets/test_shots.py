"""Shots leave the test set. A known class without a test image is refused unless allowed."""

import numpy as np
import pytest
from conftest import read, size_of

from ueo.commands import train
from ueo.errors import DataError
from ueo.results import tables

# the toy domain has 9, 7, 12 and 8 images of its four known classes
SHOTS = ("DATASET.NUM_SHOTS", "8")
ALLOW = ("DATASET.UNTESTED_CLASSES", "allow")


def test_shots_that_take_a_classs_last_test_image_are_refused(toy, capsys):
    status, folder = toy("run", *SHOTS, trainer="CoOp")
    assert status == 2 and not (folder / "result.json").exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert "NUM_SHOTS: labelled shots are the last test images of 2 of 4 known classes " in line
    assert "('desk_lamp', 'mug')" in line and "--protocol independent" in line
    assert "DATASET.UNTESTED_CLASSES allow" in line
    assert toy("other", *SHOTS, "DATASET.PROTOCOL", "independent", trainer="CoOp", epochs=1)[0] == 0


def test_allowed_classes_without_test_images_are_named_and_not_mixed_in_tables(toy, capsys):
    status, folder = toy("allowed", *SHOTS, *ALLOW, trainer="CoOp", epochs=1)
    said, result = capsys.readouterr().out, read(folder)
    assert status == 0 and result["untested_classes"] == ["desk_lamp", "mug"]
    assert result["counts"]["known_classes_without_test_image"] == 2
    assert "2 of 4 known classes have no test image, PACC is the mean over the others" in said
    outputs = np.load(folder / "outputs.npz")
    assert {*outputs["test_labels"].tolist()} == {0, 2, 4, 5}
    _, whole = toy("whole", trainer="ZeroshotCLIP")
    assert read(whole)["untested_classes"] == []
    entries = [(f, read(f)) for f in (folder, whole)]
    with pytest.raises(DataError, match="known classes without a test image is"):
        tables.summarise(entries, "ZeroshotCLIP")


@pytest.mark.parametrize(("setting", "said"), [
    ("all", "all 57 test images are labelled shots"),
    ("closed", "labelled shots are the last test images of 4 of 4 known classes"),
])
def test_losing_every_known_class_is_refused_even_if_allowed(toy, capsys, setting, said):
    options = ("DATASET.NUM_SHOTS", "99", *ALLOW)
    assert toy("run", *options, trainer="CoOp", setting=setting)[0] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "allow" not in line


def test_another_word_than_stop_or_allow_is_refused(toy, capsys):
    assert toy("run", "DATASET.UNTESTED_CLASSES", "maybe", epochs=1)[0] == 2
    assert "DATASET.UNTESTED_CLASSES: 'maybe' is unknown" in capsys.readouterr().err


def test_a_known_class_without_an_image_is_named_and_counted(toy_root, weights, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("mug\nunicorn\nsun\n")
    status = train.main([
        "--root", toy_root, "--dataset", "UFTFolder", "--path", f"{toy_root}/toy/red",
        "--names", str(names), "--setting", "as_is", "--trainer", "ZeroshotCLIP", "--seed", "1",
        "--backbone", weights["vit"], "--device", "cpu", "--output-dir", str(tmp_path / "out"),
        "INPUT.SIZE", f"({size_of('vit')}, {size_of('vit')})", "DATALOADER.NUM_WORKERS", "0",
    ])
    assert status == 0 and read(tmp_path / "out")["untested_classes"] == ["unicorn"]
    assert "1 of 3 known classes have no test image, PACC is the mean over the others: 'unicorn'" \
        in capsys.readouterr().out
