"""Tables from records: means, spreads, gains, captions, and runs that must not be mixed."""

from pathlib import Path

import numpy as np
import pytest
from test_bootstrap import run as outputs_of

from ueo import metrics
from ueo.errors import DataError
from ueo.results import gains, render, tables
from ueo.results.paper import latex
from ueo.results.record import OWN_SCORE, score_of, write_run


def record(trainer, domain, seed, pacc, auroc=70.0, setting="open", split="s", engine="e",
           fpr95=50.0, **changes):
    return {
        "trainer": trainer, "dataset": "Toy", "domain": domain, "domains": ["a", "b", "t"],
        "tuning_domain": "t", "setting": setting, "protocol": "released", "backbone": "RN50",
        "seed": seed, "counts": {"known_classes": 5}, "split_hash": split, "inputs": {},
        "environment": {"engine": engine}, "uses_labels": trainer == "Shots",
        "metrics": {"test": {"pacc": pacc, "auroc": auroc, "fpr95": fpr95, "accuracy": pacc,
                             "hm": pacc and auroc and 2 * pacc * auroc / (pacc + auroc)}},
        "config": {"SEED": seed, "DATASET.TARGET_DOMAINS": [domain], "OPTIM.LR": 0.1}, **changes,
    }


@pytest.fixture
def entries(tmp_path):
    results = [record("Zero", d, 1, p) for d, p in (("a", 50.0), ("b", 60.0), ("t", 90.0))]
    for seed, shift in ((1, 2.0), (2, 4.0)):
        results += [
            record("New", "a", seed, 50 + shift), record("New", "b", seed, 60 - shift / 2),
            record("New", "t", seed, 10.0),
        ]
    found = []
    for i, result in enumerate(results):
        better = 0.5 if result["trainer"] == "New" else 0.0
        outputs, _ = outputs_of({"a": 0, "b": 1, "t": 2}[result["domain"]], better)
        write_run(tmp_path / str(i), result, outputs)
        found.append((tmp_path / str(i), result))
    return found


def test_means_spreads_and_gains(entries):
    summary = tables.summarise(entries, "Zero")
    zero, new = summary["rows"]
    assert (zero["method"], new["method"]) == ("Zero", "New")
    assert zero["values"]["a"]["pacc"] == {"mean": 50, "std": None, "seeds": 1}
    assert new["values"]["a"]["pacc"]["mean"] == 53
    assert new["values"]["a"]["pacc"]["std"] == pytest.approx(np.std([52, 54], ddof=1))
    # seeds' means over a and b: (52 + 59) / 2 and (54 + 58) / 2; the tuning domain t stays out
    assert new["values"]["mean"]["pacc"]["mean"] == pytest.approx((55.5 + 56) / 2)
    assert new["gain"]["mean"]["pacc"] == pytest.approx(0.75)
    text = render.console(summary)
    assert "t*" in text and "53.0±1.4 / 70.0±0.0" in text and "+0.8 / +0.0" in text


def test_the_mean_over_domains_uses_the_seeds_that_all_domains_have(entries):
    """The grid is unfinished: seed 2 has no run on b."""
    left = [e for e in entries
            if [e[1][k] for k in ("trainer", "domain", "seed")] != ["New", "b", 2]]
    new = tables.summarise(left, "Zero")["rows"][1]
    assert new["values"]["mean"]["pacc"] == {"mean": (52 + 59) / 2, "std": None, "seeds": 1}
    assert new["values"]["a"]["pacc"]["seeds"] == 2


def test_files_set_by_hand_are_shown_without_their_folders(entries):
    """Folders are cut from recorded files, from keys that name a file and from absolute paths."""
    given = {"TRAINER.New.POOL": "mine/pool.tar", "MODEL.INIT_WEIGHTS": "mine/start.pt",
             "TRAINER.New.CACHE": "/home/me/cache", "TRAINER.New.TEXTS": ["/home/me/a.txt", "b"],
             "MODEL.BACKBONE.NAME": "mine/vit.pt", "TRAINER.New.PROMPT": "a {}/{}."}
    for _, result in entries:
        result["set_by_hand"] = {key: [value, ""] for key, value in given.items()}
        result["inputs"] = {"TRAINER.New.POOL": "0123"}
    summary = tables.summarise(entries, "Zero")
    assert summary["set_by_hand"]["New"] == {
        "TRAINER.New.POOL": "pool.tar", "MODEL.INIT_WEIGHTS": "start.pt",
        "TRAINER.New.CACHE": "cache", "TRAINER.New.TEXTS": "['a.txt', 'b']",
        "MODEL.BACKBONE.NAME": "vit.pt", "TRAINER.New.PROMPT": "a {}/{}."}
    for text in (render.console(summary), render.markdown(summary), latex.table(summary, "toy")):
        assert "home" not in text and "mine" not in text


def test_every_line_ends_in_the_mean_over_domains(entries):
    summary = tables.summarise(entries, "Zero")
    for text in (render.console(summary), render.markdown(summary)):
        (line,) = [x for x in text.splitlines() if "New " in x and "±" in x and " / " in x]
        assert line.rstrip(" |").endswith("55.8±0.4 / 70.0±0.0")


def test_a_method_without_its_shots_is_compared_on_the_same_images(tmp_path):
    """Both methods predict the same, Shots on half of the images: the gain is zero."""
    outputs, known = outputs_of(0)
    outputs["test_paths"] = np.array([f"{i}.png" for i in range(len(outputs["test_labels"]))])
    found = []
    for name, images in (("Zero", slice(None)), ("Shots", slice(0, None, 2))):
        part = {key: values[images] for key, values in outputs.items()}
        values = metrics.evaluate(
            part["test_labels"], part["test_predictions_after"], part["test_scores_after"], known
        )
        result = record(name, "a", 1, 100 * values["pacc"], 100 * values["auroc"])
        shots = 3 if name == "Shots" else 0
        result["counts"] = {"known_classes": known, "shots_left_out_of_test": shots}
        write_run(tmp_path / name, result, part)
        found.append((tmp_path / name, result))
    assert found[0][1]["metrics"]["test"]["pacc"] != found[1][1]["metrics"]["test"]["pacc"]
    summary = tables.summarise(found, "Zero")
    assert summary["rows"][1]["gain"]["a"]["pacc"] == pytest.approx(0)
    assert summary["rows"][1]["gain"]["a"]["auroc"] == pytest.approx(0)
    assert summary["overall"][0]["pacc"]["seeds"] == [pytest.approx(0)]
    assert "on the same images" in render.caption(summary)


def test_gains_over_a_method_with_shots_are_on_the_same_images_too(tmp_path):
    """All methods predict the same. The runs with shots lack images that they get wrong."""
    outputs, known = outputs_of(0)
    wrong = np.flatnonzero(outputs["test_labels"] != outputs["test_predictions_after"])
    wrong = wrong[outputs["test_labels"][wrong] < known]
    found = []
    for number, (name, seed, left_out) in enumerate([
        ("Shots", 1, wrong[:5]), ("Shots", 2, wrong[5:20]), ("Tip", 1, wrong[:5]),
        ("Tip", 2, wrong[5:20]), ("New", 1, []),
    ]):
        part = {key: np.delete(values, left_out) for key, values in outputs.items()}
        values = metrics.evaluate(
            part["test_labels"], part["test_predictions_after"], part["test_scores_after"], known)
        result = record(name, "a", seed, 100 * values["pacc"], 100 * values["auroc"])
        result["counts"] = {"known_classes": known, "shots_left_out_of_test": len(left_out)}
        write_run(tmp_path / str(number), result, part)
        found.append((tmp_path / str(number), result))
    summary = tables.summarise(found, "Shots")
    assert [row["method"] for row in summary["rows"]] == ["Shots", "New", "Tip"]
    for row in summary["rows"][1:]:
        for metric in ("pacc", "auroc"):
            assert row["gain"]["a"][metric] == pytest.approx(0)
            assert row["gain"]["mean"][metric] == pytest.approx(0)
    for gain in summary["overall"]:
        assert gain["pacc"]["seeds"] == [pytest.approx(0)] * len(gain["pacc"]["seeds"])


def test_the_overall_gain_comes_with_an_interval_and_its_seeds(entries):
    gain = gains.overall_gain(entries, "New", "Zero")
    low, high = gain["pacc"]["interval"]
    assert 0 < low < gain["pacc"]["gain"] < high
    assert gain["pacc"]["seeds"] == [pytest.approx(0.5), pytest.approx(1.0)]
    summary = tables.summarise(entries, "Zero")
    (sentence,) = render.sentences(summary)
    for found in (gain, *gain["by_domain"].values()):  # two metrics are in the .json alone
        assert {"pacc", "auroc", "hm", "fpr95"} <= {*found}
    assert gain["hm"]["seeds"] != gain["pacc"]["seeds"] and gain["fpr95"]["interval"] != (0, 0)
    assert "FPR95" not in sentence
    assert "New over Zero" in sentence and f"[{low:+.2f}, {high:+.2f}]" in sentence


@pytest.mark.parametrize(("other", "what"), [
    ({"split": "another"}, "split of the images is 's' and 'another'"),
    ({"engine": "another"}, "engine is 'e' and 'another'"),
    ({"protocol": "independent"}, "protocol is 'released' and 'independent'"),
    ({"backbone": "ViT-B/16"}, "backbone is 'RN50' and 'ViT-B/16'"),
    ({"dataset": "Other"}, "dataset is 'Toy' and 'Other'"),
    ({"threshold_rule": "otsu"}, "rule of the threshold is 'mixture' and 'otsu'; --overwrite"),
])
def test_runs_that_are_not_comparable_are_not_mixed(entries, tmp_path, other, what):
    entries.append((tmp_path / "z", record("Third", "a", 1, 1.0, **other)))
    with pytest.raises(DataError, match=f"cannot be in one table: {what}") as caught:
        tables.summarise(entries, "Zero")
    assert str(tmp_path) in str(caught.value)


def test_one_method_in_two_configurations_is_not_mixed(entries, tmp_path):
    config = {"SEED": 9, "DATASET.TARGET_DOMAINS": ["a"], "OPTIM.LR": 0.2}
    entries.append((tmp_path / "z", record("New", "a", 9, 1.0, config=config)))
    with pytest.raises(DataError, match="OPTIM.LR is 0.1 and 0.2"):
        tables.summarise(entries, "Zero")


def test_the_order_of_records_changes_nothing(entries):
    assert tables.summarise(entries[::-1], "Zero") == tables.summarise(entries, "Zero")


def marks(*rows):
    """Marks of domain a by method, from (method, pacc, fpr95)."""
    results = [(Path(m), record(m, "a", 1, pacc, fpr95=fpr)) for m, pacc, fpr in rows]
    block = tables._rows(results, [m for m, *_ in rows], ["a"], None, rows[0][0])
    return {row["method"]: row["marks"]["a"] for row in block}


def test_best_and_second_are_marked_by_what_is_printed():
    found = marks(("A", 50.01, 10.0), ("B", 50.04, 20.0), ("C", 40.0, 5.0), ("D", None, 30.0))
    assert [found[m].get("pacc") for m in "ABCD"] == [1, 1, None, None]  # 50.0 and 50.0; third
    assert [found[m].get("fpr95") for m in "ABCD"] == [2, None, 1, None]  # lower is better
    assert [found[m].get("auroc") for m in "ABCD"] == [None] * 4  # all are equal
    assert marks(("A", 50.0, 1.0))["A"] == {}
    assert [marks(("A", 50.0, 1.0), ("B", 60.0, 1.0))[m].get("pacc") for m in "AB"] == [None, 1]


def test_the_caption_names_split_protocol_labels_and_skipped_images(entries, tmp_path):
    summary = tables.summarise(entries, "Zero")
    assert summary["split"] in render.caption(summary) and "released" in render.caption(summary)
    assert "published version" not in render.caption(summary)
    shots = record("Shots", "a", 1, 55.0, published_counts=False, skipped_images={"x.jpg": "cut"})
    write_run(tmp_path / "shots", shots, outputs_of(0)[0])
    summary = tables.summarise([*entries, (tmp_path / "shots", shots)], "Zero")
    text = render.caption(summary)
    assert "† trained with labels" in text and "published version" in text
    assert "1 images could not be read" in text and "² second" in text
    assert "Shots†" in render.console(summary) and "New†" not in render.console(summary)
    assert not summary["doubts"]


def test_a_table_names_classes_without_images_and_ignored_files(entries, tmp_path):
    names = {"with_images": 1, "without_images": ["bycicle"], "unknown": ["bicycle"],
             "misspelt": {"bicycle": "bycicle"}}
    odd = record("Odd", "a", 1, 55.0, names=names, ignored={"files": {".heic": 2}, "folders": 1})
    write_run(tmp_path / "odd", odd, outputs_of(0)[0])
    ignored, doubt, *_ = render.sentences(
        tables.summarise([*entries, (tmp_path / "odd", odd)], "Zero")
    )
    assert ignored == "Ignored: 2 files (.heic 2), 1 folder."
    assert doubt.startswith("a: 1 of 2 known classes have images; without: 'bycicle'")
    assert "Warning: 1 unknown class is spelt nearly" in doubt and "mean 'bycicle'?" in doubt


def test_an_oracle_is_marked_in_every_output(entries):
    oracles = [(folder, {**r, "reads_labels": r["trainer"] == "New"}) for folder, r in entries]
    summary = tables.summarise(oracles, "Zero")
    assert "‡ an oracle" in render.caption(summary)
    for text in (render.console(summary), render.markdown(summary), render.overview([summary])):
        assert "New‡" in text and "Zero‡" not in text
    assert r"New$^\ddagger$" in latex.table(summary, "toy")
    lines = [line.split(",") for line in render.csv_text(summary).splitlines()]
    column = lines[0].index("reads_labels")
    assert {(line[4], line[column]) for line in lines[1:]} == {("New", "True"), ("Zero", "False")}


def test_the_caption_says_the_number_of_labelled_images(entries, tmp_path):
    for number, (name, shots) in enumerate((("Shots", 16), ("Tuned", 0))):
        config = {"SEED": 1, "DATASET.TARGET_DOMAINS": ["a"], "DATASET.NUM_SHOTS": shots}
        result = record(name, "a", 1, 55.0, config=config) | {"uses_labels": True}
        write_run(tmp_path / name, result, outputs_of(0)[0])
        entries.append((tmp_path / name, result))
        words = ("(16 images a class);", "(Shots: 16 images a class; Tuned: all of them);")[number]
        assert f"† trained with labels {words}" in render.caption(tables.summarise(entries, "Zero"))


def test_the_caption_warns_of_few_test_images(entries):
    few = [(folder, {**r, "counts": {"known_classes": 5, "test": 12 if r["domain"] == "b" else 50}})
           for folder, r in entries]
    summary = tables.summarise(few, "Zero")
    assert "Few test images (b 12): such intervals are too narrow." in render.caption(summary)
    assert "Few" not in render.caption(tables.summarise(entries, "Zero"))


def test_data_sets_with_different_backbones_have_no_common_mean(entries):
    summary = tables.summarise(entries, "Zero")
    assert render.overview([summary]).splitlines()[2].endswith("55.0 / 70.0")
    text = render.overview([summary, {**summary, "title": "Other", "backbone": "ViT-B/16"}])
    assert "Toy, RN50" in text and "Other, ViT-B/16" in text
    assert all(line.rstrip().endswith(" -") for line in text.splitlines()[2:])


def test_the_caption_names_another_score_than_mcm(entries):
    summary = tables.summarise(entries, "Zero")
    assert summary["scores"] == {"Zero": "mcm", "New": "mcm"}
    assert "OOD score" not in render.caption(summary)
    scored = [(folder, {**r, "config": {**r["config"], "TRAINER.New.SCORE": "max_less_half_mean"}})
              for folder, r in entries]
    summary = tables.summarise(scored, "Zero")
    for words in (render.caption(summary), latex.caption(summary)):
        assert "OOD score: MCM, but max less half mean for New: a gain in detection" in words
    alone = tables.summarise([e for e in scored if e[1]["trainer"] == "New"], "Zero")
    assert "OOD score: max less half mean." in render.caption(alone)


def test_the_score_is_the_trainers_whatever_the_table_calls_it(entries):
    """An ablation has its own name in a table, and a method may have its own score."""
    config = {"TRAINER.NAME": "UEO", "TRAINER.UEO.SCORE": "energy"}
    assert score_of(record("no-weights", "a", 1, 50.0, config=config)) == "energy"
    assert score_of(record("AdaND", "a", 1, 50.0, score=OWN_SCORE)) == OWN_SCORE


def test_without_labels_a_table_has_no_numbers(tmp_path):
    entries = []
    for i, trainer in enumerate(("Zero", "New")):
        result = record(trainer, "a", 1, None, None, fpr95=None, setting="as_is")
        write_run(tmp_path / str(i), result, outputs_of(0)[0])
        entries.append((tmp_path / str(i), result))
    summary = tables.summarise(entries, "Zero")
    assert summary["overall"] == [] and "- / -" in render.console(summary)
    latex.table(summary, "toy"), render.markdown(summary), render.csv_text(summary)


def test_a_gain_is_over_the_cells_that_both_methods_have(entries):
    """The grid is unfinished: New has no run on b."""
    left = [e for e in entries if (e[1]["trainer"], e[1]["domain"]) != ("New", "b")]
    assert gains.overall_gain(left, "New", "Zero")["cells"] == 1
    assert gains.overall_gain(entries, "New", "Zero")["cells"] == 2
    assert gains.overall_gain(entries, "Absent", "Zero") is None


def test_seeds_that_a_label_space_lacks_give_no_gain(tmp_path):
    """Both methods predict the same: well in "closed", where New has one seed, and badly in "open",
    where the base has one."""
    found = []
    for setting, better, seeds in (("closed", 0.9, {"Zero": 3, "New": 1}),
                                   ("open", 0.0, {"Zero": 1, "New": 3})):
        outputs, known = outputs_of(0, better)
        values = metrics.evaluate(outputs["test_labels"], outputs["test_predictions_after"],
                                  outputs["test_scores_after"], known)
        for name, number in seeds.items():
            for seed in range(1, number + 1):
                result = record(name, "a", seed, 100 * values["pacc"], 100 * values["auroc"],
                                setting=setting)
                folder = tmp_path / f"{name}{setting}{seed}"
                write_run(folder, result, outputs)
                found.append((folder, result))
    gain = gains.overall_gain(found, "New", "Zero")
    assert len(gain["pacc"]["seeds"]) == 1  # seeds 2 and 3 have one label space
    for metric in gains.PAIR:
        assert [gain[metric]["gain"], *gain[metric]["interval"]] == pytest.approx([0] * 3, abs=1e-9)


def test_a_gain_says_how_many_cells_it_is_over(entries):
    """Domain b has no unknown images, so it has no AUROC."""
    assert "mean over domains and label spaces" in render.sentences(
        tables.summarise(entries, "Zero"))[0]
    for _, result in entries:
        if result["domain"] == "b":
            result["metrics"]["test"]["auroc"] = None
    summary = tables.summarise(entries, "Zero")
    for text in (render.sentences(summary)[0], latex.table(summary, "toy")):
        assert "mean over 1 of 2 pairs of a domain and a label space" in text


def test_a_missing_domain_leaves_the_mean_empty(entries):
    left = [e for e in entries if not (e[1]["trainer"] == "New" and e[1]["domain"] == "b")]
    new = tables.summarise(left, "Zero")["rows"][1]
    assert new["values"]["mean"] == {} and new["values"]["b"] == {}
    assert "-" in render.console(tables.summarise(left, "Zero"))


def test_without_runs_of_the_base_there_is_no_gain(entries):
    left = [e for e in entries if e[1]["trainer"] == "New"]
    summary = tables.summarise(left, "Zero")
    assert set(summary["rows"][0]["gain"]["a"].values()) == {None} and summary["overall"] == []
