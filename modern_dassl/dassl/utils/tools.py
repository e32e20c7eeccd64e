"""Files, seeds, images and a description of the machine."""

import json
import os
import os.path as osp
import random
import warnings
from difflib import SequenceMatcher

import numpy as np
import PIL
import torch
from dassl.utils.errors import ConfigValueError, DataValueError, MissingFileError, nearest
from PIL import Image
from torch.utils.collect_env import get_pretty_env_info


def mkdir_if_missing(dirname: str) -> None:
    """Make a folder and its parents; an existing one is fine."""
    if dirname:
        os.makedirs(dirname, exist_ok=True)


def check_isfile(fpath: str) -> bool:
    """Whether `fpath` is a file; issue a warning if it is not."""
    found = osp.isfile(fpath)
    if not found:
        warnings.warn(f"No file found at {fpath!r}", stacklevel=2)
    return found


def read_json(fpath: str):
    """Return the content of a JSON file."""
    with open(fpath, encoding="utf-8") as file:
        return json.load(file)


def write_json(obj, fpath: str) -> None:
    """Write JSON, indented by four; create the folder if necessary."""
    mkdir_if_missing(osp.dirname(fpath))
    with open(fpath, "w", encoding="utf-8") as file:
        json.dump(obj, file, indent=4, separators=(",", ": "))


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch (CPU and CUDA)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)  # CUDA included


def download_url(url: str, dst: str, from_gdrive: bool = False) -> None:
    """Fetch `url` into the file `dst`; with `from_gdrive` through gdown."""
    mkdir_if_missing(osp.dirname(dst))
    if from_gdrive:
        import gdown

        gdown.download(url, dst, quiet=False)
        return
    from urllib.request import urlretrieve

    part = dst + ".part"  # an interrupted download must not look complete
    urlretrieve(url, part)
    os.replace(part, dst)


def read_image(path: str) -> Image.Image:
    """Read an image as RGB. Raise MissingFileError or DataValueError."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataValueError(f"{path}: not an image that can be read ({error})") from error


def collect_env_info() -> str:
    """Return torch's description of the software and the machine, as text."""
    return f"{get_pretty_env_info()}\nPillow ({PIL.__version__})"


def listdir_nohidden(path: str, sort: bool = False) -> list[str]:
    """Return the names in a folder that do not begin with a dot."""
    names = [name for name in os.listdir(path) if not name.startswith(".")]
    return sorted(names) if sort else names


def get_most_similar_str_to_a_from_b(a: str, b) -> str | None:
    """Return the string of `b` closest to `a`; None if `b` is empty."""
    return max(b, key=lambda s: SequenceMatcher(None, str(a), str(s)).ratio(), default=None)


def check_availability(requested, available, what: str = "") -> None:
    """Raise ConfigValueError with the closest known value unless `requested` is known.

    what: its configuration key or argument, for the message.
    """
    if requested not in available:
        raise ConfigValueError(
            f"{what + ': ' if what else ''}{requested!r} is unknown"
            f"{nearest(requested, available)}; known: {', '.join(map(str, available)) or 'none'}"
        )


def tolist_if_not(x) -> list:
    """Return `x` if it is a list, else [x]."""
    return x if isinstance(x, list) else [x]
