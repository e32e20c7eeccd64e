"""What departs from a run's recipe is said before training, and stands in records and tables."""

import re

from conftest import read, trainer_names

from ueo.results import tables, wording


def test_a_run_says_and_keeps_what_was_set_by_hand(toy, capsys):
    _, folder = toy("run", "OPTIM.LR", "1e-2", "TRAINER.UEO.SCORE", "mcm", epochs=1)
    out = capsys.readouterr().out
    assert "Recipe: UEO/tiny_clip.yaml\n" in out
    assert "OPTIM.LR 0.01 (recipe: 0.003)" in out and "SCORE" not in out  # mcm is the recipe's
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
