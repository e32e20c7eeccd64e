"""The built-in trainers: each learns, is reproducible for a seed, and resumes where it stopped."""

import shutil

import dassl.engine
import pytest
import torch
from dassl.engine import da, dg, ssl
from dassl.utils import ConfigValueError, set_random_seed
from made_domains import ADAPTS, TRAINERS, configuration, write_images


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    write_images(folder)
    return folder


@pytest.fixture(scope="module")
def source_weights(domains, tmp_path_factory):
    """A checkpoint of Vanilla."""
    folder = tmp_path_factory.mktemp("source")
    set_random_seed(1)
    dassl.engine.Vanilla(configuration("Vanilla", domains, folder)).train()
    return folder / "model" / "model.pth.tar-3"


@pytest.fixture
def build(domains, tmp_path, source_weights):
    """build(name, ..., folder) -> the trainer of the engine, which may not be the registered one:
    the toolbox has an EntMin of its own."""

    def make(name, *options, folder="run", seed=1):
        if name in ADAPTS:
            options = ("MODEL.INIT_WEIGHTS", str(source_weights), *options)
        set_random_seed(seed)
        kind = getattr(dassl.engine, name)
        return kind(configuration(name, domains, tmp_path / folder, *options))

    return make


def weights(trainer) -> dict:
    return {f"{name}.{key}": value for name, model in trainer._models.items()
            for key, value in model.state_dict().items()}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_every_built_in_trainer_is_tested():
    built_in = {name for package in (da, dg, ssl) for name, found in vars(package).items()
                if isinstance(found, type)}
    assert built_in == set(TRAINERS)


@pytest.mark.parametrize("name", TRAINERS)
def test_learns_repeats_and_goes_on(build, tmp_path, name, capsys):
    trainer = build(name)
    before = trainer.test()
    trainer.train()
    assert trainer.test() >= (before if name in ADAPTS else max(before, 60))
    whole = weights(trainer)
    for pointer in (tmp_path / "run").glob("*/checkpoint"):
        pointer.write_text("model.pth.tar-1\n")
    resumed = build(name, "RESUME", str(tmp_path / "run"), folder="resumed", seed=7)
    resumed.train()
    assert "Previous epoch: 1" in capsys.readouterr().out
    assert same(weights(resumed), whole)
    repeated = build(name, "OPTIM.MAX_EPOCH", 3, folder="again")
    repeated.test()
    repeated.train()
    assert same(weights(repeated), whole)


def test_adabn_learns_the_targets_statistics_alone(build, source_weights):
    trainer = build("AdaBN")
    trainer.train()
    source = torch.load(source_weights)["state_dict"]
    changed = {k for k, v in trainer.model.state_dict().items() if not torch.equal(v, source[k])}
    assert changed - {"backbone.norm.num_batches_tracked"} == {
        "backbone.norm.running_mean", "backbone.norm.running_var"
    }


def test_adda_keeps_the_classifier(build, source_weights):
    trainer = build("ADDA")
    trainer.train()
    source = torch.load(source_weights)["state_dict"]
    state = trainer.model.state_dict()
    assert torch.equal(state["classifier.weight"], source["classifier.weight"])
    assert not torch.equal(state["backbone.conv.weight"], source["backbone.conv.weight"])


def test_rates_of_cdac_fall_after_every_step(build):
    trainer = build("CDAC", "OPTIM.MAX_EPOCH", 1)
    trainer.train()
    steps = trainer.num_batches
    factor = (1 + 10) ** -0.75
    assert trainer.sched_F.last_epoch == steps
    assert trainer.get_current_lr("F") == pytest.approx(0.01 * factor)
    assert trainer.get_current_lr("C") == pytest.approx(0.02 * factor)


def test_a_run_without_a_teacher_can_be_evaluated(build, tmp_path):
    """As genuine Dassl leaves it."""
    trainer = build("MeanTeacher", "OPTIM.MAX_EPOCH", 1)
    trainer.train()
    shutil.rmtree(tmp_path / "run" / "teacher")
    loaded = build("MeanTeacher", folder="other", seed=7)
    loaded.load_model(str(tmp_path / "run"), epoch=1)
    assert same(loaded.model.state_dict(), trainer.model.state_dict())
    assert loaded.get_model_names() == ["model", "teacher"]


@pytest.mark.parametrize("name, options, sentence", [
    ("AdaBN", ("MODEL.INIT_WEIGHTS", ""), "AdaBN adapts a trained model: set MODEL.INIT_WEIGHTS"),
    ("SE", ("DATALOADER.K_TRANSFORMS", 1), "SE compares two views: set DATALOADER.K_TRANSFORMS"),
    ("MixMatch", ("DATALOADER.K_TRANSFORMS", 1), "MixMatch averages over views"),
    ("CDAC", ("DATALOADER.K_TRANSFORMS", 1), "CDAC needs two strong views"),
    ("FixMatch", ("TRAINER.FIXMATCH.STRONG_TRANSFORMS", ()), "STRONG_TRANSFORMS is empty"),
    ("DAEL", ("DATALOADER.TRAIN_U.SAME_AS_X", True), "set DATALOADER.TRAIN_U.SAME_AS_X to False"),
    ("M3SDA", ("DATALOADER.TRAIN_X.SAMPLER", "RandomSampler"), "DomainSampler, not RandomSampler"),
    ("DomainMix", ("TRAINER.DOMAINMIX.TYPE", "cross"), "DOMAINMIX.TYPE: 'cross' is unknown"),
    ("DDAIG", ("TRAINER.DDAIG.G_ARCH", ""), "network '' is not registered"),
])
def test_mistakes_are_sentences(build, name, options, sentence):
    with pytest.raises(ConfigValueError, match=sentence):
        build(name, *options)


@pytest.mark.parametrize("name", ["M3SDA", "DAEL", "DAELDG", "CDAC"])
def test_losses_of_whole_batches_need_one_process(build, monkeypatch, name):
    monkeypatch.setattr("modern_dassl.distributed.launched", lambda: True)
    with pytest.raises(ConfigValueError, match=f"{name} needs whole batches"):
        build(name)
