"""Which files are images, and how they are decoded."""

import os

import numpy as np
import pytest
import trees
from PIL import Image, ImageOps, features

from ueo.errors import DataError
from ueo.images.decoding import as_rgb, image_size, is_image_name, read_image
from ueo.images.folders import Unread, images_below, images_in
from ueo.images.unreadable import unreadable

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(("values", "suffix", "mode"), [
    (GREY.astype(np.uint16) * 257, "png", "I;16"),
    (GREY.astype(np.uint16) * 257, "tif", "I;16"),
    (GREY.astype(np.int32) * 257, "tif", "I"),
    (GREY.astype(np.uint16), "png", "I;16"),  # 8-bit values in a 16-bit file
    ((GREY.astype(int) * 4095 // 255).astype(np.uint16), "png", "I;16"),  # 12-bit values
    (GREY.astype(np.float32) / 255, "tif", "F"),
    (GREY.astype(np.float32), "tif", "F"),
    (GREY.astype(np.float32) * 40 - 3000, "tif", "F"),
])
def test_grey_of_more_than_eight_bits_is_scaled(tmp_path, values, suffix, mode):
    file = tmp_path / f"grey.{suffix}"
    Image.fromarray(values).save(file)
    with Image.open(file) as image:
        assert image.mode == mode
    found = np.asarray(read_image(str(file)))
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - GREY[..., None]).max() <= (1 if mode == "I;16" else 0)


@pytest.mark.parametrize(("values", "grey"), [
    (np.array([[5000, 20000]], np.uint16), [19, 78]),  # of 65535
    (np.array([[300, 700]], np.uint16), [75, 174]),  # of 1023
    (np.array([[100, 200]], np.int32), [100, 200]),
    (np.array([[0.2, 0.65]], np.float32), [51, 166]),
    (np.array([[10.5, 200.4]], np.float32), [11, 200]),
    (np.array([[-1.0, 0.0, 3.0]], np.float32), [0, 64, 255]),
])
def test_a_dark_image_stays_dark(values, grey):
    """Greys are scaled by the range of their bit depth. Only values outside any such range are
    scaled by their own range."""
    assert np.asarray(as_rgb(Image.fromarray(values)))[0, :, 0].tolist() == grey


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "RGBA", "LA"])
def test_other_modes_are_converted_as_pillow_does(mode):
    image = Image.fromarray(GREY).convert("RGB").convert(mode)
    assert as_rgb(image).tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("code", range(10))
def test_exif_orientation_is_applied(tmp_path, code, suffix):
    file = tmp_path / f"photo.{suffix}"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = code  # 0 and 9 are no orientations
    image.save(file, exif=exif)
    with Image.open(file) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    assert read_image(file, upright=True).tobytes() == expected.tobytes()
    assert image_size(file, upright=True) == (expected.height, expected.width)
    if suffix != "tif":  # Pillow turns every TIFF
        assert read_image(file).size == image.size


def test_damaged_exif_leaves_a_photograph_as_it_is(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert read_image(tmp_path / "a.jpg", upright=True).size == (30, 20)
    assert image_size(tmp_path / "a.jpg", upright=True) == (20, 30)


@pytest.mark.parametrize("suffix", ["jp2", "jpx", "avif", "jfif", "heic"])
def test_formats_of_cameras_and_phones_are_read(tmp_path, suffix):
    kinds = {"jfif": "JPEG", "jpx": "JPEG2000"}
    if suffix == "heic":
        pytest.importorskip("pillow_heif", reason="pip install 'ueo-toolbox[heic]'")
    assert is_image_name(f"IMG_1.{suffix.upper()}")
    image = Image.fromarray(np.repeat(GREY[..., None], 3, 2)).resize((64, 48))
    image.save(tmp_path / f"photo.{suffix}", kinds.get(suffix))
    found = np.asarray(read_image(tmp_path / f"photo.{suffix}"), int)
    assert np.abs(found - np.asarray(image, int)).mean() < 8


def test_a_jpeg_may_be_read_smaller_for_a_thumbnail(tmp_path):
    Image.new("RGB", (1600, 800)).save(tmp_path / "a.jpg")
    width, height = read_image(tmp_path / "a.jpg", enough=96).size
    assert 96 <= min(width, height) and width < 800


def test_a_grey_image_of_nan_or_of_one_negative_value_is_black():
    assert np.asarray(as_rgb(Image.fromarray(np.full((2, 2), np.nan, np.float32)))).max() == 0
    assert np.asarray(as_rgb(Image.fromarray(np.full((2, 2), -7, np.float32)))).max() == 0


def test_file_names_that_pillow_can_read_are_images():
    for name in ("a.jpg", "a.JPEG", "a.jfif", "a.jpe", "a.b.png", "a.tif"):
        assert is_image_name(name)
    assert is_image_name("a.avif") == bool(features.check("avif"))
    for name in ("a.mov", "jpg", "a.txt", "a.jpg.part", ".jpg"):
        assert not is_image_name(name)


@pytest.fixture
def folder(tmp_path):
    """Images with several suffixes, and other files."""
    folder = tmp_path / "folder"
    for name in ("b.jfif", "a.jpg", "deep/c.JPE", "deep/deeper/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name, "PNG")
    for name in ("x.mov", "y.mov", "notes", "deep/z.txt", ".hidden.jpg", ".DS_Store",
                 "__MACOSX/e.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    os.mkfifo(folder / "pipe.jpg")
    return folder


def test_ignored_files_and_folders_are_counted(folder):
    unread = Unread()
    assert [os.path.basename(p) for p in images_in(folder, unread)] == ["a.jpg", "b.jfif"]
    assert unread.facts() == {
        "files": {".mov": 2, "no regular file": 1, "no suffix": 1}, "folders": 1}
    assert str(unread) == "4 files (.mov 2, no regular file 1, no suffix 1), 1 folder"


def test_images_at_all_depths_are_listed_once_despite_a_link_loop(folder):
    os.symlink(folder, folder / "deep" / "loop")
    unread = Unread()
    found = [os.path.relpath(p, folder) for p in images_below(folder, unread)]
    assert found == ["a.jpg", "b.jfif", "deep/c.JPE", "deep/deeper/d.png"]
    assert unread.facts() == {
        "files": {".mov": 2, ".txt": 1, "no regular file": 1, "no suffix": 1}, "folders": 0}


def test_broken_links_and_pipes_are_unreadable_images(folder, tmp_path):
    os.symlink(tmp_path / "gone.jpg", folder / "link.jpg")
    assert str(folder / "link.jpg") in images_in(folder)
    with pytest.raises(DataError, match="link.jpg: no such image"):
        read_image(str(folder / "link.jpg"))
    with pytest.raises(DataError, match="pipe.jpg: no regular file"):
        read_image(str(folder / "pipe.jpg"))
    paths = [str(folder / name) for name in ("a.jpg", "link.jpg", "pipe.jpg")]
    for _ in range(2):  # first read, then taken from the report
        assert set(unreadable(paths, tmp_path / "bad.json")) == set(paths[1:])


def test_a_link_to_itself_is_a_bad_image_and_no_folder(folder, tmp_path):
    os.symlink("round.jpg", folder / "round.jpg")
    os.symlink("round", folder / "round")
    unread = Unread()
    found = images_below(folder, unread)
    assert str(folder / "round.jpg") in found and len(found) == 5
    assert unread.paths[str(folder / "round")] == "no suffix"
    assert set(unreadable(found, tmp_path / "bad.json")) == {str(folder / "round.jpg")}


def test_errors_of_other_types_by_a_codec_are_those_of_a_damaged_image(tmp_path, monkeypatch):
    trees.draw(tmp_path / "a.png", 0)

    def fail(*_):  # as Pillow's AVIF codec does
        raise RuntimeError("Failed to decode image: Missing or empty image item")

    monkeypatch.setattr(Image, "open", fail)
    for read in (read_image, image_size):
        with pytest.raises(DataError, match=r"a\.png: damaged image \(Failed to decode"):
            read(str(tmp_path / "a.png"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
def test_rgb_images_are_read_without_a_copy(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    monkeypatch.setattr(Image.Image, "copy", lambda image: pytest.fail("copied"))
    assert np.array_equal(np.asarray(read_image(path, upright=True)), expected)
