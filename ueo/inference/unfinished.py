"""A file of predictions while it is being written, and how it is resumed after a kill.

`OUTPUT.partial` and the file of skipped images beside it grow in the order of the images. So,
whenever the process dies, together they hold the first images of the list, except for a last line
that may be cut off. `OUTPUT.partial.json` holds what they depend on, and when the process began.
"""

import csv
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ueo.errors import ConfigError, DataError
from ueo.files import read_json, write_json
from ueo.images.shards.reading import Member
from ueo.inference.new_images import Image
from ueo.results.predictions import COLUMNS, SKIPPED_COLUMNS, Prediction, parted
from ueo.text import csv_cell

BEGAN = "began"  # key beside the facts: when a process began to write, in seconds since 1970


def skipped_file(output: Path) -> Path:
    """predictions.csv -> predictions.skipped.csv"""
    return output.with_name(f"{output.stem}.skipped.csv")


class Unfinished:
    """The lines so far of `output` and of its skipped file; a context opens and closes them."""

    def __init__(self, output: Path):
        self.output, self.skipped = output, skipped_file(output)
        self._paths = [path.with_name(f"{path.name}.partial")
                       for path in (self.output, self.skipped)]
        self._facts = output.with_name(f"{output.name}.partial.json")
        self.images = 0  # in both files together

    def resume(self, facts: dict, images: Iterable[Image], overwrite: bool) -> str:
        """Keep the lines of the first images, up to one that was changed since, and cut off all
        others. Returns a message on that, "" if there were no lines. facts: what lines depend on.

        Raises ConfigError if there are lines of other facts, unless `overwrite`.
        """
        now, found = time.time(), self._kept_facts()
        since = found.pop(BEGAN, None) if found else None
        if found is not None and found != facts and not overwrite:
            key = next(key for key in {**found, **facts} if found.get(key) != facts.get(key))
            raise ConfigError(
                f"{self._paths[0]}: holds predictions of another {key} ({found.get(key)!r}, not "
                f"{facts.get(key)!r}); name another --output, or pass --overwrite"
            )
        fresh = found != facts or not all(path.is_file() for path in self._paths)
        if fresh:
            for path in self._paths:
                path.unlink(missing_ok=True)
        # the earlier time, until the lines of changed images are cut off: a kill may come before
        write_json(self._facts, {**facts, BEGAN: now if fresh or since is None else since})
        for path, columns in zip(self._paths, (COLUMNS, SKIPPED_COLUMNS)):
            _begin(path, columns)
        lost = 0 if fresh else self._cut(images, since)
        write_json(self._facts, {**facts, BEGAN: now})
        if not self.images and not lost:
            return ""
        again = (f"; {lost:,} lines follow an image that was changed, or do not match the order "
                 "of the images any more, and are predicted again") if lost else ""
        return f"{self._paths[0]}: resumes after {self.images:,} images{again}"

    def __enter__(self) -> "Unfinished":
        self._rows, self._left_out = (
            open(path, "a", newline="", encoding="utf-8") for path in self._paths
        )
        return self

    def __exit__(self, *_) -> None:
        self._rows.close()
        self._left_out.close()

    def append(self, images: list[tuple[str, str | None]], found: Iterator[Prediction]) -> None:
        """Write lines for (name, why it was skipped or None). found: predictions of the others."""
        rows = csv.writer(self._rows)
        for name, why in images:
            if why is None:
                rows.writerow(next(found).row())
                continue
            self._rows.flush()  # so that both files grow in order
            self.skip(name, *parted(why))
        self._rows.flush()

    def skip(self, name: str, reason: str, detail: str) -> None:
        csv.writer(self._left_out).writerow(map(csv_cell, (name, reason, detail)))
        self._left_out.flush()

    def finish(self) -> None:
        """Give both files their final names; remove a skipped file without lines."""
        rows, skipped = self._paths
        if sum(1 for _ in _whole_lines(skipped)) > 1:
            os.replace(skipped, self.skipped)
        else:
            skipped.unlink()
            self.skipped.unlink(missing_ok=True)
        os.replace(rows, self.output)
        self._facts.unlink()

    def _kept_facts(self) -> dict | None:
        try:
            return read_json(self._facts, dict, "")
        except (FileNotFoundError, DataError):
            return None

    def _cut(self, images: Iterable[Image], since: float | None) -> int:
        """Keep the lines of both files that match the first `images`, up to one that was changed
        after `since`, and count them. Returns how many whole lines were cut off."""
        lines = [_whole_lines(path) for path in self._paths]
        ends = [next(part)[1] for part in lines]  # of the column names
        heads = [next(part, None) for part in lines]
        for name, image in images:
            if _changed(image, since):
                break
            cell = csv_cell(name)
            at = next((i for i in (0, 1) if heads[i] and heads[i][0] == cell), None)
            if at is None:
                break
            ends[at], heads[at] = heads[at][1], next(lines[at], None)
            self.images += 1
        lost = sum(1 for i in (0, 1) if heads[i] for _ in (heads[i], *lines[i]))
        for path, end in zip(self._paths, ends):
            os.truncate(path, end)
        return lost


def _changed(image: str | Member, since: float | None) -> bool:
    """Whether a file was changed or put in place after `since`; False if that is unknown."""
    if since is None or isinstance(image, Member):
        return False
    try:
        return os.stat(image).st_ctime > since
    except OSError:
        return False  # a missing file is skipped, not predicted again


def _begin(path: Path, columns: tuple[str, ...]) -> None:
    """Write the column names if the file lacks them."""
    if not path.is_file() or not next(_whole_lines(path), None):
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(columns)


def _whole_lines(path: Path) -> Iterator[tuple[str | None, int]]:
    """Yield (first cell, end in bytes) of each line that is not cut off."""
    end = 0
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield _first_cell(line), end


def _first_cell(line: bytes) -> str | None:
    """Return the first cell; None for a damaged line, which no image's name equals."""
    try:
        return next(csv.reader([line.decode()]))[0]
    except (UnicodeDecodeError, csv.Error, IndexError):
        return None
