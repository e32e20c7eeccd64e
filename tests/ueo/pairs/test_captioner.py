"""A file of captions grows image by image, survives an interruption and appears whole."""

import pytest
from PIL import Image

from ueo.errors import ConfigError, DataError
from ueo.pairs.captioner import write_captions
from ueo.pairs.captions import read_captions


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images/deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "deep/c.webp", "d.PNG"):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / name)
    (tmp_path / "images/notes.txt").write_text("no image")
    return tmp_path / "images"


def stub(paths):
    """Says the name of each image."""
    return [[path.stem, f"some {path.stem}"] for path in paths]


def test_every_image_below_the_folder_is_captioned(folder, tmp_path):
    output = tmp_path / "captions.jsonl"
    assert write_captions(folder, output, {"model": "stub"}, 3, stub) == 4
    assert read_captions(output) == {
        name: [stem, f"some {stem}"]
        for name, stem in (("a.jpg", "a"), ("b.png", "b"), ("d.PNG", "d"), ("deep/c.webp", "c"))
    }
    assert not (tmp_path / "captions.jsonl.part").exists()


def test_an_interrupted_call_goes_on_and_one_made_otherwise_is_refused(folder, tmp_path):
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
        file.write('{"image": "d.PNG", "cap')  # killed while it wrote
    with pytest.raises(ConfigError, match="was made otherwise"):
        write_captions(folder, output, {"model": "another"}, 1, stub)
    rest = []
    write_captions(folder, output, {"model": "stub"}, 1,
                   lambda paths: rest.extend(p.name for p in paths) or stub(paths))
    assert rest == ["d.PNG", "c.webp"] and len(read_captions(output)) == 4


def test_an_image_without_a_caption_or_a_folder_without_images_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="a.jpg: the captioner has nothing to say"):
        write_captions(folder, tmp_path / "c.jsonl", {}, 1, lambda paths: [[] for _ in paths])
    with pytest.raises(DataError, match="holds no image"):
        write_captions(tmp_path / "images/notes", tmp_path / "c.jsonl", {}, 1, stub)
