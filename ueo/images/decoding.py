"""Image files as RGB, eight bits a channel, and which files are images."""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from ueo.errors import DataError

HINT = "replace or remove it, or skip such images with DATASET.BAD_IMAGES skip"
ALWAYS = ".jpg .jpeg .jpe .jfif .png .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .tga".split()
OPTIONAL = {".webp": "webp", ".avif": "avif", ".jp2": "jpg_2000", ".j2k": "jpg_2000"}
HEADER_TELLS = ("JPEG", "PNG", "BMP", "PPM", "GIF")  # others may be turned or reduced when decoded
DEPTHS = (8, 10, 12, 16)  # bits, of images that are stored with more than eight


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of the files that are images: what the installed Pillow reads."""
    return frozenset([*ALWAYS, *(s for s, codec in OPTIONAL.items() if features.check(codec))])


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image."""
    return os.path.splitext(name)[1].lower() in image_suffixes()


def read_image(path: str | Path) -> Image.Image:
    """The image as RGB. Raises DataError for a file that is missing, truncated or no image."""
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        if os.path.exists(path):
            raise DataError(f"{path}: no regular file, {HINT}")
        raise DataError(f"{path}: no such image, restore it or unpack the data set anew")
    try:
        with Image.open(path) as image:
            return as_rgb(image)
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: no image that Pillow can read, {HINT}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: damaged image ({error}), {HINT}") from error


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of the image as `read_image` gives it, by its header where that tells.

    Raises DataError as `read_image` does.
    """
    with suppress(OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        if os.path.isfile(path):
            with Image.open(path) as image:
                if image.format in HEADER_TELLS:
                    return image.height, image.width
    image = read_image(path)
    return image.height, image.width


def as_rgb(image: Image.Image) -> Image.Image:
    """The image as RGB. Grey values of more than eight bits are scaled (see `eight_bits`), which
    Pillow's own conversion would cut off at 255."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(eight_bits(np.asarray(image)))
    return image.convert("RGB")


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey values scaled to 0..255, uint8, of the same shape.

    Integers from 0 have the range of the smallest of DEPTHS that holds the largest; numbers with
    a fraction that of 0..1 or else of 0..255. Values outside all of these are stretched from their
    least to their greatest. NaN is black.
    """
    values = np.nan_to_num(values.astype(np.float64))
    least, greatest = float(values.min()), float(values.max())
    whole = bool((values == np.floor(values)).all()) and greatest > 1
    ranges = [2**bits - 1 for bits in DEPTHS] if whole else [1, 255]
    fitting = [top for top in ranges if greatest <= top]
    low, high = (0, fitting[0]) if least >= 0 and fitting else (least, greatest)
    scaled = (values - low) * (255 / ((high - low) or 1))
    return np.floor(scaled + 0.5).astype(np.uint8)
