"""Unpacking of archives: hostile and damaged ones are refused and leave nothing behind."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ueo.errors import DataError
from ueo.fetch.archives import BadArchive, is_archive, unpack_all

KINDS = {"zip": "", "tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2"}


def make(path: Path, files: dict[str, str]) -> Path:
    """An archive with these files under exactly these names."""
    mode = KINDS[path.name.partition(".")[2]]
    if not mode:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                info = zipfile.ZipInfo("x")
                info.filename = name  # the constructor would clean the name
                archive.writestr(info, text)
    else:
        with tarfile.open(path, mode) as archive:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(text), 0o777
                archive.addfile(info, io.BytesIO(text.encode()))
    return path


def unpack(archive: Path, folder: Path) -> None:
    unpack_all([archive], folder)


def left(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_top_entries_appear_in_the_folder(tmp_path, kind):
    archive = make(tmp_path / f"a.{kind}", {
        "Art/TV/1.jpg": "one", "list.txt": "two", "Real World/x": "", "__MACOSX/Art/._1.jpg": "",
        "Art/.DS_Store": "",
    })
    folder = tmp_path / "here"
    unpack(archive, folder)
    assert left(folder) == ["Art", "Art/TV", "Art/TV/1.jpg", "Real World", "Real World/x",
                            "list.txt"]
    assert (folder / "Art/TV/1.jpg").read_text() == "one"
    assert not (folder / "list.txt").stat().st_mode & stat.S_IXUSR
    assert is_archive(archive) and not is_archive(folder / "list.txt")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_existing_entries_are_not_replaced(tmp_path, kind):
    (tmp_path / "here" / "b").mkdir(parents=True)
    archive = make(tmp_path / f"a.{kind}", {"a/1": "", "b/1": ""})
    with pytest.raises(DataError, match="already exists"):
        unpack(archive, tmp_path / "here")
    assert left(tmp_path / "here") == ["b"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("entry", [
    "/etc/evil", "../evil", "top/../../evil", "C:/evil", "\\evil", "top\\..\\..\\evil", "..",
    "//etc/evil", "\\\\server\\evil", "C:\\evil", "C:evil", "top/C:/evil",
])
def test_an_entry_outside_the_folder_is_refused(tmp_path, kind, entry):
    archive = make(tmp_path / f"hostile.{kind}", {"top/good": "good", entry: "evil"})
    with pytest.raises(BadArchive, match="would leave the target folder"):
        unpack(archive, tmp_path / "here" / "data")
    assert left(tmp_path) == [archive.name]


def test_an_entry_cannot_name_a_path_by_two_slashes(tmp_path):
    target = f"/{tmp_path}/escaped"
    for kind in ("zip", "tar"):
        with pytest.raises(BadArchive, match="would leave the target folder"):
            unpack(make(tmp_path / f"a.{kind}", {target: "evil"}), tmp_path / "here")
    assert left(tmp_path) == ["a.tar", "a.zip"]


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE,
                                   tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, type_):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("top/link")
        info.type, info.linkname = type_, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"'top/link' is a link or no regular file"):
        unpack(tmp_path / "a.tar", tmp_path / "here")
    assert left(tmp_path) == ["a.tar"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("top/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match=r"'top/link' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "here")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_names_are_refused(tmp_path, kind):
    archive = make(tmp_path / f"a.{kind}", {"top/1": "one", "top/./1": "two"})
    with pytest.raises(BadArchive, match="'top/./1' twice"):
        unpack(archive, tmp_path / "here")
    archive = make(tmp_path / f"a.{kind}", {"top": "a file", "top/1": "below it"})
    with pytest.raises(BadArchive, match="'top/1' has the path of another"):
        unpack(archive, tmp_path / "here")
    assert left(tmp_path) == [archive.name]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_a_truncated_archive_leaves_nothing(tmp_path, kind, share):
    import random

    noise = "".join(random.Random(0).choices("abcdefgh", k=30_000))
    archive = make(tmp_path / f"a.{kind}", {"top/1": noise, "top/2": noise[::-1]})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadArchive, match="not a readable archive"):
        unpack(archive, tmp_path / "here" / "data")
    assert left(tmp_path) == [archive.name]


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
@pytest.mark.parametrize("keep", [1024, 1024 + 100])
def test_a_tar_truncated_or_damaged_at_a_header_is_refused(tmp_path, kind, keep):
    whole = make(tmp_path / "whole.tar", {"top/1": "one", "top/2": "two"}).read_bytes()
    damaged = whole[:keep] + b"x" * 512 + whole[keep + 512:]
    archive = tmp_path / f"a.{kind}"
    for content in (whole[:keep], damaged):
        archive.write_bytes(gzip.compress(content) if kind == "tar.gz" else content)
        with pytest.raises(BadArchive, match="not a readable archive"):
            unpack(archive, tmp_path / "here")
    assert left(tmp_path) == [archive.name, "whole.tar"]


def test_the_checksum_of_gzip_is_checked(tmp_path):
    archive = make(tmp_path / "a.tar.gz", {"top/1": "one"})
    content = bytearray(archive.read_bytes())
    content[-8] ^= 1
    archive.write_bytes(content)
    with pytest.raises(BadArchive, match="CRC"):
        unpack(archive, tmp_path / "here")
    assert left(tmp_path) == ["a.tar.gz"]


def test_an_archive_without_files_or_with_a_password_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(bytes(10240))
    with pytest.raises(BadArchive, match="holds no files"):
        unpack(tmp_path / "a.tar", tmp_path / "here")
    content = bytearray(make(tmp_path / "b.zip", {"top/1": "one"}).read_bytes())
    for flags in (6, content.index(b"PK\1\2") + 8):
        content[flags] |= 1
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(BadArchive, match="password"):
        unpack(tmp_path / "b.zip", tmp_path / "here")
    assert left(tmp_path) == ["a.tar", "b.zip"]


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path):
    inner = make(tmp_path / "inner.zip", {"evil": ""}).read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("top/inner.zip")
        info.size = len(inner)
        archive.addfile(info, io.BytesIO(inner))
    unpack(tmp_path / "a.tar", tmp_path / "here")
    assert left(tmp_path / "here") == ["top", "top/inner.zip"]


def test_archives_that_belong_together_are_unpacked_together_or_not_at_all(tmp_path):
    parts = [make(tmp_path / f"{n}.zip", {f"data/{n}": n}) for n in "ab"]
    unpack_all(parts, tmp_path / "here")
    assert left(tmp_path / "here") == ["data", "data/a", "data/b"]
    parts[1].write_bytes(parts[1].read_bytes()[:40])
    with pytest.raises(BadArchive) as caught:
        unpack_all(parts, tmp_path / "there")
    assert caught.value.archive == parts[1] and not (tmp_path / "there").exists()


def test_a_move_that_fails_is_undone(tmp_path, monkeypatch):
    archive = make(tmp_path / "a.zip", {"a/1": "", "b/1": ""})
    rename = os.rename

    def failing(source, target):
        if Path(source).name == "b":
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        unpack(archive, tmp_path / "here")
    assert left(tmp_path / "here") == []


def test_damaged_content_is_refused(tmp_path):
    archive = make(tmp_path / "a.zip", {"top/file": "content " * 1000})
    content = bytearray(archive.read_bytes())
    content[45:55] = b"x" * 10
    archive.write_bytes(content)
    with pytest.raises(DataError, match="not a readable archive"):
        unpack(archive, tmp_path / "data")
    assert left(tmp_path) == ["a.zip"]
