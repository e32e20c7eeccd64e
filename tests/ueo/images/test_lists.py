"""Lists, names and the stored split."""

import json

import pytest

from ueo.errors import DataError
from ueo.images.class_names import read_names
from ueo.images.lists import class_ids, listed_paths, read_list, read_rows
from ueo.images.splits import split, stored_split


def test_paths_may_hold_spaces_and_lines_end_in_any_way(tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffReal World/TV/1.jpg 63\r\n\r\na/b 2.png 0\n".encode())
    assert read_list(file, 65) == [("Real World/TV/1.jpg", 63), ("a/b 2.png", 0)]


def test_a_list_of_paths_alone(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("a b.jpg\nc.jpg\n")
    rows = read_rows(file)
    assert [(row.path, row.label) for row in rows] == [("a b.jpg", None), ("c.jpg", None)]
    assert class_ids(rows, ["a"]) == ([-1, -1], [])


@pytest.mark.parametrize(("header", "line", "label"), [
    ("image,id", "a 1.jpg,7", "7"), ("id,filename,label", "0,a 1.jpg,cat", "cat"),
    ("filename;id;class", "a 1.jpg;0;cat", "cat"), ("id,filename", "0,a 1.jpg", None),
    ("label,path", "cat,a 1.jpg", "cat"), ("image", "a 1.jpg", None),
])
def test_a_header_names_the_columns_and_ids_of_images_are_no_labels(tmp_path, header, line, label):
    file = tmp_path / "list.csv"
    file.write_text(f"{header}\n{line}\n")
    assert [(row.path, row.label) for row in read_rows(file)] == [("a 1.jpg", label)]
    assert list(listed_paths(file)) == ["a 1.jpg"]


@pytest.mark.parametrize(("header", "line", "said"), [
    ("Image,Label,Split", "a.jpg,cat,train", ["'Split'"]), ("image,label", "a.jpg,cat", []),
    (',image,label,"class"', "0,a.jpg,cat,7", ["'', 'class'"]), ("id,image", "0,a.jpg", ["'id'"]),
])
def test_columns_that_are_not_read_are_named(tmp_path, capsys, header, line, said):
    file = tmp_path / "list.csv"
    file.write_text(f"{header}\n{line}\n")
    assert [row.path for row in read_rows(file)] == ["a.jpg"]
    named = [f"{file}: not read of its columns: {columns}" for columns in said]
    assert capsys.readouterr().out.splitlines() == named


@pytest.mark.parametrize(("text", "part"), [
    ("a.jpg 0\nb.jpg\n", "line 2: 'b.jpg' is not `path label`"),
    ("a.jpg 0\n7\n", "line 2: '7' is not `path label`"),
    ("a.jpg 0\nb.jpg x\n", "line 2"),
    ("a.jpg 0\nb.jpg 1.5\n", "line 2"),
    ("a.jpg 3\n", "line 1: the label 3 is outside the range 0 to 2"),
    ("a.jpg -2\n", "line 1: the label -2 is outside"),
    ("a/../../b.jpg 1\n", "line 1: the path 'a/../../b.jpg' leaves"),
    ("a.jpg 0\nb.jpg 1\na.jpg 0\n", "line 3: repeats 'a.jpg' of line 1"),
    ("\n\n", "is empty"),
])
def test_wrong_lines(tmp_path, text, part):
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_list(file, 3)
    assert str(file) in str(caught.value) and part in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "a\nb\na\n"])
def test_wrong_names(tmp_path, text):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(DataError, match="names.txt"):
        read_names(tmp_path / "names.txt")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.jpg \x81")
    with pytest.raises(DataError, match="no UTF-8 text file"):
        read_rows(tmp_path / "list.txt")


@pytest.fixture
def names():
    return {f"{c}/{i}.jpg": (f"/data/{c}/{i}.jpg", label)
            for label, (c, n) in enumerate((("a", 20), ("b", 3), ("c", 1), ("d", 2)))
            for i in range(n)}


def test_the_split_takes_its_share_of_each_class_and_leaves_some(names):
    train, test = split(names)
    assert sorted([*train, *test]) == sorted(names)
    for c, tested in (("a", 6), ("b", 1), ("c", 0), ("d", 1)):
        assert sum(n.startswith(c) for n in test) == tested
    assert any(n.startswith("c") for n in train)


def test_the_split_is_the_same_on_every_machine(names):
    """And takes no run of neighbouring files, which may be alike."""
    assert split(names)[1] == ["a/0.jpg", "a/2.jpg", "a/4.jpg", "a/5.jpg", "a/7.jpg", "a/14.jpg",
                               "b/2.jpg", "d/0.jpg"]


def test_the_split_depends_on_names_alone(names):
    backwards = {n: ("/elsewhere" + names[n][0], names[n][1]) for n in reversed(names)}
    assert sorted(split(backwards)[1]) == sorted(split(names)[1])
    fewer = {n: item for n, item in names.items() if n != sorted(split(names)[0])[0]}
    assert len(set(split(names)[1]) ^ set(split(fewer)[1])) <= 1


def test_the_stored_split_is_used_before_the_rule(names, tmp_path):
    file = tmp_path / "split.json"
    stored_split(names, file)
    parts = json.loads(file.read_text())
    parts["train"], parts["test"] = parts["test"], parts["train"]
    file.write_text(json.dumps(parts))
    assert [path for path, _ in stored_split(names, file)[1]] == [
        names[n][0] for n in parts["test"]]


def test_a_split_that_is_damaged_or_of_other_images(names, tmp_path):
    file = tmp_path / "split.json"
    stored_split(names, file)
    names["a/99.jpg"] = ("/data/a/99.jpg", 0)
    with pytest.raises(DataError, match="1 are not in it"):
        stored_split(names, file)
    file.write_text("{")
    with pytest.raises(DataError, match="split.json: not readable as JSON"):
        stored_split(names, file)


def test_a_split_that_cannot_be_stored_is_made_each_time(names, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    first = stored_split(names, tmp_path / "file" / "split.json")
    assert "cannot be stored" in capsys.readouterr().out
    assert stored_split(names, tmp_path / "file" / "split.json") == first
