"""Class names match exactly first, loosely if that is unambiguous, and are never merged."""

import unicodedata

import pytest

from ueo.errors import DataError
from ueo.images.class_names import matched, read_names, summary
from ueo.names import closest, loose, match, meanings

NFC, NFD = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))


def test_loose_matching_ignores_only_case_spaces_and_separators():
    assert len({loose(n) for n in ("Real World", "RealWorld", "real_world", "REAL-world")}) == 1
    assert len({loose(n) for n in ("C", "C++", "C#")}) == 3
    assert loose("कि") != loose("का") and loose("é") != loose("e")  # marks belong to letters
    assert loose("--") != loose("__") and loose("🍎") != loose("🍐")
    assert loose(NFC) == loose(NFD)


@pytest.mark.parametrize(("known", "given", "ids", "unknown"), [
    (["C", "C++", "C#"], ["C", "C#", "C++"], {"C": 0, "C#": 2, "C++": 1}, []),
    (["C", "C++"], ["c", "C#"], {"c": 0}, ["C#"]),
    (["1", "-1"], ["-1", "1"], {"-1": 1, "1": 0}, []),
    ([NFC], [NFD], {NFD: 0}, []),
    (["alarm_clock", "mug"], ["Mug", "Alarm Clock"], {"Alarm Clock": 0, "Mug": 1}, []),
])
def test_names_are_matched(known, given, ids, unknown):
    assert match(known, given, "here") == (ids, unknown)


@pytest.mark.parametrize(("known", "given"), [
    (["mug"], ["mug", "Mug"]),
    (["mug"], ["Mug", "MUG"]),
    ([NFC], [NFC, NFD]),
    (["1", "-1"], ["1", "1."]),
    (["Real World", "RealWorld"], ["real_world"]),  # could be either of the two
])
def test_a_collision_names_both(known, given):
    with pytest.raises(DataError) as caught:
        match(known, given, "here")
    line = str(caught.value)
    assert line.startswith("here: ") and line.count("'") >= 4


def test_an_exact_spelling_takes_precedence_over_a_loose_one():
    assert meanings("c", [("C", 1), ("c", 2)]) == [2]
    assert meanings("Ab", [("AB", 1), ("a b", 2)]) == [1, 2]
    assert meanings("real world", [("RealWorld", "R"), ("Real World", "R")]) == ["R"]


def test_classes_without_images_and_unknown_or_misspelt_classes_are_named():
    known = ["bicycle", "mug", "fan"]
    found = matched(known, ["bycicle", "dragon"], {"mug", "fan", "bycicle", "dragon"})
    assert found == {"with_images": 2, "without_images": ["bicycle"],
                     "unknown": ["bycicle", "dragon"], "misspelt": {"bycicle": "bicycle"}}
    names, warning = summary(found)
    assert names == ("2 of 3 known classes have images; without: 'bicycle'; unknown "
                     "classes: 'bycicle', 'dragon'.")
    assert warning.startswith("Warning: 1 unknown class is spelt nearly like")
    assert "'bycicle' (did you mean 'bicycle'?)" in warning
    assert summary(matched(known, [], set(known))) == ["3 of 3 known classes have images."]


@pytest.mark.parametrize(("content", "part"), [
    (b"", "holds no class name"),
    (b"\n\n", "holds no class name"),
    (b"a\nb\na\n", "line 3: the class name 'a' is listed twice"),
    (f"{NFC}\n{NFD}\n".encode(), "line 2"),
    (b"Alarm_Clock\nmug\nalarm clock\n", "line 3: the class name 'alarm clock'"),
    ("mug\nfan\n".encode("utf-16"), "UTF-16"),
    ("mug\nfan\n".encode("utf-16-le"), "UTF-16"),
    (b"mug\nf\0an\n", "NUL"),
    (b"mug\nfan\xe9\n", "no UTF-8 text"),
    (b"mug\nf\x1ban\n", "line 2: the class name 'f\\x1ban' holds a control character"),
    ("mug\nfan\u200b\n".encode(), "line 2: the class name 'fan\\u200b' holds a control character"),
    ("mug\n\ufefffan\n".encode(), "line 2: the class name '\\ufefffan' holds a control character"),
    ("mug\u2028fan\n".encode(), "line 1"),
    (f"mug\n{'a' * 3000}\n".encode(), "line 2: a class name of 3000 characters"),
])
def test_class_names_that_cannot_be_in_a_prompt_are_refused(tmp_path, content, part):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_names(tmp_path / "names.txt")
    line = str(caught.value)
    assert line.startswith(str(tmp_path / "names.txt")) and part in line
    assert len(line) < 400 and "\n" not in line


def test_names_may_hold_any_letters_and_signs(tmp_path):
    names = ["C", "C++", "C#", "-x", "कि", "का", "🍎", "t-shirt", "1", "-1"]
    (tmp_path / "names.txt").write_bytes("\r\n".join(names).encode())
    assert read_names(tmp_path / "names.txt") == names


def test_a_unique_beginning_means_that_name():
    known = ["TRAINER.UEO.TUNE", "TRAINER.UEO.TEMPERATURE", "TRAINER.UEO.TRADE_OFF"]
    assert closest("TRAINER.UEO.TEMP", known) == "TRAINER.UEO.TEMPERATURE"
    assert closest("TRAINER.UEO.T", known) != "TRAINER.UEO.TEMPERATURE"
    assert closest("Emojis", ["Emoji", "EmojiShift"]) == "Emoji"
