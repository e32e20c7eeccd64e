"""Every published data set in domain/class/image folders: adding one adds its tests."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY
from dassl.data.datasets import DATASET_REGISTRY
from trees import draw, load

from ueo.datasets.base import UFTDataset
from ueo.datasets.class_folders import ClassFolderDataset
from ueo.label_space import STANDARD_SETTINGS, label_space

KINDS = {
    name: kind for name in DATASET_REGISTRY.registered_names()
    if isinstance(kind := DATASET_REGISTRY.get(name), type) and issubclass(kind, UFTDataset)
    and kind.__module__.startswith("ueo.datasets.")
}
FOLDERS = [name for name, kind in KINDS.items() if issubclass(kind, ClassFolderDataset)]
IMAGES = 2  # a class, so that each part of a split has one


def named_in_yaml_files() -> Counter:
    files = (REPOSITORY / "configs" / "datasets").glob("*.yaml")
    return Counter(yaml.safe_load(file.read_text())["DATASET"]["NAME"] for file in files)


@pytest.mark.parametrize("name", KINDS)
def test_a_data_set_has_one_yaml_file(name):
    assert named_in_yaml_files()[name] == 1


@pytest.mark.parametrize("name", [n for n, k in KINDS.items() if not getattr(k, "own", False)])
def test_the_attributes_of_a_data_set_fit_together(name):
    kind = KINDS[name]
    assert kind.dataset_dir and kind.domains and kind.targets
    assert {*kind.targets} <= {*kind.domains} and len({*kind.domains}) == len(kind.domains)
    assert kind.tuning_domain in (None, *kind.targets)
    for named in (kind.domain_names, kind.published, getattr(kind, "per_class", {})):
        assert {*named} <= {*kind.domains}
    names = getattr(kind, "class_list", None)
    assert names is None or len({*names}) == len(names) == kind.counts.total
    for domain, images in getattr(kind, "per_class", {}).items():
        assert len(images) == kind.counts.total and sum(images) == kind.published[domain]


def test_every_yaml_file_names_a_data_set():
    assert {*named_in_yaml_files()} <= {*KINDS}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root with a few images a class of all of them."""
    root = tmp_path_factory.mktemp("folders")
    for kind in map(KINDS.get, FOLDERS):
        for domain in kind.domains:
            for label, name in enumerate(kind.class_list):
                for i in range(IMAGES):
                    draw(root / kind.dataset_dir / domain / name / f"{i:03}.jpg", label + i)
    return root


@pytest.mark.parametrize("name", FOLDERS)
def test_every_domain_and_label_space_is_found_in_folders(root, name):
    kind = KINDS[name]
    total = range(kind.counts.total)
    for domain in kind.domains:
        for setting in STANDARD_SETTINGS:
            space = label_space(kind.counts, setting)
            data = load(kind, root, domain, setting)
            assert Counter(i.label for i in data.train_u) == dict.fromkeys(space.unlabelled, IMAGES)
            assert Counter(i.label for i in data.test) == dict.fromkeys(total, IMAGES)
            assert data.classnames == kind.class_list[: kind.counts.known]
            parts = load(kind, root, domain, setting, "independent")
            seen, tested = ({i.impath for i in p} for p in (parts.train_u, parts.test))
            assert seen and tested and not seen & tested
            for item in (*data.test, *parts.test):
                assert Path(item.impath).parent.name == kind.class_list[item.label]
