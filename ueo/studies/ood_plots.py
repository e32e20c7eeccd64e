"""Figures of the study of OOD scores, with one panel per method or score."""

from pathlib import Path
from textwrap import fill

import numpy as np

from ueo.grids.grid_settings import ZERO_SHOT
from ueo.results.paper import names, style
from ueo.studies.ood_study import REFERENCE, Arm, Runs, best_score, largest
from ueo.studies.scored_runs import ScoredRun

COLUMNS = 4  # panels per row
RATES = np.linspace(0, 1, 101)
MOST = 0.97  # quantile of the scores at which histograms end


def draw(folder: Path, stem: str, runs: Runs, found: list[dict]) -> list[Path]:
    """Write all figures as .pdf and .png; return the paths of the .png. found: the study's means
    `with_intervals`."""
    with style.styled():
        pictures = {
            "histograms": histograms(runs),
            "roc": roc(runs, found),
            "shots": against_shots(found),
            "accuracy": against_accuracy(found),
        }
    return [style.save(figure, folder / f"{stem}-{name}.png")[-1]
            for name, figure in pictures.items()]


def _arms(runs: Runs) -> list[Arm]:
    """Return the arm of each method with the most shots."""
    return [largest(runs, method) for method in dict.fromkeys(arm.method for arm in runs)]


def _name(arm: Arm) -> str:
    return style.written(names.method(arm.method) + (f", {arm.shots} shots" if arm.shots else ""))


def _panels(count: int, height: float = 1.35):
    """Return (figure, `count` axes with shared ranges, in rows of COLUMNS)."""
    columns = min(COLUMNS, max(count, 1))
    rows = max(-(-count // columns), 1)
    width = style.COLUMN if columns < 3 else style.PAGE
    figure, axes = style.sheet(width, height * rows + 0.6, rows, columns, sharex=True, sharey=True)
    for axis in axes.ravel()[count:]:
        axis.set_axis_off()
    if not count:
        figure.text(0.5, 0.5, "no such runs", ha="center")
    for axis in axes.ravel()[max(count - columns, 0) : count]:  # the lowest of its column
        axis.tick_params(labelbottom=True)
    return figure, axes.ravel()[:count]


def _legend(figure, axes) -> None:
    """Draw one legend for all panels, each name once."""
    shown = {}
    for axis in axes:
        shown.update({label: handle for handle, label in zip(*axis.get_legend_handles_labels())})
    figure.legend(shown.values(), shown, loc="outside upper left", ncols=5)


def _below(figure, words: str) -> None:
    """Label the shared x axis, wrapped to the width of the figure."""
    figure.supxlabel(fill(words, int(15 * figure.get_size_inches()[0])), fontsize=7)


def histograms(runs: Runs):
    """Draw MCM scores of known and unknown test images of all runs, for `_arms`."""
    arms = _arms(runs)
    figure, axes = _panels(len(arms))
    pooled = {arm: _pooled(runs[arm]) for arm in arms}
    together = np.concatenate([scores for _, scores in pooled.values()])
    low, high = np.quantile(together, (0, MOST))  # a few are far above
    bins = np.linspace(low, high + 1e-12, 31)
    for axis, (arm, (known, scores)) in zip(axes, pooled.items()):
        for part, name, look in (
            (known, "known classes", {"facecolor": style.KNOWN, "alpha": 0.65}),
            (~known, "unknown classes", {"facecolor": "none", "edgecolor": style.UNKNOWN,
                                         "linewidth": 1, "hatch": "////"}),
        ):
            if part.any():
                shares = np.full(part.sum(), 100 / part.sum())
                axis.hist(scores[part].clip(max=high), bins, weights=shares, label=name,
                          histtype="stepfilled", **look)
        axis.set_title(_name(arm), loc="left")
        style.few_ticks(axis, 3)
    _legend(figure, axes)
    _below(figure, "MCM score (the last bar: and all above)")
    figure.supylabel("share of each group, %", fontsize=7)
    return figure


def _pooled(group: list) -> tuple[np.ndarray, np.ndarray]:
    """Return (is known, MCM score) of the labelled test images of all runs."""
    parts = [_labelled(run, REFERENCE) for run in group]
    is_known, scores = (np.concatenate(arrays) for arrays in zip(*parts))
    return is_known, scores


def _labelled(run: ScoredRun, score: str) -> tuple[np.ndarray, np.ndarray]:
    at = run.labels >= 0
    return run.labels[at] < run.num_known, run.scores[score][at]


def roc(runs: Runs, found: list[dict]):
    """Draw the ROC curves of MCM and of the best other score, the others pale; each is the mean
    curve of a method's runs with the most shots."""
    arms = _arms(runs)
    figure, axes = _panels(len(arms), 1.6)
    for axis, arm in zip(axes, arms):
        best = best_score(found, arm, (REFERENCE,))
        for score in runs[arm][0].scores:
            curve = _curve(runs[arm], score)
            if curve is not None and score not in (REFERENCE, best):
                axis.plot(100 * RATES, curve, color=style.PALE, linewidth=0.5, label="other scores")
        for number, score in enumerate(filter(None, (REFERENCE, best))):
            curve = _curve(runs[arm], score)
            if curve is not None:
                look = {**style.line(number), "marker": ""}
                axis.plot(100 * RATES, curve, label=("MCM", "best other score")[number], **look)
        axis.set_title(_name(arm), loc="left")
        axis.text(99, 2, "\n".join(_areas(found, arm, (REFERENCE, best))), ha="right", fontsize=5.5)
    _legend(figure, axes)
    _below(figure, "unknown images accepted, % (in each panel: AUROC with its 95 % interval)")
    figure.supylabel("known images accepted, %", fontsize=7)
    return figure


def _areas(found: list[dict], arm: Arm, scores: tuple) -> list[str]:
    """Return AUROC by each score with its interval, such as "MCM 74.4 [71.2, 77.5]"."""
    rows = {row["score"]: row for row in found
            if (row["method"], row["shots"]) == (arm.method, arm.shots)}
    return [
        f"{style.written(names.score(score))} {rows[score]['auroc']:.1f} "
        "[{:.1f}, {:.1f}]".format(*rows[score]["intervals"]["auroc"])
        for score in scores if score in rows and rows[score]["auroc"] is not None
    ]


def _curve(group: list, score: str) -> np.ndarray | None:
    """Return the percent of known images accepted at RATES of unknown ones, the mean curve of the
    runs; None if no run has the score and both kinds of images."""
    from sklearn.metrics import roc_curve

    curves = []
    for run in group:
        if score not in run.scores:
            continue
        known, scores = _labelled(run, score)
        if known.any() and not known.all():
            false_positive, true_positive, _ = roc_curve(known, scores)
            curves.append(np.interp(RATES, false_positive, true_positive))
    return 100 * np.mean(curves, axis=0) if curves else None


def against_shots(found: list[dict]):
    """Draw AUROC against the number of shots, with intervals: a panel per score, a line per method
    with shots, and zero-shot CLIP by the same score."""
    methods = list(dict.fromkeys(row["method"] for row in found if row["shots"]))
    defined = [row for row in found if row["auroc"] is not None]
    scores = list(dict.fromkeys(row["score"] for row in defined if row["method"] in methods))
    figure, axes = _panels(len(scores), 1.45)
    numbers = sorted({row["shots"] for row in found if row["method"] in methods})
    for axis, score in zip(axes, scores):
        own = [row for row in defined if row["score"] == score]
        for row in own:
            if row["method"] == ZERO_SHOT:
                axis.axhline(row["auroc"], color=style.INK, linewidth=0.8, linestyle=(0, (1, 1)),
                             label=names.method(ZERO_SHOT))
        for number, method in enumerate(methods):
            points = sorted((r["shots"], r["auroc"], *r["intervals"]["auroc"]) for r in own
                            if r["method"] == method)
            if points:
                shots, *values = zip(*points)
                aside = 0.11 * (number - (len(methods) - 1) / 2)
                style.interval(axis, np.array([numbers.index(s) for s in shots]) + aside, *values,
                               label=style.written(names.method(method)), **style.line(number))
        axis.set_title(style.written(names.score(score)), loc="left")
        axis.set_xticks(range(len(numbers)), [str(number) for number in numbers])
    if scores:
        _legend(figure, axes)
    _below(figure, "images a class (shots)")
    figure.supylabel("AUROC, %", fontsize=7)
    return figure


def against_accuracy(found: list[dict]):
    """Draw AUROC by MCM against PACC, a panel per method: its numbers of shots, joined by a line,
    both intervals of the largest; other methods are pale."""
    own = [row for row in found if row["score"] == REFERENCE and row["auroc"] is not None]
    methods = list(dict.fromkeys(row["method"] for row in own))
    figure, axes = _panels(len(methods), 1.6)
    for axis, method in zip(axes, methods):
        axis.plot([r["pacc"] for r in own], [r["auroc"] for r in own], color=style.PALE,
                  marker="o", markersize=2.5, linestyle="none", label="all others")
        points = sorted((r for r in own if r["method"] == method), key=lambda row: row["shots"])
        last, look = points[-1], style.line(0)
        axis.plot([r["pacc"] for r in points], [r["auroc"] for r in points], **look)
        for horizontal, m in ((True, "pacc"), (False, "auroc")):
            style.interval(axis, last["pacc"], last["auroc"], *last["intervals"][m], horizontal,
                           **look)
        for row, place, side in ((points[0], (-3, -3), "right"), (last, (3, 3), "left")):
            if row["shots"]:
                axis.annotate(str(row["shots"]), (row["pacc"], row["auroc"]), xytext=place,
                              textcoords="offset points", fontsize=6, ha=side,
                              va="top" if side == "right" else "bottom")
        axis.set_title(style.written(names.method(method)), loc="left")
        style.few_ticks(axis)
    _below(figure, "PACC, % (numbers: the least and the most images a class; pale: all other "
                     "methods)")
    figure.supylabel("AUROC by MCM, %", fontsize=7)
    return figure
