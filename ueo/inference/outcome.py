"""What a run on own images prints at its end: a summary, and the paths of its files."""

import shlex
from pathlib import Path

from ueo.errors import CheckpointError
from ueo.images import class_names
from ueo.inference.report import write_report
from ueo.inference.summary import summary, tally_file, verdict_of
from ueo.results.predictions import PREDICTIONS, SKIPPED, skipped_reasons
from ueo.results.record import RESULT, read_result
from ueo.runs.checkpoint import read_facts
from ueo.runs.folder import REPORT
from ueo.text import shown


def outcome(folder: str | Path, store: Path | None = None) -> str:
    """Return the summary of the run in `folder` and the paths of its files; write its report if
    there is none. Raises CheckpointError or DataError if there is no finished run.

    store: the folder of decoded images, whose size is printed.
    """
    folder = Path(folder)
    result, facts = read_result(folder), read_facts(folder)
    if result is None:
        raise CheckpointError(f"{folder}: holds no finished run ({RESULT})")
    if not (folder / REPORT).is_file():
        write_report(folder)
    found = tally_file(folder / PREDICTIONS)
    found.skipped = skipped_reasons(folder / SKIPPED)
    lines = [f"{result['trainer']} on {result['domain']}, {result['backbone']}:", *summary(found),
             verdict_of(facts)]
    if result.get("names"):
        lines += [f"Names: {line}" for line in class_names.summary(result["names"])]
    if result["config"].get("DATASET.UPRIGHT"):
        lines.append("Photographs are turned as their camera noted (EXIF).")
    lines += ["", *_paths(folder, bool(found.skipped)), *_decoded(store)]
    return "\n".join(map(shown, lines))


def _paths(folder: Path, skipped: bool) -> list[str]:
    places = [("Predictions:", folder / PREDICTIONS), ("Report:", folder / REPORT),
              *[("Skipped:", folder / SKIPPED)] * skipped, ("Model:", folder)]
    return [
        *(f"{name:<13}{path}" for name, path in places),
        f"{'New images:':<13}bash scripts/predict.sh --model {shlex.quote(str(folder))} --path NEW",
    ]


def _decoded(store: Path | None) -> list[str]:
    """Where decoded copies of images are kept, and how much they take."""
    files = list(store.glob("*.pixels")) if store else []
    if not files:
        return []
    size = sum(file.stat().st_size for file in files) / 1e9
    return [f"{'Decoded:':<13}{store}, {size:.1f} GB of copies for later runs; may be removed, "
            "--set DATASET.STORE_GB 0 keeps none"]
