"""A data set outside the package, for --plugin: class folders below toy/<domain>/.

The test list and the unlabelled list are ordered differently, so an image has another position in
each.
"""

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.base import UFTDataset
from ueo.label_space import ClassCounts


@DATASET_REGISTRY.register(force=True)
class Toy(UFTDataset):
    dataset_dir = "toy"
    domains = targets = ("red", "blue")
    counts = ClassCounts(total=6, known=4, partial=3, open_partial=3, seen_ood=1)

    def setup(self, root):
        self.root = root
        self.class_list = sorted(p.name for p in (root / "red").iterdir())

    def items(self, domain, part):
        paths = sorted((self.root / domain).glob("*/*.png"))
        chosen = paths[::3] if part == "test" else [p for i, p in enumerate(paths) if i % 3]
        return [(str(p), self.class_list.index(p.parent.name)) for p in chosen]

    def released(self, domain):
        unlabelled, test = super().released(domain)
        return unlabelled, test[25:] + test[:25]
