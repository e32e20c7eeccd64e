"""A picture of a stream: accuracy, AUROC and H-score over the images that had arrived."""

import numpy as np

from ueo.results.paper import names, style

PICTURES = ("stream.pdf", "stream.png")
METRICS = ("accuracy", "auroc", "h_score")
HEIGHT = 1.9  # inches


def draw(result: dict, title: str):
    """Return the figure of a stream's record: a panel for each metric, with the method and
    zero-shot CLIP on all images so far and, in grey, the method on those since the previous point.
    Dotted lines: a further domain begins. Call it inside `style.styled`."""
    stream = result["stream"]
    figure, axes = style.sheet(style.PAGE, HEIGHT, 1, len(METRICS))
    lines = {names.method(result["trainer"]): stream["answers"],
             names.method("ZeroshotCLIP"): stream["zero_shot"]}
    for axis, metric in zip(axes[0], METRICS):
        images, lately = _points(stream["answers"], "lately", metric)
        axis.plot(images, lately, color=style.PALE, linewidth=1.1, label="lately")
        for number, (name, points) in enumerate(lines.items()):
            axis.plot(*_points(points, "so_far", metric), label=style.written(name),
                      markevery=4, **style.line(number))
        for begin in stream["domains_begin"]:
            axis.axvline(begin, color=style.INK, linewidth=0.6, linestyle=":")
        if np.isnan(lately).all():
            axis.text(0.5, 0.5, "not defined here", transform=axis.transAxes, ha="center")
        axis.set_title(names.METRICS[metric] + ", %", loc="left")
        axis.set_xlabel("images that had come")
        style.few_ticks(axis)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _points(points: list[dict], part: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """(images, values), NaN where a metric is not defined."""
    values = [np.nan if point[part][metric] is None else point[part][metric] for point in points]
    return np.array([point["images"] for point in points]), np.array(values, float)
