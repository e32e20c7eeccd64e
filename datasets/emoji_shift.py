"""Emoji under shift: the target styles of emoji in scenes, or under a common corruption.

A domain is a style and a shift, such as `fluent+scene2` or `noto_v1+fog2`; the number is the
severity, 1 to 5. Its pictures are made from those of emoji on first use, and are always the same. A
style's name alone is the style without a shift. docs/bench.md says which domains are reported, and
how their severity was chosen.
"""

import hashlib
from pathlib import Path

import numpy as np
from dassl.data.datasets import DATASET_REGISTRY
from PIL import Image

from ueo.datasets.emoji import Emoji
from ueo.files import exclusive
from ueo.shifts.corruptions import CORRUPTIONS, SEVERITIES
from ueo.shifts.scenes import in_scene
from ueo.temporaries import temporary_folder

SHIFTS = {"scene": in_scene, **CORRUPTIONS}
SEVERITY = 2  # of the reported scenes, by the rule in docs/bench.md


@DATASET_REGISTRY.register()
class EmojiShift(Emoji):
    title = "Emoji under shift"
    domains = (*Emoji.targets, *(f"{style}+{shift}{severity}" for shift in SHIFTS
                                 for severity in SEVERITIES for style in Emoji.targets))
    targets = tuple(f"{style}+scene{SEVERITY}" for style in Emoji.targets)
    tuning_domain = f"{Emoji.tuning_domain}+scene{SEVERITY}"

    def setup(self, root: Path) -> None:
        super().setup(root)
        if self.domain in Emoji.targets:
            return
        style, _ = self.domain.split("+")
        self.splits = {self.domain: self.splits[style]}
        clean, self.images = self.images, root / "shifted" / self.domain
        with exclusive(root / ".shifted.lock"):
            if not self.images.is_dir():
                self._make(sorted({path for part in self.splits[self.domain].values()
                                   for path in part}), clean)

    def _make(self, paths: list[str], clean: Path) -> None:
        """Make the pictures of the domain; the folder appears when all are there."""
        shift, severity = self.domain.split("+")[1][:-1], int(self.domain[-1])
        print(f"Making the {len(paths)} pictures of {self.domain} in {self.images}")
        with temporary_folder(self.images.parent, f".{self.domain}-") as folder:
            for path in paths:
                # a seed of its own, so that neither order nor other pictures matter
                seed = hashlib.sha256(f"{self.domain}/{path}".encode()).digest()
                rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
                picture = np.asarray(Image.open(clean / path).convert("RGB"))
                target = (folder / "pictures" / path).with_suffix(".png")
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(SHIFTS[shift](picture, severity, rng)).save(target)
            (folder / "pictures").rename(self.images)

    def items(self, domain: str, part: str) -> list[tuple[str, int]]:
        found = super().items(domain, part)
        if domain in Emoji.targets:
            return found
        return [(str(Path(path).with_suffix(".png")), label) for path, label in found]
