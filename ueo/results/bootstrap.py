"""Paired bootstrap over test images: how certain is a gain of one method over another?

One resample draws the images of a domain once and applies to every run on it, so that methods,
label spaces and seeds are compared on the same images. PACC and AUROC are computed from counts of
how often each image was drawn, exactly as on the repeated images.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from ueo.open_set import UNKNOWN
from ueo.results.intervals import (
    BLOCK,
    interval,
    resample_counts,
    weighted_auroc,
    weighted_fpr,
    weighted_pacc,
)

Outputs = Mapping[str, np.ndarray]
Run = tuple[Outputs, int]  # (outputs, number of known classes)
Cell = str | tuple[str, ...]  # a domain, or (domain, label space) and the like
Weighted = tuple[Outputs, int, float]  # a run and its weight
Group = tuple[list[Weighted], list[Weighted], slice | list[int]]  # ours, the base's, their images
Estimate = tuple[float, tuple[float, float]]  # (value, interval)

PAIR = ("pacc", "auroc")  # the metrics of the compact tables; their gains have intervals
COMPARED = ("test_predictions_after", "test_scores_after")
ACCEPTED = "test_accepted_after"  # (samples,) bool: images that a threshold accepts as known
DRAWS = 10_000_000  # images x resamples at most, or large domains take minutes
MIN_RESAMPLES = 200


def resampled(outputs: Outputs, num_known: int, counts: np.ndarray) -> dict[str, np.ndarray]:
    """PACC, AUROC, their harmonic mean "hm" and FPR95 of one run's final test outputs on each
    resample, each (resamples,); if the outputs hold ACCEPTED, also the H-score "h_score".

    PACC alone if there is no OOD image. Images without label are left out.
    """
    if (outputs["test_labels"] < 0).any():
        at = outputs["test_labels"] >= 0
        outputs = {name: outputs[name][at] for name in ("test_labels", *_compared(outputs))}
        counts = counts[:, at]
    labels, predictions = outputs["test_labels"], outputs["test_predictions_after"]
    known = labels < num_known
    pacc = weighted_pacc(labels[known], predictions[known], counts[:, known])
    if known.all():
        return {"pacc": pacc}
    separated = known, outputs["test_scores_after"], counts
    auroc = weighted_auroc(*separated)
    result = {"pacc": pacc, "auroc": auroc, "hm": _harmonic(pacc, auroc),
              "fpr95": weighted_fpr(*separated)}
    if ACCEPTED in outputs:
        taken = outputs[ACCEPTED]
        answers = np.where(taken, predictions, UNKNOWN)
        os_star = weighted_pacc(labels[known], answers[known], counts[:, known])
        unknown = counts[:, ~known]
        with np.errstate(invalid="ignore"):  # 0 / 0
            rejected = (unknown * ~taken[~known]).sum(1) / unknown.sum(1)
        result["h_score"] = _harmonic(os_star, rejected)
    return result


def _harmonic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The harmonic mean; 0 where both are 0."""
    return 2 * a * b / np.where(a + b == 0, 1, a + b)


def mean_gains(
    runs: Mapping[Cell, list[Run]],
    base: Mapping[Cell, list[Run]],
    metrics: tuple[str, ...] = PAIR,
    resamples: int = 1000,
) -> dict[str, Estimate]:
    """{metric: (mean gain of `runs` over `base`, its paired 95 % interval)}, in percentage points,
    the mean over domains; see `drawn_gains`."""
    drawn = drawn_gains(runs, base, metrics, resamples)
    return {m: estimate(drawn[m].values()) for m in metrics}


def drawn_gains(
    runs: Mapping[Cell, list[Run]],
    base: Mapping[Cell, list[Run]] | None,
    metrics: tuple[str, ...] = PAIR,
    resamples: int = 1000,
    seed: int = 0,
    object_of: Callable[[str], str] | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """{metric: {domain: gain of `runs` over `base`, (1 + resamples,), in [-1, 1]}}: on all images,
    then on each draw. base: None for the values of `runs` themselves.

    Both map a cell to its runs, which are compared within the cell, on the images that they and the
    base were tested on. A domain counts once, and so does each of its cells, whatever its number of
    runs. Domains are resampled independently. There are at most DRAWS / images resamples, of the
    largest domain, but MIN_RESAMPLES or more.

    object_of: test image's path -> the object that it shows, if domains show the same ones. Then
    objects are drawn instead of images, the same in all domains.
    """
    rng = np.random.default_rng(seed)
    largest = max(len(outputs["test_labels"]) for group in runs.values() for outputs, _ in group)
    resamples = min(resamples, max(MIN_RESAMPLES, DRAWS // largest))
    gains, cells = {m: {} for m in metrics}, {}
    for cell, ours in runs.items():
        domain = cell if isinstance(cell, str) else cell[0]
        cells.setdefault(domain, []).append((ours, base[cell] if base is not None else []))
    domains = {domain: _on_same_images(pairs) for domain, pairs in cells.items()}
    shown = sorted({object_of(path) for images, _ in domains.values() for path in images}
                   if object_of else ())
    column = {name: i for i, name in enumerate(shown)}
    for domain, (images, groups) in domains.items():
        if object_of:
            columns = [column[object_of(path)] for path in images]
            draws = (counts[:, columns] for counts in
                     _draws(len(shown), resamples, np.random.default_rng(seed)))
        else:
            draws = _draws(len(images), resamples, rng)
        difference = _difference(groups, metrics, draws)
        for m in metrics:
            gains[m][domain] = difference[m]
    return gains


def _draws(samples: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield blocks of counts, (rows, samples): one row of ones, then the resamples."""
    yield np.ones((1, samples), np.float32)
    size = max(BLOCK // samples, 1)
    for start in range(0, resamples, size):
        yield resample_counts(samples, min(size, resamples - start), rng)


def estimate(drawn: Iterable[np.ndarray]) -> Estimate:
    """(mean over domains on all images, its 95 % interval), in percentage points. drawn: the array
    of each domain from `drawn_gains`."""
    mean = 100 * np.mean(list(drawn), axis=0)
    return float(mean[0]), interval(mean[1:])


def _difference(
    groups: list[Group], metrics: tuple[str, ...], draws: Iterable[np.ndarray]
) -> dict[str, np.ndarray]:
    """{metric: (draws,)}: the gain of a domain's runs over the base's on each draw. groups:
    from `_on_same_images`."""
    total = sum(weight for own, _, _ in groups for *_, weight in own)
    parts = {m: [] for m in metrics}
    for counts in draws:
        gains = [
            (_mean(own, metrics, counts[:, columns]), _mean(base, metrics, counts[:, columns]))
            for own, base, columns in groups
        ]
        for m in metrics:
            weighted = [sum(weight for *_, weight in own) * (a[m] - b[m])
                        for (own, *_), (a, b) in zip(groups, gains)]
            parts[m].append(np.sum(weighted, axis=0) / total)
    return {m: np.concatenate(values) for m, values in parts.items()}


def _mean(
    group: list[Weighted], metrics: tuple[str, ...], counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean of each metric over runs, 0 for none. Equal outputs are resampled once."""
    if not group:
        return dict.fromkeys(metrics, 0.0)
    known: dict[tuple, dict] = {}
    values = []
    for outputs, num_known, _ in group:
        same = num_known, *(outputs[k].tobytes() for k in _compared(outputs))
        if same not in known:
            known[same] = resampled(outputs, num_known, counts)
        values.append(known[same])
    weights = np.array([weight for *_, weight in group])
    weights /= weights.max()  # equal ones become 1, for exactly the plain mean
    return {m: np.average([v[m] for v in values], axis=0, weights=weights) for m in metrics}


def _on_same_images(pairs: list[tuple[list[Run], list[Run]]]) -> tuple[Sequence[str], list[Group]]:
    """Return (names of the domain's test images, groups of runs to compare on the same images).

    A method that trains on labelled shots is not tested on them, so it has fewer test images, which
    depend on the seed. A group is (our runs that were tested on the same images, the base's runs on
    these images, columns of these images). Each cell has the same weight, and within a group ours
    and the base's have the same.
    """
    paths = [o["test_paths"] for ours, theirs in pairs for o, _ in (*ours, *theirs)]
    alike = all(np.array_equal(p, paths[0]) for p in paths)
    images = paths[0].tolist() if alike else sorted(set().union(*(p.tolist() for p in paths)))
    shared = set(images).intersection(
        *(o["test_paths"].tolist() for _, theirs in pairs for o, _ in theirs if not alike))
    most, by_images = max(len(ours) for ours, _ in pairs), {}
    for ours, theirs in pairs:
        weight, parts = most / len(ours), {}
        for outputs, known in ours:
            own = () if alike else sorted(shared.intersection(outputs["test_paths"].tolist()))
            parts.setdefault(tuple(own), []).append((outputs, known, weight))
        for common, own in parts.items():
            base = [(outputs, known, weight * len(own) / len(theirs)) for outputs, known in theirs]
            for found, group in zip(by_images.setdefault(common, ([], [])), (own, base)):
                found += [(o if alike else cut(o, common), *rest) for o, *rest in group]
    column = {path: i for i, path in enumerate(images)}
    return images, [
        (own, base, slice(None) if alike else [column[path] for path in common])
        for common, (own, base) in by_images.items()
    ]


def cut(outputs: Outputs, paths: Sequence[str]) -> Outputs:
    """Return the compared arrays on these test images alone, in this order."""
    rows = rows_of(outputs, paths)
    return {name: outputs[name][rows] for name in ("test_labels", *_compared(outputs))}


def rows_of(outputs: Outputs, paths: Sequence[str]) -> list[int]:
    """Return the rows of these test images in the arrays of `outputs`."""
    row = {path: i for i, path in enumerate(outputs["test_paths"].tolist())}
    return [row[path] for path in paths]


def _compared(outputs: Outputs) -> tuple[str, ...]:
    return (*COMPARED, ACCEPTED) if ACCEPTED in outputs else COMPARED
