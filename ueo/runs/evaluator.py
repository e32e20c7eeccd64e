"""The evaluator that the engine calls: accuracy on known classes, detection of unknown ones.

It receives unscaled cosine logits and labels; known classes are 0..K-1, every label >= K is OOD.
"""

from collections import OrderedDict

import numpy as np
import torch
from dassl.evaluation import EVALUATOR_REGISTRY, Classification, EvaluatorBase
from torch import Tensor

from ueo import metrics
from ueo.scores import SCORES
from ueo.text import shown


@EVALUATOR_REGISTRY.register()
class UFTEvaluator(EvaluatorBase):
    """Accuracies on known classes and OOD detection from one score.

    num_known:          K; defaults to the number of classes in `lab2cname`.
    unlabelled_classes: labels present in the unlabelled set, for the "seen"/"unseen" metrics.
    score:              name in ueo.scores.SCORES; MCM at temperature 1 as in the released code.
    given:              (samples,), the scores, if they do not follow from cosines alone.
    prefix:             of each metric's name in the log, for other sets than the test set:
                        log parsers of the CoOp family take the last `* accuracy:`.
    logit_scale:        factor from what `process` gets to the logits of the model's softmax.
    """

    def __init__(self, cfg, lab2cname=None, num_known=None, unlabelled_classes=None, score="mcm",
                 prefix="", logit_scale=1.0, given: Tensor | None = None):
        super().__init__(cfg)
        self.num_known = num_known if num_known is not None else len(lab2cname)
        self.lab2cname = {label: shown(name) for label, name in (lab2cname or {}).items()}
        self.unlabelled_classes = unlabelled_classes
        self.score = SCORES[score] if given is None else lambda logits: given
        self.prefix, self.logit_scale = prefix, logit_scale
        self._truth: Tensor | None = None
        self.reset()

    def reset(self) -> None:
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def use_labels(self, labels: list[int]) -> None:
        """Use these labels, in the order of processing, instead of those passed to `process`: a
        trainer from which labels are hidden cannot pass them."""
        self._truth = torch.tensor(labels)

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """mo: (batch, K) unscaled cosines; gt: (batch,) labels."""
        self._logits.append(mo.detach().float().cpu())
        self._labels.append(gt.detach().cpu())

    def evaluate(self) -> OrderedDict:
        """Metrics in percent; prints the lines that the family's log parsers read."""
        out = self.outputs()
        percent = self.measure(out)
        if not (out["labels"] >= 0).any():
            print("=> result\n* no labels: accuracy and OOD detection are not known")
        elif self.prefix:
            self._print_prefixed(percent, out)
        else:
            self._print(percent, out["labels"])
        return percent

    def measure(self, out: dict[str, np.ndarray]) -> OrderedDict:
        """Metrics in percent of `out`, the result of `outputs`."""
        values = metrics.evaluate(
            **out, num_known=self.num_known, unlabelled_classes=self.unlabelled_classes
        )
        return OrderedDict(metrics.in_percent(values))

    def outputs(self) -> dict[str, np.ndarray]:
        """Per-sample labels, predictions, scores and confidences (the largest softmax probability)
        of what was processed, each (samples,)."""
        if not self._logits:
            return dict.fromkeys(("labels", "predictions", "scores", "confidences"), np.zeros(0))
        logits, labels = torch.cat(self._logits), torch.cat(self._labels)
        return {
            "labels": (labels if self._truth is None else self._truth[: len(labels)]).numpy(),
            "predictions": logits.argmax(-1).numpy(),
            "scores": self.score(logits).double().numpy(),
            "confidences": (self.logit_scale * logits).softmax(-1).amax(-1).numpy(),
        }

    def _print(self, percent: dict, labels: np.ndarray) -> None:
        """Print Dassl's own lines on the known images, by its options, then the other metrics."""
        known = (labels >= 0) & (labels < self.num_known)
        if known.any():
            rows = torch.from_numpy(known)
            family = Classification(self.cfg, lab2cname=self.lab2cname)
            family.process(torch.cat(self._logits)[rows], torch.cat(self._labels)[rows])
            family.evaluate()
        else:
            print("=> result\n* no image of a known class: accuracy, error and macro_f1 are not "
                  "defined")
        print(f"* OOD images: {int((labels >= self.num_known).sum()):,}")
        self._print_others(percent)

    def _print_prefixed(self, percent: dict, out: dict[str, np.ndarray]) -> None:
        labels = out["labels"]
        known = (labels >= 0) & (labels < self.num_known)
        correct = int((labels == out["predictions"])[known].sum())
        print(f"* {self.prefix} images: {int(known.sum()):,} known, {correct:,} of them correct, "
              f"{int((labels >= self.num_known).sum()):,} OOD")
        if percent["accuracy"] is not None:
            print(f"* {self.prefix} accuracy: {percent['accuracy']:.2f}%")
        self._print_others(percent)

    def _print_others(self, percent: dict) -> None:
        start = f"{self.prefix} ".lstrip()
        for name, value in percent.items():
            if name != "accuracy" and value is not None:
                print(f"* {start}{name}: {value:.2f}%")
        undefined = [name for name, value in percent.items() if value is None]
        if undefined:
            print(f"* {start}not defined here: {', '.join(undefined)}")
