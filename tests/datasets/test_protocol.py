"""--protocol independent is checked: no test image is a training image under any name."""

import os
import shutil

import numpy as np
import pytest
from conftest import read, size_of
from dassl.config import get_cfg_default
from dassl.data.datasets import DatasetBase, Datum
from PIL import Image

from ueo.commands import train
from ueo.datasets.base import UFTDataset
from ueo.errors import DataError
from ueo.images import hashes
from ueo.images.other_datasets import complete
from ueo.images.overlap import Overlap, overlap


@pytest.fixture
def images(tmp_path):
    """Ten files of the same size, each with other bytes."""
    paths = [tmp_path / f"{i}.bin" for i in range(10)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) + bytes(9000))
    return [str(path) for path in paths]


def overlapping(training: list[str], tested: list[str]) -> Overlap:
    contents = {path: hashes.content_hash(path) for path in {*training, *tested}}
    return overlap(training, tested, contents)


def test_a_file_is_recognised_by_path_link_and_hard_link(images, tmp_path):
    link, hard = str(tmp_path / "link"), str(tmp_path / "hard")
    os.symlink(images[1], link)
    os.link(images[2], hard)
    found = overlapping(images[:5], [images[0], link, hard, images[6]])
    assert found == Overlap([(images[0], images[0]), (images[1], link), (images[2], hard)], [])


def test_a_copy_has_equal_bytes(images, tmp_path):
    copy = shutil.copy(images[3], tmp_path / "copy")  # the others differ in their first byte alone
    found = overlapping(images[:5], [str(copy), *images[5:]])
    assert found == Overlap([], [(images[3], str(copy))])
    assert overlapping(images[:5], images[5:]) == Overlap([], [])


def test_the_first_of_equal_training_images_is_named_and_unread_files_are_no_copies(images):
    twin = shutil.copy(images[1], f"{images[1]}.twin")
    copy = shutil.copy(images[1], f"{images[1]}.copy")
    assert overlapping([images[0], images[1], twin], [copy]).copies == [(images[1], copy)]
    for unread in (hashes.MISSING, hashes.UNREADABLE):
        found = overlap(images[:2], images[2:4], dict.fromkeys(images, unread))
        assert found == Overlap([], [])


@pytest.fixture
def lists(tmp_path, weights, capsys):
    """lists(training images, test images, protocol): run on x_train.txt and x_test.txt. Returns
    (status, stderr, folder)."""
    rng = np.random.default_rng(0)
    (tmp_path / "names.txt").write_text("ant\nbee\n")
    for name in "abcdef":
        pixels = rng.integers(0, 255, (40, 40, 3)).astype("uint8")
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "copy.png")

    def run(training: str, tested: str, protocol: str, trainer: str = "ZeroshotCLIP"):
        for part, names in (("train", training), ("test", tested)):
            lines = [f"{name}.png {i % 2}\n" for i, name in enumerate(names.split())]
            (tmp_path / f"x_{part}.txt").write_text("".join(lines))
        status = train.main([
            "--root", str(tmp_path), "--dataset", "UFTList", "--setting", "as_is",
            "--path", str(tmp_path / "x_train.txt"), "--trainer", trainer, "--seed", "1",
            "--backbone", weights["vit"], "--protocol", protocol, "--device", "cpu",
            "--output-dir", str(tmp_path / "out"), "--overwrite",
            "INPUT.SIZE", f"({size_of('vit')}, {size_of('vit')})", "DATALOADER.NUM_WORKERS", "0",
        ])
        return status, capsys.readouterr().err, tmp_path / "out"

    return run


def test_lists_with_a_common_image_are_not_independent(lists):
    status, said, _ = lists("a b c d", "c d e f", "independent")
    assert status == 2 and said.count("\n") == 1
    assert "--protocol independent: 2 of 4 test images are training images too" in said
    assert said.rstrip().endswith("use --protocol released") and "c.png" in said


def test_a_copy_under_another_name_is_no_independent_image(lists):
    status, said, _ = lists("a b c d", "copy e f", "independent")
    assert status == 2 and "1 of 3 test images" in said
    assert "copy.png, the same image as" in said


def test_the_record_counts_images_in_both_lists(lists):
    status, _, folder = lists("a b c d", "e f", "independent")
    counts = read(folder)["counts"]
    assert status == 0 and read(folder)["protocol"] == "independent"
    assert (counts["unlabelled_and_tested"], counts["copies_of_training_images_tested"]) == (0, 0)
    status, _, folder = lists("a b c d", "c d e f", "released")
    assert status == 0 and read(folder)["protocol"] == "released"
    assert read(folder)["counts"]["unlabelled_and_tested"] == 2


@pytest.mark.parametrize("name", ["./a", ".//a", "link", "hard"])
def test_a_labelled_image_is_not_tested_under_another_name(lists, tmp_path, name):
    os.symlink(tmp_path / "a.png", tmp_path / "link.png")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    status, said, _ = lists("a b c d", f"{name} e f", "released", trainer="LinearProbe")
    assert status == 2 and said.count("\n") == 1
    assert "LinearProbe trains with labels and would be tested on the same images; " in said
    assert f"{tmp_path}/{name}.png is {tmp_path}/a.png; take one of them out" in said


def test_a_trainer_with_labels_says_that_it_is_tested_on_copies(lists):
    status, _, folder = lists("a b c d", "copy e f", "released", trainer="TipAdapter")
    said = (folder / "log.txt").read_text()
    assert status == 0 and "1 of 3 test images are copies of labelled images, the first is" in said


@pytest.fixture
def others(toy_root):
    """A data set of Dassl's kind: others(training images, tested ones, asked) -> dataset."""

    def make(training, tested, asked="released"):
        cfg = get_cfg_default()
        cfg.DATASET.NAME, cfg.DATASET.PROTOCOL = "Others", asked
        folder = f"{toy_root}/toy/red/bike"
        parts = [[Datum(f"{folder}/{i:03}.png", 0, 0, "bike") for i in part]
                 for part in (training, tested)]
        dataset = DatasetBase(train_x=parts[0], test=parts[1])
        complete(dataset, cfg)
        return dataset

    return make


def test_the_protocol_of_a_foreign_data_set_follows_from_its_images(others):
    assert others((0, 1, 2), (3, 4)).protocol == "independent"
    assert others((0, 1, 2), (3, 4), "independent").protocol == "independent"
    shared = others((0, 1, 2), (2, 3))
    assert shared.protocol == "released" and len(shared.overlap.files) == 1
    with pytest.raises(DataError, match="1 of 2 test images are training images too, the first is"):
        others((0, 1, 2), (2, 3), "independent")


def test_a_class_without_training_images_would_shift_the_names(toy_root):
    """Dassl's data set of DomainNet's painting, for example, has no class 327."""
    cfg = get_cfg_default()
    cfg.DATASET.NAME = "Others"
    folder = f"{toy_root}/toy/red"
    train, test = ([Datum(f"{folder}/{name}/000.png", label, 0, name) for label, name in part]
                   for part in (((0, "bike"), (2, "mug")), ((1, "guitar"), (2, "mug"))))
    with pytest.raises(DataError, match="Others: no training image has the label 1, so that 'mug'"):
        complete(DatasetBase(train_x=train, test=test), cfg)
    dataset = DatasetBase(train_x=train, test=test)
    dataset._classnames = ["bike", "guitar", "mug"]
    dataset._lab2cname = dict(enumerate(dataset._classnames))
    complete(dataset, cfg)


def test_a_data_set_of_any_layout_is_found_under_any_of_its_names(tmp_path):
    class Lists(UFTDataset):
        dataset_dir, folder_names = "image_clef", ("da_lists",)

    with pytest.raises(DataError, match="image_clef: no such folder"):
        Lists.locate(str(tmp_path))
    (tmp_path / "DA-lists").mkdir()
    assert Lists.locate(str(tmp_path)) == tmp_path / "DA-lists"
    (tmp_path / "Image-CLEF").mkdir()
    assert Lists.locate(str(tmp_path)) == tmp_path / "Image-CLEF"
