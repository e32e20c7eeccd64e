"""Planning of a grid: shards, estimates, recipes, options, and what is refused."""

import os
import re

import pytest

from ueo.commands import compare
from ueo.errors import ConfigError
from ueo.grids import execute, finished, run_grid
from ueo.grids.choices import CONFIGS, left_out
from ueo.grids.finished import estimate
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, Place, PlannedRun, shard
from ueo.grids.parallel import clock
from ueo.grids.plan import plan
from ueo.grids.run_grid import table_stem
from ueo.results.paper.scores import PICTURE
from ueo.runs.configure import RunSettings


def run(trainer, domain, seed):
    place = Place.of("data", trainer, "rn50", "open", domain, f"seed{seed}")
    return PlannedRun(RunSettings(), place.below("out"), "", place)


RUNS = [run(t, d, s) for t in ("Zero", "New") for d in "abc" for s in (1, 2)]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 20])
def test_shards_divide_the_runs_evenly(n):
    parts = [shard(RUNS, f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(r.folder for part in parts for r in part) == sorted(r.folder for r in RUNS)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert shard(RUNS, "") == RUNS


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1/"])
def test_wrong_shards(part):
    with pytest.raises(ConfigError, match="--shard"):
        shard(RUNS, part)


def test_the_estimate_comes_from_finished_runs_of_the_same_kind():
    done = {r: {"wall_seconds": s} for r, s in (
        (run("New", "a", 1), 10.0), (run("New", "a", 2), 20.0), (run("New", "b", 1), 90.0))}
    todo = [run("New", "a", 3), run("New", "b", 2), run("New", "c", 1), run("Zero", "a", 1)]
    # a: 15, b: 90, c: the mean of all three, Zero: no estimate
    assert estimate(todo, done, 2) == ((15 + 90 + 40) / 2, 1)
    assert estimate(todo, {}, 1) == (0, 4)
    assert clock(3723) == "1:02:03"


def test_wall_times_of_a_clock_set_back_are_not_averaged():
    done = {run("New", "a", 1): {"wall_seconds": -3500.0},
            run("New", "a", 2): {"wall_seconds": 20.0},
            run("New", "a", 4): {"wall_seconds": 0.0}}
    done[run("New", "a", 5)] = {"wall_seconds": 1.0, "resumed_from_batch": 3}
    done[run("New", "a", 6)] = {"wall_seconds": 1.0, "resumed_from_epoch": 1}
    assert estimate([run("New", "a", 3)], done, 1) == (20, 0)


def test_a_run_given_twice_counts_once_and_two_in_one_folder_are_refused():
    assert shard([*RUNS, *RUNS], "") == RUNS
    with pytest.raises(ConfigError, match="two different runs"):
        shard([*RUNS, PlannedRun(RunSettings(seed=9), RUNS[0].folder, "")], "")


@pytest.mark.parametrize(("lines", "options", "kept"), [
    ("", (), False),
    ("", ("TEST.KEEP_OUTPUTS", "True"), True),
    ("", ("TEST.KEEP_OUTPUTS", "False"), False),
    ("TEST:\n  KEEP_OUTPUTS: True\n", (), True),
])
def test_keep_outputs_counts_in_a_recipe_and_as_an_option(
        tmp_path, monkeypatch, lines, options, kept):
    whole = (CONFIGS / "trainers/UEO/tiny_clip.yaml").read_text()
    (tmp_path / "own.yaml").write_text(whole + lines)
    asked = GridSettings(trainers=(ZERO_SHOT,), domain=("fluent",), setting=("open",), seed=(1,),
                         config_file=str(tmp_path / "own.yaml"), options=options,
                         output=str(tmp_path))
    (planned,) = plan(asked, "emoji")
    planned.folder.mkdir(parents=True)
    (planned.folder / PICTURE).touch()
    found = []
    monkeypatch.setattr(finished, "finished_result", lambda *args: found.append(args[-2:]))
    monkeypatch.setattr(finished.PlannedInputs, "of", lambda self, run: ({}, ""))
    finished.finished_runs([planned], overwrite=False)
    assert found == [(kept, False)]


def test_an_own_recipe_that_leaves_out_keys_is_refused(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("OPTIM:\n  LR: 1e-3\n  MAX_EPOCH: 5\n")
    asked = GridSettings(trainers=("UEO",), domain=("fluent",), setting=("open",), seed=(1,),
                         config_file=str(own), options=("INPUT.SIZE", "(64, 64)"),
                         output=str(tmp_path / "output"))
    with pytest.raises(ConfigError, match=r"own.yaml leaves out INPUT.INTERPOLATION, .*BATCH_SIZE"):
        plan(asked, "emoji")


def test_later_domains_of_a_stream_are_fetched_too(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(execute, "ensure", lambda kind, root, wanted, unasked: asked.append(wanted))
    monkeypatch.setattr(execute.backbones, "fetch", lambda name: None)
    settings = GridSettings(datasets=("office_home",), trainers=("UEO",), domain=("Art",),
                            setting=("open",), seed=(1,), protocol="online", output=str(tmp_path),
                            options=("ONLINE.THEN", "['Clipart']"))
    execute.fetch_missing(settings, plan(settings, "office_home"))
    assert asked == [{"Art", "Clipart"}]


def test_an_option_of_one_trainer_does_not_move_the_runs_of_others():
    def folders(*options):
        settings = GridSettings(options=options, domain=("fluent",), setting=("open",), seed=(1,))
        runs = plan(settings, "emoji")
        return {r.settings.trainer: r for r in runs}, table_stem(settings, runs)

    (plain, usual), (own, named) = folders(), folders("TRAINER.UEO.TRADE_OFF", "0.5")
    assert own[ZERO_SHOT].folder == plain[ZERO_SHOT].folder
    assert own[ZERO_SHOT].settings == plain[ZERO_SHOT].settings
    assert own["UEO"].place.config == f"{plain['UEO'].place.config}+TRADE_OFF=0.5"
    assert usual != named and "TRADE_OFF=0.5" in named  # no table overwrites another
    (other, _) = folders("OPTIM.LR", "0.5")  # an option of every trainer that takes steps
    assert other["UEO"].place.config.endswith("+LR=0.5")
    assert other[ZERO_SHOT].folder == plain[ZERO_SHOT].folder


@pytest.mark.parametrize(("options", "message"), [
    (("TRAINER.UOE.TRADE_OFF", "2"), "TRAINER.UOE.TRADE_OFF: there is no trainer 'UOE'.*'UEO'"),
    (("TRAINER.InfoMax.PREC", "fp32"), "InfoMax is not among --trainers: ZeroshotCLIP, UEO"),
    (("TRAINER.UEO.N_CTX", "16"), "TRAINER.UEO.N_CTX: applies only with TRAINER.UEO.CTX_INIT ''"),
])
def test_an_option_that_no_run_would_read_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        run_grid.plan_all(GridSettings(options=options, datasets=("emoji",)))


def test_each_method_is_planned_with_its_own_options_alone():
    options = ("TRAINER.UEO.TRADE_OFF", "2", "TRAINER.InfoMax.PREC", "fp32")
    for name in ("UEO", "InfoMax"):
        runs = plan(GridSettings(options=options, trainers=(name,)), "emoji")
        assert {run.settings.options for run in runs} == {options[:2] if name == "UEO"
                                                          else options[2:]}


@pytest.mark.parametrize(("key", "value"), [("OPTIM.LRR", "1"), ("OPTIM.LR", "nan")])
def test_optimiser_options_are_checked_even_if_no_method_uses_them(key, value):
    with pytest.raises(ConfigError, match=key):
        plan(GridSettings(options=(key, value), trainers=(ZERO_SHOT,)), "emoji")


def test_a_trainer_without_options_of_its_own_gets_those_of_its_family():
    option = ("TRAINER.FIXMATCH.CONF_THRE", "0.5")
    settings = GridSettings(options=option, trainers=("FixMatch", "UEO"), recipe="common")
    got = {run.settings.trainer: run.settings.options for run in plan(settings, "emoji")}
    assert got == {"FixMatch": option, "UEO": ()}


def test_a_missing_relative_path_is_refused_with_the_working_directory(tmp_path):
    for path, words in (("gone", f"looked for in {os.getcwd()}"), (str(tmp_path / "gone"), "")):
        with pytest.raises(ConfigError, match=re.escape("gone' does not exist")) as error:
            plan(GridSettings(path=path), "folder")
        assert str(error.value).endswith(f"exist (a relative path, {words})" if words else "exist")


def test_a_comparison_plans_its_grid_once(tmp_path, monkeypatch):
    planned = []
    monkeypatch.setattr(run_grid, "plan", lambda *asked: planned.append(asked) or plan(*asked))
    monkeypatch.setattr(run_grid, "execute", lambda settings, todo: [])
    argv = ["emoji", "--domain", "fluent", "--setting", "open", "--trainers", "ZeroshotCLIP", "UEO"]
    assert compare.main([*argv, "--output", str(tmp_path)]) == 0
    assert len(planned) == 1


@pytest.mark.parametrize("key, value, option", [
    ("DATASET.PROTOCOL", "online", "--protocol"), ("SEED", "3", "--seed"),
    ("DATASET.SETTING", "open", "--setting"), ("MODEL.BACKBONE.NAME", "TinyViT", "--backbone"),
    ("OUTPUT_DIR", "/elsewhere", "--output"), ("DATASET.ROOT", "/elsewhere", "--root"),
])
def test_set_refuses_keys_that_have_an_option(key, value, option):
    with pytest.raises(ConfigError, match=f"^--set {key}: use {option} instead"):
        plan(GridSettings(options=("OPTIM.LR", "1e-3", key, value)), "emoji")


def test_set_resume_is_refused_for_many_runs():
    with pytest.raises(ConfigError, match="^--set RESUME: each of many runs resumes from its own"):
        plan(GridSettings(options=("RESUME", "output/elsewhere")), "emoji")


@pytest.mark.parametrize("asked", [{"path": "my/photos"}, {"names": "names.txt"},
                                   {"recursive": True}, {"options": ("DATASET.PATH", "photos")}])
def test_own_images_are_refused_for_a_data_set_that_has_images(asked):
    with pytest.raises(ConfigError, match="has its own images .* name the data set folder, list"):
        plan(GridSettings(**asked), "emoji")


def test_options_of_streams_and_shards_are_refused_elsewhere():
    for options, protocol, said in (
        (("ONLINE.ORDER", "classes"), "", "applies only with --protocol online"),
        (("ONLINE.GAMMA", "0.5"), "online", "applies only with ONLINE.ORDER correlated"),
        (("ONLINE.RESET", "True"), "online", "applies only with ONLINE.THEN"),
        (("SHARDS.LANES", "2"), "", "applies only with the data set shards"),
    ):
        with pytest.raises(ConfigError, match=f"{options[0]}: {said}"):
            plan(GridSettings(protocol=protocol, options=options), "emoji")


def test_streams_have_their_own_recipes_orders_and_methods():
    def planned(**changed):
        return plan(GridSettings(("emoji",), domain=("fluent",), setting=("open",), seed=(1, 2),
                                 **changed), "emoji")

    runs = planned(trainers=("all",), protocol="online")
    configs = {run.config["TRAINER.NAME"]: run.config for run in runs}
    assert {"AdaND", "TDA", "StatA", "ZeroshotCLIP", "UEO"} < set(configs)
    assert not {"CoOp", "UPL", "CPL", "TipAdapter"} & set(configs)
    assert len(runs) == 2 * len(configs)  # a seed sets the order, also for methods without chance
    assert {configs[name]["OPTIM.LR"] for name in ("UEO", "ZeroshotCLIP")} == {2.5e-3}
    assert configs["CLIPTTA"]["OPTIM.NAME"] == "adam" and configs["CLIPTTA"]["ONLINE.STEPS"] == 10
    assert all("+online" in run.place.config for run in runs)
    alone = left_out(GridSettings(trainers=("all",)))
    assert alone == {"made only for streams": ["AdaND"]}
    assert not [n for n in (run.config["TRAINER.NAME"] for run in planned(trainers=("all",)))
                if n == "AdaND"]
