"""Read image lists, both released ones and those that people write.

A line is `path label` or a path alone. The separator may also be a tab, a comma or a semicolon, a
header may name the columns, and a label is a class id from 0 or a class name.
"""

import csv
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from ueo.errors import DataError, unread
from ueo.images.decoding import image_suffixes
from ueo.images.folders import Item
from ueo.names import enumeration
from ueo.text import shown

NO_LABEL = -1
SEPARATORS = "\t,;"  # besides a space
NOT_UTF8 = "is no UTF-8 text (UTF-16, or it holds NUL bytes); save it as UTF-8"
PATH_COLUMNS = ("image", "images", "img", "path", "impath", "filepath", "file", "filename", "name")
LABEL_COLUMNS = ("label", "labels", "class", "classname", "class_name", "target", "class_id", "id",
                 "category")
Split = Callable[[str], tuple[str, str | None]]  # a line -> (path, label or None)
NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True)
class Row:
    """A line of a list. where: file and line, for messages. label: None in a list of paths."""

    where: str
    path: str
    label: str | None


def read_rows(path: Path, root: Path | None = None) -> list[Row]:
    """Return the lines of a list without blank ones and the header. Columns that are not read are
    printed. Paths may hold spaces.

    root: base of relative paths, which an absolute path may name too.

    Raises DataError for a list that is missing or empty and, with the line's number, for a line of
    another form than the first one, a path that leaves the data root and an image that is listed
    twice, even in two spellings of its path.
    """
    lines = [(n, line) for n, line in enumerate(text_lines(path), 1) if line.strip()]
    columns = _header(lines[0][1]) if lines else None
    if columns:
        words = _words(lines.pop(0)[1], columns[0])
        if others := [word for i, word in enumerate(words) if i not in columns[1:3]]:
            print(f"{shown(path)}: not read of its columns: {enumeration(others)}")
    if not lines:
        raise DataError(f"{path}: the list is empty")
    split = _splitter(lines[0][1], columns)
    labelled = columns[2] is not None if columns else split(lines[0][1])[1] is not None
    parted = labelled or columns is not None and columns[0] != " "
    rows, seen = [], {}
    for number, line in lines:
        where = f"{path}, line {number}"
        name, label = split(line) if parted else (line.strip(), None)
        if labelled and not (name and label):
            raise DataError(f"{where}: {line.strip()!r} is not `path label`, the label is missing")
        if ".." in name and ".." in PurePosixPath(name).parts:
            raise DataError(f"{where}: the path {name!r} leaves the data root with '..'")
        image = _one_spelling(name, root)
        if image in seen:
            raise DataError(f"{where}: repeats {name!r} of line {seen[image]}")
        seen[image] = number
        rows.append(Row(where, name, label))
    return rows


def read_list(path: Path, num_classes: int) -> list[Item]:
    """Return (path as written, class id) of each line. Raises DataError as `read_rows` does, and
    for a label that is no number below `num_classes`."""
    return [(row.path, class_id(row, num_classes)) for row in read_rows(path)]


def is_number(text: str) -> bool:
    """Whether a label is a whole number."""
    return NUMBER.fullmatch(text) is not None


def class_id(row: Row, below: int = 10**18) -> int:
    """Return the label as a class id. Raises DataError if it is no number from 0 to `below` - 1."""
    if row.label is None or not is_number(row.label):
        line = row.path if row.label is None else f"{row.path} {row.label}"
        wrong = "the label is missing" if row.label is None else "the label is no class id"
        raise DataError(f"{row.where}: {line!r} is not `path label`, {wrong}")
    number = int(row.label) if len(row.label) < 20 else below
    if not 0 <= number < below:
        raise DataError(
            f"{row.where}: the label {row.label[:20]} is outside the range 0 to {below - 1}"
        )
    return number


def _one_spelling(name: str, root: Path | None) -> str:
    """Normalise a path: ./a//b.jpg -> a/b.jpg; an absolute path below `root` becomes relative."""
    if root is not None and name.startswith("/"):
        below = os.path.relpath(os.path.normpath(name), os.path.abspath(root))
        return name if below.startswith("..") else below
    return os.path.normpath(name) if "./" in name or "//" in name else name


def _header(line: str) -> tuple[str, int, int | None, int] | None:
    """Return (separator, column of paths, column of labels or None, number of columns) of a header,
    None for any other line. A column `id` beside another label column, or before the paths, does
    not hold labels but numbers the images."""
    separator = next((s for s in SEPARATORS if s in line), " ")
    words = [word.casefold() for word in _words(line, separator)]
    paths = [i for i, word in enumerate(words) if word in PATH_COLUMNS]
    labels = [i for i, word in enumerate(words) if word in LABEL_COLUMNS]
    if not paths or len(words) > 1 and not labels:
        return None
    sure = [i for i in labels if words[i] != "id"] or [i for i in labels if i > paths[0]]
    return separator, paths[0], sure[0] if sure else None, len(words)


def _words(header: str, separator: str) -> list[str]:
    return [word.strip(' "') for word in header.strip(" ").split(separator)]


def _splitter(first: str, columns: tuple | None) -> Split:
    """Return the function that splits a line of the list, chosen by its header or first line."""
    if columns and columns[0] != " ":
        return lambda line: _by_columns(line, *columns)
    for separator in SEPARATORS:
        path, label = _by_separator(first, separator)
        if label and (separator == "\t" or is_number(label)
                      or _is_image(path) and not _is_image(label)):
            return lambda line: _by_separator(line, separator)
    return _by_space


def _by_columns(line: str, separator: str, path: int, label: int | None, number: int
                ) -> tuple[str, str | None]:
    fields = [field.strip() for field in next(csv.reader([line], delimiter=separator))]
    if len(fields) != number:
        return line, None
    return fields[path], None if label is None else fields[label]


def _by_separator(line: str, separator: str) -> tuple[str, str | None]:
    if line.lstrip().startswith('"'):
        return _by_columns(line.strip(), separator, 0, 1, 2)
    path, found, label = line.strip(" ").rpartition(separator)
    return (path.strip(), label.strip()) if found else (line.strip(), None)


def _by_space(line: str) -> tuple[str, str | None]:
    """Split off the label: a number at the end, or the text after the image's suffix and spaces."""
    line = line.strip()
    path, _, label = line.rpartition(" ")
    if path and is_number(label):
        return path.strip(), label
    endings = "|".join(re.escape(suffix) for suffix in image_suffixes())
    found = re.fullmatch(rf"(.*?(?:{endings}))\s+(\S.*)", line, re.IGNORECASE)
    if found and not _is_image(line):
        return found[1], found[2]
    return line, None


def _is_image(name: str) -> bool:
    return name.lower().endswith(tuple(image_suffixes()))


def listed_paths(path: Path) -> Iterator[str]:
    """Yield the path in each line of a list, without header and labels, reading line by line.
    Raises DataError as `text_lines` does."""
    with _reading(path), open(path, encoding="utf-8-sig") as file:
        lines = (line.rstrip("\n") for line in file if line.strip())
        first = next(lines, None)
        if first is None:
            return
        columns = _header(first)
        second = next(lines, None) if columns else first
        split = _splitter(second or "", columns)
        labelled = columns is not None or split(first)[1] is not None
        for line in chain([] if second is None else [second], lines):
            if "\0" in line:
                raise DataError(f"{path}: {NOT_UTF8}")
            yield split(line)[0] if labelled else line.strip()


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file. Only \\n, \\r\\n and \\r end a line."""
    with _reading(path):
        content = Path(path).read_bytes()
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
            raise DataError(f"{path}: {NOT_UTF8}")
        text = content.decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise DataError for a file that is no text or cannot be read."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        why = "it is no UTF-8 text file, save it as UTF-8"
        raise DataError(unread(path, error, why)) from error
