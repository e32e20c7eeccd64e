"""Ten image-recognition data sets of the CoOp family, in its layout, with its splits and templates.

Reference: github.com/KaiyangZhou/CoOp, DATASETS.md and datasets/. Class names are those of the
published split files. The prefix UFT keeps registered names apart from the family's own.
"""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.recognition import (
    NEEDED,
    RecognitionDataset,
    SplitFileDataset,
    in_halves,
    lines_of,
)
from ueo.errors import DataError
from ueo.images.folders import Item, existing


@DATASET_REGISTRY.register()
class UFTCaltech101(SplitFileDataset):
    title, dataset_dir, counts = "Caltech101", "caltech-101", in_halves(100)
    domains = targets = ("caltech101",)
    image_dir, split_file = "101_ObjectCategories", "split_zhou_Caltech101.json"
    split_id = "1hyarUivQE36mY6jSomru6Fjd-JzwcCzN"


@DATASET_REGISTRY.register()
class UFTOxfordPets(SplitFileDataset):
    title, dataset_dir, counts = "OxfordPets", "oxford_pets", in_halves(37)
    domains = targets = ("oxford_pets",)
    template = "a photo of a {}, a type of pet."
    image_dir, split_file = "images", "split_zhou_OxfordPets.json"
    split_id = "1501r8Ber4nNKvmlFVQZ8SeUHTcdTTEqs"


@DATASET_REGISTRY.register()
class UFTStanfordCars(SplitFileDataset):
    title, dataset_dir, counts = "StanfordCars", "stanford_cars", in_halves(196)
    domains = targets = ("stanford_cars",)
    image_dir, split_file = "", "split_zhou_StanfordCars.json"
    split_id = "1ObCFbaAgVu0I-k_Au-gIUcefirdAuizT"


@DATASET_REGISTRY.register()
class UFTOxfordFlowers(SplitFileDataset):
    title, dataset_dir, counts = "Flowers102", "oxford_flowers", in_halves(102)
    domains = targets = ("oxford_flowers",)
    template = "a photo of a {}, a type of flower."
    image_dir, split_file = "jpg", "split_zhou_OxfordFlowers.json"
    split_id = "1Pp0sRXzZFZq15zVOzKjKBu4A9i01nozT"


@DATASET_REGISTRY.register()
class UFTFood101(SplitFileDataset):
    title, dataset_dir, counts = "Food101", "food-101", in_halves(101)
    domains = targets = ("food101",)
    template = "a photo of {}, a type of food."
    image_dir, split_file = "images", "split_zhou_Food101.json"
    split_id = "1QK0tGi096I0Ba6kggatX1ee6dJFIcEJl"


@DATASET_REGISTRY.register()
class UFTSUN397(SplitFileDataset):
    title, dataset_dir, counts = "SUN397", "sun397", in_halves(397)
    domains = targets = ("sun397",)
    image_dir, split_file = "SUN397", "split_zhou_SUN397.json"
    split_id = "1y2RD81BYuiyvebdN-JymPfyWYcd8_MUq"


@DATASET_REGISTRY.register()
class UFTDescribableTextures(SplitFileDataset):
    title, dataset_dir, counts = "DTD", "dtd", in_halves(47)
    domains = targets = ("dtd",)
    template = "{} texture."
    image_dir, split_file = "images", "split_zhou_DescribableTextures.json"
    split_id = "1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x"


@DATASET_REGISTRY.register()
class UFTEuroSAT(SplitFileDataset):
    """In prompts, the CoOp family uses clearer names than those in its split file."""

    title, dataset_dir, counts = "EuroSAT", "eurosat", in_halves(10)
    domains = targets = ("eurosat",)
    template = "a centered satellite photo of {}."
    image_dir, split_file = "2750", "split_zhou_EuroSAT.json"
    split_id = "1Ip7yaCWFi0eaOFUGga0lUdVi_DDQth1o"
    clearer = {
        "AnnualCrop": "Annual Crop Land",
        "HerbaceousVegetation": "Herbaceous Vegetation Land",
        "Highway": "Highway or Road",
        "Industrial": "Industrial Buildings",
        "Pasture": "Pasture Land",
        "PermanentCrop": "Permanent Crop Land",
        "Residential": "Residential Buildings",
        "SeaLake": "Sea or Lake",
    }

    def setup(self, root: Path) -> None:
        super().setup(root)
        self.class_list = [self.clearer.get(name, name) for name in self.class_list]


@DATASET_REGISTRY.register()
class UFTUCF101(SplitFileDataset):
    title, dataset_dir, counts = "UCF101", "ucf101", in_halves(101)
    domains = targets = ("ucf101",)
    template = "a photo of a person doing {}."
    image_dir, split_file = "UCF-101-midframes", "split_zhou_UCF101.json"
    split_id = "1I0S0q91hJfsV9Gf4xDIjgDq4AqBNJb1y"


@DATASET_REGISTRY.register()
class UFTFGVCAircraft(RecognitionDataset):
    """Has its own lists: variants.txt, and images_variant_<part>.txt with lines `image variant`."""

    title, dataset_dir, counts = "FGVCAircraft", "fgvc_aircraft", in_halves(100)
    domains = targets = ("fgvc_aircraft",)
    template = "a photo of a {}, a type of aircraft."

    def setup(self, root: Path) -> None:
        self.class_list = lines_of(root / "variants.txt")
        for name in self.class_list:
            if self.class_list.count(name) > 1:
                raise DataError(f"{root / 'variants.txt'}: {name!r} is listed twice; {NEEDED}")

    def items(self, domain: str, part: str) -> list[Item]:
        ids = {name: label for label, name in enumerate(self.class_list)}
        path, items = self.root / f"images_variant_{part}.txt", []
        for number, line in enumerate(lines_of(path), 1):
            image, _, variant = line.partition(" ")
            if variant not in ids:
                raise DataError(f"{path}, line {number}: {variant!r} is not in variants.txt")
            items.append((str(self.root / "images" / f"{image}.jpg"), ids[variant]))
        return existing(items, path, NEEDED)
