"""Fetch a published data set, or say whether one that is there is as published.

    bash scripts/data.sh download office_home [--root data] [--domain Art]
    bash scripts/data.sh check office_home [--root data] [--deep]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from ueo.datasets.published import PublishedDataset  # noqa: E402

import modern_dassl  # noqa: E402, F401  (makes `dassl` importable)
from ueo.errors import ConfigError  # noqa: E402
from ueo.fetch.download import Piece, download, is_by_hand  # noqa: E402
from ueo.names import nearest  # noqa: E402
from ueo.settings.options import folder  # noqa: E402


def published() -> dict[str, type[PublishedDataset]]:
    """{name of the yaml file: class} of every published data set."""
    found = {}
    todo = [PublishedDataset]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if hasattr(kind, "dataset_dir"):
            found[kind.dataset_dir] = kind
    return found


def fetch(kind: type[PublishedDataset], root: str, pieces: list[Piece]) -> None:
    """Bring `pieces` below the data root; the terms are shown when nothing was fetched before."""
    folder = kind.find(root) or Path(root).expanduser() / kind.dataset_dir
    if not (folder / "download.json").exists():
        print(kind.terms)
    download(kind.title, pieces, folder, is_there=lambda piece: kind.is_there(root, piece))


def ensure(kind: type, root: str, domains: set[str], unasked: bool) -> None:
    """Bring the data of `domains` into `root` when it is missing: without a question when `unasked`
    or when its archives were put there by hand; else after one, where somebody can answer.

    Raises DataError when it stays missing.
    """
    if not issubclass(kind, PublishedDataset):
        kind.prepare(root)
        return
    pieces = kind.missing(root, domains)
    if not pieces:
        return
    folder = Path(root).expanduser() / kind.dataset_dir
    if not unasked and not all(is_by_hand(piece, folder) for piece in pieces):
        if not sys.stdin.isatty():
            raise kind.not_there(root)
        names = ", ".join(piece.name for piece in pieces)
        if input(f"{kind.title} ({names}) is not in {root}; fetch it, {kind.size}? [y/N] ") not in (
            "y", "Y", "yes"
        ):
            raise kind.not_there(root)
    fetch(kind, root, pieces)


def check(kind: type[PublishedDataset], root: str, domains: set[str], deep: bool) -> bool:
    """Print a line a domain; True when all are as published. deep: decode each image."""
    good = True
    for domain, same, message in kind.check(root, domains, deep):
        print(f"{kind.title} {domain}: {'' if same else 'DIFFERS: '}{message}")
        good = good and same
    return good


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    p.add_argument("command", choices=("download", "check"))
    p.add_argument("datasets", nargs="+", help=f"of {', '.join(sorted(published()))}")
    p.add_argument("--root", type=folder("--root"), default="data", help="data root")
    p.add_argument("--domain", nargs="+", default=[], help="domains; all unless given")
    p.add_argument("--deep", action="store_true", help="decode each image")
    return p


def run(args: argparse.Namespace) -> int:
    """0 as published, 1 something differs."""
    known, good = published(), True
    for name in args.datasets:
        if name not in known:
            raise ConfigError(
                f"there is no published data set {name!r}{nearest(name, known)}; known: "
                f"{', '.join(sorted(known))}"
            )
        kind = known[name]
        domains = {kind.domain_of(d) for d in args.domain} or set(kind.domains)
        if args.command == "download":
            ensure(kind, args.root, domains, unasked=True)
        good = check(kind, args.root, domains, args.deep) and good
    return 0 if good else 1


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 as published, 1 something differs, 2 a user's mistake, 130 interrupted."""
    import common  # which needs what stands above

    return common.guarded(lambda: run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
