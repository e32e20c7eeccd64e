"""Whole runs with names that a terminal, spreadsheet, LaTeX, Markdown or plot would take for
commands. Every output file has them as plain text."""

import csv
import json
import os
import re
from pathlib import Path

import pytest
from conftest import REPOSITORY
from PIL import Image

from ueo.commands import grid
from ueo.grids import parallel
from ueo.results.record import read_result

CLASSES = ["=1+2", "+cmd|' x'!A0", "-three", "@four", "\\input{five}", "$six^6$", "`seven`",
           "<script>eight"]
FOLDER = "=1+1|$x$ \\input{y} <b>_z"
ORDERS = "\x1b\x00\x07\r"


@pytest.fixture
def command(monkeypatch, weights, tmp_path):
    """command(folder, *options): a grid on the images of a folder; its runs are in this process."""
    def execute(runs, entry, *_):
        return [parallel.Failure(run, "failed") for run in runs if entry(run.settings)]

    monkeypatch.setattr(parallel, "execute", execute)

    def call(folder: Path, *options: str) -> int:
        return grid.main([
            "folder", "--path", str(folder), "--seed", "1", "--output", str(tmp_path / "out"),
            "--backbone", weights["vit"], "--device", "cpu", "--root", str(tmp_path),
            "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"), *options,
            "--set", "INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", "1", "TEST.PER_CLASS_RESULT",
            "True",
        ])

    return call


def image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (number % 256, 80 * number % 256, 120)).save(path, "PNG")


def without_orders(folder: Path) -> dict[str, str]:
    """Return the text of each file of a run and its tables; none may hold control characters."""
    texts = {}
    for path in folder.rglob("*"):
        assert not set(ORDERS + "\n") & set(str(path.relative_to(folder))), repr(path)
        if path.suffix in (".txt", ".md", ".tex", ".csv", ".json", ".html"):
            texts[path.name] = path.read_text(encoding="utf-8")
            assert not set(ORDERS) & set(texts[path.name].replace("\r\n", "\n")), path
    return texts


def no_formula(table: str) -> list[dict]:
    rows = list(csv.DictReader(table.splitlines()))
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "@", "-")) or re.fullmatch(r"-[\d.e-]+", cell)
    return rows


def check_tables(texts: dict[str, str], machine: Path) -> None:
    (tex,) = (t for name, t in texts.items() if name.endswith(".tex"))
    assert r"\input{" not in tex and "$x$" not in tex and r"\textbackslash{}input\{y\}" in tex
    depth = 0
    for sign in re.findall(r"\\.|[{}]", tex):
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    (markdown,) = (t for name, t in texts.items() if name.endswith(".md"))
    assert "<b>" not in markdown and "&lt;b&gt;" in markdown
    tables = [re.findall(r"(?<!\\)\|", line) for line in markdown.splitlines() if line[:1] == "|"]
    assert len({len(bars) for bars in tables}) == 1
    for name, text in texts.items():
        if name.startswith("table"):
            assert str(machine) not in text, name


def test_images_without_labels(command, tmp_path, capsys):
    folder = tmp_path / FOLDER
    files = ["=1+1.png", "-1.png", "@x.png", "a\tb.png", "\x1b[2J.png", "new\nline.png"]
    for number, name in enumerate(files):
        image(folder / name, number)
    image(Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")), 9)
    (folder / "names.txt").write_text("\n".join(CLASSES))
    assert command(folder) == 0
    out, err = capsys.readouterr()
    assert not set(ORDERS) & set(out + err)
    texts = without_orders(tmp_path / "out")
    rows = no_formula(texts["predictions.csv"])
    assert len(rows) == len(files) + 1
    assert "'=1+1.png" in {row["image"] for row in rows}
    assert "report.html" in texts and not any(name.startswith("table") for name in texts)


def test_class_folders(command, tmp_path, capsys):
    folder = tmp_path / FOLDER
    for number, name in enumerate([*CLASSES, "* accuracy: 100.0%"]):
        image(folder / name / "x.png", number)
    assert command(folder) == 0
    out, _ = capsys.readouterr()
    assert not set(ORDERS) & set(out)
    texts = without_orders(tmp_path / "out")
    assert not re.search(r"^\* accuracy: 100.0%", texts["log.txt"], re.MULTILINE)
    check_tables(texts, tmp_path)
    (table,) = (t for name, t in texts.items() if re.fullmatch(r"table.*\.csv", name))
    assert "'=1+1" in no_formula(table)[0]["domain"]
    records = [read_result(p.parent) for p in (tmp_path / "out").rglob("result.json")]
    assert {r["domain"] for r in records} == {FOLDER}
    json.dumps(records)


@pytest.mark.parametrize(("folder", "file"), [
    ("\x1b[31m\nclass", "x.png"), ("class", "x\n\x1b[31m.png"),
])
def test_an_error_is_one_line(command, tmp_path, capsys, folder, file):
    path = tmp_path / FOLDER / folder / file
    path.parent.mkdir(parents=True)
    path.write_text("no image")
    assert command(tmp_path / FOLDER) != 0
    lines = capsys.readouterr().err.splitlines()
    assert not any("\x1b" in line for line in lines) and any("\\x1b[31m" in line for line in lines)
    assert all(line.startswith(("Error: ", "FAILED ")) for line in lines)
