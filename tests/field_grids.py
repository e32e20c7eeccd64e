"""Arguments of a grid on small copies of the field's data sets, and a check of its tables."""

import csv
from pathlib import Path

import pytest
from conftest import read

SETTINGS = ("closed", "partial", "open", "open_partial")


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
    """Check that the tables are complete and that every cell agrees with its record."""
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
