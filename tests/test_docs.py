"""The documents, followed to the letter."""

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY, read

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


@pytest.mark.parametrize("text", [EXTEND, README])
def test_files_that_the_documents_name_exist(text):
    named = re.findall(r"\]\(([\w./]+)\)", text) + re.findall(
        r"`((?:trainers|datasets|configs|tests|scripts|docs|assets)/[\w./]+\.\w+)`", text
    )
    missing = [name for name in named if not (REPOSITORY / name).exists()]
    assert named or text is EXTEND
    assert not missing


def test_backbones_that_the_readme_names_are_known_and_have_a_recipe():
    stems = {p.stem for p in Path(REPOSITORY, "configs/trainers/UEO").glob("*.yaml")}
    for name in ("RN50", "RN101", "ViT-B/32", "ViT-B/16", "ViT-L/14", "TinyCLIP"):
        assert name in README and name in available_backbones()
    assert {"rn50", "rn101", "vit_b32", "vit_b16", "vit_l14", "tiny_clip"} <= stems
