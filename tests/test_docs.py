"""All files, commands and options in the documents exist. test_guides.py follows the two guides."""

import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from ueo.clip.backbones import available_backbones
from ueo.clip.tuning import PARTS
from ueo.commands import module_of
from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.office_home import UFTOfficeHome
from ueo.datasets.visda_c import UFTVisDAC
from ueo.grids.choices import trainer_yamls
from ueo.label_space import STANDARD_SETTINGS, label_space
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer
from ueo.trainers.ueo import UEO

README = (REPOSITORY / "README.md").read_text()
DOCUMENTS = {str(p.relative_to(REPOSITORY)): p.read_text()
             for p in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))]}


@pytest.mark.parametrize("file", DOCUMENTS)
def test_files_that_the_documents_name_exist(file):
    text = DOCUMENTS[file]
    links = re.findall(r"\]\(([\w./]+)\)", text)
    named = re.findall(
        r"`((?:trainers|datasets|configs|tests|scripts|docs|assets|benchmarks|modern_dassl|ueo)/"
        r"[\w./]+\.\w+)`", text
    )
    missing = [n for n in links if not (REPOSITORY / file).parent.joinpath(n).exists()]
    made = re.findall(r"^## \d\. .*`(\S+)`$", text, re.MULTILINE)  # files of a guide
    missing += [n for n in named if not (REPOSITORY / n).exists() and n not in made]
    assert not missing


def test_the_readme_is_short():
    assert README.count("\n") <= 150


def typed(text: str) -> list[str]:
    """The commands in a document that run something of this repository, without comments."""
    blocks = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    inline = [" ".join(code.split()) for code in re.findall(r"`(bash scripts/[^`]+)`", text)]
    lines = [re.sub(r"^(\w+=\S+ )+", "", line.split(" #")[0]) for line in blocks.splitlines()]
    ours = re.compile(r"bash scripts/|python |torchrun ")
    return [line for line in [*lines, *inline] if ours.match(line)]


def command_of(script: Path) -> str | None:
    """The command of `ueo.commands` that a shell script calls; None for tests."""
    text = script.read_text()
    if found := re.search(r"-m ueo\.commands (\w+)", text):
        return found[1]
    called = re.search(r"^(?:\w+=\w+ )?exec bash .*/(\w+\.sh)", text, re.MULTILINE)
    return command_of(REPOSITORY / "scripts" / called[1]) if called else None


def runs(line: str) -> tuple[str | None, list[str]]:
    """(the command of `ueo.commands` or None, its arguments) of a line in a document."""
    first, *words = [word for word in shlex.split(line) if word != "..."]
    if first == "torchrun":  # --nproc-per-node 2 train.py, or -m modern_dassl train.py
        words = words[2:]
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), f"there is no module {words[1]}"
        return (words[2], words[3:]) if words[1] == "ueo.commands" else (None, [])
    assert (REPOSITORY / words[0]).is_file() or "<" in words[0], f"there is no {words[0]}"
    if words[0] == "train.py":
        return "train", words[1:]
    if first == "bash" and "<" not in words[0]:
        return command_of(REPOSITORY / words[0]), words[1:]
    return None, []


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Options of a command and of its subcommands."""
    parts = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    below = [options_of(other) for part in parts for other in part.choices.values()]
    return {*parser._option_string_actions}.union(*below)


@pytest.mark.parametrize("file,line", [(f, line) for f, text in DOCUMENTS.items()
                                       for line in dict.fromkeys(typed(text))])
def test_commands_in_the_documents_have_known_options(file, line):
    command, arguments = runs(line)
    if command is None or "--help" in arguments:
        return
    parser = module_of(command).parser()
    parser.allow_abbrev = False
    given = {word for word in arguments if word.startswith("--")}
    assert given <= options_of(parser)
    if "..." not in line:
        parser.parse_args(arguments)


def test_every_script_but_two_calls_a_command():
    called = {path: command_of(path) for path in REPOSITORY.glob("scripts/**/*.sh")}
    others = {path.name for path, command in called.items() if command is None}
    assert others == {"setup.sh", "test.sh"}


def test_the_table_of_rooms_matches_the_library():
    rows = re.findall(r"^\| `?(\w+)`? \| .* \| .* \| (.*) \|$", DOCUMENTS["docs/architecture.md"],
                      re.MULTILINE)
    named = {room: re.findall(r"`(\w+)`", modules) for room, modules in rows if room != "room"}
    rooms = {p.parent.name for p in REPOSITORY.glob("ueo/*/__init__.py")} - {"trainers", "datasets"}
    assert set(named) == {*rooms - {"assets"}, "ground"}
    missing = [f"{room}/{module}" for room, modules in named.items() for module in modules
               if not (REPOSITORY / "ueo" / ("" if room == "ground" else room)
                       / f"{module}.py").is_file()]
    assert not missing


@pytest.mark.skipif(not matplotlib.__version__.startswith("3.11"), reason="drawn by 3.11")
def test_pictures_match_those_that_the_script_draws(tmp_path):
    spec = importlib.util.spec_from_file_location("draw", REPOSITORY / "docs" / "draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    for path in draw.main(tmp_path):
        drawn, kept = pixels(path), pixels(REPOSITORY / "docs" / path.name)
        assert drawn.shape == kept.shape
        assert np.abs(drawn - kept).mean() < 2  # grey levels: fonts differ a little


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def test_label_spaces_in_the_document_match_the_code():
    text = (REPOSITORY / "docs" / "datasets.md").read_text()
    kinds = {"Office-31": UFTOffice31, "Office-Home": UFTOfficeHome, "VisDA-C": UFTVisDAC,
             "DomainNet": UFTDomainNet}
    for title, kind in kinds.items():
        (row,) = re.findall(rf"^\| {title} \| (\d.*) \|$", text, re.MULTILINE)
        ranges = [{i for part in cell.split(", ") for i in _range(part)}
                  for cell in row.split(" | ")]
        space = [label_space(kind.counts, s) for s in STANDARD_SETTINGS]
        assert ranges == [set(space[0].known), *(set(s.unlabelled) for s in space)]


def _range(text: str) -> range:
    first, last = text.split("-")
    return range(int(first), int(last) + 1)


def test_backbones_that_the_readme_names_are_known_and_have_a_recipe():
    for name in ("RN50", "RN101", "ViT-B/32", "ViT-B/16", "ViT-L/14", "TinyCLIP"):
        assert name in README and name in available_backbones()
        (recipe,) = trainer_yamls("UEO", name, "office31", "common")
        assert Path(recipe).stem == ("tiny_clip" if name == "TinyCLIP" else "common")


def test_the_tables_of_options_match_the_code():
    options, parts, _ = DOCUMENTS["docs/options.md"].split("\n### What ")[:3]
    shown = re.findall(r"^\| `(\w+)` \| (.*?) \| ", options, re.MULTILINE)
    declared = {**CLIPTrainer.defaults, **UEO.defaults}
    assert dict(shown) == {key: str(option.default if isinstance(option, Option) else option)
                           for key, option in declared.items()}
    assert len(shown) == len(declared)
    assert set(re.findall(r"^\| `(\w+)` \|", parts, re.MULTILINE)) == {*PARTS, "both"}


@pytest.mark.parametrize("name", ["grid", "tune", "train", "predict"])
def test_help_shows_a_default_at_most_once_and_no_empty_one(name):
    parser = module_of(name).parser()
    formatter = parser._get_formatter()
    for action in parser._actions:
        text = formatter._get_help_string(action)
        assert text.count("(default:") <= 1
        assert not re.search(r"default: (\)|None|False|\(|\[)", text)
