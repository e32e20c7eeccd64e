"""The study of streams: its plan, its tables and its figures."""

import json
from types import SimpleNamespace

import pytest
from pictures import check_legible, words

from ueo.commands import arguments
from ueo.commands.studies import online as command
from ueo.results.paper import style
from ueo.results.record import read_result
from ueo.studies.online import gains, report, runs
from ueo.studies.online.runs import AXES

METHODS = ["UEO", "TDA", "EntMin", "CLIPTTA", "StatA", "TransCLIP", "AdaND", "UniEntPlus", "ZLaP"]
SCENES = ("fluent+scene2", "fluent_flat+scene2", "fluent_high_contrast+scene2", "noto_v1+scene2")


def every(runs_of):
    return [run for of_stream in runs_of.values() for part in of_stream.values() for run in part]


def asked(*words):
    return arguments.grid_settings(command.parser().parse_args([*words]))


def test_the_protocol_is_planned():
    found = runs.planned(asked("emoji_shift"))
    assert len({run.folder for run in every(found)}) == 460
    table = found[runs.TABLE]
    assert set(table) == {
        (model, group, method) for model in ("TinyCLIP", "TinyViT")
        for group in ("shifted", "clean") for method in (*METHODS, "ZeroshotCLIP")}
    of_ueo = table["TinyViT", "shifted", "UEO"]
    assert {(run.place.setting, run.place.domain) for run in of_ueo} == {
        (space, domain) for space in ("open", "open_partial") for domain in SCENES}
    one = found["batch", "1"]
    assert {(run.place.setting, run.place.domain) for part in one.values() for run in part} == {
        ("open", "fluent"), ("open", "fluent+scene2")}
    config = one["TinyCLIP", "clean", "TDA"][0].config
    assert config["DATASET.PROTOCOL"] == "online" and config["SEED"] == 1
    assert config["DATALOADER.TRAIN_X.BATCH_SIZE"] == 1 and config["ONLINE.ORDER"] == "shuffled"
    late = found["order", "gamma 0.001"]["TinyCLIP", "clean", "TDA"][0].config
    assert late["ONLINE.GAMMA"] == 0.001 and late["ONLINE.ORDER"] == "correlated"
    usual = found["order", "shuffled"]["TinyCLIP", "shifted", "UEO"][0]
    assert usual in found["batch", "64"]["TinyCLIP", "shifted", "UEO"]
    assert usual in table["TinyCLIP", "shifted", "UEO"]


def test_options_replace_the_default_protocol():
    found = runs.planned(asked("emoji", "--trainers", "TDA", "--setting", "open", "--seed", "2"))
    for of_stream in found.values():
        assert set(of_stream) == {("TinyCLIP", "other", name) for name in ("ZeroshotCLIP", "TDA")}
    assert {run.config["SEED"] for run in every(found)} == {2}
    assert not [run for run in every(found) if run.place.domain == "fluent_3d"]
    found = runs.planned(asked("emoji_shift", "--trainers", "TDA", "--backbone", "TinyViT",
                               "--domain", "noto_v1", "fluent+fog2"))
    for of_stream in found.values():
        assert {place[:2] for place in of_stream} == {("TinyViT", "clean"), ("TinyViT", "other")}


def test_different_calls_write_different_files():
    narrower = (
        ("--trainers", "TDA"), ("--trainers", "TDA", "UEO"), ("--trainers", "ZeroshotCLIP"),
        ("--domain", "noto_v1"), ("--setting", "open"), ("--seed", "2"), ("--backbone", "TinyViT"),
        ("--set", "OPTIM.LR", "0.1"), ("--recipe", "paper"))
    names = [report.stem(settings, {}) for settings in (asked("emoji", *words)
                                                        for words in ((), *narrower))]
    assert names[:2] == ["online", "online-TDA"] and len(set(names)) == len(names)
    of_images = asked("folder", "--path", "my/photos", "--trainers", "TDA")
    run = SimpleNamespace(settings=SimpleNamespace(domain=("photos",)))
    assert report.stem(of_images, {runs.TABLE: {("", "", ""): [run]}}) == "online-TDA-photos"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output of a finished study with one style, two batch sizes and two orders."""
    output = tmp_path_factory.mktemp("online")
    patch = pytest.MonkeyPatch()
    axes = {axis: {value: options for value, options in of.items()
                   if value in ("1", "64", "shuffled", "classes")} for axis, of in AXES.items()}
    patch.setattr(runs, "AXES", axes)
    patch.setattr(gains, "AXES", axes)
    patch.setattr(report, "AXES", axes)
    status = command.main(["emoji_shift", "--trainers", "StatA", "--domain", "noto_v1",
                           "--setting", "open", "--backbone", "TinyCLIP", "--jobs", "1",
                           "--root", str(output / "data"), "--output", str(output)])
    patch.undo()
    assert status == 0
    return output / "emoji_shift"


def test_gains_are_over_zero_shot_and_changes_over_the_usual_stream(finished):
    stem = "online-StatA-tiny_clip-noto_v1-open"
    found = json.loads((finished / f"{stem}.json").read_text())
    results = {(r["trainer"], r["stream"]["batch_size"], r["stream"]["order"]): r["metrics"]["test"]
               for r in (read_result(file.parent) for file in finished.rglob("result.json"))}
    zero = results["ZeroshotCLIP", 64, "shuffled"]
    usual, single = (results["StatA", size, "shuffled"] for size in (64, 1))
    (row,) = found["table"]
    for metric in ("pacc", "auroc", "h_score"):  # H-score: at each image's threshold
        assert row[metric]["gain"] == pytest.approx(usual[metric] - zero[metric], abs=1e-4)
        assert row[metric]["interval"][0] <= row[metric]["gain"] <= row[metric]["interval"][1]
    streams = {(row["axis"], row["value"]): row for row in found["streams"]}
    assert set(streams) == {("batch", "1"), ("batch", "64"), ("order", "shuffled"),
                            ("order", "classes")}
    changes = {(row["axis"], row["value"]): row for row in found["changes"]}
    assert set(changes) == {("batch", "1"), ("order", "classes")}
    change = changes["batch", "1"]["pacc"]["gain"]
    assert change == pytest.approx(single["pacc"] - usual["pacc"], abs=1e-4) and change
    assert (finished / f"{stem}-batch.png").is_file()
    assert (finished / f"{stem}-order.pdf").is_file()


def gain(axis, value, group, method, number):
    part = {"gain": number, "interval": (number - 1, number + 1), "verdict": "held"}
    return {"axis": axis, "value": value, "group": group, "method": method, "models": ["TinyCLIP"],
            "signs": ["", ""], "scores": ["mcm", "mcm"],
            **dict.fromkeys(("pacc", "auroc", "hm", "h_score"), part)}


def test_tables_and_figures_show_what_each_method_gains():
    rows = [gain(axis, value, group, method, place - row) for axis, values in AXES.items()
            for place, value in enumerate(values) for row, method in enumerate(METHODS)
            for group in ("shifted", "clean")]
    usual = [row for row in rows if (row["axis"], row["value"]) == ("batch", "64")]
    text = report.markdown({"table": usual, "models": usual, "streams": rows, "changes": rows})
    assert "## Gain over zero-shot CLIP, TinyCLIP, in scenes" in text
    assert "## AUROC over itself in the usual stream: images a batch, in random order" in text
    assert "| UEO" in text and "+4.00 [+3.00, +5.00], held" in text
    with style.styled():
        figure = report.draw(rows, "order")
        check_legible(figure)
    shown = words(figure)
    for part in ("0.001", "UniEnt+", "classes", "PACC, in scenes", "AUROC, clean"):
        assert part in shown


@pytest.mark.parametrize("arguments, message", [
    (["emoji", "office31"], "name one data set"),
    (["emoji", "--set", "ONLINE.GAMMA", "1"], "--set ONLINE.GAMMA: the study varies it itself"),
    (["emoji", "--protocol", "released"], "--protocol released: the study is of streams"),
    (["emoji", "--setting", "CDA"], "label space closed: a stream of it has no unknown image"),
])
def test_options_that_the_study_fixes_are_refused(arguments, message, capsys):
    assert command.main([*arguments, "--dry-run"]) == 2
    assert message in capsys.readouterr().err
