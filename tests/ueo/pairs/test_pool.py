"""Pools of image-text pairs and files of captions, intact and damaged."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import random_clip
from PIL import Image
from torchvision import transforms as T

from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.openai import wrap
from ueo.errors import DataError
from ueo.images.lists import NO_LABEL
from ueo.pairs.captions import captions_of, read_captions
from ueo.pairs.pool import Pairs, open_pool
from ueo.pairs.pool_features import PoolFeatures


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write_tar(path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


MEMBERS = {"b.png": png(2), "a.png": png(1), "a.txt": b" one\n thing ", "b.txt": "zwölf".encode()}


def written(tmp_path, kind):
    if kind == "folder":
        for name, content in MEMBERS.items():
            (tmp_path / name).write_bytes(content)
        return tmp_path
    write_tar(tmp_path / "0.tar", {"a.json": b"{}", **MEMBERS})
    return tmp_path if kind == "tars" else tmp_path / "0.tar"


@pytest.mark.parametrize("kind", ["folder", "tar", "tars"])
def test_a_pool_reads_its_pairs_in_the_order_of_their_names(tmp_path, kind):
    pool = open_pool(str(written(tmp_path, kind)), str(tmp_path))
    assert len(pool) == 2
    assert [pool.text(i) for i in range(2)] == ["one thing", "zwölf"]
    assert [np.asarray(pool.image(i)).mean() for i in range(2)] == [1, 2]
    item = Pairs(pool, [1], np.asarray)[0]
    assert (item["img"] == 2).all() and item["label"] == NO_LABEL and item["index"] == 0


def test_several_archives_are_one_pool_whose_identity_changes_with_its_files(tmp_path):
    write_tar(tmp_path / "1.tar", MEMBERS)
    write_tar(tmp_path / "0.tar", MEMBERS)
    pool = open_pool(str(tmp_path), str(tmp_path))
    assert len(pool) == 4 and "1.tar, member b.png" in pool.name(3)
    write_tar(tmp_path / "1.tar", {"c.jpg": png(3), "c.txt": b"three"})
    assert open_pool(str(tmp_path), str(tmp_path)).identity != pool.identity


@pytest.mark.parametrize(("change", "message"), [
    ({"a.txt": None}, "a' has no text; add it or remove"),
    ({"b.png": None}, "b' has no image; add it or remove"),
    ({"a.jpg": png(1)}, "two images have the name '.*a'"),
    (dict.fromkeys(MEMBERS), "holds no image-text pair"),
])
def test_incomplete_pairs_and_duplicates_are_named(tmp_path, change, message):
    members = {name: content for name, content in {**MEMBERS, **change}.items() if content}
    write_tar(tmp_path / "0.tar", members)
    with pytest.raises(DataError, match=message):
        open_pool(str(tmp_path / "0.tar"), str(tmp_path))


@pytest.mark.parametrize("kept", [0, 512, 700])  # bytes left of the second pair
def test_an_archive_truncated_after_a_complete_pair_is_refused(tmp_path, kept):
    path = tmp_path / "0.tar"
    write_tar(path, {"a.png": png(1), "a.txt": b"one", "b.png": png(2), "b.txt": b"two"})
    with tarfile.open(path) as file:
        end = file.getmember("b.png").offset
    path.write_bytes(path.read_bytes()[: end + kept])
    with pytest.raises(DataError, match="0.tar: not readable as an uncompressed tar"):
        open_pool(str(path), str(tmp_path))


def test_a_byte_order_mark_is_not_part_of_a_text(tmp_path):
    write_tar(tmp_path / "0.tar", {"a.png": png(1), "a.txt": "\ufeffone".encode()})
    assert open_pool(str(tmp_path / "0.tar"), str(tmp_path)).text(0) == "one"


def test_unreadable_parts_of_a_pool_are_named(tmp_path):
    (tmp_path / "0.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match="0.tar: not readable as an uncompressed tar"):
        open_pool(str(tmp_path), str(tmp_path))
    with pytest.raises(DataError, match="no such pool"):
        open_pool(str(tmp_path / "none"), str(tmp_path))
    write_tar(tmp_path / "0.tar", {**MEMBERS, "a.png": b"nothing", "b.txt": b" \n"})
    pool = open_pool(str(tmp_path), str(tmp_path))
    with pytest.raises(DataError, match="member a.png: no image that Pillow can read"):
        pool.image(0)
    with pytest.raises(DataError, match="member b.png: its text is empty"):
        pool.text(1)
    write_tar(tmp_path / "0.tar", {**MEMBERS, "a.png": png(1)[:-30], "b.txt": b"\xff\xfe"})
    pool = open_pool(str(tmp_path), str(tmp_path))
    with pytest.raises(DataError, match="damaged"):
        pool.image(0)
    with pytest.raises(DataError, match="not UTF-8"):
        pool.text(1)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_features_of_a_pool_are_kept_for_one_model_and_one_transform(tmp_path, kind):
    """With another model or transform they equal those of an empty folder, not the stored ones."""
    pool = open_pool(str(written(tmp_path, "folder")), str(tmp_path))
    models = {}
    for seed in (0, 5):
        clip = wrap(random_clip("vit", seed))
        models[seed] = PromptedCLIP(clip, PromptLearner(["mug"], clip))
    small, inverted = (T.Compose([T.Resize((32, 32)), *more, T.ToTensor()])
                       for more in ((), (T.RandomInvert(1.0),)))
    query = F.normalize(torch.linspace(-1, 1, 32)[None], dim=-1)

    def similarities(model, transform, root):
        return PoolFeatures(pool, model, transform, str(tmp_path / root), 2, 0).nearest(
            kind, query, 2, 2**20)[1].tolist()

    first = similarities(models[0], small, "kept")
    assert similarities(models[0], small, "kept") == first
    assert similarities(models[5], small, "kept") == similarities(models[5], small, "alone")
    assert similarities(models[5], small, "kept") != first
    assert similarities(models[0], inverted, "kept") == similarities(models[0], inverted, "alone")


# captions


class Item:
    def __init__(self, impath):
        self.impath = str(impath)


def line(image="a.png", captions=("one",)) -> str:
    return json.dumps({"image": image, "captions": list(captions)})


def test_captions_come_in_the_order_of_the_images(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).touch()
    file = tmp_path / "captions.jsonl"
    file.write_text("\n".join([line("b.png", ["two", "zwei"]), "", line("a.png"), line("c.png")]))
    items = [Item(tmp_path / "a.png"), Item(tmp_path / "b.png")]
    assert captions_of(str(file), items, tmp_path) == [["one"], ["two", "zwei"]]
    with pytest.raises(DataError, match="1 of 2 images have no caption, such as 'd.png'"):
        captions_of(str(file), [items[0], Item(tmp_path / "d.png")], tmp_path)
    (tmp_path / "c.png").unlink()
    with pytest.raises(DataError, match="there is no image 'c.png' in"):
        captions_of(str(file), items, tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("{", "line 1: not valid JSON"),
    ("[]", "line 1: expected"),
    (line() + "\n" + line(), "line 2: the image 'a.png' is already in line 1"),
    ('{"image": "a", "image": "b", "captions": ["x"]}', "the key 'image' is there twice"),
    (line(captions=()), "'a.png' has no caption"),
    (line(captions=(" ",)), "a caption of 'a.png' is not text"),
    (line(image=""), "the image must be a path"),
    ("\n", "holds no caption"),
])
def test_a_wrong_line_is_named(tmp_path, text, message):
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        read_captions(tmp_path / "c.jsonl")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_captions(tmp_path / "none.jsonl")


def test_a_picture_under_shift_has_the_captions_of_its_drawing(few_emoji):
    root = Path(few_emoji, "emoji")
    names = ("images/fluent_3d/aircraft/airplane.webp",
             "shifted/fluent_3d+scene2/fluent_3d/aircraft/airplane.png")
    drawing, shifted = (captions_of("embedded", [Item(root / name)], root) for name in names)
    assert shifted == drawing
