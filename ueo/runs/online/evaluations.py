"""The evaluations of a run on a stream: each image counts as it was predicted on arrival. "Before"
is the zero-shot model, "after" the method."""


import numpy as np
from torch import Tensor

from ueo.images.hidden_labels import SETS
from ueo.results.record import OWN_SCORE
from ueo.runs.evaluation import AFTER, BEFORE, Evaluations
from ueo.runs.online.over_time import over_time, thresholds_so_far
from ueo.runs.online.stream import Stream

ARRIVAL = "stream_order"  # in outputs.npz: positions in its arrays, in order of arrival


class StreamEvaluations(Evaluations):
    """Evaluations on a stream. features: (images, embedding), of the frozen model; set by `run`."""

    stream: Stream

    def add_stream(self, answers: dict[str, Tensor]) -> None:
        """Add the predictions, in order of arrival: cosines (images, K) and, if a method has its
        own, scores (images,)."""
        listed = np.argsort(self.stream.order)
        rows = {name: found[listed] for name, found in answers.items()}
        given = {self.trainer.options.SCORE: rows["scores"]} if "scores" in rows else {}
        self.score = {"score": OWN_SCORE} if given else {}
        self._cosines, entry = rows["cosines"], {"epoch": 1}
        for name in SETS:
            print(f"The *{name}* set, as predicted in the stream")
            entry[name] = self._measure(name, rows["cosines"], given, 1)
        self.remember(entry)

    def _all_outputs(self) -> dict[str, np.ndarray]:
        outputs, order = super()._all_outputs(), self.stream.order
        for when in (BEFORE, AFTER):
            scores = outputs[f"test_scores_{when}"]
            margins = np.empty(len(scores))
            margins[order] = scores[order] - thresholds_so_far(scores[order], self.stream.ends)
            outputs[f"test_margins_{when}"] = margins
        return {**outputs, ARRIVAL: order}

    def _scores_alone(self) -> np.ndarray | None:
        # with a tuned image tower this would take another pass; the scores in the stream do instead
        model, groups = self.trainer.model, self.trainer.groups
        tower = {id(p) for p in (*model.visual.parameters(), model.visual_prompt)}
        if any(id(p) in tower for group in groups.values() for p in group.values()):
            return None
        return self.passes.scores_alone(self.features, None)

    def _further(self, outputs: dict[str, np.ndarray]) -> dict:
        """Entries of the record on the stream, with the metrics over time."""
        cfg, order = self.trainer.cfg, outputs[ARRIVAL]
        found = {"batch_size": cfg.DATALOADER.TRAIN_X.BATCH_SIZE, "batches": len(self.stream),
                 "domains_begin": [int(self.stream.ends[i - 1]) for i in self.stream.begins],
                 **{key.lower(): value for key, value in cfg.ONLINE.items()}}
        for when, name in ((BEFORE, "zero_shot"), (AFTER, "answers")):
            found[name] = over_time(
                outputs["test_labels"][order],
                *(outputs[f"test_{part}_{when}"][order]
                  for part in ("predictions", "margins", "scores")),
                len(self._truth.dataset.classnames),
            )
        return {"stream": found, **self.score, "notes": {}}  # a method's are of its last batch
