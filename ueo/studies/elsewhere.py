"""Evaluate a finished run elsewhere: on other domains, on half of its classes, and with weights
interpolated between its initial and its final ones (WiSE-FT).

Wortsman et al., CVPR 2022, arXiv:2109.01903: the tuned weights become (1 - alpha) * start + alpha *
tuned. Alpha 1 is the run; alpha 0 is its initial model: zero-shot CLIP, unless the tuned weights
are initialised at random. Each alpha is evaluated and gets a record in the format of a run's.
"""

from dataclasses import dataclass
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TrainerX, build_trainer
from dassl.utils import set_random_seed

from ueo.clip.tuning import untuned_adapter
from ueo.errors import ConfigError
from ueo.files import check_writable
from ueo.grids.execute import execute
from ueo.grids.grid_settings import GridSettings, PlannedRun
from ueo.grids.parallel import Failure, remove_consoles
from ueo.grids.plan import plugins_of, threads_of
from ueo.images.hashes import content_hash
from ueo.inputs import CHECKPOINT, Inputs
from ueo.results.record import RESULT, read_result
from ueo.runs.checkpoint import MODEL, checkpoint_file, mixed
from ueo.runs.configure import RunSettings, build_cfg, options_of_record, register
from ueo.runs.current_inputs import data_inputs
from ueo.runs.folder import follow_run
from ueo.runs.start import set_up_torch
from ueo.runs.status import status_of
from ueo.settings.discover import of_registered

METRICS = ("pacc", "accuracy", "auroc", "fpr95")


@dataclass(frozen=True)
class ElsewhereSettings:
    """Which finished run to evaluate, and how.

    model_dir: the run's folder. alpha: interpolation weights. domain, classes: where to evaluate;
    empty means those of the run. output_dir: folder of the records; None means wise_ft in the run's
    folder. load_epoch: epoch of the checkpoint; None means the last. options: KEY VALUE, ...
    """

    model_dir: str
    alpha: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    load_epoch: int | None = None
    domain: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    output_dir: str | None = None
    root: str = "data"
    plugin: tuple[str, ...] = ()
    device: str = "auto"
    threads: int = 0
    options: tuple[str, ...] = ()

    @property
    def output(self) -> Path:
        return Path(self.output_dir or Path(self.model_dir, "wise_ft"))

    @property
    def weights(self) -> Path:
        """The checkpoint file of the run."""
        return checkpoint_file(Path(self.model_dir, MODEL), self.load_epoch)

    def record(self, domain: str, classes: str, alpha: float) -> Path:
        """Return the folder of one record. domain, classes: "" for those of the run."""
        return self.output / domain / classes / f"alpha{alpha:g}"


def evaluate_elsewhere(settings: ElsewhereSettings) -> list[list]:
    """Evaluate each combination of domain, classes and alpha; return a row for each: these three,
    then METRICS in percent. Raise ConfigError if the folder has no finished run, or if the run
    cannot be interpolated or does not fit other classes."""
    register(settings.plugin)
    rows = []
    for domain in dict.fromkeys(settings.domain or [""]):
        for classes in dict.fromkeys(settings.classes or [""]):
            trainer = _build(settings, domain, classes)
            rows += _evaluate(trainer, settings, domain, classes)
    return rows


def evaluate_to_status(settings: ElsewhereSettings) -> int:
    """Evaluate and return the exit status."""
    return status_of(lambda: evaluate_elsewhere(settings) and None)


def settings_there(settings: ElsewhereSettings, domain: str, classes: str) -> RunSettings:
    """Return the run's configuration with another domain and other classes; "" keeps them. Raise
    ConfigError if the folder has no finished run."""
    finished = read_result(settings.model_dir)
    if finished is None:
        raise ConfigError(f"--model-dir {settings.model_dir}: holds no finished run (result.json)")
    options = [*options_of_record(finished["config"], settings.plugin,
                                  f"--model-dir {settings.model_dir}")]
    options += ["DATALOADER.NUM_WORKERS", str(finished["environment"].get("workers", 0))]
    options += ["DATASET.TARGET_DOMAINS", str((domain,))] if domain else []
    # a relative is a data set that serves as another domain of the run's data set
    own = finished["config"]["DATASET.NAME"]
    if relative := of_registered(DATASET_REGISTRY, own, "relatives", {}).get(domain):
        options += ["DATASET.NAME", relative]
    options += ["DATASET.SUBSAMPLE_CLASSES", classes] if classes else []
    return RunSettings(
        root=settings.root,
        output_dir=str(settings.output / domain / classes),
        device=settings.device,
        threads=settings.threads,
        plugin=settings.plugin,
        options=(*options, *settings.options),
    )


def _build(settings: ElsewhereSettings, domain: str, classes: str) -> TrainerX:
    """Build the run's trainer, untrained."""
    cfg = build_cfg(settings_there(settings, domain, classes))
    set_up_torch(settings.device, settings.threads, cfg.MODEL.TF32)
    check_writable(Path(cfg.OUTPUT_DIR))
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    follow_run(cfg, settings.model_dir, set(settings.options[::2]))
    trainer = build_trainer(cfg)
    if not hasattr(trainer, "evaluations") or MODEL not in trainer.get_model_names():
        raise ConfigError(f"--model-dir: {cfg.TRAINER.NAME} tunes nothing to interpolate")
    trainer.check_classes(settings.model_dir)
    if {*settings.alpha} != {1.0} and (kept := untuned_adapter(trainer.model, trainer.groups)):
        raise ConfigError(
            f"--alpha: {cfg.TRAINER.NAME} has state that cannot be interpolated ({min(kept)}); "
            "--alpha 1 evaluates it unchanged"
        )
    return trainer


def _evaluate(
    trainer: TrainerX, settings: ElsewhereSettings, domain: str, classes: str
) -> list[list]:
    """Write a record for each alpha; return the rows."""
    module, evaluations = trainer._models[MODEL], trainer.evaluations
    start = {name: value.clone() for name, value in module.state_dict().items()}
    trainer.output_dir = str(settings.record(domain, classes, settings.alpha[0]))
    with trainer.zero_shot():
        evaluations.run(epoch=0)
    before, rows = evaluations.history, []
    trainer.load_model(settings.model_dir, epoch=settings.load_epoch)
    trainer.set_by_hand = read_result(settings.model_dir).get("set_by_hand", {})
    trainer.inputs[CHECKPOINT] = content_hash(settings.weights)
    tuned = {name: value.clone() for name, value in module.state_dict().items()}
    for alpha in dict.fromkeys(settings.alpha):
        trainer.output_dir = str(settings.record(domain, classes, alpha))
        trainer.notes["wise_ft"] = {"run": str(settings.model_dir), "alpha": alpha}
        evaluations.history = list(before)
        module.load_state_dict(mixed(start, tuned, alpha))
        evaluations.run(epoch=trainer.epochs_done, last=True)
        evaluations.write_record()
        found = evaluations.history[-1]["test"]
        rows.append([trainer.dm.dataset.domain, trainer.cfg.DATASET.SUBSAMPLE_CLASSES,
                     f"{alpha:g}", *(found[name] for name in METRICS)])
    return rows


# evaluations of the runs of a grid


Tests = dict[PlannedRun, list[Path]]  # evaluation of a finished run -> folders of its records


def plan_elsewhere(
    settings: GridSettings, run: PlannedRun, folder: str, alpha: tuple[float, ...] = (1.0,),
    **what: tuple[str, ...],
) -> Tests:
    """Plan the evaluation of a run on `domain` or on `classes`. folder: name of the folder of its
    records, in the run's."""
    asked = ElsewhereSettings(
        model_dir=str(run.folder),
        alpha=alpha,
        output_dir=str(run.folder / folder),
        root=settings.root,
        plugin=plugins_of(settings),
        device=settings.device,
        threads=threads_of(settings),
        **what,
    )
    records = [
        asked.record(domain, classes, share)
        for domain in asked.domain or ("",)
        for classes in asked.classes or ("",)
        for share in alpha
    ]
    place = " ".join((*asked.domain, *asked.classes))
    label = f"{run.label}, tested {f'on {place}' if place else 'again'}"
    return {PlannedRun(asked, run.folder / folder, label, run.place, run.grid, run.config): records}


def execute_left(settings: GridSettings, tests: Tests) -> list[Failure]:
    """Run the evaluations whose run is finished and which lack a record that is up to date.

    A record is out of date if the run's weights or the images have changed since. Records of old
    weights are removed first, so that none is used if its run or its evaluation fails. With
    tables_only, which runs nothing, they are an error.
    """
    known: dict = {}
    for test, records in tests.items():
        for record in _of_other_weights(test.settings, records):
            if settings.tables_only:
                raise ConfigError(
                    f"{record}: was evaluated before {test.settings.model_dir} was trained again; "
                    "the same command without --tables-only evaluates it again"
                )
            (record / RESULT).unlink()
    if settings.tables_only:
        return []
    ready = [test for test in tests if read_result(test.settings.model_dir) is not None]
    todo = [test for test in ready
            if settings.overwrite or not _up_to_date(test.settings, tests[test], known)]
    remove_consoles(test.folder for test in tests if test not in todo)
    return execute(settings, todo, evaluate_to_status) if todo else []


def _of_other_weights(settings: ElsewhereSettings, records: list[Path]) -> list[Path]:
    """Return the records of weights that the run no longer has; all if it is not finished."""
    finished = read_result(settings.model_dir) is not None
    weights = content_hash(settings.weights) if finished else None
    found = {record: read_result(record) for record in records}
    return [record for record, result in found.items()
            if result is not None and result["inputs"].get(CHECKPOINT, "") != weights]


def _up_to_date(
    settings: ElsewhereSettings, records: list[Path], known: dict[tuple, Inputs]
) -> bool:
    """Whether all records exist and match the current images; those of other weights were removed.

    known: cache of the inputs of domains.
    """
    for record in records:
        result = read_result(record)
        if result is None:
            return False
        place = tuple(result[key] for key in ("dataset", "domain", "protocol"))
        if place not in known:
            value = record.parent.name
            there = settings_there(
                settings, value * bool(settings.domain), value * bool(settings.classes)
            )
            known[place] = data_inputs(build_cfg(there))
        if not known[place].items() <= result["inputs"].items():
            return False
    return True
