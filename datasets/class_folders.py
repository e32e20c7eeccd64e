"""Data sets stored as domain/class/image, without lists: the names of folders are the classes."""

from collections import Counter
from pathlib import Path

from ueo.datasets.published import Comparison, PublishedDataset
from ueo.images.folders import Item, Unread, class_items
from ueo.images.splits import stored_split


class ClassFolderDataset(PublishedDataset):
    """A subclass sets `class_list`, in the released order of ids. A folder's class is found by its
    name, never by its position.

    per_class: {domain: published number of images of each class}, where known.
    per_block: {domain: that of each block of classes in `counts`}, where only that is known.
    """

    per_class: dict[str, tuple[int, ...]] = {}
    per_block: dict[str, tuple[int, ...]] = {}

    def released(self, domain: str) -> tuple[list[Item], list[Item]]:
        whole = self.whole(self.root, domain, self.unread)
        return whole, whole

    def independent(self, domain: str) -> tuple[list[Item], list[Item]]:
        names = {
            f"{self.class_list[label]}/{Path(path).name}": (path, label)
            for path, label in self.whole(self.root, domain, self.unread)
        }
        return stored_split(names, self.root / "splits" / f"independent_{domain}.json")

    @classmethod
    def whole(cls, root: Path, domain: str, unread: Unread | None = None) -> list[Item]:
        """Return (path, class id) of every image of a domain, by class, then name. unread: counts
        what else the class folders hold."""
        return class_items(cls.domain_folder(root, domain), cls.class_list, unread)

    @classmethod
    def compare(cls, root: Path, domain: str, deep: bool) -> Comparison:
        unread = Unread()
        items = cls.whole(root, domain, unread)
        found = Comparison(f"{len(items)} images of {len(cls.class_list)} classes", unread=unread)
        if domain in cls.published:
            found.numbers(len(items), cls.published[domain], "images")
            found.compared.append("number of images")
        else:
            found.known = False
            found.left.append("number of images (not known here)")
        found.files([path for path, _ in items], deep)
        cls._compare_classes(found, domain, Counter(label for _, label in items))
        found.left.append("the pictures themselves")
        return found

    @classmethod
    def _compare_classes(cls, found: Comparison, domain: str, images: Counter) -> None:
        """Compare the images of each class, or of each block if only that is known."""
        if domain in cls.per_class:
            for label, number in enumerate(cls.per_class[domain]):
                found.numbers(images[label], number, f"images of {cls.class_list[label]!r}")
            found.compared.append("images of each class")
            return
        found.left.append("images of each class (not known here)")
        if domain in cls.per_block:
            start = 0
            for end, number in zip(cls.counts.ends(), cls.per_block[domain]):
                total = sum(images[label] for label in range(start, end))
                found.numbers(total, number, f"images of the classes {start} to {end - 1}")
                start = end
            found.compared.append(f"images of {len(cls.per_block[domain])} blocks of classes")
