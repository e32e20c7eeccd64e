"""Pictures of runs and tables: formats, names, shared ranges, intervals, nothing hidden."""

import re
from itertools import product

import numpy as np
import pytest
from conftest import REPOSITORY
from pictures import check_legible, texts, words
from test_tables import entries, record  # noqa: F401

from ueo.results import gains, report, tables
from ueo.results.paper import domains, scores, severity, style
from ueo.results.record import write_run

METHODS = ("UEO", "EntMin", "InfoMax", "POUF", "UPL", "CoOp", "CoCoOp", "CLIPAdapter", "TipAdapter",
           "TipAdapterF", "UPAdapter", "LinearProbe", "FineTune", "FLYP", "ARF", "My_Long_Plug_In")


@pytest.fixture(autouse=True)
def in_style():
    with style.styled():
        yield


def run_of(labels, trained=True, trainer="UEO"):
    """(record, outputs) of a run whose known images score higher after training."""
    rng, result = np.random.default_rng(0), record(trainer, "dslr", 1, 60.0, 71.5)
    before = rng.normal(0.04, 0.002, len(labels))
    outputs = {"test_labels": labels, "test_scores_before": before,
               "test_scores_after": before + (0.004 * (labels < 5) if trained else 0)}
    first = {"epoch": 0, "test": {"pacc": 50.0, "auroc": 66.6}}
    result["title"] = "Office-31"
    result["evaluations"] = [first, {"epoch": 3, "test": result["metrics"]["test"]}][: 1 + trained]
    if (labels < 0).all():
        for entry in (*result["evaluations"], result["metrics"]):
            entry["test"] = dict.fromkeys(entry["test"])
    return result, outputs


def test_before_and_after_share_a_range_and_show_the_runs_threshold():
    result, outputs = run_of(np.arange(400) % 10)
    figure = scores.draw(result, outputs, ("mixture", 0.0415))
    check_legible(figure)
    before, after, curves = figure.axes
    assert before.get_xlim() == after.get_xlim() and before.get_ylim() == after.get_ylim()
    assert not before.lines and list(after.lines[0].get_xdata()) == [0.0415, 0.0415]
    shown = words(figure)
    assert "UEO on Office-31, DSLR; label space open; seed 1" in shown
    for text in ("before training: AUROC 66.6 %", "after training: AUROC 71.5 %", "MCM score",
                 "share of each group, %", "known classes", "unknown classes", "test set, %",
                 "threshold (two Gaussians): known from 0.0415 up", "epoch"):
        assert text in shown


def test_a_model_that_was_not_trained_has_one_panel():
    result, outputs = run_of(np.arange(400) % 10, trained=False, trainer="ZeroshotCLIP")
    figure = scores.draw(result, outputs, ("otsu", 0.04))
    check_legible(figure)
    assert len(figure.axes) == 1 and figure.get_size_inches()[0] == style.COLUMN
    assert "AUROC 71.5 %" in words(figure)


def test_without_labels_there_is_no_empty_panel_and_no_claim():
    result, outputs = run_of(np.full(400, -1))
    result["domain"] = "photographs of the garden, autumn of 2023 (second copy) " * 3
    figure = scores.draw(result, outputs, ("mixture", 0.04))
    check_legible(figure)
    assert len(figure.axes) == 2 and all(axis.patches for axis in figure.axes)
    shown = " ".join(words(figure))
    assert "AUROC" not in shown and "known classes" not in shown and "% accepted" in shown
    every = scores.draw(result, outputs, ("mixture", None))
    assert "no threshold, all accepted" in " ".join(words(every))


@pytest.mark.parametrize("change", [lambda s: s * 1e6 - 3e4, lambda s: 0 * s + 0.05])
def test_extreme_scores_are_drawn(change):
    result, outputs = run_of(np.arange(400) % 10)
    for when in ("before", "after"):
        outputs[f"test_scores_{when}"] = change(outputs[f"test_scores_{when}"])
    check_legible(scores.draw(result, outputs, ("same_share", 0.0)))


def test_a_picture_is_a_vector_file_too_and_leaves_the_settings_alone(tmp_path):
    import matplotlib

    result, outputs = run_of(np.arange(40) % 10)
    outputs |= {"test_predictions_after": outputs["test_labels"],
                "test_paths": np.array(list(map(str, range(40))))}
    write_run(tmp_path, result, outputs)
    before = dict(matplotlib.rcParams)
    assert [p.name for p in scores.plot_run(tmp_path)] == ["scores.pdf", "scores.png"]
    assert dict(matplotlib.rcParams) == before
    vector = (tmp_path / "scores.pdf").read_bytes()
    assert b"/FontFile2" in vector and b"/Type3" not in vector  # TrueType, embedded
    scores.plot_run(tmp_path)
    assert (tmp_path / "scores.pdf").read_bytes() == vector


# pictures of tables


def made(methods, places, missing=(), scale=1.0):
    """A table's summary with random gains by domain and, for shifted domains, by severity."""
    rng = np.random.default_rng(1)

    def gain():
        middle = rng.normal(2, scale)
        return {"gain": middle, "interval": (middle - scale, middle + scale)}

    def both():
        return {m: gain() for m in gains.PAIR}

    overall = [
        {"method": method, "base": "ZeroshotCLIP", **both(),
         "by_domain": {d: both() for d in places if (method, d) not in missing},
         "by_severity": [{"shift": shift, "severity": number, "domains": own, **both()}
                         for (shift, number), own in gains.by_severity(places).items()]}
        for method in methods
    ]
    rows = [{"method": "ZeroshotCLIP", "setting": "open", "values": {
        d: {m: {"mean": 50.0} for m in gains.PAIR} for d in places}}]
    return {"title": "Emoji under shift", "base": "ZeroshotCLIP", "domains": places, "rows": rows,
            "overall": overall}


@pytest.mark.parametrize(("methods", "places", "scale"), [
    (1, 1, 1.0), (1, 15, 0.01), (3, 4, 40.0), (16, 4, 1.0),
])
def test_gains_by_domain(methods, places, scale):
    names = [f"{style}+scene2" for style in ("fluent", "fluent_high_contrast", "noto_v1")]
    names += [f"domain_{i}" for i in range(12)]
    pages = domains.draw(made(METHODS[-methods:], names[:places], scale=scale))
    for page in pages:
        check_legible(page)
        assert page.get_size_inches()[1] <= style.TALLEST
        left, right = page.axes
        assert (left.get_title(), right.get_title()) == ("PACC", "AUROC")
    for side in (0, 1):
        assert len({page.axes[side].get_xlim() for page in pages}) == 1
    shown = [word for page in pages for word in words(page)]
    assert ("mean over domains" in shown) == (places > 1)
    assert len(pages) == (2 if methods == 16 else 1)
    intervals = sum(len(axis.containers) for page in pages for axis in page.axes)
    assert intervals == 2 * methods * (places + (places > 1))


@pytest.mark.parametrize("places", [["a", "b"], ["fluent", "fluent+fog1", "fluent+fog2"]])
@pytest.mark.parametrize("methods", [("CoOp",), ("CoOp", "UEO"), METHODS[:4]])
def test_methods_with_labels_and_oracles_are_marked(places, methods):
    summary = made(methods, places)
    marked = {**summary, "use_labels": ["CoOp"], "read_labels": ["UEO"]}
    for draw in (domains.draw, severity.draw):
        for plain, figure in zip(draw(summary), draw(marked)):
            check_legible(figure)
            shown, before = " ".join(words(figure)), " ".join(words(plain))
            assert ("CoOp†" in shown) == ("CoOp" in methods) == ("trained with labels" in shown)
            assert ("UEO‡" in shown) == ("UEO" in methods) == ("an oracle" in shown)
            assert "†" not in before and "trained with" not in before


def test_a_domain_that_a_method_lacks_is_marked_no_runs():
    (page,) = domains.draw(made(("UEO", "POUF"), ["a", "b"], missing={("POUF", "b")}))
    assert words(page).count("no runs") == 2  # in both panels
    assert domains.draw({"domains": ["a"], "overall": []}) == []


def shifts(styles, names, severities):
    return [f"{s}+{name}{n}" if n else s
            for s, name, n in dict.fromkeys(product(styles, names, severities))]


@pytest.mark.parametrize(("methods", "names", "severities"), [
    (1, ["scene"], (0, 2)), (4, ["scene"], (0, 1, 2, 3, 4, 5)),
    (7, ["jpeg_compression", "gaussian_noise", "scene", "fog", "contrast"], (0, 5)),
])
def test_gain_against_severity(methods, names, severities):
    places = list(dict.fromkeys(shifts(("fluent", "noto_v1"), names, severities)))
    pages = severity.draw(made(METHODS[:methods], places))
    assert len(pages) == -(-methods // severity.MOST_LINES)
    for page in pages:
        check_legible(page)
        shown = [axis for axis in page.axes if axis.axison]
        assert len(shown) == 2 * len(names)
        for axes in (shown[0::2], shown[1::2]):
            assert len(axes) and all(axis.get_xlabel() == "severity" for axis in axes)
        assert {axis.get_ylabel() for axis in shown} - {""} == {
            "gain in PACC, points", "gain in AUROC, points"}
    ticks = {text.get_text() for text in texts(pages[0])}
    assert "clean\n50" in ticks and f"{severities[-1]}\n50" in ticks


def test_a_label_space_without_detection_is_left_out_of_the_bases_mean():
    """The label space "all" has no unknown images, and no gain either."""
    summary = made(("UEO",), shifts(("fluent",), ("scene",), (0, 2)))
    every = {d: {"pacc": {"mean": 90.0}, "auroc": None} for d in summary["domains"]}
    summary["rows"].append({"method": "ZeroshotCLIP", "setting": "all", "values": every})
    (page,) = severity.draw(summary)
    assert {"clean\n50", "2\n50"} <= {text.get_text() for text in texts(page)}


def test_a_page_whose_methods_lack_a_severity_that_others_have_is_drawn():
    """The grid is unfinished."""
    summary = made(METHODS[:7], shifts(("fluent",), ("scene",), (0, 1, 2)))
    for gain in summary["overall"][4:]:
        del gain["by_severity"][-1]
    pages = severity.draw(summary)
    assert len(pages) == 2
    for page in pages:
        check_legible(page)
        assert {"clean\n50", "1\n50", "2\n50"} <= {text.get_text() for text in texts(page)}


def test_methods_are_compared_over_the_same_styles():
    """The grid is unfinished: a method with one of two styles has no point."""
    summary = made(("UEO", "POUF"), shifts(("fluent", "noto_v1"), ("scene",), (0, 1, 2)))
    for point in summary["overall"][1]["by_severity"][1:]:
        point["domains"] = point["domains"][:1]
    (page,) = severity.draw(summary)
    ours, theirs = (np.isfinite(each.lines[0].get_ydata()) for each in page.axes[0].containers)
    assert ours.tolist() == [True, True, True] and theirs.tolist() == [True, False, False]
    for point in summary["overall"][1]["by_severity"]:
        point["domains"] = point["domains"][:1]
    (page,) = severity.draw(summary)
    assert "POUF" not in words(page)


def test_a_shift_of_one_severity_gives_no_picture():
    assert severity.draw(made(("UEO",), ["fluent+scene2", "noto_v1+scene2"])) == []
    assert severity.draw(made(("UEO",), ["a", "b"])) == []


def test_every_severity_is_a_mean_over_the_same_styles():
    found = gains.by_severity(["a", "b", "a+fog1", "b+fog1", "a+fog2", "a+scene3", "t+fog2"], "t")
    assert found == {("fog", 0): ["a", "b"], ("fog", 1): ["a+fog1", "b+fog1"],
                     ("scene", 0): ["a"], ("scene", 3): ["a+scene3"]}


def test_the_pictures_of_a_table_show_its_gains(entries, tmp_path):  # noqa: F811
    summary = tables.summarise(entries, "Zero")
    (gain,) = summary["overall"]
    assert list(gain["by_domain"]) == ["a", "b"]  # the tuning domain t is left out
    middle = np.mean([found["pacc"]["gain"] for found in gain["by_domain"].values()])
    assert middle == pytest.approx(gain["pacc"]["gain"])
    (path,) = report.draw(tmp_path, "table-x", summary)
    assert path.name == "table-x-gains.png" and path.with_suffix(".pdf").is_file()


def test_colours_are_defined_in_one_module():
    pictures = [*REPOSITORY.glob("ueo/results/paper/*.py"), REPOSITORY / "ueo/studies/ood_plots.py"]
    found = {p.name for p in pictures if re.search(r"#[0-9A-Fa-f]{6}", p.read_text())}
    assert found == {"style.py"}
    lightness = [int(c[1:3], 16) * 0.3 + int(c[3:5], 16) * 0.59 + int(c[5:], 16) * 0.11
                 for c, *_ in style.LINES]
    assert len({look[1:] for look in style.LINES}) == len(style.LINES)  # all marks differ
    assert max(lightness) < 190  # of 255, on white paper
