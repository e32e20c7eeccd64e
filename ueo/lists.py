"""Image lists as released: one `path label` a line, class ids from 0."""

from pathlib import Path, PurePosixPath

from ueo.errors import DataError
from ueo.trees import Item

NO_LABEL = -1


def read_list(path: Path, num_classes: int | None = None, labelled: bool = True) -> list[Item]:
    """(path as written, class id) of each line; blank lines are skipped. Paths may hold spaces.

    num_classes: ids are below it; None: any id from 0.
    labelled:    False for a list of paths alone, whose ids are NO_LABEL.

    Raises DataError, with the line's number, for a line that is not of that form, leaves the data
    root or names an image a second time; and for a list that is missing or empty.
    """
    items, lines = [], {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        name, label = _split(line) if labelled else (line.strip(), NO_LABEL)
        where = f"{path}, line {number}"
        if label is None:
            raise DataError(f"{where}: {line.strip()!r} is not `path label`, the label is missing")
        if labelled and (label < 0 or num_classes is not None and label >= num_classes):
            upper = "" if num_classes is None else f" to {num_classes - 1}"
            raise DataError(f"{where}: the label {label} is outside the range 0{upper}")
        if ".." in PurePosixPath(name).parts:
            raise DataError(f"{where}: the path {name!r} leaves the data root with '..'")
        if name in lines:
            raise DataError(f"{where}: repeats {name!r} of line {lines[name]}")
        lines[name] = number
        items.append((name, label))
    if not items:
        raise DataError(f"{path}: the list is empty")
    return items


def is_labelled(path: Path) -> bool:
    """True when the first line of a list ends in a class id."""
    first = next((line for line in _lines(path) if line.strip()), "")
    return _split(first)[1] is not None


def read_names(path: Path) -> list[str]:
    """Class names, one a line, in the order of ids. Raises DataError for none or a repeated one."""
    names = [line.strip() for line in _lines(path) if line.strip()]
    if not names:
        raise DataError(f"{path}: holds no class name")
    for i, name in enumerate(names):
        if name in names[:i]:
            raise DataError(f"{path}: the class name {name!r} stands there twice")
    return names


def _lines(path: Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text file"
        raise DataError(f"{path}: cannot be read ({reason})") from error


def _split(line: str) -> tuple[str, int | None]:
    name, _, label = line.strip().rpartition(" ")
    try:
        return name.strip(), int(label) if name else None
    except ValueError:
        return line.strip(), None
