"""The documents, followed to the letter."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, read

from ueo.clip.backbones import available_backbones
from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.office_home import UFTOfficeHome
from ueo.datasets.visda_c import UFTVisDAC
from ueo.label_space import STANDARD_SETTINGS, label_space

GUIDE = (REPOSITORY / "docs" / "add_a_trainer.md").read_text()
README = (REPOSITORY / "README.md").read_text()


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of the repository in which the guide's files were written, as it says."""
    copy = tmp_path_factory.mktemp("guide") / "repository"

    def left_out(folder: str, names: list[str]) -> list[str]:
        own = [n for n in names if n.startswith(".") or n in ("data", "output")]
        return own if Path(folder) == REPOSITORY else []

    shutil.copytree(REPOSITORY, copy, ignore=left_out)
    for name in ("trainers", "datasets"):
        (copy / "ueo" / name).symlink_to(copy / name)  # as the installation maps them
    files = re.findall(r"^## \d\. .*`(\S+)`$", GUIDE, re.MULTILINE)
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", GUIDE, re.DOTALL)
    assert files == ["trainers/bnm.py", "configs/trainers/BNM/common.yaml"]
    for file, block in zip(files, blocks, strict=True):
        assert block.count("\n") < 60
        (copy / file).parent.mkdir(exist_ok=True)
        (copy / file).write_text(block)
    return copy


def commands() -> list[str]:
    return [c.strip() for c in re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL)]


def follow(command: str, folder: Path) -> str:
    words = command.split()
    assert words[0] == "python"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *words[1:]], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_trainer_of_the_guide_runs_by_the_guides_command(followed):
    out = follow(commands()[0], followed)
    assert "BNM over ZeroshotCLIP" in out
    (record,) = followed.glob("output/emoji/BNM/*/open/fluent/seed1")
    assert read(record)["config"]["TRAINER.BNM.STRENGTH"] == 0.5


def test_the_tests_of_every_trainer_take_the_new_one_in(followed):
    out = follow(commands()[1] + " -q -p no:cacheprovider", followed)
    assert re.search(r"^\.{4,}", out, re.MULTILINE), out  # two towers, resumed, permuted


@pytest.mark.parametrize("file", ["README.md", "docs/add_a_trainer.md", "docs/add_a_dataset.md",
                                  "docs/datasets.md", "docs/ood_scores.md", "docs/parity.md",
                                  "docs/plugin.md", "docs/robust.md"])
def test_files_that_the_documents_name_exist(file):
    text = (REPOSITORY / file).read_text()
    links = re.findall(r"\]\(([\w./]+)\)", text)
    named = re.findall(
        r"`((?:trainers|datasets|configs|tests|scripts|docs|assets)/[\w./]+\.\w+)`", text
    )
    missing = [n for n in links if not (REPOSITORY / file).parent.joinpath(n).exists()]
    made = re.findall(r"^## \d\. .*`(\S+)`$", text, re.MULTILINE)  # what the guide has one write
    missing += [n for n in named if not (REPOSITORY / n).exists() and n not in made]
    assert not missing


def test_label_spaces_of_the_document_are_those_of_the_code():
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
    stems = {p.stem for p in Path(REPOSITORY, "configs/trainers/UEO").glob("*.yaml")}
    for name in ("RN50", "RN101", "ViT-B/32", "ViT-B/16", "ViT-L/14", "TinyCLIP"):
        assert name in README and name in available_backbones()
    assert {"rn50", "rn101", "vit_b32", "vit_b16", "vit_l14", "tiny_clip"} <= stems
