"""Download a published data set, check a local copy against it, or pack images into shards.

    bash scripts/data.sh download office_home [--root data] [--domain Art]
    bash scripts/data.sh check office_home [--root data] [--deep]
    bash scripts/data.sh shard my/photos [--output my/photos-shards] [--size 256]
"""

import argparse
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.commands import HelpFormatter
from ueo.errors import ConfigError
from ueo.fetch.ensure import ensure, is_published
from ueo.grids.choices import CONFIGS, dataset_class
from ueo.images.folders import Unread
from ueo.images.shards.writing import make_shards
from ueo.names import did_you_mean
from ueo.runs.configure import register
from ueo.runs.status import command
from ueo.settings.options import folder, number
from ueo.text import shown

LARGEST = 10**6  # megabytes


def data_sets() -> dict[str, type]:
    """Return {name: class} of every data set with a folder; its name is that of its yaml file, or
    of the folder if there is no yaml file."""
    register()
    kinds = map(DATASET_REGISTRY.get, DATASET_REGISTRY.registered_names())
    yamls = {dataset_class(file.stem): file.stem for file in (CONFIGS / "datasets").glob("*.yaml")}
    folders = {kind: kind.dataset_dir for kind in kinds if hasattr(kind, "dataset_dir")}
    return {yamls.get(kind, folder): kind for kind, folder in folders.items()}


def published(kinds: dict[str, type]) -> list[str]:
    """Return the names of those data sets that can be compared with a published version."""
    return sorted(name for name, kind in kinds.items() if is_published(kind))


def check(kind: type, root: str, domains: set[str], deep: bool) -> bool:
    """Print a line per domain; return whether all match. deep: also decode each image."""
    good = True
    for domain, same, message in kind.check(root, domains, deep):
        print(f"{kind.title} {domain}: {'' if same else 'DIFFERS: '}{message}")
        good = good and same
    return good


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = p.add_subparsers(dest="command", required=True)
    known = published(data_sets())
    for name, what in (("download", "download published data sets"),
                       ("check", "check local data sets against the published ones")):
        c = commands.add_parser(name, help=what, description=what, formatter_class=HelpFormatter)
        c.add_argument("datasets", nargs="+", help=f"any of {', '.join(known)}")
        c.add_argument("--root", type=folder("--root"), default="data", help="data root")
        c.add_argument("--domain", nargs="+", default=[], help="domains (default: all)")
        c.add_argument("--deep", action="store_true", help="also decode each image")
    what = "pack the images of a folder (searched recursively) into tar files (docs/streams.md)"
    c = commands.add_parser("shard", help=what, description=what, formatter_class=HelpFormatter)
    c.add_argument("folder", type=folder("FOLDER"), metavar="FOLDER", help="folder of images")
    c.add_argument("--output", type=folder("--output"),
                   help="new folder for the shards (default: FOLDER-shards)")
    c.add_argument("--size", type=number("--size", low=1, high=LARGEST), default=256,
                   help="maximum megabytes of images per shard")
    return p


def shard(args: argparse.Namespace) -> int:
    """Write the shards and print the path that a run takes for them."""
    images, unread = Path(args.folder).expanduser(), Unread()
    if not images.is_dir():
        raise ConfigError(f"{images}: no such folder")
    output = Path(args.output or f"{str(images).rstrip('/')}-shards").expanduser()
    shards, count = make_shards(images, output, args.size, unread)
    if unread:
        print(f"Ignored: {shown(str(unread))}")
    ends = [shards[0].stem, shards[-1].stem]
    names = f"{{{'..'.join(ends)}}}" if len(shards) > 1 else ends[0]
    kind = "shard" if len(shards) == 1 else "shards"
    print(f"{count:,} images in {len(shards):,} {kind}: --path {shown(f'{output}/{names}.tar')!r}")
    return 0


@command(parser)
def main(args: argparse.Namespace) -> int:
    """0 as published, 1 something differs."""
    if args.command == "shard":
        return shard(args)
    kinds, good = data_sets(), True
    for name in args.datasets:
        kind = kinds.get(name)
        if kind is None:
            known = published(kinds)
            raise ConfigError(
                f"there is no published data set {name!r}{did_you_mean(name, known)}; known: "
                f"{', '.join(known)}"
            )
        if not is_published(kind):
            raise ConfigError(
                f"{name}: cannot be downloaded or checked, because {kind.__name__} is no "
                "ClassFolderDataset or other PublishedDataset (docs/add_a_dataset.md)"
            )
        domains = {kind.domain_of(d) for d in args.domain} or set(kind.domains)
        if args.command == "download":
            ensure(kind, args.root, domains, unasked=True)
        good = check(kind, args.root, domains, args.deep) and good
    return 0 if good else 1
