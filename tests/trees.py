"""Small copies of the published data sets: their folder, class and file names, their list formats,
and a few images per class, in every size and mode that occurs in them."""

from pathlib import Path

import numpy as np
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from PIL import Image

from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.visda_c import UFTVisDAC
from ueo.settings.config import extend

OFFICE_HOME_FOLDERS = """
    Alarm_Clock Backpack Batteries Bed Bike Bottle Bucket Calculator Calendar Candles Chair
    Clipboards Computer Couch Curtains Desk_Lamp Drill Eraser Exit_Sign Fan File_Cabinet Flipflops
    Flowers Folder Fork Glasses Hammer Helmet Kettle Keyboard Knives Lamp_Shade Laptop Marker
    Monitor Mop Mouse Mug Notebook Oven Pan Paper_Clip Pen Pencil Postit_Notes Printer Push_Pin
    Radio Refrigerator Ruler Scissors Screwdriver Shelf Sink Sneakers Soda Speaker Spoon TV Table
    Telephone ToothBrush Toys Trash_Can Webcam""".split()
KINDS = ("RGB", "L", "P", "RGBA", "CMYK", "rotated", "1x1", "LA")


def draw(path: Path, number: int) -> None:
    """One image; `number` determines its mode and size. The extension may not match the format, as
    happens in the published sets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = KINDS[number % len(KINDS)]
    width, height = (1, 1) if kind == "1x1" else (24 + number % 17, 20 + number % 29)
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
    if kind == "rotated":
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, "JPEG", exif=exif)
    elif kind in ("L", "CMYK"):
        image.convert(kind).save(path, "JPEG")
    elif kind in ("P", "RGBA", "LA"):
        image.convert(kind).save(path, "PNG")
    else:
        image.save(path, "JPEG")


def _fill(folder: Path, classes: list[str], images: int, name: str, start: int) -> None:
    for c, class_name in enumerate(classes):
        for i in range(images):
            draw(folder / class_name / name.format(i + 1), start + c * images + i)


def office31(root: Path, images: int = 2, level: str = "images", folder: str = "office31") -> Path:
    for d, domain in enumerate(UFTOffice31.domains):
        _fill(root / folder / domain / level, UFTOffice31.class_list, images, "frame_{:04}.jpg",
              1000 * d)
    return root / folder


def office_home(root: Path, images: int = 2, real: str = "Real World",
                folder: str = "office_home") -> Path:
    for d, domain in enumerate(("Art", "Clipart", "Product", real)):
        _fill(root / folder / domain, OFFICE_HOME_FOLDERS, images, "{:05}.jpg", 1000 * d)
    (root / folder / "ImageInfo.csv").write_text("")
    return root / folder


def visda(root: Path, images: int = 3, folder: str = "visda_c") -> Path:
    names = {"train": "src_1_{:08}__10_10_150.png", "validation": "object_{}.jpg"}
    for d, domain in enumerate(UFTVisDAC.domains):
        _fill(root / folder / domain, UFTVisDAC.class_list, images, names[domain], 1000 * d)
        (root / folder / domain / "image_list.txt").write_text("")
    return root / folder


def domainnet(root: Path, domains: tuple[str, ...] = ("sketch",), lists: str = "",
              folder: str = "domainnet", without: dict[str, int] | None = None) -> Path:
    """One train and one test image a class. without: {"train" or "test": class id to leave out}."""
    without = without or {}
    for domain in domains:
        for part in ("train", "test"):
            lines = []
            for label, name in enumerate(UFTDomainNet.class_list):
                if label == without.get(part):
                    continue
                number = 1 if part == "train" else 2
                suffix = "png" if domain == "quickdraw" else "jpg"
                image = f"{domain}/{name}/{domain}_{label + 1:03}_{number:06}.{suffix}"
                draw(root / folder / image, 2 * label + number)
                lines.append(f"{image} {label}\n")
            file = root / folder / lists / f"{domain}_{part}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(lines))
    return root / folder


def load(kind, root, domain, setting="open", protocol="released", check=False, **options):
    """The data set, as a run sees it; `options` are further keys of DATASET."""
    cfg = extend(get_cfg_default(), {})
    cfg.DATASET.ROOT, cfg.DATASET.TARGET_DOMAINS = str(root), (domain,)
    cfg.DATASET.SETTING, cfg.DATASET.PROTOCOL, cfg.DATASET.CHECK_COUNTS = setting, protocol, check
    for key, value in options.items():
        cfg.DATASET[key] = value
    return DATASET_REGISTRY.get(kind.__name__)(cfg)
