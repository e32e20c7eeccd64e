"""Which finished runs may be in one table, or be averaged."""

from collections.abc import Iterable
from pathlib import Path

from ueo.errors import DataError
from ueo.inputs import DEVICE, ENGINE, OF_DATA, OTHER_ENGINE, PRECISION, TF32, TRAINER_CODE, WEIGHTS

OWN_KEYS = ("SEED", "DATASET.SETTING", "DATASET.TARGET_DOMAINS")  # differ from run to run
OTHER_CLASSES = "; take fewer shots, or --protocol independent, whose shots are no test images"

OTHER_RULE = "; --overwrite runs one of them again"
FIRST_RULE = "mixture"  # of records that name none

Entry = tuple[Path, dict]  # folder and result.json of a run


def check_comparable(entries: list[Entry]) -> None:
    """Raise DataError if runs differ in data set, protocol, backbone, inputs or threshold rule; if
    those on one domain and label space differ in their split; or as `check_alike` does."""
    check_inputs(entries)
    firsts, methods = {}, {}
    for folder, result in entries:
        for name in ("dataset", "protocol", "backbone"):
            _check_same(firsts, name, folder, result[name])
        rule = result.get("threshold_rule", FIRST_RULE)
        _check_same(firsts, "rule of the threshold", folder, rule, remedy=OTHER_RULE)
        cell = result["domain"], result["setting"]
        _check_same(firsts, "split of the images", folder, result["split_hash"], cell)
        methods.setdefault(result["trainer"], []).append((folder, result))
    for own in methods.values():
        check_alike(own)


def check_alike(entries: Iterable[Entry]) -> None:
    """Raise DataError if runs of one method differ in configuration, OWN_KEYS excepted, in
    precision (TF32 included) or in code."""
    runs = []
    for folder, result in entries:
        found = {k: v for k, v in result.get("config", {}).items() if k not in OWN_KEYS}
        found |= {name: result["inputs"].get(name) for name in (PRECISION, TF32, TRAINER_CODE)}
        runs.append((folder, found))
    firsts, keys = {}, sorted(set().union(*(found for _, found in runs)))
    for folder, found in runs:
        for key in keys:
            _check_same(firsts, key, folder, found.get(key))


def check_inputs(entries: Iterable[Entry]) -> None:
    """Raise DataError if runs differ in engine, device or weights; if those on one domain differ in
    images, labels or class names; or if those on one domain and label space differ in the known
    classes without a test image, which PACC leaves out."""
    firsts = {}
    for folder, result in entries:
        domain, inputs = result["domain"], result["inputs"]
        engine = result["environment"]["engine"]
        _check_same(firsts, ENGINE, folder, engine, remedy=OTHER_ENGINE)
        for name in (DEVICE, WEIGHTS):
            _check_same(firsts, name, folder, inputs.get(name))
        for name in OF_DATA:
            _check_same(firsts, name, folder, inputs.get(name), domain)
        half = result.get("config", {}).get("DATASET.SUBSAMPLE_CLASSES")
        _check_same(firsts, "known classes without a test image", folder,
                    result.get("untested_classes", []), (domain, result["setting"], half),
                    OTHER_CLASSES)


def _check_same(firsts: dict, what: str, folder: Path, value, place=None, remedy: str = "") -> None:
    """Raise DataError unless `value` is that of the first run that was checked for `what` in this
    place. firsts: {(what, place): (folder, value)} of the first runs."""
    first_folder, first = firsts.setdefault((what, place), (folder, value))
    if value != first:
        raise DataError(
            f"{first_folder} and {folder} cannot be in one table: {what} is {first!r} and "
            f"{value!r}{remedy}"
        )
