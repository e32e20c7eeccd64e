"""Published numbers of images: how many each label space has in each domain.

Images are empty files here, since they are only listed.
"""

import os
from pathlib import Path

import pytest
import trees
from trees import load as make

from ueo.datasets.base import UFTDataset
from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.office_home import UFTOfficeHome
from ueo.datasets.visda_c import UFTVisDAC
from ueo.errors import DataError
from ueo.label_space import label_space

# numbers of images: of the known classes in OPDA, in PDA and in all; of the unknown classes in the
# unlabelled set and in all
OFFICE31 = {"amazon": (1321, 1805, 2284, 274, 533), "dslr": (248, 310, 389, 51, 109),
            "webcam": (368, 528, 661, 66, 134)}
OFFICE_HOME = {"Art": (1546, 1546, 1942, 345, 485), "Clipart": (2396, 2396, 3344, 691, 1021),
               "Product": (2518, 2518, 3445, 640, 994), "RealWorld": (2452, 2452, 3324, 698, 1033)}

LARGE = ("closed", "open_partial", "all")  # label spaces of sets that take seconds to list


def spread(total: int, classes: int) -> list[int]:
    """Numbers of images when `total` images are divided among `classes` as evenly as possible."""
    return [total // classes + (i < total % classes) for i in range(classes)]


def numbers(counts, images) -> list[int]:
    """Number of images of each class, from a row above."""
    open_partial, partial, known, seen, unknown = images
    return [
        *spread(open_partial, counts.open_partial),
        *spread(partial - open_partial, counts.partial - counts.open_partial or 1)[
            : counts.partial - counts.open_partial],
        *spread(known - partial, counts.known - counts.partial),
        *spread(seen, counts.seen_ood),
        *spread(unknown - seen, counts.total - counts.known - counts.seen_ood),
    ]


def touch(folder: Path, names: list[str], images: list[int]) -> None:
    for name, number in zip(names, images):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            os.mknod(folder / name / f"{i:05}.jpg")


def unlabelled(kind, root, domain, settings=(*LARGE, "partial", "open")
               ) -> tuple[dict[str, int], UFTDataset]:
    """Number of unlabelled images in each label space of a domain, and the last data set. The total
    must be the published number."""
    found = {s: make(kind, root, domain, s, check=True) for s in settings}
    return {s: len(data.train_u) for s, data in found.items()}, found[settings[-1]]


def listed_once(kind, root, domain) -> tuple[dict[str, int], UFTDataset]:
    """The same as `unlabelled` for the LARGE label spaces, but images are listed only once."""
    (whole, data), seen = unlabelled(kind, root, domain, ("all",)), {}
    for setting in LARGE:
        classes = {*label_space(kind.counts, setting).unlabelled}
        seen[setting] = sum(item.label in classes for item in data.train_u)
    assert seen["all"] == whole["all"]
    return seen, data


@pytest.mark.parametrize(("kind", "folders", "domain", "row"), [
    *((UFTOffice31, UFTOffice31.class_list, d, row) for d, row in OFFICE31.items()),
    *((UFTOfficeHome, UFTOfficeHome.class_list, d, row) for d, row in OFFICE_HOME.items()),
])
def test_small_sets(tmp_path, kind, folders, domain, row):
    open_partial, partial, known, seen, unknown = row
    images = numbers(kind.counts, row)
    touch(tmp_path / kind.dataset_dir / domain, folders, images)
    found, data = unlabelled(kind, tmp_path, domain)
    assert found == {
        "closed": known, "partial": partial, "open": known + seen,
        "open_partial": open_partial + seen, "all": known + unknown,
    }
    assert data.published_counts is True and len(data.test) == known + unknown
    assert sum(item.label >= data.num_classes for item in data.test) == unknown


def test_visda_validation(tmp_path):
    kind = UFTVisDAC
    touch(tmp_path / "visda_c" / "validation", kind.class_list, kind.per_class["validation"])
    found, _ = listed_once(kind, tmp_path, "validation")
    assert found == {"closed": 38774, "open_partial": 28978 + 6830, "all": 55388}


def test_domainnet_sketch(tmp_path):
    """The lists have 48,212 and 20,916 lines, in blocks as the released ones. All classes share one
    folder, since the lists say which images a class has."""
    blocks = {"train": (28143, 13363, 4658, 2048), "test": (12221, 5776, 2023, 896)}
    sizes = (250, 50, 30, 15)
    folder, common = tmp_path / "domainnet", tmp_path / "common"
    for path in (folder / "sketch", common):
        path.mkdir(parents=True)
    for name in UFTDomainNet.class_list:
        (folder / "sketch" / name).symlink_to(common)
    for part, rows in blocks.items():
        images = [n for total, classes in zip(rows, sizes) for n in spread(total, classes)]
        for i in range(max(images)):
            os.mknod(common / f"{part}_{i:06}.jpg")
        (folder / f"sketch_{part}.txt").write_text("".join(
            f"sketch/{name}/{part}_{i:06}.jpg {label}\n"
            for label, (name, number) in enumerate(zip(UFTDomainNet.class_list, images))
            for i in range(number)))
    found, data = listed_once(UFTDomainNet, tmp_path, "sketch")
    assert found == {"closed": 41506, "open_partial": 28143 + 4658, "all": 48212}
    assert len(data.test) == 20916
    assert sum(item.label >= 300 for item in data.test) == 2023 + 896


def test_a_set_short_of_one_image_is_refused(tmp_path):
    images = numbers(UFTOffice31.counts, OFFICE31["dslr"])
    images[0] -= 1
    touch(tmp_path / "office31" / "dslr" / "images", UFTOffice31.class_list, images)
    with pytest.raises(DataError, match="497 images, the published version 498"):
        make(UFTOffice31, tmp_path, "dslr", check=True)


def test_folder_names_of_office_home_are_65():
    assert sorted(n.lower() for n in trees.OFFICE_HOME_FOLDERS) == UFTOfficeHome.class_list
