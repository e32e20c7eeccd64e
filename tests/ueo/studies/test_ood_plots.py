"""Pictures of the OOD study: one panel per method or score, with intervals, nothing hidden."""

import numpy as np
import pytest
from pictures import check_legible, words
from test_ood_study import ZERO, area, run

from ueo.results.paper import style
from ueo.studies import ood_plots, ood_study
from ueo.studies.ood_study import Arm
from ueo.studies.scored_runs import ScoredRun


@pytest.fixture(scope="module")
def study():
    """Zero-shot CLIP, two methods with shots and UEO, which lacks a score."""
    runs = {ZERO: [run(seed=1, images=80)]}
    for i, method in enumerate(("CoOp", "TipAdapterF")):
        for shots in (1, 16):
            runs[Arm(method, shots)] = [run(seed=s, noise=1 / shots, right=0.5 + 0.02 * shots,
                                            images=80) for s in (2 + i, 5)]
    runs[Arm("UEO")] = [run(seed=8, images=80)]
    del runs[Arm("UEO")][0].scores["chance"]
    return runs, ood_study.with_intervals(ood_study.means(ood_study.rows(runs)), runs, 200)


def test_an_interval_contains_its_mean(study):
    runs, found = study
    (row,) = (r for r in found if (r["method"], r["score"]) == (ZERO.method, "mcm"))
    low, high = row["intervals"]["auroc"]
    assert low < area(runs[ZERO][0]) < high and 2 < high - low < 40
    assert row["intervals"]["pacc"][0] < row["pacc"] < row["intervals"]["pacc"][1]


@pytest.mark.parametrize(("draw", "panels", "shown"), [
    ("histograms", 4, ("MCM score", "share of each group, %", "Tip-Adapter-F, 16 shots")),
    ("roc", 4, ("best other score", "zero-shot CLIP", "UEO")),
    ("shots", 2, ("AUROC, %", "images a class (shots)", "MCM", "chance", "Tip-Adapter-F")),
    ("accuracy", 4, ("AUROC by MCM, %", "zero-shot CLIP")),
])
def test_pictures(study, draw, panels, shown):
    runs, found = study
    with style.styled():
        figure = {"histograms": lambda: ood_plots.histograms(runs),
                  "roc": lambda: ood_plots.roc(runs, found),
                  "shots": lambda: ood_plots.against_shots(found),
                  "accuracy": lambda: ood_plots.against_accuracy(found)}[draw]()
        check_legible(figure)
        texts = words(figure)
    axes = [axis for axis in figure.axes if axis.axison]
    assert len(axes) == panels and len({axis.get_ylim() for axis in axes}) == 1
    assert len({axis.get_xlim() for axis in axes}) == 1
    assert all(any(part in text for text in texts) for part in shown)
    assert not any(name in text for text in texts for name in ("ZeroshotCLIP", "TipAdapterF"))


def test_every_picture_is_written_as_png_and_pdf(study, tmp_path):
    paths = ood_plots.draw(tmp_path, "study", *study)
    assert [p.name for p in paths] == [
        f"study-{name}.png" for name in ("histograms", "roc", "shots", "accuracy")]
    assert all(p.is_file() and p.with_suffix(".pdf").is_file() for p in paths)


def test_a_study_without_shots_is_drawn(study):
    runs = {ZERO: study[0][ZERO]}
    found = [row for row in study[1] if row["method"] == ZERO.method]
    with style.styled():
        for figure in (ood_plots.against_shots(found), ood_plots.against_accuracy(found),
                       ood_plots.roc(runs, found)):
            check_legible(figure)
    assert np.isfinite(found[0]["auroc"])


def test_images_without_labels_are_in_neither_group():
    plain = run(images=80)
    labels = np.where(np.arange(80) < 20, -1, plain.labels)
    known, scores = ood_plots._pooled([ScoredRun(**{**vars(plain), "labels": labels})] * 2)
    assert known.sum() == 2 * ((labels >= 0) & (labels < plain.num_known)).sum()
    assert len(known) == len(scores) == 2 * 60


def test_one_number_of_shots_is_drawn_and_none_is_reported(study):
    """A study may be unfinished, or limited to one number of shots."""
    _, found = study
    one = [row for row in found if row["shots"] in (0, 16)]
    with style.styled():
        figure = ood_plots.against_shots(one)
        check_legible(figure)
        assert {"CoOp", "Tip-Adapter-F", "zero-shot CLIP", "16"} <= set(words(figure))
        figure = ood_plots.against_shots([row for row in found if not row["shots"]])
        check_legible(figure)
        assert "no such runs" in words(figure)
