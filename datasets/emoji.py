"""Emoji: the same concepts drawn in ten styles, 40 classes; the embedded, offline data set.

A style is a domain. The archive in assets/ is unpacked into the data root on first use. The data
set is for demonstrations and benchmarks; it is not one of the field's 15 domains. The tiny CLIP was
pre-trained on the source styles, but not on the targets (assets/tiny_clip.md).
"""

import json
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.base import UFTDataset
from ueo.errors import DataError
from ueo.fetch.embedded import unpack_embedded
from ueo.label_space import ClassCounts


@DATASET_REGISTRY.register()
class Emoji(UFTDataset):
    dataset_dir = "emoji"
    sources = ("noto", "twemoji", "emojione", "fxemoji", "emojione_monotone")
    targets = ("fluent", "fluent_flat", "fluent_high_contrast", "noto_v1", "fluent_3d")
    domains = targets + sources
    tuning_domain = "fluent_3d"
    published_split = True
    counts = ClassCounts(total=40, known=28, partial=20, open_partial=20, seen_ood=8)

    @staticmethod
    def object_of(path: str) -> str:
        """Return what a picture shows, such as "reptile/t_rex.png", in every style."""
        return "/".join(Path(path).parts[-2:])

    @classmethod
    def prepare(cls, root: str) -> None:
        unpack_embedded("emoji", root)

    def setup(self, root: Path) -> None:
        self.prepare(str(root.parent))
        try:
            self.class_list = (root / "classes.txt").read_text().split()
            self.splits = json.loads((root / "splits.json").read_text())
        except (OSError, ValueError) as error:
            raise DataError(
                f"{root}: the emoji data set is incomplete ({error}); remove that folder and run "
                "again, it is unpacked anew"
            ) from error
        self.images = root / "images"

    def items(self, domain: str, part: str) -> list[tuple[str, int]]:
        label = {name: i for i, name in enumerate(self.class_list)}
        paths = self.splits[domain][part]
        return [(str(self.images / path), label[Path(path).parts[1]]) for path in paths]
