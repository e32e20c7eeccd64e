"""The built-in data sets: layout on disk, lists, labels, names of classes and domains."""

import random

import pytest
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, build_dataset
from dassl.data.datasets.da import office_home
from dassl.data.datasets.dg import DigitsDG
from dassl.utils import ConfigValueError, DataValueError, MissingFileError
from made_trees import CASES, every_layout


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return every_layout(tmp_path_factory.mktemp("trees"))


@pytest.fixture
def build(root):
    def make(name, source=(), target=(), *options):
        cfg = get_cfg_default()
        cfg.merge_from_list(["DATASET.NAME", name, "DATASET.ROOT", str(root), *options])
        cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS = source, target
        cfg.VERBOSE = False
        return build_dataset(cfg)

    return make


@pytest.mark.parametrize("name, source, target, options, sizes", CASES, ids=[c[0] for c in CASES])
def test_sizes(build, name, source, target, options, sizes):
    data = build(name, source, target, *options)
    lists = (data.train_x, data.train_u, data.val, data.test)
    assert tuple(len(items or ()) for items in lists) == sizes
    assert {item.domain for item in data.train_x} == set(range(max(1, len(source))))
    assert data.num_classes == len(set(data.lab2cname)) == (2 if data.num_classes == 2 else 3)


def test_every_built_in_set_is_tested():
    ours = {name for name in DATASET_REGISTRY.registered_names()
            if DATASET_REGISTRY.get(name).__module__.startswith("dassl.")}
    assert ours == {case[0] for case in CASES}


def test_classes_are_in_the_order_of_their_folders(build):
    """By code points, as Python sorts: capitals first."""
    assert build("Office31", ["amazon"], ["dslr"]).classnames == ["Alarm_Clock", "Mug", "bike"]
    assert build("OfficeHome", ["art"], ["art"]).classnames == ["alarm_clock", "mug", "bike"]
    assert build("PACS", ["photo"], ["sketch"]).lab2cname == {0: "dog", 1: "house"}
    assert build("CIFARSTL", ["stl"], ["cifar"]).classnames == ["airplane", "car"]


def test_damaged_image_of_pacs_is_left_out(build):
    paths = [item.impath for item in build("PACS", ["photo"], ["sketch"]).test]
    assert len(paths) == 4 and not any("4068" in path for path in paths)


def test_labelled_images_are_drawn_by_the_seed(build):
    def drawn(seed):
        random.seed(seed)
        data = build("CIFAR10", (), (), "DATASET.NUM_LABELED", 9)
        return [item.impath for item in data.train_x], [item.impath for item in data.val]

    (first, val), (again, _), (other, same_val) = drawn(1), drawn(1), drawn(2)
    assert first == again != other and val == same_val  # the first tenth of each class


def test_fold_and_labels_of_stl10(build):
    data = build("STL10", (), (), "DATASET.STL10_FOLD", 1)
    assert [item.label for item in data.train_x] == [0, 1]
    assert [item.label for item in data.train_u] == [-1, -1]
    with pytest.raises(ConfigValueError, match="STL10_FOLD must be 0 to 4, not -1"):
        build("STL10")


def test_digits_of_a_large_domain_are_drawn(build, monkeypatch):
    from dassl.data.datasets.da import digit5

    monkeypatch.setitem(digit5.SAMPLED, "train", 4)
    assert len(build("Digit5", ["svhn"], ["mnist"]).train_x) == 4


def test_what_other_code_reads(build, root):
    data = build("OfficeHome", ["art"], ["clipart"])
    assert (data._num_classes, data._classnames[0]) == (3, "alarm_clock")
    assert office_home.OfficeHome.domains[3] == "real_world"
    items = DigitsDG.read_data(str(root / "office_home_dg"), ["art", "product"], "all")
    assert len(items) == 24 and items[-1].domain == 1 and items[0].classname == "alarm_clock"


@pytest.mark.parametrize("case, error, sentence", [
    (("OfficeHome", ["arts"], ["clipart"]), ConfigValueError, "'arts' is unknown; did you mean"),
    (("DomainNet", ["sketch"], ["real"]), MissingFileError, "sketch_train.txt: no such list"),
    (("VLCS", ["pascal"], ["sun"]), MissingFileError, "PASCAL/train: no such folder of images"),
    (("FMoW",), ConfigValueError, "'FMoW' is unknown; FMoW is not part of this engine"),
    (("CIFAR10",), ConfigValueError, "NUM_LABELED must be at least 1, not -1"),
    (("CIFAR10C", ["cifar10"], ["cifar10"]), ConfigValueError, "goes from cifar10 to cifar10_c"),
    (("CIFAR10C", ["cifar10"], ["cifar10_c"]), ConfigValueError, "DATASET.CIFAR_C_TYPE: '' is"),
])
def test_mistakes_are_sentences(build, case, error, sentence):
    with pytest.raises(error, match=sentence):
        build(*case)


def test_a_bad_line_of_a_list_is_named(build, root, tmp_path):
    file = root / "domainnet" / "splits" / "clipart_train.txt"
    text = file.read_text()
    file.write_text(text + "clipart/axe/nothing.png\n")
    try:
        with pytest.raises(DataValueError, match="clipart_train.txt, line 3: .* is not `path lab"):
            build("DomainNet", ["clipart"], ["real"])
    finally:
        file.write_text(text)
