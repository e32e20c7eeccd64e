"""The split of the independent protocol: the same on every machine, none of it in both parts."""

import hashlib

from ueo.images.splits import split


def names(sizes: tuple[int, ...]) -> dict:
    return {f"class{c}/{i:03}.jpg": (f"/data/{c}/{i}.jpg", c)
            for c, size in enumerate(sizes) for i in range(size)}


def test_of_each_class_three_in_ten_are_tested_and_one_is_left_to_train_on():
    train, test = split(names((1, 2, 3, 10, 25)))
    assert set(train).isdisjoint(test) and len(train) + len(test) == 41
    tested = [sum(name.startswith(f"class{c}/") for name in test) for c in range(5)]
    assert tested == [0, 1, 1, 3, 8]


def test_a_split_follows_from_the_names_alone():
    """Pinned: with another split, runs of others could not be compared with ours."""
    images = names((10, 25, 7))
    train, test = split(images)
    again = split(dict(sorted(images.items(), key=lambda item: item[0][::-1])))
    assert (sorted(again[0]), sorted(again[1])) == (sorted(train), sorted(test))
    expected = []
    for c in range(3):
        members = [name for name in images if name.startswith(f"class{c}/")]
        members.sort(key=lambda name: hashlib.sha256(f"0/{name}".encode()).hexdigest())
        expected += members[: (3, 8, 2)[c]]
    assert sorted(test) == sorted(expected)
