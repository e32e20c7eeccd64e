"""Pictures of the study of OOD scores, from its runs and means."""

from pathlib import Path

import numpy as np

from ueo.files import atomic_path
from ueo.grids.grid_settings import ZERO_SHOT
from ueo.results.plots import KNOWN, UNKNOWN
from ueo.scores import ALL_SCORES
from ueo.studies.ood_study import REFERENCE, Arm, Runs, largest
from ueo.text import in_plot

COLUMNS = 4  # of axes in a figure
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f",
           "#bcbd22", "#17becf", "#6b6ecf", "#8c6d31", "#e7969c")


def draw(folder: Path, stem: str, runs: Runs, found: list[dict]) -> list[Path]:
    """Write all pictures; returns their paths. found: `study.means`."""
    pictures = {
        "histograms": histograms(runs),
        "roc": roc(runs),
        "shots": against_shots(found),
        "accuracy": against_accuracy(found),
    }
    paths = []
    for name, figure in pictures.items():
        path = folder / f"{stem}-{name}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=110)
        paths.append(path)
    return paths


def _arms(runs: Runs) -> list[Arm]:
    """Of each method the arm with the most shots."""
    return [largest(runs, method) for method in dict.fromkeys(arm.method for arm in runs)]


def _axes(count: int, width: float = 3.2, height: float = 2.6):
    """(figure, its `count` axes in rows of COLUMNS)."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    columns = min(COLUMNS, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.axis("off")
    return figure, axes


def _style(score: str) -> dict:
    """How a score's line looks in every picture; MCM's is black and thick."""
    if score == REFERENCE:
        return {"label": in_plot(score), "color": "black", "linewidth": 2}
    names = [name for name in ALL_SCORES if name != REFERENCE]
    number = names.index(score) if score in names else len(names)
    return {"label": in_plot(score), "color": COLOURS[number % len(COLOURS)], "linewidth": 0.9}


def _legend(figure, axis) -> None:
    """One for all axes, on the right."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", fontsize=7,
                  frameon=False)


def _pooled(group: list, score: str) -> tuple[np.ndarray, np.ndarray]:
    """(is known, score) of the test images of all runs."""
    is_known = np.concatenate([run.labels < run.num_known for run in group])
    return is_known, np.concatenate([run.scores[score] for run in group])


def histograms(runs: Runs):
    """The MCM scores of known and OOD test images, of each method with the most shots."""
    arms = _arms(runs)
    figure, axes = _axes(len(arms))
    for axis, arm in zip(axes, arms):
        known, scores = _pooled(runs[arm], REFERENCE)
        low, high = np.quantile(scores, (0.005, 0.995))  # few stand far away
        bins = np.linspace(low, high + 1e-12, 41)
        for part, colour, name in ((known, KNOWN, "known (ID)"), (~known, UNKNOWN, "OOD")):
            if part.any():
                axis.hist(scores[part], bins, density=True, alpha=0.6, color=colour, label=name)
        axis.set_title(in_plot(arm), fontsize=9)
        axis.set_yticks([])
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=7, frameon=False)
    figure.supxlabel("MCM score, larger = more in-distribution", fontsize=9)
    return figure


def roc(runs: Runs):
    """One curve a score, the mean of the runs' curves, of each method with the most shots."""
    from sklearn.metrics import roc_curve

    arms = _arms(runs)
    figure, axes = _axes(len(arms))
    for axis, arm in zip(axes, arms):
        for score in runs[arm][0].scores:
            curves = []
            for run in runs[arm]:
                known = run.labels < run.num_known
                if known.all() or not known.any():
                    continue
                false_positive, true_positive, _ = roc_curve(known, run.scores[score])
                curves.append(np.interp(np.linspace(0, 1, 101), false_positive, true_positive))
            if curves:
                axis.plot(np.linspace(0, 100, 101), 100 * np.mean(curves, axis=0), **_style(score))
        axis.set_title(in_plot(arm), fontsize=9)
        axis.tick_params(labelsize=7)
    _legend(figure, axes[0])
    figure.supxlabel("OOD images accepted, %", fontsize=9)
    figure.supylabel("known images accepted, %", fontsize=9)
    return figure


def against_shots(found: list[dict]):
    """AUROC against the number of shots, one line a score, one plot a method that has shots."""
    methods = [m for m in dict.fromkeys(row["method"] for row in found)
               if len({row["shots"] for row in found if row["method"] == m}) > 1]
    figure, axes = _axes(max(len(methods), 1))
    zero = {row["score"]: row["auroc"] for row in found if row["method"] == ZERO_SHOT}
    for axis, method in zip(axes, methods):
        for score in dict.fromkeys(row["score"] for row in found):
            points = sorted((row["shots"], row["auroc"]) for row in found
                            if (row["method"], row["score"]) == (method, score)
                            and row["auroc"] is not None)
            if points:
                axis.plot(*zip(*points), marker="o", markersize=3, **_style(score))
        if zero.get(REFERENCE) is not None:
            axis.axhline(zero[REFERENCE], color="black", linewidth=0.8, linestyle=":")
        numbers = sorted({row["shots"] for row in found if row["method"] == method})
        axis.set_xscale("log", base=2)
        axis.set_xticks(numbers, [str(number) for number in numbers])
        axis.set_title(in_plot(method), fontsize=9)
        axis.tick_params(labelsize=7)
    if methods:
        _legend(figure, axes[0])
    figure.supxlabel("shots (dotted: zero-shot CLIP, MCM)", fontsize=9)
    figure.supylabel("AUROC, %", fontsize=9)
    return figure


def against_accuracy(found: list[dict]):
    """PACC against AUROC by MCM, one point an arm, lines join a method's shots."""
    figure, axes = _axes(1, 6.0, 4.2)
    own = [row for row in found if row["score"] == REFERENCE and row["auroc"] is not None]
    for method in dict.fromkeys(row["method"] for row in own):
        points = sorted((r["shots"], r["pacc"], r["auroc"]) for r in own if r["method"] == method)
        shots, pacc, auroc = zip(*points)
        axes[0].plot(pacc, auroc, marker="o", markersize=4, linewidth=0.8,
                     label=in_plot(method))
        for number, x, y in points:
            if number:
                axes[0].annotate(str(number), (x, y), fontsize=6, xytext=(3, 3),
                                 textcoords="offset points")
    axes[0].set_xlabel("PACC, %", fontsize=9)
    axes[0].set_ylabel("AUROC by MCM, %", fontsize=9)
    if own:
        axes[0].legend(fontsize=7, frameon=False)
    return figure
