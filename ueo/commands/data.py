"""Fetch a published data set, or say whether one that is there is as published.

    bash scripts/data.sh download office_home [--root data] [--domain Art]
    bash scripts/data.sh check office_home [--root data] [--deep]
"""

import argparse

from dassl.data.datasets import DATASET_REGISTRY

from ueo.errors import ConfigError
from ueo.fetch.ensure import ensure, is_published
from ueo.grids.choices import CONFIGS, dataset_class
from ueo.names import did_you_mean
from ueo.runs.configure import register
from ueo.runs.status import status_of
from ueo.settings.options import folder


def published() -> dict[str, type]:
    """{name of its yaml file, or of its folder where it has none: class} of every published data
    set."""
    register()
    kinds = map(DATASET_REGISTRY.get, DATASET_REGISTRY.registered_names())
    yamls = {dataset_class(file.stem): file.stem for file in (CONFIGS / "datasets").glob("*.yaml")}
    return {yamls.get(kind, kind.dataset_dir): kind for kind in kinds if is_published(kind)}


def check(kind: type, root: str, domains: set[str], deep: bool) -> bool:
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
                f"there is no published data set {name!r}{did_you_mean(name, known)}; known: "
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
    return status_of(lambda: run(parser().parse_args(argv)))
