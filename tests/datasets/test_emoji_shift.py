"""Emoji under shift: domains are generated on first use, and identically each time."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from dassl.config import get_cfg_default
from PIL import Image

from ueo.datasets.emoji import Emoji
from ueo.datasets.emoji_shift import SHIFTS, EmojiShift
from ueo.errors import ConfigError
from ueo.runs.configure import RunSettings, build_cfg


def load(root, domain: str):
    return EmojiShift(build_cfg(RunSettings(
        root=str(root), dataset="EmojiShift", trainer="UEO", domain=(domain,), setting="open",
        output_dir="unused",
    )))


@pytest.fixture(scope="module")
def root(few_emoji, tmp_path_factory):
    """A data root of this file alone: domains are generated in it."""
    return shutil.copytree(few_emoji, tmp_path_factory.mktemp("data"), dirs_exist_ok=True)


def test_a_domain_has_the_shifted_images_of_its_style(root):
    assert get_cfg_default()
    shifted = load(root, "noto_v1+scene4")
    clean = Emoji(build_cfg(RunSettings(
        root=str(root), dataset="Emoji", trainer="UEO", domain=("noto_v1",), setting="open",
        output_dir="unused",
    )))
    alone = load(root, "noto_v1")
    assert [i.impath for i in alone.test] == [i.impath for i in clean.test]
    assert shifted.title == "Emoji under shift" and shifted.classnames == clean.classnames
    for mine, theirs in ((shifted.test, clean.test), (shifted.train_u, clean.train_u)):
        assert [i.label for i in mine] == [i.label for i in theirs]
        assert [Path(i.impath).stem for i in mine] == [Path(i.impath).stem for i in theirs]
    pixels = [np.asarray(Image.open(d.test[0].impath).convert("RGB"), int)
              for d in (shifted, clean)]
    assert pixels[0].shape == pixels[1].shape and np.abs(pixels[0] - pixels[1]).mean() > 20


def test_a_domain_is_generated_again_byte_for_byte(root):
    paths = [item.impath for item in load(root, "noto_v1+fog2").test]
    before = [Path(path).read_bytes() for path in paths]
    shutil.rmtree(root / "emoji" / "shifted" / "noto_v1+fog2")
    load(root, "noto_v1+fog2")
    assert [Path(path).read_bytes() for path in paths] == before


def test_a_killed_process_leaves_no_domain(root, monkeypatch):
    def killed(picture, severity, rng):
        raise KeyboardInterrupt

    monkeypatch.setitem(SHIFTS, "contrast", killed)
    with pytest.raises(KeyboardInterrupt):
        load(root, "fluent+contrast1")
    assert not (root / "emoji" / "shifted" / "fluent+contrast1").exists()
    monkeypatch.undo()
    assert len(load(root, "fluent+contrast1").test) > 100


def test_every_target_is_a_domain_and_a_wrong_name_offers_the_nearest():
    assert set(EmojiShift.targets) < set(EmojiShift.domains)
    assert EmojiShift.tuning_domain in EmojiShift.targets
    with pytest.raises(ConfigError) as raised:
        EmojiShift.domain_of("fluent+fog6")
    assert "did you mean 'fluent+fog" in str(raised.value) and len(str(raised.value)) < 800
