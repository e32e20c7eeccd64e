"""Archives: what is hostile or damaged leaves nothing behind."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ueo.archives import is_archive, unpack, unpack_top
from ueo.errors import DataError

KINDS = {"zip": "", "tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2"}


def make(path: Path, files: dict[str, str]) -> Path:
    """An archive with these files, as they are named."""
    mode = KINDS[path.name.partition(".")[2]]
    if not mode:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                info = zipfile.ZipInfo("x")
                info.filename = name  # as it is; the constructor would tidy it
                archive.writestr(info, text)
    else:
        with tarfile.open(path, mode) as archive:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(text), 0o777
                archive.addfile(info, io.BytesIO(text.encode()))
    return path


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
def test_what_is_there_is_not_replaced(tmp_path, kind):
    (tmp_path / "here" / "b").mkdir(parents=True)
    archive = make(tmp_path / f"a.{kind}", {"a/1": "", "b/1": ""})
    with pytest.raises(DataError, match="is there already"):
        unpack(archive, tmp_path / "here")
    assert left(tmp_path / "here") == ["b"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("entry", [
    "/etc/evil", "../evil", "top/../../evil", "C:/evil", "\\evil", "top\\..\\..\\evil", "..",
])
def test_an_entry_outside_the_folder_is_refused(tmp_path, kind, entry):
    archive = make(tmp_path / f"hostile.{kind}", {"top/good": "good", entry: "evil"})
    for function in (unpack, unpack_top):
        with pytest.raises(DataError, match="would leave the target folder"):
            function(archive, tmp_path / "here" / "data")
    assert set(left(tmp_path)) <= {archive.name, "here", "here/data"}


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE,
                                   tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, type_):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("top/link")
        info.type, info.linkname = type_, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"'top/link' is a link or no ordinary file"):
        unpack(tmp_path / "a.tar", tmp_path / "here")
    assert left(tmp_path / "here") == []


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("top/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match=r"'top/link' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "here")


def test_a_name_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("top/1", "top/./1"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match="twice"):
        unpack(tmp_path / "a.tar", tmp_path / "here")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_a_truncated_archive_leaves_nothing(tmp_path, kind, share):
    import random

    noise = "".join(random.Random(0).choices("abcdefgh", k=30_000))
    archive = make(tmp_path / f"a.{kind}", {"top/1": noise, "top/2": noise[::-1]})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    for function in (unpack, unpack_top):
        with pytest.raises(DataError, match="not a readable archive"):
            function(archive, tmp_path / "here" / "data")
    assert set(left(tmp_path)) <= {archive.name, "here", "here/data"}


def test_damaged_content_is_noticed(tmp_path):
    archive = make(tmp_path / "a.zip", {"top/file": "content " * 1000})
    content = bytearray(archive.read_bytes())
    content[45:55] = b"x" * 10
    archive.write_bytes(content)
    with pytest.raises(DataError, match="not a readable archive"):
        unpack_top(archive, tmp_path / "data")
    assert left(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("names", [(), ("one/a", "two/b"), ("file",)])
def test_one_top_folder_is_expected_where_it_becomes_the_folder(tmp_path, names):
    archive = make(tmp_path / "a.zip", dict.fromkeys(names, ""))
    with pytest.raises(DataError, match="expected one top folder"):
        unpack_top(archive, tmp_path / "data")
    assert left(tmp_path) == ["a.zip"]
    unpack_top(make(tmp_path / "b.zip", {"top/x": "1"}), tmp_path / "data")
    assert left(tmp_path / "data") == ["x"]
