"""The evaluations of one run, before, during and after training; and the record they become."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from modern_dassl import distributed
from ueo.files import write_json
from ueo.images.hidden_labels import SETS, Truth
from ueo.images.lists import NO_LABEL
from ueo.results.kept_outputs import write_kept
from ueo.results.record import (
    HISTORY,
    RESULT,
    peak_memory,
    read_history,
    run_facts,
    write_predictions,
    write_run,
)
from ueo.runs.evaluator import UFTEvaluator
from ueo.runs.keep_outputs import KeptOutputs


class Evaluations:
    """History of metrics of `trainer` (a CLIPTrainer) on the test and the unlabelled set; `truth`
    has their labels.

    history: one entry an evaluation, {"epoch", "test": metrics, "unlabelled": metrics}; epoch 0 is
    the zero-shot model. Metrics are in percent, None where not defined.
    """

    def __init__(self, trainer, truth: Truth):
        self.trainer, self._truth = trainer, truth
        self.history: list[dict] = []
        self.outputs: dict[str, np.ndarray] = {}
        self.kept = KeptOutputs(trainer, truth)
        self.started = time.monotonic()
        self.train_seconds, self.train_images = 0.0, 0
        self.resumed_from = 0
        history = Path(trainer.output_dir, HISTORY)
        resuming = trainer.cfg.RESUME and history.is_file()
        self.earlier: list[dict] = read_history(history) if resuming else []

    @torch.no_grad()
    def run(self, epoch: int, last: bool = False) -> dict[str, Tensor]:
        """Evaluate both sets, extend the history; returns each set's cosines, (images, K).

        epoch: finished ones of the model as it is; last: it is the one that the run ends with.
        """
        trainer, zero_shot = self.trainer, epoch == 0
        features = self.image_features(trainer.test_loader, "test", shared=zero_shot)
        classes = trainer.model.class_features()
        test = self._cosines(features, classes)
        cosines = {"test": test, "unlabelled": self._unlabelled(test, classes, zero_shot)}
        entry = {"epoch": epoch}
        for name in SETS:
            print(f"Evaluate on the *{name}* set, epoch {epoch}")
            entry[name] = self._measure(name, cosines[name], epoch)
        if self.kept.wanted and (last or epoch == 0):
            self.kept.add(epoch, cosines, features, classes, self)
        self.history.append(entry)
        only_looking = self.history[0]["epoch"] > 0 and Path(trainer.output_dir, RESULT).exists()
        # an evaluation alone leaves a finished run's history as it is
        if not only_looking and distributed.is_main():
            later = [e for e in self.earlier if e["epoch"] > epoch]  # a resumed run may be killed
            write_json(Path(trainer.output_dir, HISTORY), self.history + later)
        return cosines

    @torch.no_grad()
    def unlabelled_cosines(self) -> Tensor:
        """(images, K) of the unlabelled set by the model as it is, test transform."""
        features = self.image_features(self.trainer.unlabelled_loader, "unlabelled")
        return self._cosines(features, self.trainer.model.class_features())

    def _cosines(self, features: Tensor, classes: Tensor | None) -> Tensor:
        """(images, K), fp32, on the CPU, of the features (images, embedding)."""
        model, size = self.trainer.model, self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
        parts = features.to(model.dtype).split(size)
        return torch.cat([
            model.cosines(part.to(self.trainer.device), classes).float().cpu() for part in parts
        ])

    def image_features(self, loader: DataLoader, name: str, shared: bool = False) -> Tensor:
        """Unit vectors (images, embedding) of an evaluation loader's images, fp32, on the CPU.

        shared: take those of an earlier run with the same images and the same image encoder.
        """
        model, images = self.trainer.model, loader.dataset
        if not shared or images.store is None or distributed.launched():
            return self.rows(loader, model.image_features, name)
        key = " ".join((
            model.encoder_hash(), images.content_hash(), str(loader.batch_size), torch.__version__,
            str(self.trainer.device), self.trainer.precision, str(torch.get_num_threads()),
        ))
        make = lambda: self.rows(loader, model.image_features, name).numpy()  # noqa: E731
        return torch.from_numpy(images.store.array(key, make))

    def rows(self, loader: DataLoader, function: Callable[[Tensor], Tensor], name: str) -> Tensor:
        """`function` of all images of an evaluation loader, one row each: (images, ...), fp32, on
        the CPU. Under torchrun every process computes a part and gets them all."""
        hidden = None if distributed.is_main() else True  # None: unless it is a terminal
        with self.trainer.model.evaluating():
            parts = [
                function(batch["img"].to(self.trainer.device)).float().cpu()
                for batch in tqdm(loader, desc=f"evaluate {name}", leave=False, disable=hidden)
            ]
        return distributed.gather(torch.cat(parts))

    def _unlabelled(self, test: Tensor, classes: Tensor | None, zero_shot: bool) -> Tensor:
        """Cosines of the unlabelled images; those that are test images are not computed again."""
        rows = self._truth.rows_in_test(self._truth.items("unlabelled"))
        if rows is not None:
            return test[rows]
        loader = self.trainer.unlabelled_loader
        return self._cosines(self.image_features(loader, "unlabelled", zero_shot), classes)

    def _measure(self, name: str, cosines: Tensor, epoch: int) -> dict:
        trainer, truth = self.trainer, self._truth
        evaluator = UFTEvaluator(
            trainer.cfg,
            num_known=len(truth.dataset.classnames),
            lab2cname=dict(enumerate(truth.dataset.classnames)),
            unlabelled_classes={*truth.labels("unlabelled").tolist()} - {NO_LABEL},
            score=trainer.options.SCORE,
            aside="" if name == "test" else name,
        )
        evaluator.process(cosines, truth.labels(name))
        values = dict(evaluator.evaluate())
        when = "before" if epoch == 0 else "after"
        for key, array in evaluator.outputs().items():
            if key != "labels":
                self.outputs[f"{name}_{key}_{when}"] = array
        values.update(self._without_labels(name, when))
        for key, value in values.items():
            if value is not None:
                trainer.write_scalar(f"{name}/{key}", value, epoch)
        return values

    def _without_labels(self, name: str, when: str) -> dict:
        """What can be known of a set without any label; printed where there is none."""
        predictions = self.outputs[f"{name}_predictions_{when}"]
        values = {
            "classes_predicted": len(np.unique(predictions)),
            "mean_score": float(self.outputs[f"{name}_scores_{when}"].mean()),
        }
        if (self._truth.labels(name) == NO_LABEL).all():
            print(f"* images: {len(predictions):,}")
            for key, value in values.items():
                print(f"* {key}: {value:.4g}")
        return values

    def _changed(self) -> float:
        """Percentage of test images that are predicted unlike before training."""
        before, after = (self.outputs[f"test_predictions_{w}"] for w in ("before", "after"))
        return 100 * float((before != after).mean())

    def resume(self, epoch: int) -> None:
        """After a checkpoint of `epoch` was loaded: take over the evaluations made until then."""
        self.resumed_from = epoch
        done = min(epoch, self.trainer.max_epoch - 1)  # the last evaluation is made again
        self.history += [entry for entry in self.earlier if 0 < entry["epoch"] <= done]

    def count_training(self, seconds: float, images: int) -> None:
        """Add an epoch's wall time and number of images."""
        self.train_seconds += seconds
        self.train_images += images

    def write_record(self) -> None:
        """Write result.json and outputs.npz into the run's folder, in the main process."""
        if not distributed.is_main():
            return
        trainer, dataset = self.trainer, self._truth.dataset
        cfg = trainer.cfg
        final = self.history[-1]
        for key in [k for k in self.outputs if k.endswith("_before")]:  # nothing was trained
            self.outputs.setdefault(key.replace("_before", "_after"), self.outputs[key])
        result = {
            **run_facts(cfg, dataset, trainer.device, trainer.inputs),
            "precision": trainer.precision,
            "uses_labels": trainer.uses_labels,
            "reads_labels": trainer.reads_labels,
            "metrics": {name: final[name] for name in SETS},
            "changed_predictions": self._changed(),
            "notes": trainer.notes,
            "evaluations": self.history,
            "resumed_from_epoch": self.resumed_from,
            "wall_seconds": time.monotonic() - self.started,
            "train_seconds": self.train_seconds,
            "train_images_per_second": self.train_images / self.train_seconds
            if self.train_seconds
            else None,
            "peak_memory_bytes": peak_memory(trainer.device),
        }
        result["counts"]["tuned_parameters"] = sum(
            p.numel() for group in trainer.groups.values() for p in group.values()
        )
        outputs = {**self.outputs, **{f"{s}_labels": self._truth.labels(s).numpy() for s in SETS}}
        outputs["test_paths"] = np.array(
            [os.path.relpath(item.impath, dataset.root) for item in dataset.test]
        )
        if (outputs["test_labels"] == NO_LABEL).any():
            write_predictions(trainer.output_dir, outputs, dataset.classnames)
        write_kept(trainer.output_dir, self.kept.arrays)
        write_run(trainer.output_dir, result, outputs)
