"""Means, paired gains and claims of the OOD and robustness studies, on runs with known results."""

import numpy as np
import pytest

from ueo.metrics import auroc
from ueo.studies import ood_plots, ood_study, ood_tables, robustness
from ueo.studies.ood_study import Arm
from ueo.studies.scored_runs import ScoredRun

KNOWN, ZERO = 4, Arm("ZeroshotCLIP")


def run(domain="a", seed=1, noise=1.0, right=0.5, setting="closed", images=400):
    """Half of the images are of 4 known classes. mcm detects them the better, the less noise."""
    labels = np.arange(images) % (2 * KNOWN)
    draws = np.random.default_rng(seed)
    wrong = draws.permutation(images) >= right * images
    return ScoredRun(
        labels=labels,
        predictions=(labels + wrong) % KNOWN,
        paths=np.array([f"{domain}/{i}" for i in range(images)]),
        num_known=KNOWN,
        unlabelled_classes={0, 1, 2, 3},
        scores={"mcm": (labels < KNOWN) + noise * draws.normal(size=images),
                "chance": draws.normal(size=images)},
        result={"domain": domain, "setting": setting, "seed": seed,
                "metrics": {"test": {"pacc": 100.0 * right, "auroc": 50.0}}},
    )


def area(which: ScoredRun, score: str = "mcm") -> float:
    return 100 * auroc(which.labels < KNOWN, which.scores[score])


def test_a_domain_counts_once_whatever_its_number_of_runs():
    runs = {ZERO: [run("a", 1), run("a", 2), run("b", 3)]}
    rows = ood_study.rows(runs)
    assert len(rows) == 3 * 2 and rows[0]["auroc"] == pytest.approx(area(runs[ZERO][0]))
    mean = {row["score"]: row["auroc"] for row in ood_study.means(rows)}
    a, a2, b = (area(r) for r in runs[ZERO])
    assert mean["mcm"] == pytest.approx(((a + a2) / 2 + b) / 2)


def test_a_gain_is_paired_by_domain_and_between_scores():
    good, bad = [run("a", 1, 0.5), run("b", 2, 0.5)], [run("b", 3, 2.0), run("a", 4, 2.0)]
    found = ood_study.gain(good, bad)
    expected = np.mean([area(good[0]) - area(bad[1]), area(good[1]) - area(bad[0])])
    assert found["gain"] == pytest.approx(expected, abs=1e-4)
    assert found["interval"][0] < found["gain"] < found["interval"][1]
    scores = ood_study.gain(good, good, "mcm", "chance")
    assert scores["gain"] == pytest.approx(
        np.mean([area(r) - area(r, "chance") for r in good]), abs=1e-4)
    same = ood_study.gain(good, good)
    assert same["gain"] == 0 and same["interval"] == [0, 0]
    assert ood_study.gain(good, [run("c")]) is None


def test_label_spaces_of_one_domain_are_resampled_together():
    """Four label spaces with the same images give the same interval as one."""
    good, bad = run("a", 1, 0.5), run("a", 2, 2.0)
    spaces = ("closed", "partial", "open", "open_partial")
    four = [[ScoredRun(**{**vars(r), "result": {**r.result, "setting": space}})
             for space in spaces] for r in (good, bad)]
    assert ood_study.gain(*four) == ood_study.gain([good], [bad])
    once, often = (ood_study.with_intervals(ood_study.means(ood_study.rows({ZERO: runs})),
                                            {ZERO: runs}) for runs in ([good], four[0]))
    assert often == once


def test_a_label_space_without_unknown_images_leaves_detection_in_the_others(tmp_path):
    plain, better = run(), run(noise=0.5)
    whole = ScoredRun(**{**vars(plain), "num_known": 2 * KNOWN,
                         "result": {**plain.result, "setting": "all"}})
    runs = {ZERO: [plain, whole], Arm("CoOp", 4): [better, whole]}
    found = ood_study.with_intervals(ood_study.means(ood_study.rows(runs)), runs, 20)
    for row in found:
        assert row["intervals"]["auroc"][0] < row["auroc"] < row["intervals"]["auroc"][1]
        assert row["intervals"]["pacc"][0] < row["pacc"] < row["intervals"]["pacc"][1]
    assert ood_study.gain([better, whole], [plain, whole]) == ood_study.gain([better], [plain])
    ood_plots.draw(tmp_path, "study", runs, found)


def test_shots_are_compared_at_eight_and_up_adapter_at_its_most():
    runs = {ZERO: [run(right=0.5)], Arm("CoOp", 8): [run(right=0.6)],
            Arm("CoOp", 16): [run(right=0.95)], Arm("TipAdapter", 4): [run(right=0.55)],
            Arm("UPAdapter", 2): [run(right=0.3)], Arm("UPAdapter", 16): [run(right=0.9)],
            Arm("UPL", 16): [run(right=0.7)]}
    found = ood_study.means(ood_study.rows(runs))
    _, detection, recognition = ood_study.claims(runs, found)
    assert recognition["verdict"] == "held"
    assert [c["of"] for c in recognition["comparisons"]] == [
        "UPAdapter, 16 over ZeroshotCLIP", "UPAdapter, 16 over CoOp, 8",
        "UPAdapter, 16 over TipAdapter, 4", "UPAdapter, 16 over UPL, 16"]
    assert recognition["comparisons"][1]["gain"] == pytest.approx(30, abs=4)
    assert "CoOp, 16 over ZeroshotCLIP" in [c["of"] for c in detection["comparisons"]]
    moved = {ZERO: [run(right=0.8)], Arm("UPAdapter", 16): [run(right=0.4)]}
    assert ood_study.claims(runs, found, moved)[3]["verdict"] == "not held"
    assert ood_study.claims({}, [])[2]["verdict"] == "untested"


def test_mcm_is_compared_with_the_best_other_score():
    runs = {ZERO: [run(noise=0.5)], Arm("CoOp", 4): [run(noise=50.0)]}
    for group in runs.values():
        group[0].scores["oracle"] = (group[0].labels < KNOWN).astype(float)
    found = ood_study.means(ood_study.rows(runs))
    assert ood_study.best_score(found, ZERO, ("mcm",)) == "oracle"
    first = ood_study.claims(runs, found)[0]
    assert first["verdict"] == "not held" and "MCM over oracle" in first["comparisons"][0]["of"]
    text = ood_tables.arms_by_scores(found, "auroc")
    assert "**100.00**" in text and text.count("**100.00**") == 2
    assert "**" not in ood_tables.arms_by_scores(found, "auroc", "simple")


def test_numbers_printed_alike_are_marked_alike():
    found = [ood_tables.marked(v, 74.414, "github") for v in (74.414, 74.406, 74.4, None)]
    assert found == ["**74.41**", "**74.41**", "74.40", "-"]


def test_without_ood_images_only_accuracy_is_compared():
    plain = run(right=0.5)
    closed = ScoredRun(**{**vars(plain), "num_known": 2 * KNOWN})
    assert ood_study.gain([closed], [closed]) is None
    assert ood_study.gain([closed], [closed], metric="pacc")["gain"] == 0
    assert ood_study.means(ood_study.rows({ZERO: [closed]}))[0]["auroc"] is None


# robustness


def test_columns_are_means_over_tests_and_their_harmonic_means():
    runs = {robustness.CONTRASTIVE: {
        "own": [run("a", right=0.8)], "base": [run("a", right=0.9)], "new": [run("a", right=0.3)],
        "shift": [run("a", right=0.4), run("a", right=0.6), run("b", right=0.7)]}}
    (row,) = robustness.means(runs)
    assert row["own domain"] == 80 and row["other domains"] == pytest.approx(60)
    assert row["HM"] == pytest.approx(2 * 80 * 60 / 140)
    assert row["HM of base and new"] == pytest.approx(2 * 90 * 30 / 120)
    assert row["base+new"] is None
    assert "**68.57**" in robustness.table([row])


def test_claims_of_anchors_are_paired_with_the_contrastive_peer():
    tests = ("own", "shift", "base", "new", "all")
    quality = {robustness.ZERO: 0.5, robustness.CONTRASTIVE: 0.3, "ARF, captions": 0.6,
               robustness.BOTH: 0.9}
    runs = {arm: {test: [run("a", right=right)] for test in tests}
            for arm, right in quality.items()}
    found = {c["claim"]: c for c in robustness.claimed(runs)}
    verdicts = [c["verdict"] for c in found.values()]
    assert verdicts == ["held"] * 6
    only = robustness.compare(runs, robustness.BOTH, robustness.CONTRASTIVE, "shift", "pacc")
    assert only["gain"] == pytest.approx(60, abs=4)
    found = robustness.compare(runs, "ARF, pairs", robustness.CONTRASTIVE, "new", "pacc")
    assert "gain" not in found
    text = robustness.gains_table(robustness.gains(runs), list(runs))
    assert text.splitlines()[0].startswith("| over contrastive")
    assert len(text.splitlines()) == 2 + 3


@pytest.mark.parametrize(("changes", "shown", "hidden"), [
    ({}, "4 shots a class: domains a; seeds 1. PACC in percent", "OOD score"),
    ({}, "AUROC: known against unknown classes, MCM. ", "OOD score"),
    ({"shots": 0}, "protocol independent, all labelled images: domains", "0 shots"),
    ({"scores": {"zero-shot": "mcm", "Midway": "own"}},
     "unknown classes. OOD score: MCM, but its own for Midway", ", MCM."),
])
def test_the_caption_of_robustness_says_shots_and_score(changes, shown, hidden):
    result = {"title": "Toy", "backbone": "RN50", "protocol": "independent", "shots": 4,
              "domains": ["a"], "seeds": [1], "scores": {"zero-shot": "mcm"}, "uneven": []}
    found = robustness.caption(result | changes)
    assert shown in found and hidden not in found
