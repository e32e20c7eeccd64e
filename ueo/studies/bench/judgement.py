"""Compare one method of the bench with every other: differences with intervals, by each method's
own OOD score and by the judged method's; and with zero-shot CLIP in each label space."""

from dataclasses import replace
from pathlib import Path

from dassl.engine import TRAINER_REGISTRY

from ueo.errors import ConfigError
from ueo.grids.execute import execute
from ueo.grids.finished import waiting
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings
from ueo.grids.parallel import Failure
from ueo.label_space import STANDARD_SETTINGS
from ueo.studies.bench.gains import finished, row, scopes
from ueo.studies.bench.protocol import TUNING_SEED
from ueo.studies.bench.runs import Reported, reported
from ueo.studies.elsewhere import execute_left, plan_elsewhere

SAME_SCORE = (ZERO_SHOT, "InfoMax", "UEO", "StatA")  # rescored with the judged method's score
AS_THEY_ARE, BY_ITS_SCORE, EACH_SETTING = "as_they_are", "by_its_score", "each_setting"

Place = tuple[str, str, str]  # model, group of domains, method
Folders = dict[Place, list[Path]]
Records = dict[Place, list[dict]]  # as `gains.finished` gives them


def check(method: str, methods: list[str]) -> None:
    """Raise ConfigError if the method to judge is not among those that run."""
    if method not in methods:
        raise ConfigError(f"--judge {method}: is none of the methods that run (--trainers)")


def score_of(plans: Reported, method: str) -> str:
    """Return the OOD score that a method's runs report."""
    run = next(runs[0] for (_, _, name), runs in plans.items() if name == method and runs)
    return run.config[f"TRAINER.{method}.SCORE"]


def rescore(
    settings: GridSettings, models: tuple[str, ...], chosen: dict, plans: Reported, method: str
) -> tuple[Folders, list[Failure]]:
    """Evaluate the planned methods of SAME_SCORE by the score of `method`. Finished runs are
    evaluated again; training-free methods run again. Return (folders of seed 1, failures)."""
    score, there = score_of(plans, method), {name for _, _, name in plans}
    folders: Folders = {}
    anew, again = [], {}
    for name in filter(there.__contains__, SAME_SCORE):
        key = f"TRAINER.{name}.SCORE"
        if TRAINER_REGISTRY.get(name).training_free:
            asked = replace(settings.having(key, score), trainers=(name,))
            for place, runs in reported(asked, models, chosen).items():
                if place[2] == name and place in plans:
                    anew += runs
                    folders[place] = [run.folder for run in runs]
            continue
        for place, runs in plans.items():
            if place[2] == name:
                again |= (tests := _evaluations(settings, runs, key, score))
                folders[place] = [record for records in tests.values() for record in records]
    failures = execute(settings, waiting(settings, anew)) + execute_left(settings, again)
    return folders, failures


def _evaluations(settings: GridSettings, runs: list, key: str, score: str) -> dict:
    tests = {}
    for run in runs:
        if run.config["SEED"] == TUNING_SEED:
            tests |= plan_elsewhere(settings, run, f"score_{score}", options=(key, score))
    return tests


def judged(plans: Reported, rescored: Folders, method: str) -> dict:
    """Return the results of seed 1: {"method", "score"; AS_THEY_ARE and BY_ITS_SCORE: a row per
    group of domains and other method; EACH_SETTING: a row per group of domains and label space,
    over zero-shot CLIP}. Rows are as of `gains.row`."""
    own = {place: finished(run.folder for run in runs if run.config["SEED"] == TUNING_SEED)
           for place, runs in plans.items()}
    others = {place: finished(folders) for place, folders in rescored.items()}
    found = {"method": method, "score": score_of(plans, method),
             AS_THEY_ARE: _rows(own, own, method), BY_ITS_SCORE: _rows(own, others, method)}
    zero = {place: records for place, records in own.items() if place[2] == ZERO_SHOT}
    found[EACH_SETTING] = [
        {"setting": setting} | each for setting in STANDARD_SETTINGS
        for each in _rows(_of(own, setting), _of(zero, setting), method)
    ]
    return found


def _of(records: Records, setting: str) -> Records:
    """Return the records of one label space."""
    return {place: [run for run in runs if run["result"]["setting"] == setting]
            for place, runs in records.items()}


def _rows(own: Records, others: Records, method: str) -> list[dict]:
    """Return rows of `method` over each other method of `others`, if both have records on every
    model of a scope."""
    rows = []
    for scope, models in scopes(own).items():
        for group in dict.fromkeys(group for _, group, _ in own):
            for name in dict.fromkeys(name for _, _, name in others if name != method):
                pairs = {model: (own.get((model, group, method)),
                                 others.get((model, group, name))) for model in models}
                if all(ours and theirs for ours, theirs in pairs.values()):
                    rows.append({"scope": scope, "over": name} | row(group, method, pairs))
    return rows
