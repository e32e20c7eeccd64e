"""Lists of images, few-shot choice, loaders and transforms."""

import pickle
import pickletools
import random
from collections import Counter

import numpy as np
import pytest
import torch
from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.data.samplers import build_sampler
from dassl.data.transforms import AVAI_CHOICES, build_transform
from dassl.utils import ConfigValueError, DataValueError, MissingFileError
from PIL import Image


@pytest.fixture
def items(images):
    """Nine images of classes 2, 0, 1 and of domains 0, 1, 2."""
    labels = [2, 0, 2, 1, 0, 2, 1, 0, 1]
    return [
        Datum(f"{images}/{label}_{i}.png", label, i % 3, f"class {label}")
        for i, label in enumerate(labels)
    ]


def test_datum_pickles_under_the_public_name(images):
    item = Datum(f"{images}/1_2.png", 1, 3, "class 1")
    data = pickle.dumps([item], protocol=4)
    texts = {value for _, value, _ in pickletools.genops(data) if isinstance(value, str)}
    assert {"dassl.data.datasets.base_dataset", "Datum"} <= texts
    assert {"_impath", "_label", "_domain", "_classname"} <= texts
    # as written by genuine Dassl: the file need not exist any more when it is read
    by_others = (
        b"\x80\x03cdassl.data.datasets.base_dataset\nDatum\n)\x81}(X\x07\x00\x00\x00_impathX\x05"
        b"\x00\x00\x00a.pngX\x06\x00\x00\x00_labelK\x07X\x07\x00\x00\x00_domainK\x00X\x0a\x00\x00"
        b"\x00_classnameX\x03\x00\x00\x00catub."
    )
    read = pickle.loads(by_others)
    assert (read.impath, read.label, read.domain, read.classname) == ("a.png", 7, 0, "cat")


def test_missing_image_is_named():
    with pytest.raises(MissingFileError, match="nowhere.png"):
        Datum("nowhere.png")


def test_classes(items):
    dataset = DatasetBase(train_x=items, test=items)
    assert dataset.num_classes == 3
    assert dataset.lab2cname == {0: "class 0", 1: "class 1", 2: "class 2"}
    assert dataset.classnames == ["class 0", "class 1", "class 2"]


def test_unlabelled_images_alone(items):
    dataset = DatasetBase(train_x=[], train_u=items)
    with pytest.raises(DataValueError, match="set _num_classes"):
        _ = dataset.num_classes
    dataset._num_classes, dataset._classnames = 2, ["a", "b"]
    assert (dataset.num_classes, dataset.classnames) == (2, ["a", "b"])
    with pytest.raises(DataValueError, match="no training images"):
        DatasetBase()


def test_few_shots_are_drawn_in_the_published_order(items):
    dataset = DatasetBase(train_x=items)
    random.seed(5)
    chosen = dataset.generate_fewshot_dataset(items, num_shots=2)
    random.seed(5)
    expected = []
    for label in (2, 0, 1):  # first appearance
        expected += random.sample([item for item in items if item.label == label], 2)
    assert chosen == expected
    assert dataset.generate_fewshot_dataset(items, num_shots=-1) is items
    pair = dataset.generate_fewshot_dataset(items, items, num_shots=1)
    assert [len(source) for source in pair] == [3, 3]


def test_few_shots_of_a_small_class(items):
    dataset = DatasetBase(train_x=items)
    few = dataset.generate_fewshot_dataset(items, num_shots=4)
    assert len(few) == 9
    repeated = dataset.generate_fewshot_dataset(items, num_shots=4, repeat=True)
    assert Counter(item.label for item in repeated) == {0: 4, 1: 4, 2: 4}


@pytest.mark.parametrize("batch_size, is_train, batches", [
    (4, True, 2), (9, True, 1), (10, True, 1), (4, False, 3),
])  # fmt: skip
def test_last_batch_is_dropped_in_training_alone(make_cfg, items, batch_size, is_train, batches):
    cfg = make_cfg()
    loader = build_data_loader(
        cfg, data_source=items, batch_size=batch_size, tfm=build_transform(cfg), is_train=is_train
    )
    assert len(list(loader)) == batches


def test_manager(make_cfg, capsys):
    manager = DataManager(make_cfg("VERBOSE", True))
    sizes = (12, 9, 6, 6)
    loaders = (manager.train_loader_x, manager.train_loader_u, manager.val_loader)
    assert [len(x.dataset) for x in (*loaders, manager.test_loader)] == list(sizes)
    batch = next(iter(manager.train_loader_x))
    assert set(batch) == {"img", "label", "domain", "impath", "index"}
    assert batch["img"].shape == (4, 3, 8, 8)
    assert "# train_u" in capsys.readouterr().out


def test_manager_of_a_configuration_without_unlabelled_options(make_cfg, monkeypatch, items):
    cfg = make_cfg()
    del cfg.DATALOADER["TRAIN_U"]
    labelled = DatasetBase(items[:6], test=items[6:])
    monkeypatch.setattr("dassl.data.data_manager.build_dataset", lambda cfg: labelled)
    assert DataManager(cfg).train_loader_u is None


def test_manager_without_labelled_images(make_cfg, monkeypatch, items):
    class Unlabelled(DatasetBase):
        def __init__(self, cfg):
            super().__init__(train_x=[], train_u=items, test=items)
            self._num_classes, self._lab2cname = 3, {}

    monkeypatch.setitem(DATASET_REGISTRY._obj_map, "Unlabelled", Unlabelled)
    manager = DataManager(make_cfg("DATASET.NAME", "Unlabelled"))
    assert manager.train_loader_x is None and manager.val_loader is None
    assert len(manager.train_loader_u.dataset) == 9


def test_manager_calls_the_wrapper_as_documented(make_cfg):
    calls = []

    def wrapper(cfg, data_source, transform=None, is_train=False):
        calls.append((len(data_source), transform, is_train))
        return DatasetWrapper(cfg, data_source, transform=transform, is_train=is_train)

    tfm = build_transform(make_cfg(), is_train=False)
    DataManager(make_cfg(), [tfm, tfm], tfm, dataset_wrapper=wrapper)
    train, test = [tfm, tfm], (6, tfm, False)
    assert calls == [(12, train, True), (9, train, True), test, test]


def test_views(make_cfg, items):
    cfg = make_cfg("DATALOADER.K_TRANSFORMS", 2, "DATALOADER.RETURN_IMG0", True)
    tfm = build_transform(cfg)
    item = DatasetWrapper(cfg, items, transform=[tfm, tfm], is_train=True)[3]
    assert len(item["img"]) == len(item["img2"]) == 2
    assert item["img0"].shape == (3, 8, 8)
    assert (item["label"], item["index"]) == (1, 3)
    assert torch.is_tensor(DatasetWrapper(cfg, items, transform=tfm)[0]["img"])


def test_samplers(items):
    by_domain = build_sampler("RandomDomainSampler", data_source=items, batch_size=4, n_domain=2)
    order = list(by_domain)
    assert Counter(items[i].domain for i in order[:4]).most_common() [0][1] == 2
    order = list(build_sampler("SeqDomainSampler", data_source=items, batch_size=3))
    assert [items[i].domain for i in order] == [0, 1, 2] * 3 and len(set(order)) == 9
    order = list(build_sampler("RandomClassSampler", data_source=items, batch_size=4, n_ins=2))
    assert Counter(Counter(items[i].label for i in order[:4]).values()) == {2: 2}
    with pytest.raises(ConfigValueError, match="did you mean 'RandomSampler'"):
        build_sampler("RandomSample", data_source=items)


def test_empty_list_and_batch_size(make_cfg, items):
    with pytest.raises(DataValueError, match="Specks: a list of images to load is empty"):
        build_data_loader(make_cfg(), data_source=[])
    with pytest.raises(ConfigValueError, match="at least 1"):
        build_data_loader(make_cfg(), data_source=items, batch_size=0)


def test_workers_draw_differently(make_cfg, items):
    class Draws(torch.utils.data.Dataset):
        def __init__(self, cfg, data_source, transform, is_train):
            self.length = len(data_source)

        def __len__(self):
            return self.length

        def __getitem__(self, index):
            return torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])

    cfg = make_cfg("DATALOADER.NUM_WORKERS", 2)
    loader = build_data_loader(
        cfg, data_source=items[:8], batch_size=2, is_train=True, dataset_wrapper=Draws
    )
    draws = torch.cat([torch.cat(list(loader)) for _ in range(2)])  # two epochs
    assert all(len(set(column.tolist())) == 16 for column in draws.T)


@pytest.mark.parametrize("name", AVAI_CHOICES)
def test_every_transform(make_cfg, name):
    cfg = make_cfg("INPUT.SIZE", (32, 24), "INPUT.GB_P", 1.0, "INPUT.TRANSFORMS", (name,))
    pixels = np.random.default_rng(0).integers(0, 255, (50, 40, 3)).astype("uint8")
    image = Image.fromarray(pixels)
    for is_train in (True, False):
        out = build_transform(cfg, is_train=is_train)(image)
        assert out.shape == (3, 32, 24) and out.isfinite().all()


def test_test_transform_keeps_the_middle(make_cfg):
    cfg = make_cfg("INPUT.SIZE", (8, 8), "INPUT.TRANSFORMS", ("random_flip",))
    pixels = np.zeros((8, 24, 3), "uint8")
    pixels[:, 8:16] = 255
    assert build_transform(cfg, is_train=False)(Image.fromarray(pixels)).min() == 1


def test_transforms_in_fixed_order(make_cfg):
    names = ("normalize", "gaussian_noise", "random_flip", "random_resized_crop", "cutout")
    steps = build_transform(make_cfg("INPUT.TRANSFORMS", names)).transforms
    kinds = [type(step).__name__ for step in steps]
    assert kinds == ["RandomResizedCrop", "RandomHorizontalFlip", "ToTensor", "Cutout",
                     "Normalize", "GaussianNoise"]


def test_transform_mistakes_and_old_configurations(make_cfg):
    with pytest.raises(ConfigValueError, match="did you mean 'random_flip'"):
        build_transform(make_cfg("INPUT.TRANSFORMS", ("randomflip",)))
    assert build_transform(make_cfg("INPUT.NO_TRANSFORM", True)) is None
    cfg = make_cfg()
    del cfg.INPUT["RRCROP_SCALE"]
    assert build_transform(cfg).transforms[0].scale == (0.08, 1.0)
