"""The evaluations of a run that follows a stream: every image counts as it was answered when it
came. "Before" is the zero-shot model, "after" what the method answered."""

from pathlib import Path

import numpy as np
from torch import Tensor

from ueo.files import write_json
from ueo.images.hidden_labels import SETS
from ueo.results.record import HISTORY, OWN_SCORE
from ueo.runs.evaluation import AFTER, BEFORE, Evaluations
from ueo.runs.online.over_time import over_time, thresholds_so_far
from ueo.runs.online.stream import Stream

ARRIVAL = "stream_order"  # in outputs.npz: positions in its arrays, as the images came


class StreamEvaluations(Evaluations):
    """features: (images, embedding), of the frozen model, once it is evaluated."""

    stream: Stream

    def add_stream(self, answers: dict[str, Tensor]) -> None:
        """Take in what was answered: cosines (images, K) and, where a method has its own, scores
        (images,), as the images came."""
        listed = np.argsort(self.stream.order)
        rows = {name: found[listed] for name, found in answers.items()}
        given = {self.trainer.options.SCORE: rows["scores"]} if "scores" in rows else {}
        self.score = {"score": OWN_SCORE} if given else {}
        self._cosines, entry = rows["cosines"], {"epoch": 1}
        for name in SETS:
            print(f"The *{name}* set, as it was answered in the stream")
            entry[name] = self._measure(name, rows["cosines"], given, 1)
        self.history.append(entry)
        write_json(Path(self.trainer.output_dir, HISTORY), self.history)

    def _all_outputs(self) -> dict[str, np.ndarray]:
        outputs, order = super()._all_outputs(), self.stream.order
        for when in (BEFORE, AFTER):
            scores = outputs[f"test_scores_{when}"]
            margins = np.empty(len(scores))
            margins[order] = scores[order] - thresholds_so_far(scores[order], self.stream.ends)
            outputs[f"test_margins_{when}"] = margins
        return {**outputs, ARRIVAL: order}

    def _scores_alone(self) -> np.ndarray | None:
        # with a tuned image tower they would take another pass; its answers are on the same scale
        model, groups = self.trainer.model, self.trainer.groups
        tower = {id(p) for p in (*model.visual.parameters(), model.visual_prompt)}
        if any(id(p) in tower for group in groups.values() for p in group.values()):
            return None
        return self.passes.scores_alone(self.features, None)

    def _further(self, outputs: dict[str, np.ndarray]) -> dict:
        """What the record says of the stream, and how the metrics went over time."""
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
        notes = {}  # those of a batch say nothing of the stream
        return {"stream": found, **self.score, "notes": notes}
