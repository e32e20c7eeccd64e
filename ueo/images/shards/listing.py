"""Which shards there are: a folder of tar files, a list with braces, commands and addresses."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ueo.errors import ConfigError, DataError, first_line
from ueo.images.folders import images_in

TAR = (".tar", ".tar.gz", ".tgz")
REMOTE = re.compile(r"pipe:|[A-Za-z][\w+.-]*://")


class Shard(NamedTuple):
    """url: what webdataset opens: a path, an address or `pipe:` and a command. name: in the files
    that a run writes: the end of its url where those of all shards differ, else the url."""

    url: str
    name: str

    def name_of(self, member: str) -> str:
        """What an image in it is called; with "" the shard itself."""
        return f"{self.name}/{member}".rstrip("/")

    @property
    def path(self) -> Path | None:
        """Of a local file; None of a command or an address."""
        return None if REMOTE.match(self.url) else Path(self.url)


def names_shards(path: str) -> bool:
    """Whether `path` names shards, not images: by its form, or as a folder of tar files alone."""
    if REMOTE.match(path) or path.endswith(TAR):
        return True
    folder = Path(path).expanduser()
    return folder.is_dir() and bool(_in_folder(folder)) and not images_in(folder)


def list_of(path: str) -> list[Shard]:
    """The shards that `path` names, in their order: {000..009} and {a,b} stand for several, ::
    parts lists, and a folder holds some. Raises DataError for none, or for a file that is missing.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        urls = [str(file) for file in _in_folder(folder)]
    else:
        urls = _expanded(path)
    if not urls:
        raise DataError(f"{path}: holds no shard, which is a file called {' or '.join(TAR)}")
    ends = [url.rstrip("/").rpartition("/")[2] for url in urls]
    names = ends if len(set(ends)) == len(urls) else urls
    shards = [Shard(*pair) for pair in zip(urls, names)]
    places = [os.path.abspath(shard.path) if shard.path else shard.url for shard in shards]
    of_place = Counter(places)
    if twice := next((url for url, place in zip(urls, places) if of_place[place] > 1), None):
        raise DataError(f"{path}: names the shard {twice} twice")
    for shard in shards:
        if shard.path and not shard.path.is_file():
            raise DataError(f"{shard.url}: no such shard; {path} names {len(urls)}")
    return shards


def title_of(path: str) -> str:
    """What shards are called together: as the folder that holds them."""
    if Path(path).expanduser().is_dir():
        return Path(path).expanduser().resolve().name
    first = _expanded(path)[0]
    if not REMOTE.match(first):
        return Path(first).absolute().parent.name or "shards"
    parts = first.split("/")
    return re.sub(r"[^\w.-]+", "_", parts[-2] if len(parts) > 1 else parts[0]).strip("_")


def library():
    """The package webdataset. Raises ConfigError where it is not installed."""
    try:
        import webdataset
    except ImportError as error:
        raise ConfigError(
            "images in shards are read by webdataset: pip install 'ueo-toolbox[shards]'"
        ) from error
    return webdataset


def _in_folder(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith(TAR) and file.is_file())


def _expanded(path: str) -> list[str]:
    """Raises DataError for braces of which one is missing."""
    try:
        return [_local(url) for url in library().shardlists.expand_urls(path)]
    except ValueError as error:
        raise DataError(f"{path}: a brace is missing ({first_line(error)})") from error


def _local(url: str) -> str:
    url = re.sub(r"^file:(//)?", "", url)
    return url if REMOTE.match(url) else str(Path(url).expanduser())
