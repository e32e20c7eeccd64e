"""Pictures of a run, made from its record alone."""

from pathlib import Path

import numpy as np

from ueo.files import atomic_path
from ueo.results.record import read_outputs, read_result
from ueo.text import in_plot

PICTURE = "scores.png"
KNOWN, UNKNOWN, UNLABELLED = "#2a6f97", "#d1495b", "#6c757d"


def plot_run(folder: str | Path) -> Path | None:
    """One PNG in the run's folder: score histograms of known and OOD test images before and after,
    and PACC and AUROC over epochs. None when the folder holds no finished run."""
    result = read_result(folder)
    if result is None:
        return None
    outputs = read_outputs(folder)
    curves = len(result["evaluations"]) > 1
    figure, axes = canvas(3 if curves else 1)
    labels = outputs["test_labels"]
    there = [when for when in ("before", "after") if f"test_scores_{when}" in outputs]
    score = result["config"].get(f"TRAINER.{result['trainer']}.SCORE", "mcm")
    for axis, when in zip(axes, there):
        _histogram(axis, outputs[f"test_scores_{when}"], labels,
                   result["counts"]["known_classes"], when, score)
    if curves:
        _curves(axes[2], result["evaluations"])
    title = (f"{result['trainer']}, {result['dataset']} {result['domain']}, {result['setting']}, "
             f"seed {result['seed']}")
    figure.suptitle(in_plot(title), fontsize=10)
    path = Path(folder, PICTURE)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return path


def canvas(columns: int):
    """(figure, its axes in one row), to be saved as a file."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12 if columns > 1 else 4.5, 3.4))
    left, right = (0.02, 0.99) if columns > 1 else (0.05, 0.97)
    # fixed margins, where a layout engine would draw everything twice
    figure.subplots_adjust(left, 0.15, right, 0.84, wspace=0.17)
    return figure, np.atleast_1d(figure.subplots(1, columns))


def _histogram(axis, scores: np.ndarray, labels: np.ndarray, num_known: int, when: str,
               score: str) -> None:
    bins = np.linspace(scores.min(), scores.max() + 1e-12, 41)
    for part, colour, name in (
        ((labels >= 0) & (labels < num_known), KNOWN, "known (ID)"),
        (labels >= num_known, UNKNOWN, "unknown (OOD)"),
        (labels < 0, UNLABELLED, "no label"),
    ):
        if part.any():
            axis.hist(scores[part], bins, density=True, alpha=0.6, color=colour, label=name,
                      histtype="stepfilled")  # one shape, not one a bar: twice as fast
    axis.set_title(f"test scores {when} training", fontsize=9)
    axis.set_xlabel(f"{in_plot(score.upper())} score, larger = more in-distribution", fontsize=8)
    axis.set_yticks([])
    axis.legend(fontsize=8, frameon=False)


def _curves(axis, evaluations: list[dict]) -> None:
    epochs = [entry["epoch"] for entry in evaluations]
    for name, colour in (("pacc", KNOWN), ("auroc", UNKNOWN)):
        values = [entry["test"][name] for entry in evaluations]
        if None not in values:
            axis.plot(epochs, values, marker="o", markersize=3, color=colour, label=name.upper())
    axis.set_title("test set", fontsize=9)
    axis.set_xlabel("epoch", fontsize=8)
    axis.set_ylabel("%", fontsize=8)
    if axis.get_legend_handles_labels()[0]:  # none without labels
        axis.legend(fontsize=8, frameon=False)
