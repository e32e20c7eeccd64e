"""The folder of a finished run, written by hand; its numbers are arbitrary."""

from pathlib import Path

import numpy as np

from ueo.files import write_json
from ueo.open_set import RULE, separation, thresholds
from ueo.results.predictions import (
    PREDICTIONS,
    SKIPPED,
    predictions_of,
    write_predictions,
    write_skipped,
)
from ueo.results.record import write_run
from ueo.runs.checkpoint import FACTS


def make_run(folder: Path, images: Path, paths: list[str], classes: list[str],
             labels: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """A run on `paths`, relative to the folder `images`; its outputs. labels: (images,)."""
    rng, count = np.random.default_rng(0), len(paths)
    unknown = rng.random(count) < 0.3
    scores = rng.normal(0.082, 0.0007, count) - 0.003 * unknown
    probabilities = rng.dirichlet(np.full(len(classes), 0.3), count)
    after = probabilities.argmax(1)
    before = np.where(rng.random(count) < 0.2, rng.integers(0, len(classes), count), after)
    outputs = {
        "test_labels": np.full(count, -1) if labels is None else labels,
        "test_predictions_before": before, "test_predictions_after": after,
        "test_scores_after": scores, "test_confidences_after": probabilities.max(1),
        "test_paths": np.array(paths),
    }
    metrics = dict.fromkeys(("accuracy", "pacc", "auroc", "fpr95", "hm"))
    if labels is not None:
        metrics = {name: 61.25 for name in metrics}
    result = {
        "trainer": "UEO", "dataset": "UFTFolder", "domain": images.name, "setting": "as_is",
        "protocol": "released", "seed": 1, "backbone": "ViT-B/16", "split_hash": "",
        "counts": {"known_classes": len(classes), "unlabelled": count, "test": count},
        "config": {"DATASET.PATH": str(images)}, "inputs": {},
        "environment": {"ueo": "0", "engine": "modern_dassl", "packages": {"torch": "2"}},
        "metrics": {"test": metrics}, "evaluations": [{"epoch": 0, "test": metrics}],
    }
    write_run(folder, result, outputs)
    found = thresholds(scores, scores)
    write_json(folder / FACTS, {
        "class_names": classes, "template": "a photo of a {}.", "images": {}, "rule": RULE,
        "thresholds": found, "separation": separation(scores), "score": "mcm", "weights": None,
        "independent": True, "trained": True,
    })
    write_predictions(folder / PREDICTIONS, predictions_of(
        paths, probabilities, scores, found[RULE], classes, before))
    write_skipped(folder / SKIPPED, [("a<b>.jpg", "damaged image", "truncated"),
                                     ("notes.txt", ".txt", "no image")])
    return outputs
