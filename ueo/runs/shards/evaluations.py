"""The evaluations of a run on shards, batch by batch: only a few numbers are kept per image.

Shards have no labels here. So the unlabelled images are also the test images, and only metrics
that need no labels are computed.
"""

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modern_dassl import distributed
from ueo.images.hidden_labels import SETS
from ueo.images.lists import NO_LABEL
from ueo.images.loaders import read_batches
from ueo.images.shards.reading import Member, again
from ueo.images.shards.tables import Tables
from ueo.losses import entropy
from ueo.metrics import percent
from ueo.results.predictions import (
    PREDICTIONS,
    SKIPPED,
    not_read,
    of_leading,
    write_predictions,
    write_skipped,
)
from ueo.runs.evaluation import AFTER, BEFORE, Evaluations
from ueo.runs.evaluator import UFTEvaluator
from ueo.runs.passes import progress
from ueo.runs.shards.first_pass import first_pass
from ueo.scores import SCORES

ANSWERS = ("predictions", "scores", "confidences")  # as `UFTEvaluator.outputs` gives them


class ShardEvaluations(Evaluations):
    """Evaluations of `trainer` on its shards. tables: those of the first pass, once it is done."""

    tables: Tables | None = None

    def take_tables(self) -> Tables:
        """Return the tables, after a first pass if some are missing."""
        if self.tables is None:
            self.tables = first_pass(self.trainer)
            self._truth.dataset.take(self.tables)
        return self.tables

    @torch.no_grad()
    def run(self, epoch: int, last: bool = False) -> None:
        """Evaluate the current model, after `epoch` epochs, and extend the history."""
        self.take_tables()
        classes = self.trainer.model.class_features()
        cosines = self._kept(classes) if epoch == 0 else self._anew(classes)
        found, information = self._collected(cosines)
        when = BEFORE if epoch == 0 else AFTER
        self.outputs[when] = {
            f"{name}_{key}": found[key] for name in SETS for key in ANSWERS}
        self.leading = found  # of the last evaluation, with the two most probable classes
        entry = {"epoch": epoch}
        for name in SETS:
            print(f"Evaluate on the *{name}* set, epoch {epoch}")
            entry[name] = self._values(name, found, epoch)
        entry["unlabelled"]["mutual_information"] = information
        self.remember(entry)

    def _values(self, name: str, found: dict[str, np.ndarray], epoch: int) -> dict:
        classes = len(self._truth.dataset.classnames)
        evaluator = UFTEvaluator(self.trainer.cfg, num_known=classes, unlabelled_classes=set())
        labels = np.full(len(found["scores"]), NO_LABEL)
        values = dict(evaluator.measure({"labels": labels, **{k: found[k] for k in ANSWERS}}))
        outputs = {f"{name}_{key}": found[key] for key in ANSWERS}
        values.update(self._without_labels(name, outputs))
        for key in ("classes_predicted", "mean_score"):
            self.trainer.write_scalar(f"{name}/{key}", values[key], epoch)
        return values

    def _kept(self, classes: Tensor) -> Iterator[Tensor]:
        """Yield cosines of this process's images, from the features of the first pass."""
        for shard in self.trainer.unlabelled_loader.own:
            features = np.array(self.tables.read(shard).features)
            yield self.passes.cosines(torch.from_numpy(features), classes)

    def _anew(self, classes: Tensor) -> Iterator[Tensor]:
        """Yield cosines of this process's images by the current model, reading all images."""
        loader, model = self.trainer.unlabelled_loader, self.trainer.model
        batches = read_batches(self._images(), loader.dataset.view_of, loader.batch_size,
                               loader.num_workers)
        with model.evaluating():
            for batch in progress(batches, "evaluate"):
                batch.check()
                images = loader.normalise(batch.pixels)
                yield self.passes.cosines(model.padded(model.image_features, images), classes)

    def _images(self) -> Iterator[tuple[str, Member]]:
        for number in self.trainer.unlabelled_loader.own:
            shard, names = self.tables.shards[number], self.tables.read(number).names
            for _, member in again(shard, names, 0, len(names)):
                yield shard.name_of(member.name), member

    def _collected(self, cosines: Iterator[Tensor]) -> tuple[dict[str, np.ndarray], float]:
        """({name: (images, ...)}, mutual information in percent), of all processes' images."""
        trainer, tables = self.trainer, self.tables
        none = torch.zeros(0, len(self._truth.dataset.classnames))
        own = sum(tables.counts[shard] for shard in trainer.unlabelled_loader.own)
        found, begin, sums = {}, 0, 0  # filled in place, to not fragment memory
        for rows in chain([none], cosines):
            end = begin + len(rows)
            prob = (trainer.model.logit_scale * rows).softmax(-1)
            first = prob.sort(dim=-1, descending=True, stable=True).indices[:, :2]
            for name, values in (
                ("predictions", rows.argmax(-1)), ("confidences", prob.amax(-1)),
                ("scores", SCORES[trainer.options.SCORE](rows).double()),
                ("classes", first.int()), ("probabilities", prob.gather(1, first)),
            ):
                if name not in found:
                    found[name] = values.new_empty(own, *values.shape[1:])
                found[name][begin:end] = values
            begin, prob = end, prob.double()
            sums = sums + torch.cat([prob.sum(0), entropy(prob).sum(0, keepdim=True)])
        found = {name: distributed.gather(values).numpy() for name, values in found.items()}
        means = distributed.gather(sums[None]).sum(0) / len(found["scores"])
        # with one class, log 1 = 0 would divide 0 by 0
        most = math.log(len(means) - 1) or 1.0
        information = (entropy(means[None, :-1])[0] - means[-1]) / most
        return found, percent(max(float(information), 0.0))

    # the record

    def _paths(self) -> dict[str, np.ndarray]:
        named = self.tables.each(lambda shard, table: [*map(shard.name_of, table.names)])
        return dict.fromkeys([f"{name}_paths" for name in SETS], np.array(named))

    def _write_predictions(self, outputs: dict[str, np.ndarray], threshold: float | None) -> None:
        dataset, folder, rows = self._truth.dataset, Path(self.trainer.output_dir), self.leading
        write_skipped(folder / SKIPPED, not_read(dataset))
        write_predictions(folder / PREDICTIONS, of_leading(
            outputs["test_paths"], rows["classes"], rows["probabilities"], rows["scores"],
            threshold, dataset.classnames, outputs["test_predictions_before"],
        ))

    def _further(self, outputs: dict[str, np.ndarray]) -> dict:
        """Entries of the record on the shards."""
        skipped = len(self._truth.dataset.skipped)
        print(f"Images: {sum(self.tables.counts):,} in {len(self.tables.shards):,} shards, "
              f"{skipped:,} left out{' (skipped.csv)' * bool(skipped)}")
        cfg, notes = self.trainer.cfg, self.trainer.notes
        return {"shards": {"number": len(self.tables.shards), "left_out": skipped,
                           **{key.lower(): value for key, value in cfg.SHARDS.items()}},
                # a method's own notes are of its last batch
                "notes": {key: notes[key] for key in ("skipped_steps",) if key in notes}}
