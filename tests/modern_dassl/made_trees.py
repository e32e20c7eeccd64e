"""Folders in the layout of each built-in data set, of empty files: no image is decoded."""

from pathlib import Path

CLASSES = ("Alarm_Clock", "bike", "Mug")


def fill(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def class_folders(folder: Path, number: int = 2, classes=CLASSES) -> None:
    for name in classes:
        fill(folder / name, *(f"{i}.jpg" for i in range(number)))


def digits(root: Path) -> None:
    for domain in ("mnist", "mnist_m", "svhn", "syn", "usps"):
        for split, number in (("train", 3), ("test", 2)):
            names = (f"{i:05}_{label}.png" for i in range(number) for label in range(2))
            fill(root / "digit5" / domain / f"{split}_images", *names)
    for domain in ("mnist", "mnist_m", "svhn", "syn"):
        for split in ("train", "val"):
            class_folders(root / "digits_dg" / domain / split, classes="01")


def lists(root: Path) -> None:
    """PACS, VisDA-2017, DomainNet."""
    for domain in ("art_painting", "photo", "sketch"):
        for split in ("train", "crossval"):
            paths = [f"{domain}/{name}/{split}.jpg" for name in ("dog", "house")]
            if domain == "sketch" and split == "train":
                paths.append("sketch/dog/n02103406_4068-1.png")  # the damaged one
            file = root / "pacs" / "splits" / f"{domain}_{split}_kfold.txt"
            written(root / "pacs" / "images", file, paths, 1)
    for folder in ("train", "validation"):
        paths = [f"{name}/{i}.png" for i in range(2) for name in ("aeroplane", "bus")]
        written(root / "visda17" / folder, root / "visda17" / folder / "image_list.txt", paths)
    for splits, domains in (("splits", ("clipart", "real")), ("splits_mini", ("clipart", "real"))):
        for domain in domains:
            for split in ("train", "test"):
                paths = [f"{domain}/{name}/{splits}{split}.png" for name in ("axe", "bee")]
                file = root / "domainnet" / splits / f"{domain}_{split}.txt"
                written(root / "domainnet", file, paths)


def written(images: Path, file: Path, paths: list[str], first: int = 0) -> None:
    """A list of images, whose labels are the places of their classes from `first` on."""
    names = list(dict.fromkeys(path.split("/")[-2] for path in paths))
    for path in paths:
        fill((images / path).parent, Path(path).name)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{path} {names.index(path.split('/')[-2]) + first}\n" for path in paths]
    file.write_text("".join(lines))


def every_layout(root: Path) -> Path:
    """All of them below `root`."""
    for domain in ("amazon", "webcam", "dslr"):
        class_folders(root / "office31" / domain)
    for domain in ("art", "clipart", "product", "real_world"):
        class_folders(root / "office_home" / domain)
        for split in ("train", "val"):
            class_folders(root / "office_home_dg" / domain / split)
    for domain in ("CALTECH", "SUN"):
        for split in ("train", "crossval", "test"):
            class_folders(root / "VLCS" / domain / split)
    for domain in ("cifar", "stl"):
        for split in ("train", "test"):
            class_folders(root / "cifar_stl" / domain / split, classes=("0_airplane", "1_car"))
    for name in ("cifar10", "cifar100", "svhn"):
        for split, number in (("train", 10), ("test", 2)):
            class_folders(root / name / split, number)
    for name in ("cifar10_c", "cifar100_c"):
        class_folders(root / name / "fog" / "3", 1)
    for split, names in (("train", "0123"), ("test", "01")):
        fill(root / "stl10" / split, *(f"{i}_{int(i) % 2}.png" for i in names))
    fill(root / "stl10" / "unlabeled", "0_none.png", "1_none.png")
    (root / "stl10/stl10_binary").mkdir()
    (root / "stl10/stl10_binary/fold_indices.txt").write_text("0 1\n2 3\n1 2\n0 3\n0 2\n")
    digits(root)
    lists(root)
    return root


# name, source domains, target domains, further options, expected sizes (x, u, val, test)
CASES = [
    ("Office31", ["amazon", "dslr"], ["webcam"], [], (12, 6, 0, 6)),
    ("OfficeHome", ["art"], ["real_world"], [], (6, 6, 0, 6)),
    ("VisDA17", ["synthetic"], ["real"], [], (4, 4, 0, 4)),
    ("DomainNet", ["clipart"], ["real"], [], (2, 2, 2, 2)),
    ("miniDomainNet", ["real"], ["clipart"], [], (2, 2, 0, 2)),
    ("CIFARSTL", ["stl"], ["cifar"], [], (4, 4, 0, 4)),
    ("Digit5", ["usps", "mnist"], ["svhn"], [], (24, 6, 0, 4)),
    ("DigitSingle", ["mnist"], ["usps", "syn"], [], (6, 0, 4, 8)),
    ("DigitsDG", ["mnist", "svhn"], ["syn"], [], (8, 0, 8, 8)),
    ("OfficeHomeDG", ["art"], ["clipart"], [], (6, 0, 6, 12)),
    ("PACS", ["art_painting", "sketch"], ["photo"], [], (4, 0, 4, 4)),
    ("VLCS", ["caltech"], ["sun"], [], (6, 0, 6, 6)),
    ("CIFAR10C", ["cifar10"], ["cifar10_c"],
     ["DATASET.CIFAR_C_TYPE", "fog", "DATASET.CIFAR_C_LEVEL", 3], (30, 0, 0, 3)),
    ("CIFAR100C", ["cifar100"], ["cifar100_c"],
     ["DATASET.CIFAR_C_TYPE", "fog", "DATASET.CIFAR_C_LEVEL", 3], (30, 0, 0, 3)),
    ("CIFAR10", [], [], ["DATASET.NUM_LABELED", 7], (6, 21, 3, 6)),
    ("CIFAR100", [], [], ["DATASET.NUM_LABELED", 3, "DATASET.VAL_PERCENT", 0.0], (3, 27, 0, 6)),
    ("SVHN", [], [], ["DATASET.NUM_LABELED", 3, "DATASET.ALL_AS_UNLABELED", True], (3, 27, 3, 6)),
    ("STL10", [], [], ["DATASET.STL10_FOLD", 1], (2, 2, 0, 2)),
]
