"""NegMining, NegLabel and TANL against formulas in NumPy; the order of words does not matter."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import REPOSITORY

from ueo.clip.negatives import mining, scores
from ueo.clip.negatives.words import candidates

SCALE = 20.0


def features(seed: int, rows: int, size: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, size, generator=generator), dim=-1)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("classes", [1, 3, 20, 41])
def test_nearness_is_the_similarity_at_the_95th_percentile_of_classes(classes, monkeypatch):
    monkeypatch.setattr(mining, "BLOCK", 100)  # several blocks
    words, known = features(0, 50), features(1, classes)
    expected = np.sort(words.numpy() @ known.numpy().T, 1)[:, int(classes * 0.95)]
    np.testing.assert_allclose(mining.nearness(words, known), expected, atol=1e-6)


def test_the_farthest_nouns_and_adjectives_are_chosen_by_their_share():
    near = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    kept = mining.mine(near, nouns=800, most=100).tolist()
    expected = [*(800 + np.argsort(near[800:].numpy())[:20]), *np.argsort(near[:800].numpy())[:80]]
    assert kept == expected
    assert len(mining.mine(near, nouns=800)) == 150  # no more than the paper's 15 %
    assert len(mining.mine(near[:6], nouns=6)) == 0


@pytest.mark.parametrize(("names", "groups"), [(30, 1), (99, 1), (100, 1), (350, 3), (1007, 10)])
def test_neglabel_equals_its_formula(names, groups):
    images, known, negative = features(0, 12), features(1, 5), features(2, names)
    cosines, others = images @ known.T, images @ negative.T
    size, expected = names // groups, 0
    for g in range(groups):
        part = others[:, g * size : (g + 1) * size]
        joint = softmax(SCALE * np.concatenate([cosines, part], 1).astype(float))
        expected = expected + joint[:, :5].sum(1) / groups
    np.testing.assert_allclose(scores.neglabel(cosines, others, SCALE), expected, rtol=1e-5)


def test_tanl_equals_its_formula():
    images, known, negative = features(0, 12), features(1, 5), features(2, 40)
    cosines, others = images @ known.T, images @ negative.T
    logits = SCALE * np.concatenate([cosines, others], 1).astype(float)
    expected = np.mean([softmax(logits[:, : 5 + n])[:, :5].sum(1) for n in range(1, 41)], 0)
    np.testing.assert_allclose(scores.tanl(cosines, others, SCALE), expected, rtol=1e-5)
    np.testing.assert_allclose(scores.mass(cosines, others, SCALE), softmax(logits)[:, 5:],
                               rtol=1e-5)


def test_confident_images_lie_beyond_the_midpoints():
    found = torch.tensor([0.0, 0.29, 0.31, 0.6, 0.79, 0.81, 1.0])
    known, unknown = scores.confident(found, 0.6)
    assert known.tolist() == [False] * 5 + [True] * 2
    assert unknown.tolist() == [True] * 2 + [False] * 5


@pytest.mark.parametrize("score", [scores.neglabel, scores.tanl])
def test_a_nan_stays_in_its_row_and_large_logits_do_not_overflow(score):
    cosines, others = features(0, 4, 5), features(1, 4, 300)
    cosines[1, 2] = others[2, 7] = float("nan")
    got = score(cosines, others, 1000.0)
    assert got.isnan().tolist() == [False, True, True, False]
    assert ((got[[0, 3]] >= 0) & (got[[0, 3]] <= 1)).all()


def test_groups_do_not_depend_on_the_order_of_the_words():
    names = candidates().names[:500]
    images, known, encoded = features(0, 12), features(1, 5), dict(zip(names, features(2, 500)))

    def score(order: list[str]) -> torch.Tensor:
        words = torch.stack([encoded[name] for name in order])
        kept = mining.mine(mining.nearness(words, known), len(order), most=60)
        chosen = [order[i] for i in kept]
        placed = words[kept[mining.shuffled(chosen)]]
        return scores.neglabel(images @ known.T, images @ placed.T, SCALE, group=20)

    other = [names[i] for i in np.random.default_rng(0).permutation(500)]
    torch.testing.assert_close(score(names), score(other))


def test_the_words_are_single_words_of_wordnet_with_its_licence():
    words = candidates()
    nouns, adjectives = words.names[: words.nouns], words.names[words.nouns :]
    assert (len(nouns), len(adjectives)) == (55191, 14902)
    assert all(name.isalpha() and name.isascii() and name.islower() for name in words.names)
    assert nouns == sorted(set(nouns)) and adjectives == sorted(set(adjectives) - set(nouns))
    assert {"zebra", "teapot"} < set(nouns) and "opaque" in adjectives
    packed = REPOSITORY / "assets" / "negative_words.txt.xz"
    assert packed.stat().st_size < 300_000
    licence = (REPOSITORY / "assets/LICENCES/WordNet-3.0.txt").read_text()
    assert "Princeton University" in licence and "Permission to use, copy, modify" in licence
