"""The evaluator that the engine calls: known classes told apart, unknown ones spotted.

It receives unscaled cosine logits and labels; known classes are 0..K-1, every label >= K is OOD.
"""

from collections import OrderedDict

import numpy as np
import torch
from dassl.evaluation import EVALUATOR_REGISTRY, EvaluatorBase
from torch import Tensor

from ueo import metrics
from ueo.scores import SCORES


@EVALUATOR_REGISTRY.register()
class UFTEvaluator(EvaluatorBase):
    """Accuracies on known classes and OOD detection from one score.

    num_known:          K; defaults to the number of classes in `lab2cname`.
    unlabelled_classes: labels present in the unlabelled set, for the "seen"/"unseen" metrics.
    score:              name in ueo.scores.SCORES; MCM at temperature 1 as in the released code.
    """

    def __init__(self, cfg, lab2cname=None, num_known=None, unlabelled_classes=None, score="mcm"):
        super().__init__(cfg)
        self.num_known = num_known if num_known is not None else len(lab2cname)
        self.unlabelled_classes = unlabelled_classes
        self.score = SCORES[score]
        self.reset()

    def reset(self) -> None:
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """mo: (batch, K) unscaled cosines; gt: (batch,) labels."""
        self._logits.append(mo.detach().float().cpu())
        self._labels.append(gt.detach().cpu())

    def evaluate(self) -> OrderedDict:
        """Metrics in percent; prints the lines that the family's log parsers read."""
        out = self.outputs()
        percent = self.measure(out)
        self._print(percent, out["labels"], out["predictions"])
        return percent

    def measure(self, out: dict[str, np.ndarray]) -> OrderedDict:
        """Metrics in percent of what `outputs` gives."""
        values = metrics.evaluate(
            **out, num_known=self.num_known, unlabelled_classes=self.unlabelled_classes
        )
        percent = {k: None if v is None else 100 * v for k, v in values.items()}
        return OrderedDict(accuracy=percent.pop("gacc"), **percent)

    def outputs(self) -> dict[str, np.ndarray]:
        """Per-sample labels, predictions and scores of what was processed, each (samples,)."""
        if not self._logits:
            return dict.fromkeys(("labels", "predictions", "scores"), np.zeros(0))
        logits = torch.cat(self._logits)
        return {
            "labels": torch.cat(self._labels).numpy(),
            "predictions": logits.argmax(-1).numpy(),
            "scores": self.score(logits).double().numpy(),
        }

    def _print(self, values: dict, labels: np.ndarray, predictions: np.ndarray) -> None:
        from sklearn.metrics import f1_score

        labelled = labels >= 0
        labels, predictions = labels[labelled], predictions[labelled]
        print("=> result")
        if not len(labels):
            print("* no labels: accuracy and OOD detection are not known")
            return
        known = labels < self.num_known
        correct = int((labels[known] == predictions[known]).sum())
        accuracy = values["accuracy"] or 0.0
        macro_f1 = f1_score(labels[known], predictions[known], average="macro", zero_division=0) \
            if known.any() else 0.0
        print(f"* total: {int(known.sum()):,} known, {int((~known).sum()):,} OOD")
        print(f"* correct: {correct:,}")
        print(f"* accuracy: {accuracy:.1f}%")
        print(f"* error: {100 - accuracy:.1f}%")
        print(f"* macro_f1: {100 * macro_f1:.1f}%")
        for name, value in values.items():
            if name != "accuracy" and value is not None:
                print(f"* {name}: {value:.2f}%")
