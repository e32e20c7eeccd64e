"""docs/results.md lists all keys of a run's files, and its snippets give the record's numbers."""

import csv
import re
from itertools import product

import numpy as np
import pytest
from conftest import CLASSES, REPOSITORY, read
from dassl.data.datasets import build_dataset

RESULTS = (REPOSITORY / "docs" / "results.md").read_text()
KEEP = ("TEST.KEEP_OUTPUTS", "True")
RUNS = {  # together they write every key
    "released": (*KEEP, "TEST.KEEP_NEGATIVES", "True", "OPTIM.LR", "0.05"),
    "independent": (*KEEP, "DATASET.PROTOCOL", "independent"),
    "stream": ("DATASET.PROTOCOL", "online", "DATALOADER.TRAIN_X.BATCH_SIZE", "16"),
    "siglip": (*KEEP, "INPUT.SIZE", "(32, 32)"),
}
TYPES = {"str": "U"}


def section(title: str) -> str:
    return re.search(rf"^## {re.escape(title)}\n(.*?)^## ", RESULTS, re.M | re.S)[1]


def each(text: str) -> list[str]:
    """Brace expansion as in a shell: a_{b,c} -> a_b, a_c."""
    parts = [part.split(",") for part in re.split(r"[{}]", text)]
    return ["".join(choice) for choice in product(*parts)]


def documented(title: str) -> dict[str, tuple[str, str]]:
    """{key: (shape, type)} of a section's table."""
    found = {}
    for keys, shapes, kind in re.findall(r"^\| `(\S+)` \| (.*?) \| (\w+) \|", section(title), re.M):
        expanded, shapes = each(keys), re.findall(r"\(.*?\)", shapes)
        for number, key in enumerate(expanded):
            found[key] = shapes[number * len(shapes) // len(expanded)], kind
    return found


@pytest.fixture
def runs(toy, few_words, small_backbones, pretended_transformers):
    found = {}
    for name, options in RUNS.items():
        if name == "siglip":
            options = ("MODEL.BACKBONE.NAME", small_backbones("siglip"), *options)
        status, found[name] = toy(name, *options, kind="vit", epochs=1)
        assert status == 0
    return found


def test_the_tables_list_every_key_of_the_files_with_its_shape_and_type(runs):
    tables = {file: documented(file) for file in ("outputs.npz", "features.npz")}
    missing = {file: set(table) for file, table in tables.items()}
    for name, folder in runs.items():
        result, sizes = read(folder), {}
        for file, table in tables.items():
            if not (folder / file).is_file():
                continue
            for key, array in np.load(folder / file).items():
                assert key in table, f"{file}: {key} is not in docs/results.md"
                missing[file].discard(key)
                shape, kind = table[key]
                assert np.issubdtype(array.dtype, TYPES.get(kind, kind)), key
                letters = re.findall(r"\w", shape)
                assert len(letters) == array.ndim, key
                for letter, size in zip(letters, array.shape):
                    assert sizes.setdefault(letter, size) == size, f"{name}: {key}"
        counts = result["counts"]
        assert (sizes["N"], sizes["U"]) == (counts["test"], counts["unlabelled"])
        assert sizes.get("K", counts["known_classes"]) == counts["known_classes"]
    assert missing == {"outputs.npz": set(), "features.npz": set()}, "no run writes these"


def test_labels_paths_and_class_names_agree(build, toy):
    options = ("DATASET.PROTOCOL", "independent")
    truth = build_dataset(build(*options, trainer="ZeroshotCLIP").cfg)
    _, folder = toy("run", *options, trainer="ZeroshotCLIP")
    run = np.load(folder / "outputs.npz")
    assert run["num_known"] == 4 < len(run["class_names"])
    for name, items in (("test", truth.test), ("unlabelled", truth.train_u)):
        assert run[f"{name}_labels"].tolist() == [item.label for item in items]
        for path, label, item in zip(run[f"{name}_paths"], run[f"{name}_labels"], items):
            assert item.impath.endswith(f"toy/{path}")
            assert path.split("/")[1] == run["class_names"][label] == CLASSES[label]


def test_the_snippets_give_the_numbers_of_the_record(toy, monkeypatch, capsys):
    _, folder = toy("run", "OPTIM.LR", "0.05", kind="vit", epochs=1)
    monkeypatch.chdir(folder)
    first, second = re.findall(r"```python\n(.*?)```", section("outputs.npz"), re.S)
    capsys.readouterr()
    exec(first + second, {})
    test = read(folder)["metrics"]["test"]
    assert capsys.readouterr().out == f"PACC {test['pacc']:.2f}, AUROC {test['auroc']:.2f}\n"
    with open("unlabelled.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    run = np.load("outputs.npz")
    assert len(rows) == len(run["unlabelled_labels"])
    assert all(path.split("/")[1] == name and predicted in CLASSES[:4]
               for path, name, predicted, _ in rows)
