"""ImageNet in the CoOp family's layout, its four variants, and images of none of its classes.

Reference: github.com/KaiyangZhou/CoOp, DATASETS.md. Its classnames.txt, which must be in the folder
of each data set, has a line `n01440764 tench` for each class. The variants are test sets: all their
images are both unlabelled and tested on. Shots are drawn from files sorted by name; the family
draws from files in the order of the file system, so its shots differ between machines.
"""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.recognition import NEEDED, RecognitionDataset, images_of, in_halves, lines_of
from ueo.errors import DataError
from ueo.images.folders import Item, find_folder, subfolders
from ueo.label_space import ClassCounts

CLASSNAMES = "classnames.txt"  # file 1-61f_ol79pViBFDG_IDlUQSwoLcn2XXF of Google Drive


def class_names(root: Path) -> dict[str, str]:
    """Return {WordNet id: class name}, in the order of class ids."""
    names: dict[str, str] = {}
    for line in lines_of(root / CLASSNAMES):
        number, _, name = line.partition(" ")
        if number in names:
            raise DataError(f"{root / CLASSNAMES}: {number} is listed twice; download it again")
        names[number] = name.strip()
    return names


class WordNetFolders(RecognitionDataset):
    """Class folders named by WordNet ids; a variant with fewer classes numbers its own from 0.

    class_folders: their names, in the order of class ids.
    """

    counts = in_halves(1000)

    def setup(self, root: Path) -> None:
        names = class_names(root)
        self.class_folders = self.present(names)
        self.class_list = [names[number] for number in self.class_folders]

    def present(self, names: dict[str, str]) -> list[str]:
        """Return the WordNet ids of the data set's classes, in order."""
        return list(names)

    def in_folders(self, folder: Path) -> list[Item]:
        """Return (path, class id) of the images in the class folders of `folder`."""
        items = []
        for label, name in enumerate(self.class_folders):
            items += [(path, label) for path in images_of(folder / name, self.unread)]
        others = {path.name for path in subfolders(folder)} - set(self.class_folders)
        self.unread.folders += len(others)
        return items


@DATASET_REGISTRY.register()
class UFTImageNet(WordNetFolders):
    title, dataset_dir = "ImageNet", "imagenet"
    domains = targets = ("imagenet",)
    relatives = {
        "imagenetv2": "UFTImageNetV2",
        "imagenet_sketch": "UFTImageNetSketch",
        "imagenet_a": "UFTImageNetA",
        "imagenet_r": "UFTImageNetR",
    }

    def items(self, domain: str, part: str) -> list[Item]:
        return self.in_folders(self.root / "images" / {"test": "val"}.get(part, part))


class Variant(WordNetFolders):
    """image_dir: the folder that holds the class folders, below the data set's."""

    image_dir: str

    def items(self, domain: str, part: str) -> list[Item]:
        return self.in_folders(self.root / self.image_dir)


@DATASET_REGISTRY.register()
class UFTImageNetV2(Variant):
    """Its folders are named by class ids."""

    title, dataset_dir = "ImageNetV2", "imagenetv2"
    domains = targets = ("imagenetv2",)
    image_dir = "imagenetv2-matched-frequency-format-val"

    def setup(self, root: Path) -> None:
        super().setup(root)
        self.class_folders = [str(label) for label in range(len(self.class_list))]


@DATASET_REGISTRY.register()
class UFTImageNetSketch(Variant):
    title, dataset_dir = "ImageNet-Sketch", "imagenet-sketch"
    domains = targets = ("imagenet_sketch",)
    image_dir = "images"


class FewerClasses(Variant):
    """200 of the classes, in the order of the names of their folders."""

    counts = in_halves(200)

    def present(self, names: dict[str, str]) -> list[str]:
        folder = self.root / self.image_dir
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {NEEDED}")
        found = [path.name for path in subfolders(folder)]
        for number in found:
            if number not in names:
                raise DataError(f"{folder / number}: no class of {self.root / CLASSNAMES}")
        return found


@DATASET_REGISTRY.register()
class UFTImageNetA(FewerClasses):
    title, dataset_dir = "ImageNet-A", "imagenet-adversarial"
    domains = targets = ("imagenet_a",)
    image_dir = "imagenet-a"


@DATASET_REGISTRY.register()
class UFTImageNetR(FewerClasses):
    title, dataset_dir = "ImageNet-R", "imagenet-rendition"
    domains = targets = ("imagenet_r",)
    image_dir = "imagenet-r"


@DATASET_REGISTRY.register()
class UFTImageNetOOD(UFTImageNet):
    """ImageNet's validation images, and images of none of its classes as the class "outside": the
    subsets of iNaturalist, SUN, Places and Textures by Huang and Li (CVPR 2021, arXiv:2105.01879),
    each of which is a domain. Training images are ImageNet's."""

    title = "ImageNet far-OOD"
    domains = targets = ("inaturalist", "sun", "places", "textures")
    relatives = {}
    settings = ("closed",)
    counts = ClassCounts(total=1001, known=1000, partial=500, open_partial=500, seen_ood=0)
    ood_dir = "ImageNet_OOD_dataset"  # beside imagenet/ in the data root
    domain_names = {"textures": ("texture", "dtd")}

    def setup(self, root: Path) -> None:
        super().setup(root)
        self.class_list.append("outside")

    def items(self, domain: str, part: str) -> list[Item]:
        known = super().items(domain, part)
        if part == "train":
            return known
        folder = self.root.parent / self.ood_dir
        found = find_folder(folder, (domain, *self.domain_names.get(domain, ())))
        if found is None:
            raise DataError(f"{folder}: no folder of {domain!r}; {NEEDED}")
        return known + [(path, self.counts.known) for path in images_of(found, self.unread)]
