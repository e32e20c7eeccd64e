"""Tables from records: means, spreads, gains; what may not stand together."""

import numpy as np
import pytest
from test_bootstrap import run as outputs_of

from ueo import tables
from ueo.errors import DataError
from ueo.record import read_result, write_run


def record(trainer, domain, seed, pacc, auroc=70.0, setting="open", split="s", engine="e"):
    return {
        "trainer": trainer, "dataset": "Toy", "domain": domain, "domains": ["a", "b", "t"],
        "tuning_domain": "t", "setting": setting, "protocol": "released", "backbone": "RN50",
        "seed": seed, "metrics": {"test": {"pacc": pacc, "auroc": auroc}},
        "counts": {"known_classes": 5}, "split_hash": split, "environment": {"engine": engine},
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
    text = tables.render(summary)
    assert "t*" in text and "53.0±1.4 / 70.0±0.0" in text and "+0.8 / +0.0" in text


def test_the_overall_gain_comes_with_an_interval_and_its_seeds(entries):
    gain = tables.overall_gain(entries, "New", "Zero")
    low, high = gain["pacc"]["interval"]
    assert 0 < low < gain["pacc"]["gain"] < high
    assert gain["pacc"]["seeds"] == [pytest.approx(0.5), pytest.approx(1.0)]
    assert "New over Zero" in tables.gain_sentence(gain)


@pytest.mark.parametrize("other", [{"split": "another"}, {"engine": "another"}])
def test_runs_on_other_images_or_engines_are_not_mixed(entries, tmp_path, other):
    entries.append((tmp_path, record("Third", "a", 1, 1.0, **other)))
    with pytest.raises(DataError, match="cannot stand in one table"):
        tables.summarise(entries, "Zero")


def test_a_missing_domain_leaves_the_mean_empty(entries):
    left = [e for e in entries if not (e[1]["trainer"] == "New" and e[1]["domain"] == "b")]
    new = tables.summarise(left, "Zero")["rows"][1]
    assert new["values"]["mean"] == {} and new["values"]["b"] == {}
    assert "-" in tables.render(tables.summarise(left, "Zero"))


def test_without_runs_of_the_base_nothing_is_called_a_gain(entries):
    left = [e for e in entries if e[1]["trainer"] == "New"]
    assert set(tables.summarise(left, "Zero")["rows"][0]["gain"]["a"].values()) == {None}


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(DataError, match="result.json: not readable"):
        read_result(tmp_path)
