"""Evaluators: batches in, a dictionary of results out."""

import os.path as osp
from collections import OrderedDict, defaultdict

import numpy as np
import torch
from dassl.evaluation.build import EVALUATOR_REGISTRY
from dassl.utils import ConfigValueError, DataValueError, mkdir_if_missing
from torch import Tensor


class EvaluatorBase:
    """Interface for the trainer: reset(), process(output, labels) per batch, evaluate()."""

    def __init__(self, cfg):
        self.cfg = cfg

    def reset(self) -> None:
        """Forget all processed batches."""
        raise TypeError(f"{type(self).__name__} must define reset()")

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Add the model's output and the labels of a batch."""
        raise TypeError(f"{type(self).__name__} must define process(mo, gt)")

    def evaluate(self) -> OrderedDict:
        """Return {name: result}; the first result decides which model is best."""
        raise TypeError(f"{type(self).__name__} must define evaluate()")


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Accuracy, error rate and macro F1 in percent; per class with TEST.PER_CLASS_RESULT.

    lab2cname: {label: class name}, needed for results per class.
    """

    def __init__(self, cfg, lab2cname=None, **kwargs):
        super().__init__(cfg)
        self._lab2cname = lab2cname
        self._per_class_res = None
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ConfigValueError("TEST.PER_CLASS_RESULT needs the class names, lab2cname")
        self.reset()

    def reset(self) -> None:
        self._correct = 0
        self._total = 0
        self._y_true: list[int] = []
        self._y_pred: list[int] = []
        if self.cfg.TEST.PER_CLASS_RESULT:
            self._per_class_res = defaultdict(list)

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """mo: (batch, classes) scores; gt: (batch,) labels."""
        predictions = mo.argmax(1)
        matches = (predictions == gt).int()
        self._correct += int(matches.sum())
        self._total += gt.shape[0]
        labels = gt.tolist()
        self._y_true.extend(labels)
        self._y_pred.extend(predictions.tolist())
        if self._per_class_res is not None:
            for label, match in zip(labels, matches.tolist(), strict=True):
                self._per_class_res[label].append(match)

    def evaluate(self) -> OrderedDict:
        if self._total == 0:
            raise DataValueError("nothing was evaluated: the evaluator received no image")
        accuracy = 100.0 * self._correct / self._total
        from sklearn.metrics import f1_score  # here: its import takes half a second

        macro_f1 = 100.0 * float(f1_score(
            self._y_true, self._y_pred, average="macro", labels=np.unique(self._y_true)
        ))
        results = OrderedDict(accuracy=accuracy, error_rate=100.0 - accuracy, macro_f1=macro_f1)
        print(
            "=> result\n"
            f"* total: {self._total:,}\n"
            f"* correct: {self._correct:,}\n"
            f"* accuracy: {accuracy:.1f}%\n"
            f"* error: {results['error_rate']:.1f}%\n"
            f"* macro_f1: {macro_f1:.1f}%"
        )
        if self._per_class_res is not None:
            results["perclass_accuracy"] = self._print_per_class()
        if self.cfg.TEST.COMPUTE_CMAT:
            self._save_confusion()
        return results

    def _print_per_class(self) -> float:
        """Print a line per class; return the mean accuracy of the classes."""
        print("=> per-class result")
        accuracies = []
        for label in sorted(self._per_class_res):
            matches = self._per_class_res[label]
            accuracies.append(100.0 * sum(matches) / len(matches))
            print(
                f"* class: {label} ({self._lab2cname.get(label, 'unknown')})\t"
                f"total: {len(matches):,}\tcorrect: {sum(matches):,}\tacc: {accuracies[-1]:.1f}%"
            )
        mean = float(np.mean(accuracies))
        print(f"* average: {mean:.1f}%")
        return mean

    def _save_confusion(self) -> None:
        """Write cmat.pt: rows are true classes, each divided by its sum."""
        from sklearn.metrics import confusion_matrix

        matrix = confusion_matrix(self._y_true, self._y_pred, normalize="true")
        path = osp.join(self.cfg.OUTPUT_DIR, "cmat.pt")
        mkdir_if_missing(self.cfg.OUTPUT_DIR)
        torch.save(torch.from_numpy(matrix), path)  # a tensor can be read safely
        print(f"Confusion matrix is saved to {path}")
