"""Reading of shards from a file, a command and a server, and what is left out."""

import gzip
import os
import tarfile

import numpy as np
import pytest
from made_shards import png, served, write_tar

from ueo.errors import ConfigError, DataError
from ueo.images.shards.listing import Shard, list_of, names_shards, title_of
from ueo.images.shards.reading import again, images_of
from ueo.images.shards.tables import Table, Tables


@pytest.fixture
def server(tmp_path):
    """The address that serves tmp_path."""
    with served(tmp_path) as address:
        yield address


def look(url) -> tuple[list[str], dict[str, str]]:
    """(names of the images, {name: reason} of everything left out)."""
    left_out = {}
    found = [m.name for m in images_of(Shard(str(url), "x.tar"), left_out.__setitem__)]
    return found, left_out


def test_samples_without_an_image_and_repeated_keys_are_left_out_and_named(tmp_path):
    url = write_tar(tmp_path / "x.tar", {
        "__meta__/info.json": b"{}", "dog/1.jpg": png(0), "dog/1.txt": b"a dog", "dog/1.cls": b"3",
        "2.txt": b"text alone", "3.PNG": png(1), "3.seg.png": png(2), "no_suffix": b"",
        "4.png": png(3), "5.png": png(4), "4.jpg": png(5), "6.png": b"no picture",
    })
    assert look(url) == (["dog/1.jpg", "3.png", "4.png", "5.png", "6.png"],
                         {"2": "no image", "no_suffix": "no suffix", "4": "key twice"})


def test_links_are_left_out_and_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(png(1))
    os.link(tmp_path / "a" / "1.png", tmp_path / "a" / "2.png")
    os.symlink("1.png", tmp_path / "a" / "3.png")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("a", "a/1.png", "a/2.png", "a/3.png"):
            archive.add(tmp_path / name, name, recursive=False)
    assert look(tmp_path / "x.tar") == (["a/1.png"], {"a/2.png": "a link", "a/3.png": "a link"})


@pytest.mark.parametrize("keep", [5000, 9217, 9000])
def test_a_truncated_shard_gives_the_images_before_the_cut(tmp_path, keep):
    url = write_tar(tmp_path / "x.tar", {f"{i}.png": png(i)[:3000] + b"0" * 1000 for i in range(3)})
    whole = url.read_bytes()
    url.write_bytes(whole[:keep])
    found, left_out = look(url)
    assert found == [f"{i}.png" for i in range(keep // 4608)]
    assert list(left_out) == [""] and left_out[""].startswith("shard cut off (")
    assert look(url) == (found, left_out)


def test_a_damaged_header_ends_a_shard(tmp_path):
    url = write_tar(tmp_path / "x.tar", {"0.png": b"0" * 512, "1.png": b"1" * 512, "2.png": b"2"})
    data = bytearray(url.read_bytes())
    data[1024:1100] = b"\xff" * 76
    url.write_bytes(data)
    assert look(url) == (["0.png"], {"": "shard cut off (no end mark, or a damaged header)"})
    url.write_bytes(b"<html>not here</html>" * 100)
    assert look(url)[0] == [] and "shard cut off" in look(url)[1][""]


def test_a_command_and_a_server_give_the_same_as_a_file(tmp_path, server):
    url = write_tar(tmp_path / "x.tar", {f"{i}.png": png(i) for i in range(5)})
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(url.read_bytes()))
    expected = list(images_of(Shard(str(url), "x.tar")))
    for other in (f"pipe:cat {url}", f"pipe:gzip -dc {url}.gz", f"{server}/x.tar", f"{url}.gz"):
        assert list(images_of(Shard(other, "x.tar"))) == expected
        names = [member.name for member in expected]
        part = list(again(Shard(other, "x.tar"), names, 1, 3))  # the rest is not read
        assert part == [(1, expected[1]), (2, expected[2])]


def test_shards_that_cannot_be_read_to_their_end_are_refused_with_the_reason(tmp_path, server):
    url = write_tar(tmp_path / "x.tar", {f"{i}.png": png(i) for i in range(5)})
    for other, why in ((f"{server}/gone.tar", "exit 22"), ("pipe:exit 3", "exit 3"),
                       (f"pipe:cat {url}; exit 5", "exit 5"), (f"{tmp_path}/gone.tar", "No such")):
        with pytest.raises(DataError, match=why):
            list(images_of(Shard(other, "x.tar")))
    with pytest.raises(DataError, match="lacks other.png, which it held"):
        list(again(Shard(str(url), "x.tar"), ["0.png", "other.png"], 0, 2))


def test_paths_that_name_shards(tmp_path):
    for number in range(3):
        write_tar(tmp_path / "my" / f"{number}.tar", {"a.png": png(0)})
    folder = tmp_path / "my"
    braces = f"{folder}/{{0..2}}.tar"
    for path in (braces, str(folder), f"{folder}/0.tar::{folder}/{{1,2}}.tar"):
        assert [s.name for s in list_of(path)] == ["0.tar", "1.tar", "2.tar"]
        assert names_shards(path) and title_of(path) == "my"
    assert title_of("http://127.0.0.1/photos/{0..2}.tar") == "photos"
    assert [s.name for s in list_of("pipe:cat a/{0..1}.tar")] == ["0.tar", "1.tar"]
    two = list_of("pipe:cat {a,b}/0.tar")
    assert [s.name for s in two] == [s.url for s in two]  # their last parts are the same
    (folder / "c.png").write_bytes(png(0))
    assert not names_shards(str(folder)) and not names_shards("photos")
    for path, why in ((f"{folder}/{{0..3}}.tar", "3.tar: no such shard"),
                      (str(tmp_path), "holds no shard"), (f"{folder}/{{0,0}}.tar", "twice"),
                      (f"{folder}/0.tar::file:{folder}/../my/0.tar", "twice"),
                      (f"{folder}/{{0..1.tar", "a brace is missing")):
        with pytest.raises(DataError, match=why):
            list_of(path)
    with pytest.raises(DataError, match="a brace is missing"):
        title_of(f"{folder}/{{0..1.tar")


def test_a_command_with_relative_paths_reads_other_shards_in_another_folder(tmp_path, monkeypatch):
    """Their tables are therefore stored in different files."""
    shards, files = [Shard("pipe:cat 0.tar", "0.tar")], []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        files += Tables(tmp_path, shards, "key").files
    assert files[0] != files[1]


def test_a_full_disk_is_named_where_numpy_gives_no_reason(tmp_path, monkeypatch):
    def short(file, values):
        raise OSError("3 requested and 0 written")
    monkeypatch.setattr(np, "save", short)
    with pytest.raises(ConfigError, match="cannot be kept .3 requested and 0 written."):
        Tables(tmp_path, [Shard("pipe:x", "x")], "").write(0, Table([], np.zeros((0, 2)), []))
