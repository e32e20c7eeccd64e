"""The study of streams: what it plans, what it says, what it draws."""

import json

import pytest
from pictures import check_legible, words

from ueo.commands.studies import online as command
from ueo.grids.grid_settings import GridSettings
from ueo.results.paper import style
from ueo.studies.online import report, runs


def test_it_plans_every_size_and_order_on_the_domains_that_are_reported():
    asked = GridSettings(("emoji_shift",), trainers=("ZeroshotCLIP", "TDA"), seed=(1,),
                         setting=("open",))
    found = runs.planned(asked)
    assert set(found) == {(axis, value) for axis, of in runs.AXES.items() for value in of}
    for of_value in found.values():
        assert {run.config["DATASET.PROTOCOL"] for run in of_value} == {"online"}
        assert not [run for run in of_value if run.place.domain.startswith("fluent_3d")]
    one = found["batch", "1"][0].config
    assert one["DATALOADER.TRAIN_X.BATCH_SIZE"] == 1 and one["ONLINE.ORDER"] == "shuffled"
    late = found["order", "gamma 0.001"][0].config
    assert late["ONLINE.GAMMA"] == 0.001 and late["ONLINE.ORDER"] == "correlated"


def gain(axis, value, method, number):
    part = {"gain": number, "interval": (number - 1, number + 1), "seeds": [number]}
    return {"axis": axis, "value": value, "method": method, "base": "ZeroshotCLIP", "pacc": part,
            "auroc": part}


def test_tables_and_figures_show_what_each_method_gains(tmp_path, monkeypatch, capsys):
    methods = ["UEO", "TDA", "EntMin", "CLIPTTA", "StatA", "TransCLIP", "AdaND", "UniEntPlus"]
    found = [gain(axis, value, method, place - row) for axis, values in runs.AXES.items()
             for place, value in enumerate(values) for row, method in enumerate(methods)]
    monkeypatch.setattr(report, "gains", lambda of: found)
    report.write(GridSettings(("emoji",), output=str(tmp_path)), {})
    folder = tmp_path / "emoji"
    assert len(json.loads((folder / "online.json").read_text())) == len(found)
    text = (folder / "online.md").read_text()
    assert "| UEO" in text and "+4.00 [+3.00, +5.00]" in text
    assert {p.name for p in folder.glob("*.png")} == {"online-batch.png", "online-order.png"}
    with style.styled():
        figure = report.draw(found, "order")
        check_legible(figure)
    shown = words(figure)
    for part in ("gamma 0.001", "gain in PACC, points", "UniEnt+", "classes"):
        assert part in shown


@pytest.mark.parametrize("arguments, message", [
    (["emoji", "office31"], "name one data set"),
    (["emoji", "--set", "ONLINE.GAMMA", "1"], "--set ONLINE.GAMMA: the study has all of them"),
])
def test_what_the_study_fixes_is_refused(arguments, message, capsys):
    assert command.main([*arguments, "--dry-run"]) == 2
    assert message in capsys.readouterr().err
