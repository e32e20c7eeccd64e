"""Writing the images of a folder into shards."""

import shutil

import pytest
from made_shards import png

from ueo.commands import data
from ueo.images.shards import writing
from ueo.images.shards.listing import list_of
from ueo.images.shards.reading import images_of


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    names = ["dog/1.png", "dog/1.jpg", "dog/1.2.png", "cat/1.png", "2.png", "cat/Größe.png"]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(number))
    (folder / "notes.txt").write_text("no image")
    return folder


def held(path) -> dict[str, bytes]:
    return {member.name: member.data for shard in list_of(str(path)) for member in images_of(shard)}


def test_every_image_is_written_under_its_own_key(photos, tmp_path, capsys):
    assert data.main(["shard", str(photos)]) == 0
    out = capsys.readouterr().out
    assert "Ignored: 1 file (.txt 1)" in out
    assert f"6 images in 1 shard: --path '{photos}-shards/000000.tar'" in out
    found = held(f"{photos}-shards")
    assert set(found) == {"2.png", "cat/1.png", "cat/Größe.png", "dog/1%2E2.png", "dog/1.jpg",
                          "dog/1%2Epng.png"}
    assert found["dog/1%2E2.png"] == png(2) and found["dog/1%2Epng.png"] == png(0)


def test_shards_depend_on_images_alone_and_keep_to_the_size_limit(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MEGABYTE", 12000)
    other = shutil.copytree(photos, tmp_path / "other")
    for folder in (photos, other):
        assert data.main(["shard", str(folder), "--size", "1"]) == 0
    made, again = (sorted(path.parent.joinpath(f"{path.name}-shards").iterdir())
                   for path in (photos, other))
    assert [p.name for p in made] == ["000000.tar", "000001.tar", "000002.tar"]
    assert [p.read_bytes() for p in made] == [p.read_bytes() for p in again]
    assert all(sum(map(len, held(path).values())) <= 12000 for path in made)
    assert sorted(held(made[0].parent).values()) == sorted(png(i) for i in range(6))


def test_shards_are_written_completely_or_not_at_all(photos, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writing.tarfile.TarFile, "addfile", full)
        assert data.main(["shard", str(photos)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left" in line
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]
    assert data.main(["shard", str(photos)]) == 0
    assert data.main(["shard", str(photos)]) == 2
    assert "already exists" in capsys.readouterr().err


def test_mistakes_are_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name, why in (("empty", "holds no image"), ("gone", "no such folder")):
        assert data.main(["shard", str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert why in line
