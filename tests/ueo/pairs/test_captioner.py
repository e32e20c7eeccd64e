"""Captions are written image by image. The file appears when it is complete; a call resumes."""

import pytest
from PIL import Image

from ueo.commands import caption
from ueo.errors import ConfigError, DataError
from ueo.pairs.captioner import Captioner, check_output, write_captions
from ueo.pairs.captions import read_captions


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images/deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "deep/c.webp", "d.PNG"):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / name)
    (tmp_path / "images/notes.txt").write_text("no image")
    return tmp_path / "images"


def stub(paths):
    """A captioner that returns the name of each image."""
    return [[path.stem, f"some {path.stem}"] for path in paths]


def test_every_image_below_the_folder_is_captioned(folder, tmp_path):
    output = tmp_path / "captions.jsonl"
    assert write_captions(folder, output, {"model": "stub"}, 3, stub) == 4
    assert read_captions(output) == {
        name: [stem, f"some {stem}"]
        for name, stem in (("a.jpg", "a"), ("b.png", "b"), ("d.PNG", "d"), ("deep/c.webp", "c"))
    }
    assert not (tmp_path / "captions.jsonl.part").exists()


def test_an_interrupted_call_resumes_only_with_the_same_options(folder, tmp_path):
    output, seen = tmp_path / "captions.jsonl", []

    def breaking(paths):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.extend(path.name for path in paths)
        return stub(paths)

    with pytest.raises(KeyboardInterrupt):
        write_captions(folder, output, {"model": "stub"}, 1, breaking)
    part = tmp_path / "captions.jsonl.part"
    assert not output.exists() and len(part.read_text().splitlines()) == 1 + 2
    with open(part, "a") as file:
        file.write('{"image": "d.PNG", "cap')  # killed while writing a line
    with pytest.raises(ConfigError, match="was begun with other options"):
        write_captions(folder, output, {"model": "another"}, 1, stub)
    rest = []
    write_captions(folder, output, {"model": "stub"}, 1,
                   lambda paths: rest.extend(p.name for p in paths) or stub(paths))
    assert rest == ["d.PNG", "c.webp"] and len(read_captions(output)) == 4


def test_captions_of_other_images_are_neither_reused_nor_extended(
    folder, tmp_path, monkeypatch, capsys
):
    class Stub:
        def __init__(self, *_):
            pass

        def __call__(self, paths):
            if paths[0].parent.name == "broken":
                raise KeyboardInterrupt
            return stub(paths)

    monkeypatch.setattr(caption, "Captioner", Stub)
    output = tmp_path / "captions.jsonl"

    def call(images):
        status = caption.main(["--images", str(images), "--output", str(output)])
        return status, "".join(capsys.readouterr())

    (tmp_path / "broken").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "broken/a.jpg")
    assert call(tmp_path / "broken")[0] == 130
    status, said = call(folder)
    assert status == 2 and "was begun with other options" in said
    (tmp_path / "captions.jsonl.part").unlink()
    assert call(folder)[0] == 0
    status, said = call(folder)
    assert status == 0 and "Finished before" in said and "remove it to caption again" in said
    Image.new("RGB", (4, 4)).save(folder / "new.png")
    status, said = call(folder)
    assert status == 2 and "of 4 images" in said and "'new.png' is only in one of them" in said


def test_photographs_are_captioned_upright(tmp_path):
    turned = Image.Exif()
    turned[0x112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=turned)
    captioner, seen = Captioner.__new__(Captioner), []

    def processor(images, return_tensors):
        seen.extend(image.size for image in images)
        raise InterruptedError

    captioner.processor = processor
    with pytest.raises(InterruptedError):
        captioner([tmp_path / "a.jpg"])
    assert seen == [(4, 8)]


def test_a_damaged_image_is_left_out_as_in_a_run(folder, tmp_path, capsys):
    (folder / "bad.jpg").write_bytes(b"no image")
    assert write_captions(folder, tmp_path / "c.jsonl", {}, 2, stub) == 4
    assert "bad.jpg: no image that Pillow can read" in capsys.readouterr().out
    assert check_output(tmp_path / "c.jsonl", folder)
    with pytest.raises(ConfigError, match="--output .*images: is a folder"):
        check_output(folder, folder)


def test_an_image_without_a_caption_or_a_folder_without_images_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="a.jpg: the captioner gave no caption"):
        write_captions(folder, tmp_path / "c.jsonl", {}, 1, lambda paths: [[] for _ in paths])
    with pytest.raises(DataError, match="notes: is no folder"):
        write_captions(tmp_path / "images/notes", tmp_path / "c.jsonl", {}, 1, stub)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        write_captions(tmp_path / "empty", tmp_path / "c.jsonl", {}, 1, stub)
