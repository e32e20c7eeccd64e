"""Lists of images: paths, labels, columns and what is refused."""

import pytest

from ueo.errors import DataError
from ueo.images.class_names import class_ids
from ueo.images.lists import listed_paths, read_list, read_rows


def test_paths_may_hold_spaces_and_lines_end_in_any_way(tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffReal World/TV/1.jpg 63\r\n\r\na/b 2.png 0\n".encode())
    assert read_list(file, 65) == [("Real World/TV/1.jpg", 63), ("a/b 2.png", 0)]


def test_a_list_may_have_paths_without_labels(tmp_path):
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
def test_ignored_columns_are_named(tmp_path, capsys, header, line, said):
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
def test_a_wrong_line_of_a_list_is_named(tmp_path, text, part):
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_list(file, 3)
    assert str(file) in str(caught.value) and part in str(caught.value)


def test_a_list_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.jpg \x81")
    with pytest.raises(DataError, match="no UTF-8 text file"):
        read_rows(tmp_path / "list.txt")
