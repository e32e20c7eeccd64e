"""Exact nearest-neighbour search in a file of features within a memory budget; stored features."""

import subprocess
import sys

import numpy as np
import pytest

from ueo.errors import ConfigError
from ueo.pairs.neighbours import nearest, stored


@pytest.fixture
def features(tmp_path):
    rng = np.random.default_rng(0)
    rows, queries = (rng.integers(-9, 10, (n, 16)).astype(np.float32) for n in (1000, 600))
    rows[700:710] = rows[20:30]  # exact duplicates: sums of whole numbers are not rounded
    np.save(tmp_path / "f.npy", rows)
    return tmp_path / "f.npy", rows, queries


@pytest.mark.parametrize("count", [1, 50, 1000])
@pytest.mark.parametrize("memory", [2**19, 2**30])
def test_the_nearest_equal_brute_force_and_ties_go_to_the_earlier_row(features, count, memory):
    path, rows, queries = features
    positions, similarity = nearest(path, queries, count, memory)
    every = (rows.astype(np.float64) @ queries.T.astype(np.float64)).max(1)
    np.testing.assert_allclose(similarity, np.sort(every)[::-1][:count], rtol=1e-5)
    np.testing.assert_allclose(every[positions], similarity, rtol=1e-5)
    assert len(set(positions.tolist())) == count
    places = {p: i for i, p in enumerate(positions.tolist())}
    for first, second in zip(range(20, 30), range(700, 710)):
        if second in places:
            assert places[first] < places[second]


def test_too_little_memory_is_refused_with_the_amount_needed(features):
    path, _, queries = features
    with pytest.raises(ConfigError, match="SEARCH_MEMORY: too few bytes.*give \\d+"):
        nearest(path, queries, 5, 1000)


def test_an_interrupted_computation_resumes_where_it_stopped(tmp_path):
    calls = []

    def compute(start, stop, until=10**9):
        if start >= until:
            raise KeyboardInterrupt
        calls.append(start)
        return np.arange(start, stop, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)

    path = tmp_path / "deep" / "f.npy"
    with pytest.raises(KeyboardInterrupt):
        stored(path, 100, lambda a, b: compute(a, b, until=60), 20)
    assert not path.exists() and calls == [0, 20, 40]
    stored(path, 100, compute, 20)
    assert calls == [0, 20, 40, 60, 80]
    np.testing.assert_array_equal(np.load(path)[:, 2], np.arange(100))
    stored(path, 100, compute, 20)  # the file exists
    assert len(calls) == 5 and [p.name for p in path.parent.iterdir()] == ["f.npy"]


SEARCH = """
import resource, sys
import numpy as np
from ueo.pairs.neighbours import nearest
queries = np.ones((64, 64), np.float32)
nearest(sys.argv[2], queries, 100, int(sys.argv[3]))  # a small file first: what any call needs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
nearest(sys.argv[1], queries, 100, int(sys.argv[3]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process")
def test_memory_stays_within_the_budget_whatever_the_file(tmp_path):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "large.npy", rng.normal(size=(200_000, 64)).astype(np.float32))  # 51 MB
    np.save(tmp_path / "small.npy", rng.normal(size=(2_000, 64)).astype(np.float32))
    budget = 8 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, *(str(tmp_path / f"{n}.npy") for n in ("large", "small")),
         str(budget)], capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < budget
