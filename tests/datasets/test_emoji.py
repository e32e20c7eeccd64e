"""The embedded data set: counts, splits, label spaces on real images."""

import json
import zipfile
from pathlib import Path

import pytest
from dassl.config import get_cfg_default
from PIL import Image

from ueo.datasets.emoji import Emoji
from ueo.errors import ConfigError, DataError
from ueo.files import asset
from ueo.settings.config import extend


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def emoji(root):
    def make(domain="fluent", setting="open", protocol="released"):
        cfg = extend(get_cfg_default(), {})
        cfg.DATASET.ROOT, cfg.DATASET.TARGET_DOMAINS = root, (domain,)
        cfg.DATASET.SETTING, cfg.DATASET.PROTOCOL = setting, protocol
        return Emoji(cfg)

    return make


def labels(items):
    return {item.label for item in items}


@pytest.mark.parametrize("domain", Emoji.targets)
def test_every_target_style_has_40_classes_of_real_images(emoji, domain):
    data = emoji(domain)
    assert labels(data.test) == set(range(40)) and len(data.test) > 600
    assert data.num_classes == 28 and data.classnames == data.class_list[:28]
    assert data.class_list == sorted(data.class_list)
    for item in data.test[::97]:
        with Image.open(item.impath) as image:
            assert image.size == (64, 64) and image.mode == "RGB"
        assert Path(item.impath).parts[-2:-1] == (data.class_list[item.label],)


def test_unlabelled_images_are_those_of_the_label_space(emoji):
    assert labels(emoji(setting="partial").train_u) == set(range(20))
    assert labels(emoji(setting="open").train_u) == set(range(36))
    assert labels(emoji(setting="open_partial").train_u) == {*range(20), *range(28, 36)}
    assert labels(emoji(setting="partial").train_x) == set(range(28))


def test_released_tests_on_the_images_it_adapts_to_and_independent_on_others(emoji):
    paths = lambda items: {item.impath for item in items}  # noqa: E731
    released, independent = emoji(), emoji(protocol="independent")
    assert paths(released.train_u) <= paths(released.test)
    assert not paths(independent.train_u) & paths(independent.test)
    assert labels(independent.test) == set(range(40))
    assert released.split_hash != independent.split_hash == emoji(protocol="independent").split_hash


def test_the_stored_split_covers_each_style_once():
    with zipfile.ZipFile(asset("emoji.zip")) as archive:
        splits = json.loads(archive.read("emoji/splits.json"))
        names = archive.namelist()
    assert set(splits) == set(Emoji.domains)
    for style, split in splits.items():
        stored = [n for n in names if n.startswith(f"emoji/images/{style}/")]
        both = split["train"] + split["test"]
        assert len(both) == len(set(both)) == len(stored)
        assert 0.25 < len(split["test"]) / len(both) < 0.35
    assert any(n.startswith("emoji/LICENCES/") for n in names)


def test_wrong_names_offer_the_nearest(emoji):
    with pytest.raises(ConfigError, match="did you mean 'fluent'"):
        emoji(domain="fluentt")
    with pytest.raises(ConfigError, match="PROTOCOL"):
        emoji(protocol="paper")


def test_an_incomplete_folder_is_named(tmp_path, emoji):
    cfg = extend(get_cfg_default(), {})
    (tmp_path / "emoji").mkdir()
    cfg.DATASET.ROOT, cfg.DATASET.TARGET_DOMAINS = str(tmp_path), ("fluent",)
    with pytest.raises(DataError, match="incomplete"):
        Emoji(cfg)
