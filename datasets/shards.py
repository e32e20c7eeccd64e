"""Unlabelled images in shards, tar files in WebDataset's format (docs/streams.md).

DATASET.PATH names the shards, DATASET.NAMES the classes. Images are never listed: until a first
pass has counted them, the items are the shards.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY, DatasetBase

from ueo.datasets.own_images import OwnImages
from ueo.errors import ConfigError
from ueo.images.class_names import read_names
from ueo.images.folders import Unread
from ueo.images.hashes import Files, cache_of, content_hashes, short_hash
from ueo.images.hidden_labels import UnlabelledItem
from ueo.images.overlap import Overlap
from ueo.images.shards.listing import list_of, title_of
from ueo.images.shards.tables import Tables
from ueo.inputs import CLASS_NAMES, IMAGE_LIST, IMAGES, LABELS, Inputs
from ueo.label_space import label_space
from ueo.settings.config import setting_of


@DATASET_REGISTRY.register()
class UFTShards(OwnImages):
    """All images are adapted to and predicted; labels in shards are not read."""

    title = "shards"

    def __init__(self, cfg):
        self._describe(cfg)
        self.inputs = self._inputs_of_shards(cfg)
        self.space = label_space(self.counts, setting_of(cfg, "SETTING"))
        self.published_counts = self.matched = None
        self.shots, self.skipped, self.untested_classes = 0, {}, []
        self.split_hash = short_hash([shard.name for shard in self.shards])
        items = [UnlabelledItem(0, shard.name) for shard in self.shards]  # a Datum is an image
        DatasetBase.__init__(self, train_x=items, train_u=items, test=items)
        self._lab2cname = dict(enumerate(self.class_list))
        self._classnames, self._num_classes = self.class_list, len(self.class_list)
        self.overlap = Overlap([], None)

    @classmethod
    def inputs_of(cls, cfg) -> Inputs:
        data = cls.__new__(cls)
        data._describe(cfg)
        return data._inputs_of_shards(cfg)

    @classmethod
    def path_of(cls, cfg) -> str:
        """Return DATASET.PATH. Raises ConfigError if it is empty."""
        if not setting_of(cfg, "PATH"):
            raise ConfigError("DATASET.PATH: say where the shards are, with --path")
        return setting_of(cfg, "PATH")

    @classmethod
    def is_there(cls, path: str) -> bool:
        return bool(list_of(path))

    @classmethod
    def targets_at(cls, path: str) -> tuple[str, ...]:
        """Return the one domain, named like the folder of the shards."""
        return (title_of(path),)

    def take(self, tables: Tables) -> None:
        """Replace the items by the images that a first pass has found."""
        images = Counted(sum(tables.counts))
        self._train_x = self._train_u = self._test = images
        self.overlap = Overlap(images, None)
        self.skipped = dict(tables.each(lambda shard, table: [
            (shard.name_of(name), why) for name, why in table.skipped]))

    def _describe(self, cfg) -> None:
        self.path = self.path_of(cfg)
        if (protocol := setting_of(cfg, "PROTOCOL")) != "released":
            raise ConfigError(f"--protocol {protocol}: images in shards are all adapted to and "
                              "answered, which is the protocol released")
        if cfg.DATASET.NUM_SHOTS > 0:
            raise ConfigError("DATASET.NUM_SHOTS: shards have no labels here")
        if setting_of(cfg, "SETTING") not in self.settings:
            raise ConfigError("DATASET.SETTING: shards have the label space as_is")
        if setting_of(cfg, "SUBSAMPLE_CLASSES") != "all":
            raise ConfigError("DATASET.SUBSAMPLE_CLASSES: images in shards have no labels to leave "
                              "out; name the classes of one half with --names")
        if not setting_of(cfg, "NAMES"):
            raise ConfigError("DATASET.NAMES: say which classes there are, with --names FILE")
        self._set_classes(read_names(Path(setting_of(cfg, "NAMES")).expanduser()), [])
        self.shards, self.protocol = list_of(self.path), "released"
        self.domain = self._choose_domain(cfg.DATASET.TARGET_DOMAINS)
        self.domains, self.root, self.unread = (self.domain,), Path("."), Unread()

    def _inputs_of_shards(self, cfg) -> Inputs:
        """Return what results depend on; remote shards are identified by address or command."""
        local = {str(shard.path): shard.name for shard in self.shards if shard.path}
        contents = content_hashes(local, cache_of(cfg, f"{cfg.DATASET.NAME}-{self.domain}"))
        self.files = Files(local, contents)
        found = [contents.get(str(shard.path), shard.url) for shard in self.shards]
        return {
            CLASS_NAMES: f"{len(self.class_list):,} ({short_hash(self.class_list)})",
            IMAGE_LIST: f"{len(found):,} shards ({short_hash([s.name for s in self.shards])})",
            LABELS: short_hash([]),
            IMAGES: f"{len(found):,} shards ({short_hash(found)})",
        }


class Counted(Sequence):
    """A sequence of `number` images without labels, of which none is stored."""

    def __init__(self, number: int):
        self.number, self.item = number, UnlabelledItem(0)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, position: int) -> UnlabelledItem:
        if not -self.number <= position < self.number:
            raise IndexError(position)
        return self.item

    def __iter__(self) -> Iterator[UnlabelledItem]:
        return (self.item for _ in range(self.number))
