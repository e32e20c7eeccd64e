"""The released recipe of UEO, value by value, as `scripts/ueo/main.sh DATASET` plans it, and the
defaults that results depend on."""

import inspect
import math

import pytest
import torch
from dassl.data.transforms import build_transform
from dassl.optim import build_lr_scheduler
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

from ueo import metrics, scores
from ueo.commands import grid, train
from ueo.commands.arguments import grid_settings
from ueo.errors import ConfigError
from ueo.grids import choices
from ueo.grids.plan import plan as plan_runs
from ueo.images import splits
from ueo.losses import EPS, entropy, universal_entropy
from ueo.results import gains, intervals
from ueo.runs.configure import RunSettings, build_cfg
from ueo.runs.evaluator import UFTEvaluator

RELEASED = {  # github.com/tim-learn/UEO, demo.py and demo.sh
    "DATALOADER.TRAIN_X.BATCH_SIZE": 64,
    "DATALOADER.TEST.BATCH_SIZE": 192,
    "OPTIM.NAME": "sgd",
    "OPTIM.LR": 1e-4,
    "OPTIM.MOMENTUM": 0.0,
    "OPTIM.WEIGHT_DECAY": 0.0,
    "OPTIM.SGD_NESTEROV": False,
    "OPTIM.WARMUP_EPOCH": -1,
    "INPUT.SIZE": [224, 224],
    "INPUT.INTERPOLATION": "bicubic",
    "INPUT.TRANSFORMS": ["random_resized_crop", "random_flip", "normalize"],
    "INPUT.RRCROP_SCALE": [0.5, 1.0],
    "INPUT.PIXEL_MEAN": [0.48145466, 0.4578275, 0.40821073],  # CLIP's
    "INPUT.PIXEL_STD": [0.26862954, 0.26130258, 0.27577711],
    "DATASET.PROTOCOL": "released",
    "DATASET.BAD_IMAGES": "stop",
    "DATASET.SUBSAMPLE_CLASSES": "all",
    "DATASET.NUM_SHOTS": -1,
    "DATASET.PLAIN_TRANSFORM": False,
    "TEST.FINAL_MODEL": "last_step",
}
RELEASED_UEO = {
    "N_CTX": 4, "CTX_INIT": "a photo of a", "CSC": False, "CLASS_TOKEN_POSITION": "end",
    "PREC": "fp16", "CTX_FP32": False, "ENSEMBLE": 1, "TUNE": "both", "PROMPT_LR": None,
    "VISUAL_LR": None, "SCHEDULE": "iteration", "EVAL_FREQ": 10, "SCORE": "mcm",
    "TRADE_OFF": 1.0, "WEIGHTING": "confidence", "TEMPERATURE": 1.0, "DOUBT": "inverse",
    "OBJECTIVE": "universal", "REFRESH": False,
}
ADAMW = {"OPTIM.NAME": "adamw", "OPTIM.LR": 1e-3, "OPTIM.WEIGHT_DECAY": 1e-2}
WHOLE_MODEL = {"OPTIM.NAME": "adamw", "OPTIM.LR": 1e-5, "OPTIM.WEIGHT_DECAY": 0.1,
               "DATASET.NUM_SHOTS": 16, "TUNE": "model", "PREC": "amp"}
SHOTS = {"DATASET.NUM_SHOTS": 16}
UNIENT = {"TRADE_OFF": 0.5, "UNKNOWN_WEIGHT": 0.5, "SPLIT": "max_cosine", "BATCH_STATS": False}
OTHERS = {  # what each method changes of UEO's recipe, and its own options as its paper has them
    "EntMin": {"BATCH_STATS": False},
    "InfoMax": {"TRADE_OFF": 1.0},
    "UniEnt": UNIENT,
    "UniEntPlus": UNIENT,
    "CLIPTTA": {"TRADE_OFF": 1.0, "OPEN_SET": True, "OUTLIER_WEIGHT": 1.0, "WIDTH": 0.005,
                "MEMORY": 16},
    "POUF": {"TRADE_OFF": 1.0, "LAMBDA_IM": 0.3, "LEARN_SCALE": False},
    "DANCE": {"ETA": 0.05, "TEMPERATURE": 0.05, "MARGIN": 0.5, "MOMENTUM": 0.0},
    "UPL": {"TOP_K": 16, "ENSEMBLE": 1},
    "CPL": {"SHARE": 0.75, "PER_CLASS": 2.0, "TUNE": "both"},
    "MARS": {"FIRST_STAGE": 0.25, "KL_WEIGHT": 0.5, "TUNE": "both", "INPUT.TRANSFORMS": [
        "random_resized_crop", "random_flip", "randaugment_fixmatch", "normalize"]},
    "UPAdapter": {**ADAMW, "TUNE": "adapter", "TOP_K": 16, "ALPHA": 1.0, "BETA": 5.5},
    "CoOp": {**SHOTS, "TUNE": "prompt", "CTX_INIT": "a photo of a"},
    "CoCoOp": {**SHOTS, "TUNE": "prompt"},
    "TipAdapter": {**SHOTS, "ALPHA": 1.17, "BETA": 1.0, "VIEWS": 10, "CTX_INIT": "template"},
    "TipAdapterF": {**SHOTS, **ADAMW, "ALPHA": 1.17, "BETA": 1.0, "VIEWS": 10, "EPS": 1e-4},
    "CLIPAdapter": {**SHOTS, **ADAMW, "RATIO": 0.2, "REDUCTION": 4},
    "LinearProbe": {**SHOTS, **ADAMW, "INIT": "zero_shot"},
    "FineTune": WHOLE_MODEL,
    "FLYP": WHOLE_MODEL,
    "ARF": {**WHOLE_MODEL, "CAPTION_WEIGHT": 1.0, "PAIR_WEIGHT": 1.0, "PAIRS": 512,
            "RULE": "image"},
}


FLYP = {"OPTIM.NAME": "adamw", "OPTIM.LR": 1e-5, "OPTIM.WEIGHT_DECAY": 0.2, "OPTIM.MAX_EPOCH": 20,
        "DATALOADER.TRAIN_X.BATCH_SIZE": 256, "INPUT.RRCROP_SCALE": [0.9, 1.0],
        "INPUT.TRANSFORMS": ["random_resized_crop", "normalize"]}
OF_PAPERS = {  # values of the papers' public code that may pass for defaults
    "FLYP": FLYP, "FineTune": FLYP, "ARF": FLYP,
    **{name: {f"TRAINER.{name}.TUNE": "visual_affine_all", f"TRAINER.{name}.BATCH_STATS": True}
       for name in ("EntMin", "UniEnt", "UniEntPlus")},  # BatchNorm by its type, as in Tent
    "POUF": {"OPTIM.LR": 1e-3, "TRAINER.POUF.LEARN_SCALE": False},  # its scale is trained at 5e-7
}


@pytest.fixture
def planned():
    """planned(data set, *options, method="UEO"): what <method>/main.sh plans."""

    def plan(dataset, *options, method="UEO"):
        argv = ["--root", "data", dataset, *options, "--trainers", "ZeroshotCLIP", method]
        return plan_runs(grid_settings(grid.parser().parse_args(argv)), dataset)

    return plan


@pytest.mark.parametrize("backbone", ["RN50", "RN101", "ViT-B/16", "ViT-B/32", "ViT-L/14"])
@pytest.mark.parametrize("dataset, epochs", [
    ("office31", 50), ("office_home", 50), ("visda_c", 50), ("domainnet", 5),
])
def test_main_plans_the_released_recipe(planned, dataset, epochs, backbone):
    runs = planned(dataset, "--backbone", backbone)
    ueo = next(run.config for run in runs if run.config["TRAINER.NAME"] == "UEO")
    expected = {**RELEASED, **{f"TRAINER.UEO.{k}": v for k, v in RELEASED_UEO.items()},
                "OPTIM.MAX_EPOCH": epochs, "MODEL.BACKBONE.NAME": backbone}
    assert {key: ueo[key] for key in expected} == expected
    zero = next(run.config for run in runs if run.config["TRAINER.NAME"] == "ZeroshotCLIP")
    for key in ("N_CTX", "CLASS_TOKEN_POSITION", "PREC", "SCORE"):
        assert zero[f"TRAINER.ZeroshotCLIP.{key}"] == RELEASED_UEO[key]


@pytest.mark.parametrize("method", ["UEO", "InfoMax"])
def test_the_tiny_clip_has_a_recipe_of_its_own(planned, method):
    for dataset, more in (("emoji", ()), ("office31", ("--backbone", "TinyCLIP"))):
        for run in planned(dataset, *more, method=method):
            assert run.config["MODEL.BACKBONE.NAME"] == "TinyCLIP"
            assert run.config["INPUT.SIZE"] == [64, 64]
            assert (run.config["OPTIM.MAX_EPOCH"], run.config["OPTIM.LR"]) == (6, 3e-3)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_methods_share_the_recipe_but_for_what_they_must_change(planned, name):
    config = planned("office_home", method=name)[-1].config
    changed = {key if "." in key else f"TRAINER.{name}.{key}": value
               for key, value in OTHERS[name].items()}
    expected = {**RELEASED, "OPTIM.MAX_EPOCH": 50, f"TRAINER.{name}.EVAL_FREQ": 10, **changed}
    assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize("name", OF_PAPERS)
def test_a_papers_recipe_equals_its_code(planned, name):
    config = planned("office_home", "--recipe", "paper", method=name)[-1].config
    assert {key: config[key] for key in OF_PAPERS[name]} == OF_PAPERS[name]


def test_cpl_warms_up_from_zero_to_its_full_rate(planned):
    run = planned("office_home", "--recipe", "paper", method="CPL")[-1]
    optim = build_cfg(run.settings).OPTIM
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=optim.LR)
    schedule, rates = build_lr_scheduler(optimiser, optim), []
    for _ in range(4):
        rates += schedule.get_last_lr()
        optimiser.step()
        schedule.step()
    half_a_cosine = 0.01 * (1 + math.cos(math.pi / 50))
    assert rates == pytest.approx([0, 0.01, 0.02, half_a_cosine])


def test_a_methods_own_recipe_overrides_ueos_for_a_data_set(tmp_path, monkeypatch):
    files = {"UEO/common": "LR: 1.0, MAX_EPOCH: 1", "UEO/shift": "LR: 2.0, MAX_EPOCH: 2",
             "UEO/online": "LR: 3.0", "CoOp/common": "LR: 4.0", "CoOp/other": "LR: 5.0",
             "CoOp/online": "LR: 6.0", "UEO/other": "MAX_EPOCH: 7"}
    monkeypatch.setattr(choices, "CONFIGS", tmp_path)
    for name, text in files.items():
        path = tmp_path / "trainers" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"OPTIM: {{{text}}}")

    def found(trainer, dataset, online=False):
        yamls = choices.trainer_yamls(trainer, "RN50", dataset, "common", online)
        cfg = build_cfg(RunSettings(trainer=trainer, dataset="Emoji", config_file=tuple(yamls)))
        return cfg.OPTIM.LR, cfg.OPTIM.MAX_EPOCH

    assert found("UEO", "shift") == found("EntMin", "shift") == (2.0, 2)
    assert found("CoOp", "shift") == (4.0, 2)  # UEO's epochs, but a rate of its own
    assert found("CoOp", "other") == (5.0, 7)
    assert found("UEO", "shift", online=True) == found("EntMin", "shift", online=True) == (3.0, 2)
    assert found("CoOp", "shift", online=True) == (6.0, 2)


def test_later_settings_override_earlier_ones(tmp_path):
    """The order is defaults, the data set's yaml, the trainer's yamls, arguments, KEY VALUE."""
    for name, text in {
        "data": "{DATASET: {NAME: Emoji, SETTING: open}, OPTIM: {LR: 1.0, MAX_EPOCH: 1}}",
        "first": "{OPTIM: {LR: 2.0, MAX_EPOCH: 2, MOMENTUM: 0.2}}",
        "second": "{OPTIM: {LR: 3.0, MAX_EPOCH: 3}, DATASET: {SETTING: partial}}",
    }.items():
        (tmp_path / name).write_text(text)
    argv = ["--trainer", "UEO", "--dataset-config-file", str(tmp_path / "data"), "--config-file",
            str(tmp_path / "first"), str(tmp_path / "second")]

    def found(*more):
        cfg = build_cfg(train.settings_of([*argv, *more]))
        return [*(cfg.OPTIM[key] for key in ("LR", "MAX_EPOCH", "MOMENTUM", "WEIGHT_DECAY")),
                cfg.DATASET.SETTING]

    assert found() == [3.0, 3, 0.2, 5e-4, "partial"]
    assert found("--setting", "closed") == [3.0, 3, 0.2, 5e-4, "closed"]
    options = ("OPTIM.LR", "4.0", "DATASET.SETTING", "open_partial")
    assert found("--setting", "closed", *options) == [4.0, 3, 0.2, 5e-4, "open_partial"]


def test_different_runs_have_different_folders(planned):
    changes = ((), ("--protocol", "independent"), ("--backbone", "ViT-B/16"),
               ("--set", "OPTIM.LR", "0.5"), ("--set", "OPTIM.LR", "0.25"),
               ("--set", "OPTIM.LR", "0.5", "--protocol", "independent"))
    folders = [{run.folder for run in planned("office_home", *change)
                if run.settings.trainer == "UEO"} for change in changes]  # zero-shot takes no step
    assert len(set.union(*folders)) == sum(map(len, folders)) == len(changes) * len(folders[0])
    names = {run.folder for run in planned("office_home", "--recipe", "paper", method="POUF")}
    assert not names & {run.folder for run in planned("office_home", method="POUF")}


def test_main_plans_three_seeds_of_every_domain_and_label_space(planned):
    runs = [run.config for run in planned("office_home")]
    assert {c["MODEL.BACKBONE.NAME"] for c in runs} == {"RN50"}
    places = [(c["TRAINER.NAME"], c["DATASET.SETTING"], c["DATASET.TARGET_DOMAINS"][0], c["SEED"])
              for c in runs]
    settings = ("closed", "partial", "open", "open_partial")
    domains = ("Art", "Clipart", "Product", "RealWorld")
    assert places == [
        *(("ZeroshotCLIP", s, d, 1) for s in settings for d in domains),  # one seed suffices
        *(("UEO", s, d, seed) for s in settings for d in domains for seed in (1, 2, 3)),
    ]


def test_transforms_are_the_released_ones(planned):
    run = planned("office_home")[-1]
    cfg = build_cfg(run.settings)
    crop, flip, tensor, normal = build_transform(cfg, is_train=True).transforms
    assert tuple(crop.size) == (224, 224) and tuple(crop.scale) == (0.5, 1.0)
    assert crop.interpolation == InterpolationMode.BICUBIC
    assert isinstance(flip, T.RandomHorizontalFlip) and flip.p == 0.5
    assert isinstance(tensor, T.ToTensor) and list(normal.mean) == RELEASED["INPUT.PIXEL_MEAN"]
    resize, centre, _, _ = build_transform(cfg, is_train=False).transforms
    assert resize.size == 224 and resize.interpolation == InterpolationMode.BICUBIC
    assert tuple(centre.size) == (224, 224)


def defaults(function) -> dict:
    return {name: p.default for name, p in inspect.signature(function).parameters.items()
            if p.default is not p.empty}


def test_defaults_of_metrics_scores_and_intervals():
    assert EPS == defaults(entropy)["eps"] == 1e-5
    assert defaults(universal_entropy)["trade_off"] == 1.0
    assert defaults(scores.mcm)["temperature"] == 1.0  # on unscaled cosines
    assert UFTEvaluator(None, num_known=2).score is scores.mcm
    assert defaults(metrics.fpr_at_tpr)["tpr"] == 0.95
    assert gains.RESAMPLES == 1000
    assert intervals.LEVEL == 0.95
    found = defaults(intervals.intervals)
    assert (found["resamples"], found["seed"]) == (1000, 0)
    assert defaults(intervals.weighted_fpr)["tpr"] == 0.95
    assert (splits.TEST_SHARE, splits.SEED) == (0.3, 0)


def test_a_papers_recipe_that_leaves_something_out_is_refused(tmp_path, monkeypatch):
    whole = (choices.CONFIGS / "trainers/EntMin/paper.yaml").read_text()
    recipe = tmp_path / "trainers" / "EntMin" / "paper.yaml"
    recipe.parent.mkdir(parents=True)
    monkeypatch.setattr(choices, "CONFIGS", tmp_path)
    recipe.write_text(whole)
    assert choices.trainer_yamls("EntMin", "RN50", "office31", "paper") == [str(recipe)]
    recipe.write_text(whole.replace("  LR: 1e-3\n", "").replace("    BATCH_SIZE: 200\n", ""))
    with pytest.raises(ConfigError, match="EntMin/paper.yaml leaves out "
                                          "DATALOADER.TRAIN_X.BATCH_SIZE, OPTIM.LR; "):
        choices.trainer_yamls("EntMin", "RN50", "office31", "paper")
