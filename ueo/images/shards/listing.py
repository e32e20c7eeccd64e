"""List shards: from a folder of tar files, a pattern with braces, commands or URLs."""

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
    """url: what webdataset opens: a path, a URL, or `pipe:` and a command. name: used in a run's
    files; the last part of the url if that is unique among the shards, else the url."""

    url: str
    name: str

    def name_of(self, member: str) -> str:
        """Return the name of an image in the shard; for "", that of the shard itself."""
        return f"{self.name}/{member}".rstrip("/")

    @property
    def path(self) -> Path | None:
        """The path of a local file; None for a command or a URL."""
        return None if REMOTE.match(self.url) else Path(self.url)


def names_shards(path: str) -> bool:
    """Whether `path` names shards: by its form, or as a folder with tar files but no images."""
    if REMOTE.match(path) or path.endswith(TAR):
        return True
    folder = Path(path).expanduser()
    return folder.is_dir() and bool(_in_folder(folder)) and not images_in(folder)


def list_of(path: str) -> list[Shard]:
    """Return the shards that `path` names, in order. {000..009} and {a,b} expand, :: separates
    several patterns, and a folder gives its tar files. Raises DataError if there are none, or one
    is missing or named twice."""
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
    """Return a title for the shards: the name of the folder that holds them."""
    if Path(path).expanduser().is_dir():
        return Path(path).expanduser().resolve().name
    first = _expanded(path)[0]
    if not REMOTE.match(first):
        return Path(first).absolute().parent.name or "shards"
    parts = first.split("/")
    return re.sub(r"[^\w.-]+", "_", parts[-2] if len(parts) > 1 else parts[0]).strip("_")


def library():
    """Import webdataset. Raises ConfigError if it is not installed."""
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
    """Expand braces. Raises DataError for an unbalanced brace."""
    try:
        return [_local(url) for url in library().shardlists.expand_urls(path)]
    except ValueError as error:
        raise DataError(f"{path}: a brace is missing ({first_line(error)})") from error


def _local(url: str) -> str:
    url = re.sub(r"^file:(//)?", "", url)
    return url if REMOTE.match(url) else str(Path(url).expanduser())
