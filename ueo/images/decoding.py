"""Decode image files as RGB with eight bits a channel, and tell which files are images."""

import os
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from ueo.errors import DataError

HINT = "replace or remove it, or skip such images with DATASET.BAD_IMAGES skip"
RESTORE = "restore it or unpack the data set anew"
ALWAYS = ".jpg .jpeg .jpe .jfif .png .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .tga".split()
HEADER_TELLS = ("JPEG", "PNG", "BMP", "PPM", "GIF")  # decoding others may rotate or shrink them
OPTIONAL = {".webp": "webp", ".avif": "avif",
            **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "jpg_2000")}
HEIC = (".heic", ".heif")  # of phones; pillow-heif, the extra "heic", reads them
ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
LYING = [TURNS[code] for code in (5, 6, 7, 8)]  # these swap width and height
DEPTHS = (8, 10, 12, 16)  # bits of grey values


@cache
def image_suffixes() -> frozenset[str]:
    """Return the file suffixes, in lower case, that the installed Pillow can read."""
    optional = (s for s, codec in OPTIONAL.items() if features.check(codec))
    return frozenset([*ALWAYS, *optional, *(HEIC if _reads_heic() else ())])


@cache
def _reads_heic() -> bool:
    """Whether pillow-heif is installed; if so, register it with Pillow."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image."""
    return os.path.splitext(name)[1].lower() in image_suffixes()


def read_image(
    path: str | Path, upright: bool = False, enough: int = 0, data: bytes | None = None
) -> Image.Image:
    """Read an image as RGB. Raises DataError for a file that is missing, truncated or no image.

    upright: rotate by the EXIF orientation. enough: pixels; a JPEG with longer sides may be decoded
    at a reduced size, not below this. data: the image's bytes, if they were read already; `path` is
    then only its name.
    """
    if data is None and not os.path.isfile(path):  # opening a pipe would wait for ever
        if os.path.exists(path):
            raise DataError(f"{path}: no regular file, {HINT}")
        raise DataError(f"{path}: no such image, {RESTORE}")
    if str(path).lower().endswith(HEIC):
        _reads_heic()
    try:
        with Image.open(path if data is None else BytesIO(data)) as image:
            if enough:
                image.draft(None, (enough, enough))
            return as_rgb(_turned(image) if upright else image)
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: no image that Pillow can read, {HINT}") from error
    except MemoryError:
        raise
    except Exception as error:  # codecs raise errors of many types, as AVIF's a RuntimeError
        raise DataError(f"{path}: damaged image ({error}), {HINT}") from error


def image_size(path: str | Path, upright: bool = False) -> tuple[int, int]:
    """Return the (height, width) of what `read_image` returns, from the header if possible.

    Raises DataError as `read_image` does.
    """
    with suppress(Exception):  # what read_image says is clearer
        if os.path.isfile(path):
            with Image.open(path) as image:
                if upright and image.format == "JPEG":
                    lies = _turn(image) in LYING
                    return (image.width, image.height) if lies else (image.height, image.width)
                if not upright and image.format in HEADER_TELLS:
                    return image.height, image.width
    image = read_image(path, upright)
    return image.height, image.width


def _turned(image: Image.Image) -> Image.Image:
    image.load()  # this rotates a TIFF and drops its orientation tag
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return the rotation that the EXIF orientation asks for, or None."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION))
    except Exception:  # damaged EXIF raises errors of many types
        return None


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB. Grey values of more than eight bits are scaled (see `eight_bits`); Pillow's
    own conversion would clip them at 255."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(eight_bits(np.asarray(image)))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")  # convert always copies


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Scale grey values to 0..255, uint8, of the same shape.

    Non-negative integers have the range of the smallest of DEPTHS that holds the largest value;
    fractions have the range 0..1, else 0..255. Values outside all of these are stretched from their
    minimum to their maximum. NaN is black.
    """
    values = np.nan_to_num(values.astype(np.float64))
    least, greatest = float(values.min()), float(values.max())
    whole = bool((values == np.floor(values)).all()) and greatest > 1
    ranges = [2**bits - 1 for bits in DEPTHS] if whole else [1, 255]
    fitting = [top for top in ranges if greatest <= top]
    low, high = (0, fitting[0]) if least >= 0 and fitting else (least, greatest)
    scaled = (values - low) * (255 / ((high - low) or 1))
    return np.floor(scaled + 0.5).astype(np.uint8)
