"""Runs and output files of the study of OOD scores; ood_study.py holds the analysis."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ueo.clip.backbones import name_in_tables
from ueo.files import write_json, write_text
from ueo.grids.choices import output_name, reported_domains, trainer_names
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.parallel import Failure
from ueo.grids.plan import plan
from ueo.grids.run_grid import selection
from ueo.results.coverage import uneven
from ueo.results.record import read_result
from ueo.studies import ood_plots, ood_study, ood_tables
from ueo.studies.elsewhere import Tests, execute_left, plan_elsewhere
from ueo.studies.ood_study import ZERO, Arm
from ueo.text import file_name

SHOTS_OF = {  # the option that sets a method's images per class; None: it has none
    ZERO_SHOT: None,
    "CoOp": "DATASET.NUM_SHOTS",
    "CoCoOp": "DATASET.NUM_SHOTS",
    "TipAdapter": "DATASET.NUM_SHOTS",
    "TipAdapterF": "DATASET.NUM_SHOTS",
    "UPAdapter": "TRAINER.UPAdapter.TOP_K",
    "UPL": "TRAINER.UPL.TOP_K",
    "UEO": None,
}
TRAINERS, SETTING = tuple(SHOTS_OF), ("closed",)
SHOTS = (1, 2, 4, 8, 16)
KEPT = ("TEST.KEEP_OUTPUTS", "True", "TEST.KEEP_NEGATIVES", "True")

Arms = dict[Arm, list[PlannedRun]]


@dataclass(frozen=True)
class OODStudy:
    """The study of one data set. shots: images per class; shift: also test on other domains."""

    settings: GridSettings
    dataset: str
    shots: tuple[int, ...] = SHOTS
    shift: bool = False

    @cached_property
    def run_settings(self) -> GridSettings:
        """The settings, with the study's default protocol and domains filled in."""
        return replace(
            self.settings,
            protocol=self.settings.protocol or "independent",
            domain=self.settings.domain or reported_domains(self.dataset),
        )


def plans(study: OODStudy) -> Arms:
    """Return {arm: its runs}, zero-shot CLIP first."""
    settings, found = study.run_settings, {}
    for name in trainer_names(settings):
        key = SHOTS_OF.get(name)
        for shots in study.shots if key else [0]:
            options = [key, str(shots)] if key else []
            asked = settings.having(*options, *KEPT, trainers=(name,))
            found[Arm(name, shots)] = plan(asked, study.dataset)
    return found


def show(study: OODStudy, arms: Arms) -> list[Failure]:
    """Run the remaining tests on other domains, write and print the study; return the failures."""
    moved, failures = _shifted(study, arms)
    _write(study, arms, moved)
    return failures


def _shifted(study: OODStudy, arms: Arms) -> tuple[ood_study.Runs, list[Failure]]:
    """Return (runs tested on domains that they were not adapted to, failures). Zero-shot CLIP is
    not adapted, so its usual runs are used."""
    if not study.shift:
        return {}, []
    moved = _elsewhere(study, arms)
    tests = {test: records for by_test in moved.values() for test, records in by_test.items()}
    failures = execute_left(study.run_settings, tests)
    folders = [
        *((arm, folder) for arm, by_test in moved.items() for records in by_test.values()
          for folder in records),
        *((ZERO, run.folder) for run in arms.get(ZERO, [])),
    ]
    return ood_study.read_runs(folders, ood_study.read_reported), failures


def _elsewhere(study: OODStudy, arms: Arms) -> dict[Arm, Tests]:
    """Plan evaluations of the compared arms' runs on the other domains."""
    pairs = ood_study.beside_up_adapter(arms)
    chosen = dict.fromkeys(arm for pair in pairs for arm in pair if arm in arms and arm != ZERO)
    domains = sorted({run.settings.domain[0] for runs in arms.values() for run in runs})
    found: dict[Arm, Tests] = {}
    for arm in chosen:
        for run in arms[arm]:
            others = tuple(domain for domain in domains if domain not in run.settings.domain)
            tests = plan_elsewhere(study.run_settings, run, "elsewhere", domain=others)
            found.setdefault(arm, {}).update(tests)
    return found


def _write(study: OODStudy, arms: Arms, moved: ood_study.Runs) -> None:
    """Write JSON, Markdown and pictures of the finished runs, and print the table."""
    runs = ood_study.read_runs((arm, run.folder) for arm, plan in arms.items() for run in plan)
    if not runs:
        return
    first = next(iter(runs.values()))[0].result
    rows = ood_study.rows(runs)
    means = ood_study.with_intervals(ood_study.means(rows), runs)
    result = {
        **{key: first[key] for key in ("dataset", "title", "protocol", "environment")},
        "backbone": name_in_tables(first["backbone"]),
        **{f"{key}s": sorted({row[key] for row in rows}) for key in ("domain", "setting", "seed")},
        "uneven": uneven(
            ((str(arm), run.result) for arm, group in runs.items() for run in group),
            ((str(arm), *run.cell) for arm, own in arms.items() for run in own
             if read_result(run.folder) is None)),
        "means": means,
        "claims": ood_study.claims(runs, means, moved),
        "by_domain": ood_study.by_domain(runs),
        "rows": rows,
    }
    folder = Path(study.settings.output, output_name(study.dataset))
    planned = next(iter(arms.values()))
    stem = file_name("-".join(["study", planned[0].grid, *_selection(study, planned)]))
    write_json(folder / f"{stem}.json", result)
    pictures = ood_plots.draw(folder, stem, runs, means)
    write_text(folder / f"{stem}.md", ood_tables.document(result, [p.name for p in pictures]))
    print(f"\n{ood_tables.text(result)}\n\nStudy:    {folder / stem}.{{json,md}}")
    print(f"Pictures: {folder / stem}-{{histograms,roc,shots,accuracy}}.{{png,pdf}}")


def _selection(study: OODStudy, runs: list[PlannedRun]) -> list[str]:
    """Return the parts of the file names for a selection of the study."""
    parts = selection(study.settings, runs, usual=GridSettings(setting=SETTING))
    if study.settings.trainers != TRAINERS:
        parts += study.settings.trainers
    if study.shots != SHOTS:
        parts.append(f"shots{'+'.join(map(str, study.shots))}")
    return parts + ["shift"] * study.shift
