"""The split of the independent protocol: disjoint, the same on every machine, and stored."""

import hashlib
import json

import pytest

from ueo.errors import DataError
from ueo.images.splits import split, stored_split


def images(*sizes: int) -> dict[str, tuple[str, int]]:
    """name -> (path, label), with `sizes` images in each class."""
    return {f"class{c}/{i:03}.jpg": (f"/data/{c}/{i}.jpg", c)
            for c, size in enumerate(sizes) for i in range(size)}


def test_three_in_ten_of_each_class_are_tested_and_one_is_left_to_train_on():
    train, test = split(images(1, 2, 3, 10, 25))
    assert set(train).isdisjoint(test) and len(train) + len(test) == 41
    tested = [sum(name.startswith(f"class{c}/") for name in test) for c in range(5)]
    assert tested == [0, 1, 1, 3, 8]


def test_the_split_equals_its_formula():
    """The split must never change: results on different splits are not comparable."""
    names = images(10, 25, 7)
    expected = []
    for c in range(3):
        members = [name for name in names if name.startswith(f"class{c}/")]
        members.sort(key=lambda name: hashlib.sha256(f"0/{name}".encode()).hexdigest())
        expected += members[: (3, 8, 2)[c]]
    assert sorted(split(names)[1]) == sorted(expected)


def test_the_split_depends_on_names_alone():
    """Neither the order of the images nor their folder matters, and a removed image moves at most
    one other."""
    names = images(20, 3, 1, 2)
    train, test = split(names)
    backwards = {n: ("/elsewhere" + names[n][0], names[n][1]) for n in reversed(names)}
    assert sorted(split(backwards)[1]) == sorted(test)
    fewer = {n: item for n, item in names.items() if n != min(train)}
    assert len(set(test) ^ set(split(fewer)[1])) <= 1


def test_a_stored_split_takes_precedence_over_the_rule(tmp_path):
    names, file = images(20, 3), tmp_path / "split.json"
    stored_split(names, file)
    parts = json.loads(file.read_text())
    parts["train"], parts["test"] = parts["test"], parts["train"]
    file.write_text(json.dumps(parts))
    assert [path for path, _ in stored_split(names, file)[1]] == [
        names[n][0] for n in parts["test"]]


def test_a_damaged_split_and_one_of_other_images_are_refused(tmp_path):
    names, file = images(20, 3), tmp_path / "split.json"
    stored_split(names, file)
    names["class0/099.jpg"] = ("/data/0/99.jpg", 0)
    with pytest.raises(DataError, match="1 are not in it"):
        stored_split(names, file)
    file.write_text("{")
    with pytest.raises(DataError, match="split.json: not readable as JSON"):
        stored_split(names, file)


def test_a_split_that_cannot_be_stored_is_computed_each_time(tmp_path, capsys):
    names, file = images(20, 3), tmp_path / "file" / "split.json"
    (tmp_path / "file").write_text("")
    first = stored_split(names, file)
    assert "cannot be stored" in capsys.readouterr().out
    assert stored_split(names, file) == first
