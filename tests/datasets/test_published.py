"""The 15 domains: class ids, label spaces, layouts and counts, on small copies of each layout."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
import trees
from trees import load as make

from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office31 import UFTOffice31
from ueo.datasets.office_home import UFTOfficeHome
from ueo.datasets.visda_c import UFTVisDAC
from ueo.errors import ConfigError, DataError

KINDS = {"office31": UFTOffice31, "office_home": UFTOfficeHome, "visda_c": UFTVisDAC,
         "domainnet": UFTDomainNet}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root with all four."""
    root = tmp_path_factory.mktemp("data")
    trees.office31(root)
    trees.office_home(root)
    trees.visda(root)
    trees.domainnet(root, ("sketch",))
    trees.domainnet(root, ("painting",), without={"train": 327, "test": 300})
    return root


def test_each_image_is_looked_for_once_for_all_lists(root, monkeypatch):
    """Each look-up is slow on a network file system."""
    looked, isfile = Counter(), os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: looked.update([path]) or isfile(path))
    data = make(UFTVisDAC, root, "validation")
    assert data.train_x and data.train_u and data.test
    assert {looked[path] for path in paths((*data.train_x, *data.train_u, *data.test))} == {1}


def labels(items):
    return {item.label for item in items}


def paths(items):
    return {item.impath for item in items}


# what the published splits say: (known, closed, partial, open, open_partial, total)
TABLE = {
    "office31": (25, range(25), range(20), range(28), [*range(15), 25, 26, 27], 31),
    "office_home": (50, range(50), range(35), range(60), [*range(35), *range(50, 60)], 65),
    "visda_c": (8, range(8), range(6), range(10), [0, 1, 2, 3, 4, 5, 8, 9], 12),
    "domainnet": (300, range(300), range(250), range(330), [*range(250), *range(300, 330)], 345),
}
DOMAIN = {"office31": "webcam", "office_home": "Art", "visda_c": "train", "domainnet": "sketch"}


@pytest.mark.parametrize("name", KINDS)
def test_label_spaces_are_those_of_the_published_splits(root, name):
    known, closed, partial, opened, open_partial, total = TABLE[name]
    for setting, unlabelled in (("closed", closed), ("partial", partial), ("open", opened),
                                ("open_partial", open_partial)):
        data = make(KINDS[name], root, DOMAIN[name], setting)
        assert labels(data.train_u) == set(unlabelled), setting
        assert labels(data.test) == set(range(total))
        assert labels(data.train_x) <= set(range(known))
        assert data.classnames == data.class_list[:known] and data.num_classes == known
    data = make(KINDS[name], root, DOMAIN[name], "all")
    assert data.num_classes == total and labels(data.train_u) == set(range(total))


@pytest.mark.parametrize("name", KINDS)
def test_the_class_of_an_image_is_that_of_its_folder(root, name):
    data = make(KINDS[name], root, DOMAIN[name])
    for item in data.test:
        folder = Path(item.impath).parent.name
        assert folder.lower() == data.class_list[item.label].lower()


def test_office_home_sorts_in_lower_case_so_that_tv_comes_after_table(root):
    """Sorting case-sensitively would swap TV and Table between known and unknown classes."""
    names = UFTOfficeHome.class_list
    assert names == sorted(names) and len(names) == 65
    assert [names.index(n) for n in ("table", "telephone", "toothbrush", "toys", "trash_can",
                                     "tv")] == [58, 59, 60, 61, 62, 63]
    data = make(UFTOfficeHome, root, "Product", "open")
    unlabelled = {Path(item.impath).parent.name for item in data.train_u}
    assert {"Table", "Telephone"} <= unlabelled
    assert not {"TV", "Trash_Can", "ToothBrush", "Toys", "Webcam"} & unlabelled
    assert {Path(i.impath).parent.name for i in data.test if i.label == 63} == {"TV"}


def test_class_lists_of_the_others():
    assert len(UFTOffice31.class_list) == 31
    assert UFTOffice31.class_list == sorted(UFTOffice31.class_list)
    assert UFTVisDAC.class_list == sorted(UFTVisDAC.class_list) and len(UFTVisDAC.class_list) == 12
    names = UFTDomainNet.class_list
    assert len(names) == len(set(names)) == 345
    ids = {66: "cello", 67: "cell_phone", 205: "paintbrush", 206: "paint_can", 300: "syringe",
           303: "teddy-bear", 308: "The_Eiffel_Tower", 310: "The_Mona_Lisa", 311: "tiger",
           327: "t-shirt", 329: "underwear", 330: "van", 344: "zigzag"}
    assert {i: names[i] for i in ids} == ids


def test_published_counts():
    assert UFTOffice31.published == {"amazon": 2817, "dslr": 498, "webcam": 795}
    assert sum(UFTOfficeHome.published.values()) == 15588
    assert sum(UFTVisDAC.per_class["validation"]) == UFTVisDAC.published["validation"] == 55388
    assert UFTDomainNet.listed["sketch"] == (48212, 20916)
    assert sum(UFTDomainNet.published.values()) == 586575


@pytest.mark.parametrize("real", ["Real World", "RealWorld", "Real_World", "real_world", "Real"])
@pytest.mark.parametrize("folder", ["office_home", "office-home", "OfficeHome", "OFFICEHOME",
                                    "office_home/OfficeHomeDataset_10072016"])
def test_office_home_under_any_name(tmp_path, root, real, folder):
    shutil.copytree(root / "office_home" / "Real World", tmp_path / folder / real)
    for asked in ("RealWorld", "real_world"):
        data = make(UFTOfficeHome, tmp_path, asked)
        assert data.domain == "RealWorld" and len(data.test) == 130


@pytest.mark.parametrize(("folder", "level"), [
    ("office31", ""), ("office", "images"), ("OFFICE", ""), ("Office-31", "images"),
    ("domain_adaptation_images", "images"),
])
def test_office31_with_or_without_its_level_of_images(tmp_path, folder, level):
    trees.office31(tmp_path, images=1, level=level, folder=folder)
    assert len(make(UFTOffice31, tmp_path, "amazon").test) == 31


def test_the_data_root_may_be_the_folder_of_the_data_set_itself(root):
    assert len(make(UFTVisDAC, root / "visda_c", "validation").test) == 36


def test_the_class_train_is_not_taken_for_the_domain_train(root):
    data = make(UFTVisDAC, root, "validation")
    (label,) = {i.label for i in data.test if Path(i.impath).parent.name == "train"}
    assert label == 10 and all("/validation/" in i.impath for i in data.test)


@pytest.mark.parametrize("lists", ["", "splits", "txt", "image_list"])
def test_domainnet_reads_its_lists_wherever_they_lie(tmp_path, lists):
    trees.domainnet(tmp_path, ("quickdraw",), lists=lists)
    data = make(UFTDomainNet, tmp_path, "quickdraw", "open")
    assert len(data.train_u) == 330 and len(data.test) == 345
    assert not paths(data.train_u) & paths(data.test)


def test_domainnet_lists_may_start_from_the_data_root(tmp_path):
    trees.domainnet(tmp_path, ("real",))
    for file in (tmp_path / "domainnet").glob("*.txt"):
        lines = file.read_text().splitlines()
        file.write_text("".join(f"domainnet/{line}\n" for line in lines))
    assert len(make(UFTDomainNet, tmp_path, "real").test) == 345


def test_painting_lacks_two_unknown_classes_and_nothing_shifts(root):
    data = make(UFTDomainNet, root, "painting", "open")
    assert labels(data.train_u) == set(range(330)) - {327}
    assert labels(data.test) == set(range(345)) - {300}
    assert data.num_classes == 300 and data.classnames[299] == "sword"


@pytest.mark.parametrize("name", ["office31", "office_home", "visda_c"])
def test_protocols_of_the_sets_with_one_list(root, name):
    kind, domain = KINDS[name], DOMAIN[name]
    released = make(kind, root, domain, "closed")
    assert paths(released.train_u) <= paths(released.test)
    split = make(kind, root, domain, "closed", "independent")
    assert not paths(split.train_u) & paths(split.test)
    assert labels(split.test) == labels(released.test)
    assert split.split_hash != released.split_hash
    assert make(kind, root, domain, "closed", "independent").split_hash == split.split_hash
    assert (root / kind.dataset_dir / "splits" / f"independent_{domain}.json").is_file()


def test_the_stored_split_decides_and_must_fit_the_images(tmp_path, root):
    shutil.copytree(root / "office31", tmp_path / "office31")
    first = make(UFTOffice31, tmp_path, "dslr", protocol="independent")
    image = Path(first.test[0].impath)
    image.rename(image.with_name("frame_9999.jpg"))
    with pytest.raises(DataError, match=r"independent_dslr.json.*1 of its images are missing"):
        make(UFTOffice31, tmp_path, "dslr", protocol="independent")


def test_domainnet_has_one_split_under_both_protocols(root):
    hashes = {make(UFTDomainNet, root, "sketch", protocol=p).split_hash
              for p in ("released", "independent")}
    assert len(hashes) == 1


def test_labelled_shots_leave_the_test_set(root):
    data = make(UFTVisDAC, root, "train", NUM_SHOTS=1)
    assert len(data.train_x) == data.shots == 8 and len(data.test) == 36 - 8
    assert not paths(data.train_x) & paths(data.test)
    assert data.split_hash == make(UFTVisDAC, root, "train").split_hash


# what is wrong


def error(kind, root, domain, **options):
    with pytest.raises((DataError, ConfigError)) as caught:
        make(kind, root, domain, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_counts_are_another_version(root):
    line = error(UFTOfficeHome, root, "Art", check=True)
    assert "Art holds 130 images" in line and "2427" in line and "CHECK_COUNTS" in line
    assert make(UFTOfficeHome, root, "Art").published_counts is False


def test_a_missing_data_set_says_how_to_fetch_it(tmp_path):
    line = error(UFTOfficeHome, tmp_path, "Art")
    assert "scripts/data.sh download office_home" in line


def test_a_missing_domain(tmp_path, root):
    shutil.copytree(root / "office_home" / "Art", tmp_path / "office_home" / "Art")
    line = error(UFTOfficeHome, tmp_path, "Clipart")
    assert "'Clipart'" in line and "'Art'" in line


def test_a_misspelt_domain(root):
    assert "did you mean 'Clipart'" in error(UFTOfficeHome, root, "Clipatr")


@pytest.fixture
def art(tmp_path, root):
    """A copy of one domain that a test may damage."""
    return Path(shutil.copytree(root / "office_home" / "Art", tmp_path / "office_home" / "Art"))


def test_an_unknown_class_folder(tmp_path, art):
    (art / "Alarm_Clok").mkdir()
    line = error(UFTOfficeHome, tmp_path, "Art")
    assert "Alarm_Clok" in line and "did you mean 'alarm_clock'" in line


def test_an_empty_class(tmp_path, art):
    for image in (art / "Fan").iterdir():
        image.unlink()
    line = error(UFTOfficeHome, tmp_path, "Art")
    assert str(art / "Fan") in line and "no image" in line


def test_a_missing_class(tmp_path, art):
    shutil.rmtree(art / "TV")
    assert "'tv'" in error(UFTOfficeHome, tmp_path, "Art")


def test_a_class_twice(tmp_path, art):
    shutil.copytree(art / "TV", art / "tv_")
    line = error(UFTOfficeHome, tmp_path, "Art")
    assert "'TV' and 'tv_' are one name, 'tv', in two spellings" in line


def test_a_domain_in_two_spellings(tmp_path, art):
    shutil.copytree(art, art.parent / "RealWorld")
    shutil.copytree(art, art.parent / "Real World")
    assert "two spellings" in error(UFTOfficeHome, tmp_path, "RealWorld")


@pytest.fixture
def sketch(tmp_path):
    folder = trees.domainnet(tmp_path, ("sketch",))
    return folder / "sketch_train.txt"


@pytest.mark.parametrize(("line", "part"), [
    ("sketch/zebra/sketch_344_000001.jpg", "label is missing"),
    ("sketch/zebra/other.jpg 345", "345 is outside the range 0 to 344"),
    ("sketch/zebra/other.jpg -1", "-1 is outside the range 0 to 344"),
    ("../sketch/zebra/sketch_344_000001.jpg 343", "'..'"),
    ("sketch/ant/sketch_007_000001.jpg 6", "repeats"),
])
def test_a_wrong_line_of_a_list_is_named(tmp_path, sketch, line, part):
    with open(sketch, "a") as file:
        file.write(line + "\n")
    message = error(UFTDomainNet, tmp_path, "sketch")
    assert "sketch_train.txt, line 346" in message and part in message


def test_a_list_with_other_ids(tmp_path, sketch):
    sketch.write_text(sketch.read_text().replace("_000001.jpg 0\n", "_000001.jpg 1\n", 1))
    line = error(UFTDomainNet, tmp_path, "sketch")
    assert "aircraft_carrier" in line and "'airplane'" in line


def test_an_image_of_a_list_that_is_missing(tmp_path, sketch):
    (sketch.parent / "sketch/ant/sketch_007_000001.jpg").unlink()
    line = error(UFTDomainNet, tmp_path, "sketch")
    assert "1 of its 345" in line and "sketch/ant/sketch_007_000001.jpg" in line


def test_a_missing_list(tmp_path, sketch):
    sketch.unlink()
    assert "sketch_train.txt is missing" in error(UFTDomainNet, tmp_path, "sketch")


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_bad_images_are_skipped_and_reported_when_asked(tmp_path, art, capsys, content):
    image = art / "Fan" / "00001.jpg"
    image.write_bytes(image.read_bytes()[:200] if content is None else content)
    assert len(make(UFTOfficeHome, tmp_path, "Art").test) == 130  # "stop": found when it is read
    for _ in range(2):
        data = make(UFTOfficeHome, tmp_path, "Art", BAD_IMAGES="skip")
        assert len(data.test) == 129 and list(data.skipped) == [str(image)]
        assert f"Skipped {image}" in capsys.readouterr().out
    trees.draw(image, 0)  # a repaired image is noticed
    assert len(make(UFTOfficeHome, tmp_path, "Art", BAD_IMAGES="skip").test) == 130


def test_a_wrong_choice_for_bad_images(root):
    assert "stop, skip" in error(UFTOfficeHome, root, "Art", BAD_IMAGES="ignore")


def test_check_says_what_differs(root, capsys):
    found = {domain: (same, line) for domain, same, line in UFTOfficeHome.check(str(root))}
    assert not found["Art"][0] and "130 images, the published version has 2427" in found["Art"][1]
    found = {domain: line for domain, _, line in UFTDomainNet.check(str(root))}
    assert "345 lines in sketch_train.txt, the published version has 48212" in found["sketch"]
    assert "clipart_train.txt is missing" in found["clipart"]


def test_a_tree_as_published_passes_the_check(root, monkeypatch):
    monkeypatch.setattr(UFTVisDAC, "published", {"train": 36, "validation": 36})
    monkeypatch.setattr(UFTVisDAC, "per_class", {"validation": (3,) * 12})
    assert all(same for _, same, _ in UFTVisDAC.check(str(root)))
    assert make(UFTVisDAC, root, "train", check=True).published_counts is True
    monkeypatch.setattr(UFTVisDAC, "per_class", {"validation": (3,) * 11 + (4,)})
    lines = [line for _, same, line in UFTVisDAC.check(str(root)) if not same]
    assert len(lines) == 1
    assert lines[0].startswith("3 images of 'truck', the published version has 4; compared: ")


@pytest.fixture
def office(tmp_path, root, monkeypatch):
    """A copy of Office-31 whose numbers of images are the published ones."""
    monkeypatch.setattr(UFTOffice31, "published", dict.fromkeys(UFTOffice31.domains, 62))
    monkeypatch.setattr(UFTOffice31, "per_class", dict.fromkeys(UFTOffice31.domains, (2,) * 31))
    return Path(shutil.copytree(root / "office31", tmp_path / "office31"))


def check(root, deep=False, kind=UFTOffice31, domain="dslr"):
    ((_, same, line),) = kind.check(str(root), {domain}, deep)
    return same, line


def test_check_says_what_it_compared(tmp_path, office):
    same, line = check(tmp_path)
    assert same and line == (
        "62 images of 31 classes, as published; compared: number of images, no file is empty, "
        "images of each class; not compared: whether each image decodes (--deep), the pictures "
        "themselves")
    same, line = check(tmp_path, deep=True)
    assert same and "each image decodes, images of each class; not compared: the pictures" in line


def test_check_finds_an_image_in_another_class_s_folder(tmp_path, office):
    (office / "dslr/images/mug/frame_0001.jpg").rename(office / "dslr/images/pen/frame_9.jpg")
    same, line = check(tmp_path)
    assert not same and "1 image of 'mug', the published version has 2" in line
    assert "3 images of 'pen', the published version has 2" in line


def test_check_finds_an_empty_file_and_when_deep_a_damaged_one(tmp_path, office):
    empty, cut = (office / "dslr/images" / name for name in ("mug/frame_0001.jpg",
                                                             "pen/frame_0002.jpg"))
    cut.write_bytes(cut.read_bytes()[:150])
    same, _ = check(tmp_path)
    assert same
    same, line = check(tmp_path, deep=True)
    assert not same and f"1 image that cannot be decoded, first {cut}" in line
    empty.write_bytes(b"")
    same, line = check(tmp_path)
    assert not same and f"1 image of zero bytes, first {empty}" in line


def test_check_says_where_less_is_known(tmp_path, root, monkeypatch):
    monkeypatch.setattr(UFTOfficeHome, "published", dict.fromkeys(UFTOfficeHome.domains, 130))
    monkeypatch.setattr(UFTOfficeHome, "per_block", {"Art": (70, 30, 20, 10)})
    same, line = check(root, kind=UFTOfficeHome, domain="Art")
    assert same and "images of 4 blocks of classes" in line
    assert "(--deep), images of each class (not known here)" in line
    monkeypatch.setattr(UFTOfficeHome, "per_block", {"Art": (70, 30, 19, 11)})
    same, line = check(root, kind=UFTOfficeHome, domain="Art")
    assert not same
    assert "20 images of the classes 50 to 59, the published version has 19" in line
    line = check(root, kind=UFTOfficeHome, domain="Product")[1]
    assert "blocks" not in line and "images of each class (not known here)" in line


def test_check_says_what_it_did_not_read(tmp_path, office):
    (office / "dslr/images/mug/Thumbs.db").write_bytes(b"")
    assert check(tmp_path)[1].endswith("; ignored: 1 file (.db 1)")


def test_published_numbers_of_classes_add_up():
    for kind in (UFTOffice31, UFTOfficeHome, UFTVisDAC):
        for numbers, length in ((kind.per_class, kind.counts.total),
                                (kind.per_block, len(kind.counts.ends()))):
            for domain, images in numbers.items():
                assert sum(images) == kind.published[domain] and len(images) == length
