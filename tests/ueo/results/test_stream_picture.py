"""The picture of a stream."""

import numpy as np
from conftest import read
from pictures import check_legible, words
from test_tables import record

from ueo.results.paper import scores, stream, style
from ueo.results.record import write_run


def points(start: float, step: float, known: bool = True) -> list[dict]:
    parts = [{"accuracy": start + step * i, "auroc": 60.0 if known else None,
              "h_score": 40.0 if known else None} for i in range(20)]
    return [{"images": 40 * (i + 1), "so_far": part, "lately": part}
            for i, part in enumerate(parts)]


def streamed(known: bool = True) -> dict:
    result = record("UEO", "dslr", 1, 60.0, 71.5)
    result["stream"] = {"answers": points(50, 1, known), "zero_shot": points(50, 0, known),
                        "domains_begin": [400]}
    return result


def test_the_picture_shows_the_method_zero_shot_clip_and_the_start_of_domains():
    with style.styled():
        figure = stream.draw(streamed(), "UEO on Office-31")
        check_legible(figure)
    shown = words(figure)
    for part in ("GACC, %", "AUROC, %", "H-score, %", "zero-shot CLIP", "UEO", "lately"):
        assert part in shown
    lately, own, zero, begin = figure.axes[0].lines
    assert own.get_ydata()[-1] == 69 and set(zero.get_ydata()) == {50}
    assert list(begin.get_xdata()) == [400, 400]


def test_undefined_metrics_are_marked():
    with style.styled():
        figure = stream.draw(streamed(known=False), "closed")
    assert words(figure).count("not defined here") == 2


def test_a_run_on_a_stream_has_both_pictures(tmp_path):
    result, rng = streamed(), np.random.default_rng(0)
    first = {"epoch": 0, "test": {"pacc": 50.0, "auroc": 66.6}}
    result["evaluations"] = [first, {"epoch": 1, "test": result["metrics"]["test"]}]
    outputs = {"test_labels": np.arange(400) % 10, "test_predictions_after": np.zeros(400, int),
               "test_paths": np.arange(400).astype(str),
               **{f"test_scores_{when}": rng.normal(size=400) for when in ("before", "after")}}
    write_run(tmp_path, result, outputs)
    assert read(tmp_path)["stream"]["domains_begin"] == [400]
    scores.plot_run(tmp_path)
    assert {p.name for p in tmp_path.glob("*.p[nd][gf]")} == {
        "stream.png", "stream.pdf", "scores.png", "scores.pdf"}
    with style.styled():
        shown = words(scores.draw(result, outputs, ("otsu", 0.3)))
    assert {"zero-shot: AUROC 66.6 %", "in the stream: AUROC 71.5 %"} < set(shown)
    assert "epoch" not in shown and not [text for text in shown if "threshold" in text]
