"""What a table shows, in words: its caption, its marks, and what its gains say."""

from collections.abc import Callable

from ueo import text
from ueo.results import coverage
from ueo.results.bootstrap import PAIR
from ueo.results.paper import names
from ueo.results.paper.names import METRICS as NAMES
from ueo.results.tables import MEAN

ROUNDING = 1e-5  # points; a difference below this is 0, because a bootstrap has fp32 recalls


def caption(summary: dict, style: str = "simple") -> str:
    """What the table shows, in a few sentences."""
    write = text.WRITERS[style]
    shown = (f"{summary['title']}, {summary['backbone']}, protocol {summary['protocol']}, split "
             f"{summary['split']}")
    parts = [
        f"{write(shown)}: PACC / AUROC in percent on the test set, mean±standard deviation over "
        f"seeds; gain over {write(summary['base'])} in points."
    ]
    if len(summary["methods"]) > 2:
        parts.append("¹ best, ² second.")
    return " ".join([*parts, *notes(summary, write)])


def notes(summary: dict, write: Callable[[str], str]) -> list[str]:
    """The sentences of a caption that hold for every metric. write: escapes names."""
    parts, base = [], write(summary["base"])
    if summary["tuning_domain"]:
        parts.append(
            f"* hyper-parameters were chosen on this domain; it is left out of the {MEAN}."
        )
    if summary["use_labels"]:
        parts.append(
            f"† trained with labels{write(_shots(summary['shots']))}; the labelled images are left "
            f"out of the method's test set, and gains are over {base} on the same images."
        )
    if summary["read_labels"]:
        parts.append("‡ an oracle, which reads the labels of the unlabelled images.")
    if words := of_scores(summary["scores"]):
        parts.append(write(words))
    if words := _by_hand(summary["set_by_hand"]):
        parts.append(write(words))
    if summary["as_published"] is False:
        parts.append("The images are not those of the published version: their number differs.")
    if summary["skipped_images"]:
        parts.append(f"{summary['skipped_images']} images could not be read and were left out.")
    if summary["overall"]:
        parts.append("Intervals are over the test images of these runs, not over retraining.")
    if few := summary["few_images"]:
        found = ", ".join(f"{domain} {number}" for domain, number in few.items())
        parts.append(write(f"Few test images ({found}): such intervals are too narrow."))
    if summary["uneven"]:
        parts.append(write(coverage.sentence(summary["uneven"])))
    return parts


def _shots(shots: dict[str, int]) -> str:
    """How many labelled images methods had. shots: {method: images a class, below 1 for all}."""
    found = {m: f"{n} images a class" if n > 0 else "all of them" for m, n in shots.items()}
    if len(set(found.values())) > 1:
        return f" ({'; '.join(f'{method}: {words}' for method, words in found.items())})"
    return "".join(f" ({words})" for words in set(found.values()))


def _by_hand(changed: dict[str, dict[str, str]]) -> str:
    """Where methods depart from their recipes. changed: {method: {key: value}}."""
    methods: dict[str, list[str]] = {}
    for method, values in changed.items():
        for key, value in values.items():
            methods.setdefault(f"{key} {value}", []).append(method)
    parts = [f"{words}{_of_methods(those, [*changed])}" for words, those in methods.items()]
    return f"Set by hand: {', '.join(parts)}." if parts else ""


def _of_methods(those: list[str], methods: list[str]) -> str:
    """Which of the methods a sentence holds for: " (UEO)", " (all but UEO)"; "" for all."""
    others = [method for method in methods if method not in those]
    if not others:
        return ""
    if len(others) < len(those) - 1:
        return f" (all but {', '.join(others)})"
    return f" ({', '.join(those)})"


def of_scores(scores: dict[str, str]) -> str:
    """Say by which OOD scores detection is measured; "" if by MCM for all. scores: {method:
    the name of its score}."""
    others: dict[str, list[str]] = {}
    for method, score in scores.items():
        if score != "mcm":
            others.setdefault(score, []).append(method)
    parts = [f"{names.score(score)} for {', '.join(methods)}" for score, methods in others.items()]
    if len(others) == 1 and len(set(scores.values())) == 1:
        return f"OOD score: {names.score(*others)}."
    return (f"OOD score: MCM, but {'; '.join(parts)}: a gain in detection over a method with "
            "another score is also one of the score.") if parts else ""


def signed(value: float, digits: int = 2) -> str:
    """A difference with its sign. One within ROUNDING of 0 is +0, never -0."""
    return f"{value if abs(value) > ROUNDING else 0.0:+.{digits}f}"


def signed_interval(bounds: tuple[float, float]) -> str:
    """[low, high] of a difference."""
    return f"[{signed(bounds[0])}, {signed(bounds[1])}]"


def gain_of(found: dict, missing: str = "-") -> str:
    """"+1.20 [+0.80, +1.60]" of {"gain", "interval"}; missing: if there is none."""
    if "gain" not in found:
        return missing
    return f"{signed(found['gain'])} {signed_interval(found['interval'])}"


def sentences(summary: dict, style: str = "simple") -> list[str]:
    """Return the doubts about the images, then one sentence per overall gain, with its interval and
    seeds."""
    write = text.WRITERS[style]
    found = [write(line) for line in summary["doubts"]]
    for gain in summary["overall"]:
        parts = []
        for m in PAIR:
            seeds = ", ".join(map(signed, gain[m]["seeds"]))
            parts.append(f"{NAMES[m]} {signed(gain[m]['gain'])} points "
                         f"{signed_interval(gain[m]['interval'])} (seeds {seeds})")
        found.append(
            f"{write(gain['method'])} over {write(gain['base'])}, {mean_of(summary, gain)}, paired "
            f"95 % bootstrap interval over test images: {'; '.join(parts)}."
        )
    return found


def mean_of(summary: dict, gain: dict) -> str:
    """Say what an overall gain is the mean of, and of how many cells if the table has more."""
    shown = sum(bool(row["values"][domain]) for row in summary["rows"]
                for domain in summary["domains"]
                if row["method"] == gain["method"] and domain != summary["tuning_domain"])
    if gain["cells"] == shown:
        return "mean over domains and label spaces"
    return (f"mean over {gain['cells']} of {shown} pairs of a domain and a label space, those with "
            "PACC and AUROC of both methods")
