"""Departures from a run's recipe are printed before training and kept in records and tables."""

import re

import pytest
from conftest import read, trainer_names

from ueo.results import tables, wording


def test_a_run_prints_and_records_what_was_set_by_hand(toy, capsys):
    _, folder = toy("run", "OPTIM.LR", "1e-2", "TRAINER.UEO.SCORE", "mcm", epochs=1)
    out = capsys.readouterr().out
    assert "Recipe: UEO/tiny_clip.yaml\n" in out
    assert "OPTIM.LR 0.01 (recipe: 0.003)" in out and "SCORE" not in out  # mcm is in the recipe
    tuned = re.search(r"Tuned parameters: prompt (\S+), visual_affine (\S+); the backbone", out)
    record = read(folder)
    assert (sum(int(number.replace(",", "")) for number in tuned.groups())
            == record["counts"]["tuned_parameters"])
    assert record["set_by_hand"] == {
        "OPTIM.MAX_EPOCH": [1, 6], "DATALOADER.TRAIN_X.BATCH_SIZE": [16, 64],
        "OPTIM.LR": [0.01, 0.003],
    }


def test_a_table_says_which_methods_depart_from_their_recipes(toy):
    folders = [toy(t, "OPTIM.LR", "1e-2", epochs=1, trainer=t)[1] for t in ("EntMin", "InfoMax")]
    assert {"EntMin", "InfoMax"} <= set(trainer_names())
    entries = [(folder, read(folder)) for folder in folders]
    entries[1][1]["set_by_hand"]["TRAINER.InfoMax.SCORE"] = ["energy", "mcm"]
    words = wording.caption(tables.summarise(entries, "EntMin"))
    assert "Set by hand: " in words and "OPTIM.LR 0.01," in words
    assert "TRAINER.InfoMax.SCORE energy (InfoMax)." in words


def test_only_options_that_change_the_recipe_count_as_set_by_hand(toy, capsys):
    _, folder = toy("run", "TRAINER.UEO.CTX_INIT", "", "SEED", "3", "DATASET.SETTING", "closed",
                    "ONLINE.ORDER", "classes", epochs=1)
    assert "TRAINER.UEO.CTX_INIT '' (recipe: a photo of a)\n" in capsys.readouterr().out
    record = read(folder)
    assert {"TRAINER.UEO.CTX_INIT"} == {*record["set_by_hand"]} - {
        "OPTIM.MAX_EPOCH", "DATALOADER.TRAIN_X.BATCH_SIZE"}
    caption = wording.caption(tables.summarise([(folder, record)], "UEO"))
    assert "TRAINER.UEO.CTX_INIT ''." in caption


@pytest.mark.parametrize("older", [1, 2])
def test_older_records_do_not_hide_what_was_set_by_hand(toy, older):
    _, folder = toy("run", "OPTIM.LR", "1e-2", epochs=1)
    entries = [(folder, read(folder) | {"seed": seed}) for seed in (1, 2)]
    del entries[older - 1][1]["set_by_hand"]
    assert "OPTIM.LR 0.01" in wording.caption(tables.summarise(entries, "UEO"))


def test_many_methods_are_listed_by_their_exceptions():
    changed = {name: {"OPTIM.LR": "0.01", "X": "1"} for name in "ABCDE"} | {"Z": {"X": "1"}}
    changed["A"]["Y"] = "2"
    assert wording._by_hand(changed) == (
        "Set by hand: OPTIM.LR 0.01 (all but Z), X 1, Y 2 (A).")
