"""The CoOp family's recognition data sets, ImageNet's variants and far-OOD sets, as published."""

import json
import random

import numpy as np
import pytest
from conftest import REPOSITORY, read
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from dassl.utils import set_random_seed
from PIL import Image
from test_saved import RECORD

from ueo.commands import train
from ueo.datasets import coop_sets, imagenet  # noqa: F401  (register themselves)
from ueo.errors import ConfigError, DataError
from ueo.runs.configure import build_cfg
from ueo.settings import config
from ueo.studies.elsewhere import ElsewhereSettings, settings_there

SPLIT_FILES = {  # registered name: folder, image folder, split file, classes, template
    "UFTCaltech101": ("caltech-101", "101_ObjectCategories", "split_zhou_Caltech101.json", 100,
                      "a photo of a {}."),
    "UFTOxfordPets": ("oxford_pets", "images", "split_zhou_OxfordPets.json", 37,
                      "a photo of a {}, a type of pet."),
    "UFTStanfordCars": ("stanford_cars", ".", "split_zhou_StanfordCars.json", 196,
                        "a photo of a {}."),
    "UFTOxfordFlowers": ("oxford_flowers", "jpg", "split_zhou_OxfordFlowers.json", 102,
                         "a photo of a {}, a type of flower."),
    "UFTFood101": ("food-101", "images", "split_zhou_Food101.json", 101,
                   "a photo of {}, a type of food."),
    "UFTSUN397": ("sun397", "SUN397", "split_zhou_SUN397.json", 397, "a photo of a {}."),
    "UFTDescribableTextures": ("dtd", "images", "split_zhou_DescribableTextures.json", 47,
                               "{} texture."),
    "UFTEuroSAT": ("eurosat", "2750", "split_zhou_EuroSAT.json", 10,
                   "a centered satellite photo of {}."),
    "UFTUCF101": ("ucf101", "UCF-101-midframes", "split_zhou_UCF101.json", 101,
                  "a photo of a person doing {}."),
}


def write_split_tree(root, name, per_class=(3, 1, 2), names=None, image=b""):
    """A tree with these numbers of training, validation and test images per class, shuffled."""
    folder, image_dir, split_file, number, _ = SPLIT_FILES[name]
    names = names or [f"thing_{label:03}" for label in range(number)]
    split, rng = {}, random.Random(0)
    for part, count in zip(("train", "val", "test"), per_class):
        split[part] = [[f"{words}/{part}_{i}.jpg", label, words]
                       for label, words in enumerate(names) for i in range(count)]
        rng.shuffle(split[part])
        for path, *_ in split[part]:
            file = root / folder / image_dir / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(image)
    (root / folder / split_file).write_text(json.dumps(split))
    return split


def load(name, root, *options, seed=1):
    cfg = config.extend(get_cfg_default(), {})
    domain = DATASET_REGISTRY.get(name).domains[0]
    cfg.merge_from_list(["DATASET.ROOT", str(root), "DATASET.NAME", name, "DATASET.SETTING", "all",
                         "DATASET.TARGET_DOMAINS", (domain,), *options])
    set_random_seed(seed)
    return DATASET_REGISTRY.get(name)(cfg)


@pytest.mark.parametrize("name", SPLIT_FILES)
def test_a_split_file_decides_the_training_and_test_images(name, tmp_path):
    split = write_split_tree(tmp_path, name)
    dataset = load(name, tmp_path)
    number, template = SPLIT_FILES[name][3:]
    assert len(dataset.classnames) == dataset.num_classes == number
    assert dataset.template == template
    assert [item.label for item in dataset.train_u] == [label for _, label, _ in split["train"]]
    assert [item.label for item in dataset.test] == [label for _, label, _ in split["test"]]
    assert not {i.impath for i in dataset.train_u} & {i.impath for i in dataset.test}


def test_eurosat_has_the_familys_clearer_names(tmp_path):
    names = ["AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture",
             "PermanentCrop", "Residential", "River", "SeaLake"]
    write_split_tree(tmp_path, "UFTEuroSAT", names=names)
    assert load("UFTEuroSAT", tmp_path).classnames == [
        "Annual Crop Land", "Forest", "Herbaceous Vegetation Land", "Highway or Road",
        "Industrial Buildings", "Pasture Land", "Permanent Crop Land", "Residential Buildings",
        "River", "Sea or Lake",
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_shots_equal_the_familys_also_for_half_of_the_classes(tmp_path, seed):
    """The family's rule: classes in the order of their first image, random.sample from each, first
    from the whole list; half of the classes are selected afterwards."""
    split = write_split_tree(tmp_path, "UFTOxfordPets", per_class=(6, 1, 1))
    by_label = {}
    for path, label, _ in split["train"]:
        by_label.setdefault(label, []).append((path, label))
    random.seed(seed)
    expected = [item for items in by_label.values() for item in random.sample(items, 2)]
    dataset = load("UFTOxfordPets", tmp_path, "DATASET.NUM_SHOTS", 2, seed=seed)
    found = [(i.impath.split("images/")[1], i.label) for i in dataset.train_x]
    assert found == expected
    halves = {}
    for which, labels in (("base", range(19)), ("new", range(19, 37))):
        half = load("UFTOxfordPets", tmp_path, "DATASET.NUM_SHOTS", 2,
                    "DATASET.SUBSAMPLE_CLASSES", which, seed=seed)
        halves[which] = half
        own = [(path, label - labels[0]) for path, label in expected if label in labels]
        assert [(i.impath.split("images/")[1], i.label) for i in half.train_x] == own
        assert {i.label for i in half.test} == set(range(len(labels)))
        assert half.classnames == [f"thing_{label:03}" for label in labels]
    assert halves["base"].split_hash != halves["new"].split_hash
    with pytest.raises(ConfigError, match="SUBSAMPLE_CLASSES: 'old' is unknown"):
        load("UFTOxfordPets", tmp_path, "DATASET.SUBSAMPLE_CLASSES", "old")


def test_half_of_the_known_classes_keep_the_same_unknown_classes(tmp_path):
    write_split_tree(tmp_path, "UFTEuroSAT")  # 5 of 10 classes known, 2 of the others unlabelled
    whole, new = (load("UFTEuroSAT", tmp_path, "DATASET.SETTING", "open", *extra)
                  for extra in ((), ("DATASET.SUBSAMPLE_CLASSES", "new")))
    assert len(whole.classnames) == 5 and len(new.classnames) == 2
    unknown = [i.impath for i in whole.test if i.label >= 5]
    assert [i.impath for i in new.test if i.label >= 2] == unknown
    assert {i.label for i in new.train_u} == {0, 1, 2, 3}


def test_a_missing_split_or_image_is_named_and_never_drawn_at_random(tmp_path):
    write_split_tree(tmp_path, "UFTFood101")
    (tmp_path / "food-101/images/thing_007/test_1.jpg").unlink()
    with pytest.raises(DataError, match="1 of its 202 images are missing.*thing_007/test_1.jpg"):
        load("UFTFood101", tmp_path)
    split = tmp_path / "food-101/split_zhou_Food101.json"
    split.write_text("{")
    with pytest.raises(DataError, match="split_zhou_Food101.json: not a published split"):
        load("UFTFood101", tmp_path)
    split.unlink()
    with pytest.raises(DataError, match="Food101.json: the published split is missing.*1QK0tGi0"):
        load("UFTFood101", tmp_path)
    assert not split.exists()
    write_split_tree(tmp_path, "UFTFood101", names=["apple_pie", "waffles"])
    with pytest.raises(DataError, match="101 classes are expected, 2 were found"):
        load("UFTFood101", tmp_path)


def test_aircraft_comes_with_lists_of_its_own(tmp_path):
    root, variants = tmp_path / "fgvc_aircraft", [f"Boeing 7{i:02}-200" for i in range(100)]
    (root / "images").mkdir(parents=True)
    (root / "variants.txt").write_text("\n".join(variants) + "\n")
    for part, first in (("train", 0), ("val", 100), ("test", 200)):
        lines = [f"{first + i:07} {name}" for i, name in enumerate(variants)]
        (root / f"images_variant_{part}.txt").write_text("\n".join(lines))
        for line in lines:
            (root / "images" / f"{line[:7]}.jpg").write_bytes(b"")
    dataset = load("UFTFGVCAircraft", tmp_path)
    assert dataset.classnames == variants
    assert dataset.test[3].impath.endswith("0000203.jpg") and dataset.test[3].label == 3


@pytest.fixture(scope="module")
def imagenet_root(tmp_path_factory):
    """ImageNet with 1,000 classes, its four variants and the far-OOD sets; empty files."""
    root = tmp_path_factory.mktemp("imagenet")
    numbers = [f"n{10_000_000 + 17 * i}" for i in range(1000)]
    some = numbers[1::5][::-1]  # 200 classes
    lists = "\n".join(f"{number} name of {number}" for number in numbers)

    def fill(folder, count):
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (folder / f"{i}.JPEG").write_bytes(b"")

    for number in numbers:
        fill(root / "imagenet/images/train" / number, 2)
        fill(root / "imagenet/images/val" / number, 1)
        fill(root / "imagenet-sketch/images" / number, 1)
    for label in range(1000):
        fill(root / "imagenetv2/imagenetv2-matched-frequency-format-val" / str(label), 1)
    for number in some:
        fill(root / "imagenet-adversarial/imagenet-a" / number, 1)
        fill(root / "imagenet-rendition/imagenet-r" / number, 1)
    (root / "imagenet-rendition/imagenet-r/README.txt").write_text("not a class")
    for folder in ("imagenet", "imagenetv2", "imagenet-sketch", "imagenet-adversarial",
                   "imagenet-rendition"):
        (root / folder / "classnames.txt").write_text(lists)
    for place in ("iNaturalist/images", "SUN/images", "Places/images", "dtd/images/banded"):
        fill(root / "ImageNet_OOD_dataset" / place, 3)
    return root, numbers, sorted(some)


@pytest.mark.parametrize("name", ["UFTImageNet", "UFTImageNetV2", "UFTImageNetSketch"])
def test_imagenet_and_the_variants_with_all_classes(imagenet_root, name):
    root, numbers, _ = imagenet_root
    dataset = load(name, root)
    assert dataset.classnames == [f"name of {number}" for number in numbers]
    assert [i.label for i in dataset.test] == list(range(1000))
    if name == "UFTImageNet":
        assert len(dataset.train_u) == 2000
        assert all("/val/" in i.impath for i in dataset.test)
        assert all(f"/{numbers[i.label]}/" in i.impath for i in dataset.test)


@pytest.mark.parametrize("name", ["UFTImageNetA", "UFTImageNetR"])
def test_variants_with_200_classes_number_them_by_folder(imagenet_root, name):
    root, _, some = imagenet_root
    dataset = load(name, root)
    assert dataset.classnames == [f"name of {number}" for number in some]
    assert all(f"/{some[i.label]}/" in i.impath for i in dataset.test)


@pytest.mark.parametrize("domain", ["inaturalist", "sun", "places", "textures"])
def test_far_ood_images_are_unknown_beside_imagenet_s_validation_set(imagenet_root, domain):
    root, *_ = imagenet_root
    dataset = load("UFTImageNetOOD", root, "DATASET.SETTING", "closed",
                   "DATASET.TARGET_DOMAINS", (domain,))
    assert len(dataset.classnames) == 1000
    outside = [i for i in dataset.test if i.label == 1000]
    assert len(outside) == 3 and len(dataset.test) == 1003
    assert all("ImageNet_OOD_dataset" in i.impath for i in outside)
    assert {i.label for i in dataset.train_u} == set(range(1000))


def test_domain_shift_of_imagenet_is_tested_on_its_variants(tmp_path):
    """As in the CoOp family, training is on ImageNet and tests are on V2, Sketch, A and R."""
    finished = {**RECORD, "environment": {"engine": "e", "workers": 0}, "config": {
        "DATASET.NAME": "UFTImageNet", "DATASET.TARGET_DOMAINS": ["imagenet"],
        "DATASET.SETTING": "all", "TRAINER.NAME": "CoOp"}}
    (tmp_path / "result.json").write_text(json.dumps(finished))
    settings = ElsewhereSettings(str(tmp_path))
    expected = {"imagenet": "UFTImageNet", "imagenetv2": "UFTImageNetV2",
                "imagenet_sketch": "UFTImageNetSketch", "imagenet_a": "UFTImageNetA",
                "imagenet_r": "UFTImageNetR"}
    for domain, name in expected.items():
        cfg = build_cfg(settings_there(settings, domain, ""))
        assert (cfg.DATASET.NAME, cfg.DATASET.TARGET_DOMAINS) == (name, (domain,))
        assert domain in DATASET_REGISTRY.get(name).domains
        assert (REPOSITORY / f"configs/datasets/{domain}.yaml").is_file()


@pytest.mark.parametrize("trainer", ["CoOp", "UPAdapter", "ZeroshotCLIP"])
def test_a_run_on_real_images_with_the_template(tmp_path, trainer):
    names = ["cat", "dog", "fox", "lion", "horse", "cow", "pig", "mouse", "bear", "panda"]
    write_split_tree(tmp_path, "UFTDescribableTextures", (4, 1, 2),
                     [f"{name} {i}" for name in names for i in range(5)][:47])
    rng = np.random.default_rng(0)
    for path in (tmp_path / "dtd/images").rglob("*.jpg"):
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
    run = tmp_path / "run"
    assert train.main([
        "--root", str(tmp_path), "--trainer", trainer, "--seed", "1", "--output-dir", str(run),
        "--dataset-config-file", str(REPOSITORY / "configs/datasets/dtd.yaml"),
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--backbone", "TinyCLIP", "--domain", "dtd", "--device", "cpu", "--threads", "1",
        "DATASET.NUM_SHOTS", "2" if trainer == "CoOp" else "-1", "OPTIM.MAX_EPOCH", "1",
    ]) == 0
    result = read(run)
    assert result["counts"]["known_classes"] == 47 and result["counts"]["test"] == 94
    assert result["counts"]["shots_left_out_of_test"] == 0
    assert result["metrics"]["test"]["auroc"] is None  # every class is known
