"""Data sets kept as domain/class/image, without a list: the folders' names decide."""

from collections import Counter
from pathlib import Path

from ueo.datasets.published import PublishedDataset

from ueo.errors import DataError
from ueo.splits import stored_split
from ueo.trees import Item, Unread, class_items


class ClassFolderDataset(PublishedDataset):
    """A subclass sets `class_list`, in the released order of ids; a folder's class is found by its
    name, never by its position.

    per_class: {domain: published number of images of each class}, where it is known.
    """

    per_class: dict[str, tuple[int, ...]] = {}

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
        """(path, class id) of every image of a domain, by class, then name. unread: counts what
        else the class folders hold."""
        return class_items(cls.domain_folder(root, domain), cls.class_list, unread)

    @classmethod
    def check_domain(cls, root: Path, domain: str) -> str:
        items = cls.whole(root, domain)
        if len(items) != cls.published[domain]:
            raise DataError(
                f"{len(items)} images, the published version has {cls.published[domain]}"
            )
        found = Counter(label for _, label in items)
        for label, number in enumerate(cls.per_class.get(domain, ())):
            if found[label] != number:
                raise DataError(
                    f"{found[label]} images of {cls.class_list[label]!r}, the published version "
                    f"has {number}"
                )
        return f"{len(items)} images of {len(cls.class_list)} classes, as published"
