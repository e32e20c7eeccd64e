"""Read what runs left on the disk. Whatever was damaged there is one line that names the file."""

import json
from pathlib import Path

import numpy as np

from ueo.errors import DataError


def read_json(path: str | Path, kind: type, remedy: str):
    """What a JSON file holds, a `kind`: dict or list. remedy: what to do when it is damaged.

    Raises DataError for a file that cannot be read or holds something else; FileNotFoundError.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise DataError(f"{path}: not readable as JSON (nested too deep); {remedy}") from error
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON ({error}); {remedy}") from error
    if not isinstance(data, kind):
        found = type(data).__name__
        raise DataError(f"{path}: expected a {kind.__name__}, found {found}; {remedy}")
    return data


def read_arrays(
    path: str | Path, remedy: str, needed: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """The arrays of an npz file; nothing pickled is read.

    Raises DataError for one that is missing, damaged or lacks an array in `needed`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; {remedy}") from error
    except Exception as error:  # what a damaged file makes of a reader has no common base
        lines = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"{path}: damaged ({lines[0]}); {remedy}") from error
    if lacking := [name for name in needed if name not in arrays]:
        raise DataError(f"{path}: lacks {', '.join(lacking)}; {remedy}")
    return arrays


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number of JSON")
