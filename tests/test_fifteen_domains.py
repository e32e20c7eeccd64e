"""The field's 15-domain benchmark, up to its tables, on small copies of three data sets; for the
fourth, see test_office_home.py."""

import pytest
import trees
from conftest import read
from field_grids import check, options

from ueo.commands import grid


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    trees.office31(root)
    trees.visda(root)
    trees.domainnet(root, ("painting", "sketch"), without={"train": 327, "test": 300})
    return root


def test_the_other_three_in_one_grid(root, weights, tmp_path, capsys):
    domains = {"office31": ("amazon", "dslr", "webcam"), "visda_c": ("train", "validation"),
               "domainnet": ("painting", "sketch")}
    settings = ("open_partial",)  # all four: on Office-Home
    argv = ["--setting", *settings, *options(root, weights, tmp_path)]
    # domains of one data set alone cannot be named for three, so DomainNet has a call of its own
    assert grid.main(["office31", "visda_c", *argv]) == 0
    out = capsys.readouterr().out
    assert "10 runs" in out and "Office-31" in out and "VisDA-C" in out
    assert grid.main(["domainnet", "--domain", "painting", "sketch", *argv]) == 0
    for dataset, known in (("office31", 25), ("visda_c", 8), ("domainnet", 300)):
        check(tmp_path, dataset, domains[dataset], known, settings)


def test_a_bad_image_stops_its_runs_or_is_skipped(root, weights, tmp_path, capsys):
    trees.office31(tmp_path / "data")
    bad = tmp_path / "data/office31/dslr/images/mug/frame_0001.jpg"
    bad.write_bytes(b"")
    argv = ["office31", "--domain", "dslr", "webcam", "--setting", "open", "--trainers",
            "ZeroshotCLIP", *options(tmp_path / "data", weights, tmp_path / "output")]
    assert grid.main(argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("FAILED ZeroshotCLIP office31 open dslr") and str(bad) in line
    assert "DATASET.BAD_IMAGES skip" in line
    assert grid.main([*argv, "DATASET.BAD_IMAGES", "skip"]) == 0
    (folder,) = (tmp_path / "output/office31/ZeroshotCLIP").glob("*skip*/open/dslr/seed1")
    (skipped,) = read(folder)["skipped_images"]
    assert skipped == "dslr/images/mug/frame_0001.jpg" and read(folder)["counts"]["test"] == 61
