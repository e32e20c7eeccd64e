"""A user's own images: names against folders and lists, ignored files, and refusals."""

import os
import unicodedata

import pytest
import trees
from conftest import CLASSES
from dassl.config import get_cfg_default
from dassl.data.datasets import build_dataset

from ueo.commands import grid
from ueo.datasets.own_images import UFTFolder, UFTList
from ueo.errors import ConfigError, DataError
from ueo.results.predictions import not_read
from ueo.settings.config import extend

NFD = unicodedata.normalize("NFD", "Café")


@pytest.fixture
def load(tmp_path):
    """load(kind, names, setting=value ...): the data set at tmp_path/images or tmp_path/list.txt"""
    def make(kind, names=(), path=None, **options):
        if names:
            (tmp_path / "n.txt").write_text("\n".join(names), encoding="utf-8")
        cfg = extend(get_cfg_default(), {})
        cfg.DATASET.ROOT, cfg.DATASET.SETTING = str(tmp_path), "as_is"
        default = tmp_path / ("images" if kind is UFTFolder else "list.txt")
        cfg.DATASET.PATH = str(path or default)
        cfg.DATASET.NAMES = str(tmp_path / "n.txt") if names else ""
        for key, value in options.items():
            cfg.DATASET[key] = value
        return kind(cfg)

    return make


def draw(tmp_path, *folders, images=2):
    for number, name in enumerate(folders):
        for i in range(images):
            trees.draw(tmp_path / "images" / name / f"{i}.png", 8 * number + i)


def of_folder(data):
    """{folder: label}"""
    return {os.path.basename(os.path.dirname(item.impath)): item.label for item in data.test}


def error(load, *arguments, **options) -> str:
    with pytest.raises(DataError) as caught:
        load(*arguments, **options)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 600
    return line


def test_classes_may_differ_in_signs_and_marks_only(tmp_path, load, capsys):
    folders = ("C", "C++", "C#", "कि", "का", "-x")
    draw(tmp_path, *folders)
    data = load(UFTFolder)
    assert sorted(of_folder(data).values()) == list(range(6)) and data.num_classes == 6
    data = load(UFTFolder, ["C++", "C", "का"])
    assert {n: of_folder(data)[n] for n in ("C++", "C", "का")} == {"C++": 0, "C": 1, "का": 2}
    assert data.matched["unknown"] == ["-x", "C#", "कि"]
    assert "Names: 3 of 3 known classes have images; unknown classes: '-x', 'C#', 'कि'" in (
        capsys.readouterr().out)


def test_a_folder_name_in_decomposed_unicode_matches_its_class(tmp_path, load):
    draw(tmp_path, NFD, "mug")
    data = load(UFTFolder, [unicodedata.normalize("NFC", NFD), "mug"])
    assert of_folder(data) == {NFD: 0, "mug": 1} and data.matched["unknown"] == []


def test_two_spellings_of_one_class_are_refused(tmp_path, load):
    draw(tmp_path, "Mug", "mug", "fan")
    assert "'Mug'" in error(load, UFTFolder) and "'mug'" in error(load, UFTFolder)
    assert "in two spellings" in error(load, UFTFolder, ["mug", "fan"])


def test_a_folder_that_may_be_either_of_two_names_is_refused(tmp_path, load):
    draw(tmp_path, "real_world", "mug")
    line = error(load, UFTFolder, ["Real World", "RealWorld", "mug"])
    assert "'real_world' may be 'Real World' or 'RealWorld'" in line
    data = load(UFTFolder, ["real_world", "RealWorld", "mug"])  # an exact match first
    assert of_folder(data) == {"real_world": 0, "mug": 2}


def test_misspelt_names_give_a_warning_and_are_recorded(tmp_path, load, capsys):
    draw(tmp_path, "bicycle", "guitar", "umbrella")
    data = load(UFTFolder, ["bycicle", "guitar", "umbrela"])
    out = capsys.readouterr().out
    assert "1 of 3 known classes have images; without: 'bycicle', 'umbrela'" in out
    assert "Warning: 2 unknown classes are spelt nearly like a known one" in out
    assert "'bicycle' (did you mean 'bycicle'?)" in out
    assert data.matched["misspelt"] == {"bicycle": "bycicle", "umbrella": "umbrela"}
    line = error(load, UFTFolder, ["bycicle", "gitar"])
    assert "no folder has one of the 2 class names" in line and "did you mean 'bycicle'" in line


def test_ignored_files_are_printed_and_recorded(tmp_path, load, capsys):
    draw(tmp_path, "mug", "fan")
    for name in ("mug/a.mov", "mug/b.mov", "fan/README", "fan/more/c.jpg"):
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"")
    os.replace(tmp_path / "images/mug/0.png", tmp_path / "images/mug/0.jfif")
    data = load(UFTFolder)
    assert len(data.test) == 4
    assert data.unread.facts() == {"files": {".mov": 2, "no suffix": 1}, "folders": 1}
    assert "Ignored: 3 files (.mov 2, no suffix 1), 1 folder" in capsys.readouterr().out
    for i, suffix in enumerate(("jfif", "png")):
        (tmp_path / f"images/mug/{i}.{suffix}").unlink()
    assert "only 2 files (.mov 2)" in error(load, UFTFolder)


def test_sub_folders_are_read_on_request(tmp_path, load):
    draw(tmp_path, "2023/may", "2023/june", "2024")
    trees.draw(tmp_path / "images" / "loose.png", 1)
    line = error(load, UFTFolder, ["mug", "fan"])
    assert "'loose.png'" in line and "'2023'" in line and "--recursive reads" in line
    data = load(UFTFolder, ["mug", "fan"], RECURSIVE=True)
    assert len(data.test) == 7 and {item.label for item in data.test} == {-1}
    (tmp_path / "images" / "loose.png").unlink()
    assert "--recursive reads" in error(load, UFTFolder, ["mug", "fan"])
    assert len(load(UFTFolder, ["mug", "fan"], RECURSIVE=True).test) == 6
    assert not data.unread


def test_class_folders_stay_class_folders_when_sub_folders_are_read(tmp_path, load):
    draw(tmp_path, "mug", "mug/old", "fan", "dragon/a/b")
    data = load(UFTFolder, ["mug", "fan"], RECURSIVE=True)
    labels = [item.label for item in data.test]
    assert [labels.count(i) for i in (0, 1, 2)] == [4, 2, 2] and not data.unread
    (tmp_path / "images/dragon").rename(tmp_path / "gone")
    (row,) = not_read(load(UFTFolder, ["mug", "fan"]))
    assert row == ("mug/old", "sub-folder", "--recursive reads it")


def test_every_ignored_file_is_listed_with_its_reason(tmp_path, load):
    draw(tmp_path, "", images=3)
    (tmp_path / "images/notes.txt").write_text("")
    (tmp_path / "images/names.txt").write_text("mug\nfan\n")
    (tmp_path / "images/cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    data = load(UFTFolder, BAD_IMAGES="skip")
    assert [row[:2] for row in not_read(data)] == [
        ("cut.jpg", "no image that Pillow can read"), ("notes.txt", ".txt")]
    assert len(data.test) == 3
    assert {file.name for file in (tmp_path / "images").iterdir()} == {
        "0.png", "1.png", "2.png", "notes.txt", "names.txt", "cut.jpg"}


def test_a_bad_link_and_a_pipe_are_skipped_on_request(tmp_path, load):
    draw(tmp_path, "mug", "fan")
    os.symlink(tmp_path / "gone.png", tmp_path / "images/mug/link.png")
    os.mkfifo(tmp_path / "images/mug/pipe.png")
    data = load(UFTFolder, BAD_IMAGES="skip")
    assert len(data.test) == 4 and list(data.skipped) == [str(tmp_path / "images/mug/link.png")]
    assert data.unread.facts()["files"] == {"no regular file": 1}


def test_a_folder_name_that_is_not_utf8_is_refused(tmp_path, load):
    draw(tmp_path, "mug", b"caf\xe9".decode("utf-8", "surrogateescape"))
    line = error(load, UFTFolder)
    assert "not UTF-8" in line


# lists


def write(tmp_path, text: str, name: str = "list.txt") -> None:
    draw(tmp_path, "mug", "fan", "sun")
    (tmp_path / name).write_text(text, encoding="utf-8")


def labels(data):
    return [item.label for item in data.test]


NAMES = ["mug", "fan", "alarm clock"]


@pytest.mark.parametrize("text", [
    "images/mug/0.png 0\nimages/fan/0.png 1\nimages/sun/0.png 3\n",
    "images/mug/0.png\t0\nimages/fan/0.png\t1\nimages/sun/0.png\t3\n",
    "images/mug/0.png,0\nimages/fan/0.png,1\nimages/sun/0.png,3\n",
    "images/mug/0.png;0\nimages/fan/0.png;1\nimages/sun/0.png;3\n",
    '"images/mug/0.png",0\n"images/fan/0.png",1\n"images/sun/0.png",3\n',
    "image,label\nimages/mug/0.png,0\nimages/fan/0.png,1\nimages/sun/0.png,3\n",
    "label\tpath\n0\timages/mug/0.png\n1\timages/fan/0.png\n3\timages/sun/0.png\n",
    ",filename,size,class\n0,images/mug/0.png,9,mug\n1,images/fan/0.png,9,Fan\n"
    "2,images/sun/0.png,9,sun\n",
    "images/mug/0.png mug\nimages/fan/0.png FAN\nimages/sun/0.png the sun\n",
    "path label\nimages/mug/0.png 0\nimages/fan/0.png 1\nimages/sun/0.png 1000000000\n",
])
def test_lists_as_people_write_them(tmp_path, load, text):
    write(tmp_path, text)
    data = load(UFTList, NAMES)
    assert labels(data) == [0, 1, 3] and data.num_classes == 3
    assert len(data.class_list) == 4  # no class for labels in between


def test_names_of_unknown_classes_come_from_the_list(tmp_path, load, capsys):
    write(tmp_path, "images/mug/0.png,mug\nimages/fan/0.png,fna\nimages/sun/0.png,sun\n")
    data = load(UFTList, ["mug", "fan"])
    assert data.matched["unknown"] == ["fna", "sun"]
    assert data.matched["misspelt"] == {"fna": "fan"}
    assert "Names: 1 of 2 known classes have images; without: 'fan'" in capsys.readouterr().out


def test_unknown_classes_have_the_same_labels_in_both_lists(tmp_path, load):
    write(tmp_path, "images/mug/0.png 0\nimages/fan/0.png 7\n", "my_train.txt")
    write(tmp_path, "images/mug/1.png 0\nimages/sun/1.png 5\nimages/fan/1.png 7\n", "my_test.txt")
    data = load(UFTList, ["mug"], tmp_path / "my_train.txt")
    assert [i.label for i in data.train_u] == [0, 2] and labels(data) == [0, 1, 2]


@pytest.mark.parametrize(("text", "part"), [
    ("images/mug/0.png 1\nimages/fan/0.png 2\nimages/sun/0.png 3\n", "labels count from 0"),
    ("".join(f"images/{n}/0.png {i}\n" for i, n in enumerate(("mug", "fan", "sun", "sea"), 1)),
     "no label is 0 and one is 3, the number of names"),
    ("images/mug/0.png 0\nimages/fan/0.png fan\n", "line 2: 'images/fan/0.png fan'"),
    ("images/mug/0.png mug\nimages/fan/0.png 1\n", "line 2: the label 1 is a number"),
    ("images/mug/0.png mgu\nimages/fan/0.png fna\n", "no label is one of the 3 class names"),
    ("images/mug/0.png 0\n./images/mug/0.png 1\n", "line 2: repeats './images/mug/0.png' of line"),
    ("images/mug/0.png 0\nimages//mug/./0.png 1\n", "line 2: repeats"),
    ("images/mug/0.png 0\n{root}/images/mug/0.png 1\n", "line 2: repeats"),
    ("images/mug/0.png|0\nimages/fan/0.png|1\n", "a line is `path label`, parted by"),
    ("images/mug/0.png 0\nimages/fan/0.png " + "9" * 5000 + "\n", "line 2: the label 999"),
    ("images/mug/0.png 5\nimages/fan/0.png 7\n", "no label is one of the 3 classes, ids 0 to 2"),
    ("image,label\n", "the list"),
    ("image,label\nimages/mug/0.png\n", "line 2"),
])
def test_an_inconsistent_list_is_refused(tmp_path, load, text, part):
    write(tmp_path, text.replace("{root}", str(tmp_path)))
    line = error(load, UFTList, NAMES)
    assert str(tmp_path / "list.txt") in line and part in line


def test_a_label_that_is_an_id_and_another_classs_name_is_refused(tmp_path, load):
    write(tmp_path, "images/mug/0.png 1\nimages/fan/0.png 7\n")
    assert "line 1: the label 1 is a class id, but also the name of the class with the id 0" in (
        error(load, UFTList, ["1", "7"]))
    write(tmp_path, "images/mug/0.png 0\nimages/fan/0.png 1\n")
    assert labels(load(UFTList, ["0", "1"])) == [0, 1]


def test_a_list_finds_images_in_the_other_form_of_unicode(tmp_path, load):
    draw(tmp_path, NFD)
    composed = unicodedata.normalize("NFC", NFD)
    (tmp_path / "list.txt").write_text(f"images/{composed}/0.png 0\n", encoding="utf-8")
    (item,) = load(UFTList, NAMES).test
    assert os.path.isfile(item.impath)


def test_shots_that_leave_nothing_to_test_are_named(tmp_path, load):
    draw(tmp_path, "mug", "fan")
    with pytest.raises(ConfigError, match="NUM_SHOTS: all 4 test images are labelled shots"):
        load(UFTFolder, NUM_SHOTS=2)


def test_a_folder_may_be_called_like_an_option(tmp_path, capsys):
    trees.draw(tmp_path / "-x" / "-y" / "0.png", 0)
    assert grid.main([
        "folder", "--path", str(tmp_path / "-x"), "--output", str(tmp_path / "out"), "--seed", "1",
        "--backbone", "TinyCLIP", "--device", "cpu", "--dry-run",
    ]) == 0
    assert "UEO folder as_is -x seed 1" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["closed", "partial", "open_partial"])
def test_a_class_with_images_in_any_list_counts_as_having_images(build, setting):
    """In partial label spaces a known class may have test images but no unlabelled ones."""
    matched = build_dataset(build(setting=setting).cfg).matched
    assert matched["with_images"] == 4 and matched["without_images"] == []
    assert matched["unknown"] == list(CLASSES[4:]) and matched["misspelt"] == {}


def test_hidden_folders_and_leftovers_of_archives_are_no_classes(tmp_path, load):
    draw(tmp_path, "mug", "sun", "__MACOSX", ".cache")
    data = load(UFTFolder)
    assert of_folder(data) == {"mug": 0, "sun": 1} and data.classnames == ["mug", "sun"]


def test_the_split_of_a_list_does_not_depend_on_the_lists_folder(tmp_path, load):
    draw(tmp_path, "mug", "fan", images=9)
    lines = "".join(f"images/{name}/{i}.png {label}\n"
                    for label, name in enumerate(("mug", "fan")) for i in range(9))
    tested = []
    for folder in (tmp_path, tmp_path / "lists", tmp_path / "images"):
        folder.mkdir(exist_ok=True)
        (folder / "list.txt").write_text(lines)
        data = load(UFTList, ["mug", "fan"], folder / "list.txt", PROTOCOL="independent")
        tested.append([item.impath for item in data.test])
    assert len(tested[0]) == 6 and tested[0] == tested[1] == tested[2]
