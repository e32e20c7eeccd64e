"""The scores of a run's test images before and after training, from its record alone."""

from pathlib import Path
from textwrap import fill

import numpy as np

from ueo.results.paper import names, stream, style
from ueo.results.record import Threshold, read_outputs, read_result, read_threshold, score_of

PICTURES = (*stream.PICTURES, "scores.pdf", "scores.png")
PICTURE = PICTURES[-1]  # written last: where it is, both are
WHEN = {"before": "zero-shot", "after": "in the stream"}  # of a stream
BINS, HEIGHT = 30, 2.3  # height in inches


def plot_run(folder: str | Path) -> list[Path]:
    """Draw PICTURE and its .pdf in the run's folder, for a stream those of stream.py first. Returns
    the paths of the former; none if no run is finished.

    There is a histogram for each model, known and unknown images apart if they have labels, with
    the run's final threshold; beside them PACC and AUROC over epochs.
    """
    result = read_result(folder)
    if result is None:
        return []
    with style.styled():
        if "stream" in result:
            title = fill(title_of(result), 104)
            style.save(stream.draw(result, title), Path(folder, stream.PICTURES[-1]))
        figure = draw(result, read_outputs(folder), read_threshold(folder))
    return style.save(figure, Path(folder, PICTURE))


def draw(result: dict, outputs: dict[str, np.ndarray], threshold: Threshold | None):
    """Return the figure of one record. threshold: from `read_threshold`."""
    streamed = "stream" in result  # has its own picture over time, and a moving threshold
    curves = [] if streamed else [
        e for e in result["evaluations"] if e["test"].get("pacc") is not None]
    trained = len(result["evaluations"]) > 1
    models = ["before", "after"] if trained and "test_scores_before" in outputs else ["after"]
    panels = len(models) + (len(curves) > 1)
    figure, (axes,) = style.sheet(style.COLUMN if panels == 1 else style.PAGE, HEIGHT, 1, panels)
    bins = _bins([outputs[f"test_scores_{when}"] for when in models])
    known = result["counts"]["known_classes"]
    for axis, when in zip(axes, models):
        scores = outputs[f"test_scores_{when}"]
        _histogram(axis, scores, outputs["test_labels"], known, bins)
        line = threshold if when == "after" and not streamed else None
        if line and line[1] is not None:
            axis.axvline(line[1], color=style.CHOSEN, linewidth=1.1, linestyle=(0, (4, 2)),
                         label=f"threshold ({names.RULES.get(line[0], line[0])}): known from "
                               f"{line[1]:.4g} up")
        title = f"{WHEN[when] if streamed else f'{when} training'}: " if trained else ""
        entry = result["evaluations"][0] if when == "before" else result["metrics"]
        axis.set_title(title + _found(entry["test"], scores, line), loc="left")
        axis.set_xlabel(f"{style.written(names.score(score_of(result)))} score")
    _finish(figure, axes[: len(models)], max(axis.get_ylim()[1] for axis in axes[: len(models)]))
    if len(curves) > 1:
        _curves(axes[-1], curves)
    figure.suptitle(fill(title_of(result), 104 if panels > 1 else 52), x=0.01, ha="left")
    return figure


def title_of(result: dict) -> str:
    """What was run: "UEO on Office-31, Amazon; label space open; seed 1"."""
    where = names.dataset(result.get("title", result["dataset"]))
    return style.written(
        f"{style.shortened(names.method(result['trainer']), 24)} on {style.shortened(where, 24)}, "
        f"{style.shortened(names.domain(result['domain']), 30)}; label space "
        f"{names.setting(result['setting'])}; seed {result['seed']}", 150,
    )


def _bins(scores: list[np.ndarray]) -> np.ndarray:
    low, high = min(s.min() for s in scores), max(s.max() for s in scores)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _histogram(axis, scores: np.ndarray, labels: np.ndarray, known: int, bins) -> None:
    """Draw one shape per group, as shares of the group, because groups differ in size."""
    groups = {
        "known classes": ((labels >= 0) & (labels < known), dict(
            facecolor=style.KNOWN, alpha=0.65, edgecolor="none")),
        "unknown classes": (labels >= known, dict(
            facecolor="none", edgecolor=style.UNKNOWN, linewidth=1.1, hatch="////")),
        "images without label": (labels < 0, dict(
            facecolor="none" if (labels >= 0).any() else style.PALE, edgecolor=style.UNLABELLED,
            linewidth=1, linestyle="--")),
    }
    for name, (part, look) in groups.items():
        if part.any():
            shares = np.full(int(part.sum()), 100 / part.sum())
            axis.hist(scores[part], bins, weights=shares, histtype="stepfilled", label=name, **look)
    axis.set_xlim(bins[0], bins[-1])
    style.few_ticks(axis)


def _found(metrics: dict, scores: np.ndarray, threshold: Threshold | None) -> str:
    """Return a panel's title: AUROC, or without unknown images how many are accepted."""
    area = metrics.get("auroc")
    parts = [f"{len(scores)} images" if area is None else f"AUROC {area:.1f} %"]
    if threshold and threshold[1] is None:
        parts.append("no threshold, all accepted")
    elif threshold and area is None:
        parts.append(f"{100 * (scores >= threshold[1]).mean():.0f} % accepted")
    return ", ".join(parts)


def _finish(figure, axes: list, top: float) -> None:
    """One range and one legend for the histograms."""
    for axis in axes:
        axis.set_ylim(0, top)
        axis.yaxis.get_major_locator().set_params(nbins=5, integer=True)
    for axis in axes[1:]:
        axis.tick_params(labelleft=False)
    axes[0].set_ylabel("share of each group, %")
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower left",
                  ncols=4 if len(figure.axes) > 1 else 1)


def _curves(axis, evaluations: list[dict]) -> None:
    epochs = [entry["epoch"] for entry in evaluations]
    for number, name in enumerate(("pacc", "auroc")):
        values = [entry["test"][name] for entry in evaluations]
        if None not in values:
            axis.plot(epochs, values, label=names.METRICS[name], **style.line(number))
    axis.set(title="over training", xlabel="epoch", ylabel="test set, %")
    axis.title.set_horizontalalignment("left")
    axis.title.set_x(0)
    axis.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    axis.legend(loc="best")
