"""The job of the field, to its tables, on small copies of the four data sets."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trees
from conftest import REPOSITORY, read

from ueo.commands import grid

SETTINGS = ("closed", "partial", "open", "open_partial")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    trees.office31(root)
    trees.office_home(root, images=1)
    trees.visda(root)
    trees.domainnet(root, ("painting", "sketch"), without={"train": 327, "test": 300})
    return root


def options(root: Path, weights: dict, output: Path) -> list[str]:
    return [
        "--root", str(root), "--output", str(output), "--backbone", weights["vit"], "--device",
        "cpu", "--seed", "1", "--set", "INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", "1",
        "DATALOADER.NUM_WORKERS", "0", "DATASET.CHECK_COUNTS", "False",
    ]


def cells(folder: Path) -> dict[tuple, float]:
    (file,) = folder.glob("table-*.csv")
    with open(file) as lines:
        return {(r["label_space"], r["method"], r["domain"], r["metric"]): float(r["mean"])
                for r in csv.DictReader(lines) if r["mean"]}


def check(output: Path, dataset: str, domains: tuple[str, ...], known: int,
          settings: tuple[str, ...] = SETTINGS) -> None:
    """Every cell of the tables is there and is the number of its record."""
    found = cells(output / dataset)
    for setting in settings:
        for method in ("ZeroshotCLIP", "UEO"):
            for domain in domains:
                (folder,) = (output / dataset / method).glob(f"*/{setting}/{domain}/seed1")
                result = read(folder)
                assert result["counts"]["known_classes"] == known
                assert result["published_counts"] is False
                for metric in ("pacc", "auroc", "fpr95", "hm"):
                    assert found[setting, method, domain, metric] == pytest.approx(
                        result["metrics"]["test"][metric])
    texts = {p.suffix for p in (output / dataset).glob("table-*")}
    assert texts == {".json", ".md", ".tex", ".csv", ".txt", ".png", ".pdf"}


def test_main_on_office_home(root, weights, tmp_path):
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "UEO_PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", str(REPOSITORY / "scripts/ueo/main.sh"), "office_home",
         *options(root, weights, tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "32 runs, 0 finished, 32 to do" in done.stdout
    for word in ("Art", "Clipart", "Product", "RealWorld", "open_partial", "Tables:"):
        assert word in done.stdout
    check(tmp_path, "office_home", ("Art", "Clipart", "Product", "RealWorld"), 50)


def test_the_other_three_in_one_grid(root, weights, tmp_path, capsys):
    domains = {"office31": ("amazon", "dslr", "webcam"), "visda_c": ("train", "validation"),
               "domainnet": ("painting", "sketch")}
    settings = ("closed", "open_partial")  # all four: on Office-Home
    argv = ["--setting", *settings, *options(root, weights, tmp_path)]
    # domains of one data set alone cannot be named for three, so DomainNet has a call of its own
    assert grid.main(["office31", "visda_c", *argv]) == 0
    out = capsys.readouterr().out
    assert "20 runs" in out and "Office-31" in out and "VisDA-C" in out
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
