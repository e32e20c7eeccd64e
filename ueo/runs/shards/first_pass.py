"""The first pass over shards: which images can be read, and their features by the frozen encoder.

Its results are cached for each shard and encoder. So an interrupted pass resumes with the remaining
shards, and later runs need none.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import torch

from modern_dassl import distributed
from ueo.errors import DataError
from ueo.files import check_writable, exclusive
from ueo.images.hashes import store_folder
from ueo.images.loaders import read_batches
from ueo.images.shards.listing import Shard
from ueo.images.shards.loaders import EvaluationShards
from ueo.images.shards.reading import Member, images_of
from ueo.images.shards.tables import Table, Tables
from ueo.inputs import TF32
from ueo.runs.passes import progress
from ueo.settings.config import setting_of

FOLDER = "shards"  # in the image cache


def first_pass(trainer) -> Tables:
    """Return the tables of the trainer's shards. Missing ones are made, under torchrun by all
    processes together; the model must still be frozen CLIP. Raises DataError if no image can be
    read, or for any that cannot under BAD_IMAGES stop."""
    loader: EvaluationShards = trainer.unlabelled_loader
    tables = Tables(_folder(trainer.cfg), loader.shards, _key(trainer, loader))
    with exclusive(tables.folder / f"first_pass-{distributed.rank()}.lock"):  # against other runs
        _Pass(trainer, loader, tables).make(tables.missing(loader.own))
    distributed.barrier()
    if not sum(tables.counts) or setting_of(trainer.cfg, "BAD_IMAGES") == "stop":
        for shard, name, why in tables.each(lambda shard, table: [
                (shard, *pair) for pair in table.skipped]):
            raise _bad(shard, name, why)
    if not sum(tables.counts):
        raise DataError(f"{loader.shards[0].url}: holds no image, nor does any other shard")
    return tables


def _bad(shard: Shard, name: str, why: str) -> DataError:
    return DataError(f"{shard.url}: {name}{': ' * bool(name)}{why}; DATASET.BAD_IMAGES skip leaves "
                     "such images out, as long as there are others")


class _Pass:
    def __init__(self, trainer, loader: EvaluationShards, tables: Tables):
        self.trainer, self.loader, self.tables = trainer, loader, tables
        self.stops = setting_of(trainer.cfg, "BAD_IMAGES") == "stop"
        self.names: dict[int, list[str]] = {}
        self.skipped: dict[int, list[tuple[str, str]]] = {}
        self.features: dict[int, list[np.ndarray]] = {}

    def make(self, todo: list[int]) -> None:
        """Read these shards, and write the table of each when the next one begins."""
        loader, model = self.loader, self.trainer.model
        batches = read_batches(self._images(todo), loader.dataset.view_of, loader.batch_size,
                               loader.num_workers)
        waiting = list(todo)
        with model.evaluating():
            for batch in progress(batches, "first pass over the shards") if todo else ():
                rows = iter(())
                if batch.pixels is not None:
                    images = loader.normalise(batch.pixels)
                    rows = iter(model.padded(model.image_features, images).float().cpu().numpy())
                for (shard, name), why in batch.images:
                    while waiting[0] != shard:
                        self._write(waiting.pop(0))
                    if why:
                        self._skip(shard, name, why)
                    else:
                        self.names[shard].append(name)
                        self.features[shard].append(next(rows))
        for shard in waiting:
            self._write(shard)

    def _images(self, todo: list[int]) -> Iterator[tuple[tuple[int, str], Member]]:
        for shard in todo:
            self.names[shard], self.skipped[shard], self.features[shard] = [], [], []
            for member in images_of(self.loader.shards[shard],
                                    lambda name, why, shard=shard: self._skip(shard, name, why)):
                yield (shard, member.name), member

    def _skip(self, shard: int, name: str, why: str) -> None:
        if self.stops:
            raise _bad(self.loader.shards[shard], name, why)
        self.skipped[shard].append((name, why))

    def _write(self, shard: int) -> None:
        features = self.features.pop(shard)
        empty = np.zeros((0, self.trainer.model.embedding), np.float32)
        self.tables.write(shard, Table(
            self.names.pop(shard), np.stack(features) if features else empty,
            sorted(self.skipped.pop(shard)),
        ))


def _folder(cfg) -> Path:
    """Return the folder of tables. Raises ConfigError if it cannot be written."""
    folder = store_folder(cfg) / FOLDER
    check_writable(folder, "DATASET.STORE")
    return folder


def _key(trainer, loader: EvaluationShards) -> str:
    """What features depend on besides the shards."""
    return " ".join(map(str, (
        trainer.model.encoder_hash(), loader.dataset.view_name, loader.dataset.upright,
        loader.batch_size, trainer.device, trainer.precision, torch.__version__,
        PIL.__version__, torch.get_num_threads(), trainer.inputs.get(TF32),
        trainer.cfg.INPUT.PIXEL_MEAN, trainer.cfg.INPUT.PIXEL_STD, trainer.cfg.INPUT.TRANSFORMS,
    )))
