"""Which finished runs may stand in one table, or be averaged."""

from collections.abc import Iterable
from pathlib import Path

from ueo.errors import DataError
from ueo.inputs import DEVICE, ENGINE, OF_DATA, OTHER_ENGINE, PRECISION, TF32, TRAINER_CODE, WEIGHTS

OWN_KEYS = ("SEED", "DATASET.SETTING", "DATASET.TARGET_DOMAINS")  # differ from run to run
OTHER_CLASSES = "; take fewer shots, or --protocol independent, whose shots are no test images"

OTHER_RULE = "; --overwrite runs one of them again"
FIRST_RULE = "mixture"  # of records that do not say theirs

Entry = tuple[Path, dict]  # folder and result.json of a run


def check_comparable(entries: list[Entry]) -> None:
    """Raise DataError when runs are of different data sets, protocols, backbones or inputs; when
    one domain and label space was cut differently; or when one method was configured differently,
    had another precision (TF32 included) or other code; or when thresholds follow other rules."""
    check_inputs(entries)
    first_folder, first = entries[0]
    splits, methods = {}, {}
    for folder, result in entries:
        for name in ("dataset", "protocol", "backbone"):
            _same(name, first_folder, first[name], folder, result[name])
        rules = _rule(first), _rule(result)
        _same("rule of the threshold", first_folder, rules[0], folder, rules[1], OTHER_RULE)
        cell = result["domain"], result["setting"]
        origin, split = splits.setdefault(cell, (folder, result["split_hash"]))
        _same("split of the images", origin, split, folder, result["split_hash"])
        methods.setdefault(result["trainer"], []).append((folder, result))
    for own in methods.values():
        check_alike(own)


def check_alike(entries: Iterable[Entry]) -> None:
    """Raise DataError when runs of one method were configured differently, but for what differs
    from run to run, or had another precision (TF32 included) or other code."""
    origin, first = None, {}
    for folder, result in entries:
        found = {k: v for k, v in result.get("config", {}).items() if k not in OWN_KEYS}
        found |= {name: result["inputs"].get(name) for name in (PRECISION, TF32, TRAINER_CODE)}
        if origin is None:
            origin, first = folder, found
        for key in sorted({*first, *found}):
            _same(key, origin, first.get(key), folder, found.get(key))


def check_inputs(entries: Iterable[Entry]) -> None:
    """Raise DataError when runs are of different engines, devices or weights, or when one domain
    had other images, labels or class names; or when known classes without a test image differ in
    one label space: PACC is a mean over the others."""
    origins: dict = {}
    for folder, result in entries:
        engine = result["environment"]["engine"]
        origin, other = origins.setdefault(ENGINE, (folder, engine))
        _same(ENGINE, origin, other, folder, engine, OTHER_ENGINE)
        for name in (DEVICE, WEIGHTS, *OF_DATA):
            value = result["inputs"].get(name)
            place = (name, result["domain"]) if name in OF_DATA else name
            origin, other = origins.setdefault(place, (folder, value))
            _same(name, origin, other, folder, value)
        untested = result.get("untested_classes", [])
        half = result.get("config", {}).get("DATASET.SUBSAMPLE_CLASSES")
        place = "untested", result["domain"], result["setting"], half
        origin, other = origins.setdefault(place, (folder, untested))
        _same("known classes without a test image", origin, other, folder, untested, OTHER_CLASSES)


def _rule(result: dict) -> str:
    return result.get("threshold_rule", FIRST_RULE)


def _same(what: str, folder: Path, value, other_folder: Path, other, remedy: str = "") -> None:
    if value != other:
        raise DataError(
            f"{folder} and {other_folder} cannot stand in one table: {what} is {value!r} and "
            f"{other!r}{remedy}"
        )
