"""report.html: a run's predictions as one page that needs neither network nor server.

The page holds the score and the class of every image, and thumbnails of a bounded number of them
(thumbnails.py). It is made from the files of the run and the images, without the model.
"""

import base64
import csv
import hashlib
import html
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dassl.data.datasets import DATASET_REGISTRY

from ueo.errors import CheckpointError
from ueo.files import write_text
from ueo.inference.summary import verdict_of
from ueo.inference.thumbnails import MOST, choose, thumbnails
from ueo.results.check_outputs import CONFIDENCES
from ueo.results.predictions import SKIPPED
from ueo.results.record import RESULT, read_outputs, read_result, score_of
from ueo.runs.checkpoint import ALONE, chosen_threshold, read_facts
from ueo.runs.folder import REPORT
from ueo.text import shown

PARTS = Path(__file__).parent  # report.html, report.css and report.js are beside this file
LISTED = 100  # unread files that the page names
METRICS = {
    "accuracy": "accuracy on known classes", "pacc": "the mean over classes (PACC)",
    "auroc": "detection of unknown images (AUROC)",
    "fpr95": "unknown images accepted where 95 % of the known are (FPR95)",
    "hm": "harmonic mean of PACC and AUROC (HM)",
    "h_score": "harmonic mean of the recall of known classes and of the share of unknown images "
               "that are refused, at the threshold (H-score)",
    "ece": "how far probabilities are from the share that is right (ECE)",
}


def write_report(folder: str | Path, data_root: str = "data") -> Path:
    """Write report.html into the folder of a finished run, whole or not at all.

    data_root: where data sets are; own images have their own path. A missing image is shown by its
    name. Raises CheckpointError or DataError if there is no finished run.
    """
    folder = Path(folder)
    result = read_result(folder)
    if result is None:
        raise CheckpointError(f"{folder}: holds no finished run ({RESULT})")
    page = filled(page_data(folder, result, image_folder(result, data_root)),
                  f"{result['domain']}: predictions of {result['trainer']}")
    write_text(folder / REPORT, page)
    return folder / REPORT


def filled(data: dict, title: str) -> str:
    """The page with its title, style, script and data, each escaped for its place."""
    style, script = (_part(f"report.{suffix}") for suffix in ("css", "js"))
    policy = (f"default-src 'none'; img-src data:; style-src {_source(style)}; "
              f"script-src {_source(script)}")
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    parts = {"title": html.escape(shown(title)), "policy": html.escape(policy), "style": style,
             "script": script, "data": text}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("report.html"))


def page_data(folder: Path, result: dict, images: Path) -> dict:
    """Return the data for report.js. images: the folder that the record's paths start from."""
    outputs, facts = read_outputs(folder), read_facts(folder)
    scores, predictions = outputs["test_scores_after"], outputs["test_predictions_after"]
    before, labels = outputs.get("test_predictions_before"), outputs["test_labels"]
    paths = outputs["test_paths"].tolist()
    chosen = choose(predictions, before, scores)
    probabilities = outputs.get(CONFIDENCES)
    pictures = thumbnails([str(images / paths[i]) for i in chosen.everything])
    left_out = _left_out(folder)
    return {
        "classes": [shown(name) for name in facts["class_names"]],
        "scores": _packed(scores, np.float64),
        "predictions": _packed(predictions, np.int32),
        "before": None if before is None else _packed(before, np.int32),
        "labels": _packed(labels, np.int32) if (labels >= 0).any() else None,
        "threshold": chosen_threshold(facts),
        "shown": [
            [i, shown(paths[i]), None if probabilities is None else float(probabilities[i]),
             picture and base64.b64encode(picture).decode()]
            for i, picture in zip(chosen.everything, pictures)
        ],
        "byClass": {str(name): parts for name, parts in chosen.classes.items()},
        "changed": chosen.changed,
        "subtitle": f"{len(paths):,} images, {len(facts['class_names']):,} classes, "
                    f"{result['trainer']} on {result['backbone']}",
        "sentences": [verdict_of(facts)],
        # new images have scores of another kind, which a threshold of this page does not fit
        "command": None if ALONE in facts else
                   f"bash scripts/predict.sh --model {shlex.quote(shown(folder))} --path NEW",
        "skipped": left_out[:LISTED],
        "notRead": len(left_out),
        "facts": [*_facts(result).items(), ("thumbnails", _about(pictures, len(paths)))],
        "metrics": _metrics(result),
    }


def image_folder(result: dict, data_root: str) -> Path:
    """The folder that the paths of a record's images start from."""
    own = result["config"].get("DATASET.PATH")
    if own:
        path = Path(own).expanduser()
        return path if path.is_dir() else path.parent
    kind = DATASET_REGISTRY.get(result["dataset"])
    return kind.locate(data_root) if hasattr(kind, "locate") else Path(data_root)


def _left_out(folder: Path) -> list[tuple[str, str]]:
    """(file, why) of each file that was not read, from skipped.csv."""
    try:
        with open(folder / SKIPPED, encoding="utf-8", newline="") as file:
            return [(row["file"], f"{row['reason']} ({row['detail']})")
                    for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, csv.Error):
        return []


def _facts(result: dict) -> dict[str, str]:
    counts = result["counts"]
    return {
        "method": f"{result['trainer']}, {result['backbone']}, seed {result['seed']}",
        "images": f"{counts['unlabelled']:,} adapted to, {counts['test']:,} on this page",
        "score": score_of(result),
        "probability": "the model's own, not calibrated: 90 % does not mean that nine in ten are "
                       "right",
        "versions": f"UEO toolbox {result['environment']['ueo']}, {result['environment']['engine']}"
                    f", torch {result['environment']['packages']['torch']}",
    }


def _about(pictures: Sequence[bytes | None], images: int) -> str:
    there = [picture for picture in pictures if picture]
    size = sum(map(len, there)) / 1e6
    words = (f"{len(there):,} of {images:,} images ({size:.1f} MB), at most {MOST}; the counts are "
             "of all images")
    lost = len(pictures) - len(there)
    return words + f"; {lost:,} images are no longer there or cannot be opened" * bool(lost)


def _metrics(result: dict) -> dict:
    after, start = result["metrics"]["test"], result["evaluations"][0]
    before = start["test"] if start["epoch"] == 0 else {}
    columns = ["before", "after"] if before else ["after"]
    parts = ([before] if before else []) + [after]
    rows = [
        [words, *("-" if part.get(key) is None else f"{part[key]:.1f} %" for part in parts)]
        for key, words in METRICS.items() if after.get(key) is not None
    ]
    return {"columns": columns, "rows": rows}


def _packed(values: np.ndarray, kind: type) -> str:
    """Base64 of the numbers, little-endian."""
    return base64.b64encode(values.astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return the source expression of a style or script in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
