"""Runs and output files of the study of robustness; robustness.py holds the analysis.

Every method is fine-tuned on each domain twice: with all known classes, then tested on every domain
(for ImageNet, on its variants); and with the base half of the classes, then tested on base, new and
all, unless its parameters are bound to the classes. Zero-shot CLIP and WiSE-FT are baselines.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from dassl.engine import TRAINER_REGISTRY

from ueo.clip.backbones import name_in_tables
from ueo.files import write_json, write_text
from ueo.grids.choices import dataset_class, output_name, reported_domains, trainer_names
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.parallel import Failure
from ueo.grids.plan import plan
from ueo.grids.run_grid import selection
from ueo.results.comparable import Entry, check_alike, check_inputs
from ueo.results.coverage import uneven
from ueo.results.record import read_result, score_of
from ueo.studies import ood_study, robustness
from ueo.studies.elsewhere import Tests, execute_left, plan_elsewhere
from ueo.studies.robustness import ALL, BASE, NEW, OWN, SHIFT
from ueo.text import file_name

TRAINERS = ("FineTune", "FLYP", "CoOp", "ARF")
SHOTS = 16
WHOLE, WISE = 1.0, 0.5  # WISE: the alpha that the WiSE-FT paper recommends without tuning
CLASSES = "DATASET.SUBSAMPLE_CLASSES"
NAMES = {"FineTune": robustness.PLAIN, "FLYP": robustness.CONTRASTIVE}  # they get a WiSE-FT arm
FOLDER = "robust"  # for the evaluations, in the folder of their run


@dataclass(frozen=True)
class RobustStudy:
    """The study of one data set. shots: labelled images per class, 0 for all. captions, pool:
    anchors of ARF, "" for none."""

    settings: GridSettings
    dataset: str
    shots: int = SHOTS
    captions: str = ""
    pool: str = ""

    @cached_property
    def run_settings(self) -> GridSettings:
        """The settings, with the study's default protocol, domains and label spaces filled in."""
        kind, asked = dataset_class(self.dataset), self.settings
        spaces = ("closed",) if "closed" in kind.settings else kind.settings
        return replace(
            asked,
            protocol=asked.protocol or "independent",
            domain=tuple(map(kind.domain_of, asked.domain)) or reported_domains(self.dataset),
            setting=asked.setting or tuple(spaces),
        )

    @cached_property
    def tested(self) -> list[str]:
        """The domains that are tested."""
        return [*self.run_settings.domain, *dataset_class(self.dataset).relatives]


@dataclass
class Tuned:
    """A method's runs. shares: {arm in the table: alpha of WiSE-FT}; options: KEY, VALUE, ..."""

    method: str
    shares: dict[str, float]
    options: list[str] = field(default_factory=list)
    whole: list[PlannedRun] = field(default_factory=list)  # with all known classes
    half: list[PlannedRun] = field(default_factory=list)  # with the base half of them

    def tests(self, study: RobustStudy) -> Tests:
        """Plan the evaluations of its runs."""
        found: Tests = {}
        alpha, settings = tuple(dict.fromkeys(self.shares.values())), study.run_settings
        for run in self.whole:
            found |= plan_elsewhere(settings, run, FOLDER, alpha, domain=tuple(study.tested))
        for run in self.half:
            found |= plan_elsewhere(settings, run, FOLDER, alpha, classes=(BASE, NEW, ALL))
        return found


ZeroShot = dict[str, list[PlannedRun]]  # test -> zero-shot CLIP's runs


def plans(study: RobustStudy) -> tuple[ZeroShot, list[Tuned]]:
    """Plan zero-shot CLIP, on the domains of the data set and on its relatives; and the compared
    methods, ARF with the captions and the pool that are given."""
    settings, shots = study.run_settings, ("DATASET.NUM_SHOTS", str(study.shots))
    names = trainer_names(settings)
    methods = [entry for name in names for entry in _entries(study, name)]
    for entry in methods:
        asked = settings.having(*shots, *entry.options, trainers=(entry.method,))
        entry.whole = plan(asked, study.dataset)
        if not getattr(TRAINER_REGISTRY.get(entry.method), "bound_to_classes", True):
            halved = (*shots, CLASSES, BASE, *entry.options)
            asked = settings.having(*halved, trainers=(entry.method,))
            entry.half = plan(asked, study.dataset)
    return _zero_shot(study), methods


def _entries(study: RobustStudy, name: str) -> list[Tuned]:
    if name == ZERO_SHOT:
        return []
    if name == "ARF":
        return _anchored(study)
    arm = NAMES.get(name, name)
    beside = {f"{arm}, WiSE-FT": WISE} if name in NAMES else {}
    return [Tuned(name, {arm: WHOLE, **beside})]


def _anchored(study: RobustStudy) -> list[Tuned]:
    """Return ARF with each given anchor alone, and with both."""
    captions = ["TRAINER.ARF.CAPTIONS", study.captions] if study.captions else []
    pool = ["TRAINER.ARF.POOL", study.pool] if study.pool else []
    found = []
    if captions:
        alone = [*captions, "TRAINER.ARF.PAIR_WEIGHT", "0.0"]
        found.append(Tuned("ARF", {"ARF, captions": WHOLE}, alone))
    if pool:
        alone = [*pool, "TRAINER.ARF.CAPTION_WEIGHT", "0.0"]
        found.append(Tuned("ARF", {"ARF, pairs": WHOLE}, alone))
    if captions and pool:
        found.append(Tuned("ARF", {robustness.BOTH: WHOLE}, captions + pool))
    return found


def _zero_shot(study: RobustStudy) -> ZeroShot:
    settings = study.run_settings.having(trainers=(ZERO_SHOT,))
    found = {
        test: plan(settings.having(*[CLASSES, test] * (test in (BASE, NEW))), study.dataset)
        for test in robustness.TESTS
    }
    if len(settings.domain) == 1:
        found[SHIFT] = []  # there is no other domain
    for relative in dataset_class(study.dataset).relatives:
        found[SHIFT] = found[SHIFT] + plan(replace(settings, domain=(relative,)), relative)
    return found


def all_runs(zero: ZeroShot, methods: list[Tuned]) -> list[PlannedRun]:
    """Return every run once, zero-shot CLIP first."""
    of_zero = [run for test in (OWN, SHIFT, BASE, NEW) for run in zero[test]]
    unique = {run.folder: run for run in of_zero}
    return [*unique.values(), *(run for e in methods for run in (*e.whole, *e.half))]


def show(study: RobustStudy, zero: ZeroShot, methods: list[Tuned]) -> list[Failure]:
    """Run the remaining evaluations, write and print the study; return the failures."""
    tests = {test: records for e in methods for test, records in e.tests(study).items()}
    failures = execute_left(study.run_settings, tests)
    _write(study, zero, methods)
    return failures


def _write(study: RobustStudy, zero: ZeroShot, methods: list[Tuned]) -> None:
    """Write JSON and Markdown of the finished runs, and print the table."""
    runs = _read(study, zero, methods)
    if not runs:
        return
    by_test = {test: [(arm, run.result) for arm, tests in runs.items()
                      for run in tests.get(test, [])] for test in robustness.TESTS}
    every = [entry for entries in by_test.values() for entry in entries]
    without = [(arm, *run.cell) for entry in methods for arm in entry.shares for run in entry.whole
               if read_result(run.folder) is None]
    tuned = [r for arm, r in every if arm != robustness.ZERO] or [r for _, r in every]
    first = every[0][1]
    result = {
        **{key: first[key] for key in ("dataset", "title", "protocol", "environment")},
        "backbone": name_in_tables(first["backbone"]),
        "domains": [d for d in study.run_settings.domain if d in {r["domain"] for r in tuned}],
        "seeds": sorted({r["seed"] for r in tuned}), "shots": study.shots,
        "scores": {arm: score_of(r) for arm, r in every},
        "uneven": [f"{test}: {c}" for test, found in by_test.items()
                   for c in uneven(found, without if test == OWN else ())],
        "means": robustness.means(runs), "gains": robustness.gains(runs),
        "claims": robustness.claimed(runs),
    }
    folder, planned = Path(study.settings.output, output_name(study.dataset)), zero[OWN]
    stem = file_name("-".join(["robust", planned[0].grid, *_selection(study, planned)]))
    write_json(folder / f"{stem}.json", result)
    write_text(folder / f"{stem}.md", robustness.markdown(result))
    print(f"\n{robustness.text(result)}\n\nTable:    {folder / stem}.{{json,md}}")


def _read(study: RobustStudy, zero: ZeroShot, methods: list[Tuned]) -> robustness.Runs:
    """Return {arm: {test: finished runs}}. Zero-shot CLIP has its own runs for every test."""
    folders = {robustness.ZERO: {t: [run.folder for run in runs] for t, runs in zero.items()}}
    for entry in methods:
        for arm, share in entry.shares.items():
            tests = folders.setdefault(arm, {test: [] for test in robustness.TESTS})
            record = f"alpha{share:g}"
            for run in entry.whole:
                for domain in study.tested:
                    test = OWN if domain in run.settings.domain else SHIFT
                    tests[test].append(run.folder / FOLDER / domain / record)
            for run in entry.half:
                for part in (BASE, NEW, ALL):
                    tests[part].append(run.folder / FOLDER / part / record)
    results = {folder: result for tests in folders.values() for where in tests.values()
               for folder in where if (result := read_result(folder))}
    check_inputs(results.items())
    found: robustness.Runs = {}
    for arm, tests in folders.items():
        for where in tests.values():
            _check_alike([(folder, results[folder]) for folder in where if folder in results])
        runs = {test: [ood_study.read_reported(folder) for folder in where if folder in results]
                for test, where in tests.items()}
        runs = {test: group for test, group in runs.items() if group}
        if runs:
            found[arm] = runs
    return found


def _check_alike(entries: list[Entry]) -> None:
    """Check the runs of an arm on one test, which may include relatives of the data set."""
    for name in {result["dataset"] for _, result in entries}:
        check_alike(entry for entry in entries if entry[1]["dataset"] == name)


def _selection(study: RobustStudy, runs: list[PlannedRun]) -> list[str]:
    """Return the parts of the file names for a selection of the study."""
    parts = selection(study.settings, runs)
    if study.settings.trainers != TRAINERS:
        parts += study.settings.trainers
    return parts + [f"shots{study.shots}"] * (study.shots != SHOTS)
