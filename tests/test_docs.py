"""The documents, followed to the letter."""

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY, read
from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.label_space import STANDARD_SETTINGS, label_space
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.office_home import UFTOfficeHome
from ueo.datasets.visda_c import UFTVisDAC

from ueo.clip.backbones import available_backbones

EXTEND = (REPOSITORY / "docs" / "extend.md").read_text()
README = (REPOSITORY / "README.md").read_text()


def test_the_trainer_of_the_guide_trains(toy, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", EXTEND, re.DOTALL)
    plugin = tmp_path / "plain_entropy.py"
    plugin.write_text(code)
    status, folder = toy(trainer="PlainEntropy", plugins=[str(plugin)])
    assert status == 0
    assert read(folder)["trainer"] == "PlainEntropy"
    assert read(folder)["config"]["TRAINER.PlainEntropy.EPS"] == 1e-5


@pytest.mark.parametrize("file", ["README.md", "docs/extend.md", "docs/datasets.md"])
def test_files_that_the_documents_name_exist(file):
    text = (REPOSITORY / file).read_text()
    links = re.findall(r"\]\(([\w./]+)\)", text)
    named = re.findall(
        r"`((?:trainers|datasets|configs|tests|scripts|docs|assets)/[\w./]+\.\w+)`", text
    )
    missing = [n for n in links if not (REPOSITORY / file).parent.joinpath(n).exists()]
    missing += [n for n in named if not (REPOSITORY / n).exists()]
    assert links and not missing


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
