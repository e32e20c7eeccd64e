"""OOD scores against formulas written in NumPy and scikit-learn, on random and degenerate input."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy
from sklearn.covariance import EmpiricalCovariance, LedoitWolf
from sklearn.neighbors import NearestNeighbors

from ueo import feature_scores
from ueo.scores import ALL_SCORES, SCORES, at_own_scale, energy, gl_mcm, local_mcm, mcm, msp


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


FORMULAS = {
    "mcm": lambda x: softmax(x).max(-1),
    "max_logit": lambda x: x.max(-1),
    "max_less_half_mean": lambda x: np.sort(x, -1)[:, -1] - x.sum(-1) / (2 * x.shape[-1]),
    "energy": lambda x: logsumexp(x, -1),
    "entropy": lambda x: -scipy_entropy(softmax(x), axis=-1),
    "variance": lambda x: np.var(softmax(x), axis=-1),
    "kl_uniform": lambda x: scipy_entropy(np.full_like(x, 1 / x.shape[-1]), softmax(x), axis=-1),
    "margin": lambda x: np.sort(x, -1)[:, -1] - np.sort(x, -1)[:, -2],
}


LEVEL = ("max_logit", "max_less_half_mean", "energy")  # depend on the level of cosines


def cosines(seed, samples=50, classes=7):
    return np.random.default_rng(seed).uniform(-1, 1, (samples, classes))


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("scale", [1, 30])  # logits of 30: no saturation, no overflow
def test_scores_are_their_formulas(name, scale):
    x = scale * cosines(0)
    np.testing.assert_allclose(SCORES[name](torch.from_numpy(x)), FORMULAS[name](x), atol=1e-10)


@pytest.mark.parametrize("name", ["mcm", "energy", "entropy", "variance", "kl_uniform"])
def test_a_temperature_divides_the_cosines(name):
    x = cosines(1)
    factor = 0.02 if name == "energy" else 1  # energy is in the unit of its input
    got = SCORES[name](torch.from_numpy(x), 0.02)
    np.testing.assert_allclose(got, factor * FORMULAS[name](x / 0.02), atol=1e-10)


def test_msp_is_the_softmax_of_the_models_own_logits():
    x = torch.from_numpy(cosines(2))
    np.testing.assert_allclose(msp(x, 15.8), FORMULAS["mcm"](15.8 * x.numpy()), atol=1e-12)
    scale = torch.tensor(15.8, dtype=torch.float64)
    own = at_own_scale(energy).function(x, scale)
    np.testing.assert_allclose(15.8 * own, FORMULAS["energy"](15.8 * x.numpy()), atol=1e-10)
    torch.testing.assert_close(at_own_scale(mcm).function(x, scale), msp(x, scale))


def test_gl_mcm_adds_the_largest_local_softmax():
    rng = np.random.default_rng(3)
    x, local = cosines(3, 6), rng.uniform(-1, 1, (6, 4, 7))
    expected = [softmax(x[i]).max() + 0.5 * softmax(local[i]).max() for i in range(6)]
    got = gl_mcm(torch.from_numpy(x), local_mcm(torch.from_numpy(local)), weight=0.5)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_a_nan_stays_in_its_row(name):
    x = torch.from_numpy(cosines(4, 5))
    x[2, 3] = float("nan")
    assert SCORES[name](x).isnan().tolist() == [False, False, True, False, False]
    assert SCORES[name](x[:, 3:4]).isnan().tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("name", SCORES)
def test_ties_one_class_and_huge_logits_are_defined(name):
    function = SCORES[name]
    uniform = function(torch.full((2, 5), 0.3, dtype=torch.float64))
    assert uniform[0] == uniform[1] < function(torch.tensor([[0.3, 0, 0, 0, 0]])) or name in (
        LEVEL)
    one = function(torch.tensor([[0.1], [0.4]], dtype=torch.float64))
    if name in LEVEL:
        assert one[0] < one[1]
    else:
        assert one[0] == one[1]
    assert function(torch.tensor([[1e4, 0.0, -1e4]])).isfinite().all()
    assert function(torch.zeros(0, 3)).shape == (0,)


def features(seed, images, size=6):
    x = np.random.default_rng(seed).normal(size=(images, size))
    return torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, None])
def test_mahalanobis_equals_scikit_learns(shrinkage):
    train, tested, labels = features(0, 60), features(1, 20), torch.arange(60) % 4
    labels[:5] = -1  # not used
    kept, classes = train[5:].numpy(), labels[5:].numpy()
    means = np.stack([kept[classes == c].mean(0) for c in range(4)])
    residuals = kept - means[classes]
    model = (LedoitWolf if shrinkage is None else EmpiricalCovariance)(assume_centered=True)
    covariance = model.fit(residuals).covariance_
    if shrinkage:
        covariance = (1 - shrinkage) * covariance + shrinkage * np.eye(6) * np.trace(covariance) / 6
    inverse = np.linalg.inv(covariance)
    expected = [-min((f - m) @ inverse @ (f - m) for m in means) for f in tested.numpy()]
    got = feature_scores.mahalanobis(tested, train, labels, shrinkage)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_mahalanobis_with_few_shots():
    train, tested = features(0, 4), features(1, 20)
    one_shot = feature_scores.mahalanobis(tested, train, torch.arange(4))
    distances = torch.cdist(tested, train).square().amin(1)
    torch.testing.assert_close(one_shot, -distances)  # no spread to measure: plain distances
    with pytest.raises(ValueError, match="singular"):
        feature_scores.mahalanobis(tested, train, torch.tensor([0, 0, 1, 1]), shrinkage=0.0)
    two_shots = feature_scores.mahalanobis(tested, train, torch.tensor([0, 0, 1, 1]))
    assert two_shots.isfinite().all()


@pytest.mark.parametrize("k", [1, 5, 60, 99])
def test_knn_equals_scikit_learns(k, monkeypatch):
    monkeypatch.setattr(feature_scores, "BLOCK", 500)  # several blocks
    train, tested = features(0, 60), features(1, 20)
    found = NearestNeighbors(n_neighbors=min(k, 60)).fit(train.numpy())
    expected = -found.kneighbors(tested.numpy())[0][:, -1]
    got = feature_scores.knn(3 * tested, train, torch.zeros(60), k)  # the length does not matter
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_knn_takes_as_many_neighbours_as_a_class_has_images():
    train, tested, labels = features(0, 60), features(1, 20), torch.arange(60) % 4
    torch.testing.assert_close(
        feature_scores.knn(tested, train, labels), feature_scores.knn(tested, train, labels, k=15)
    )


def test_knn_takes_no_more_than_fifty_neighbours():
    train, tested, labels = features(0, 120), features(1, 20), torch.arange(120) % 2
    torch.testing.assert_close(
        feature_scores.knn(tested, train, labels), feature_scores.knn(tested, train, labels, k=50)
    )


@pytest.mark.parametrize("function", [feature_scores.mahalanobis, feature_scores.knn])
def test_nan_features_stay_in_their_row_or_are_refused(function):
    train, tested, labels = features(0, 60), features(1, 4), torch.arange(60) % 4
    tested[1, 0] = float("nan")
    assert function(tested, train, labels).isnan().tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="nothing to fit"):
        function(tested, train, torch.full((60,), -1))
    train[3, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="not finite"):
        function(tested, train, labels)


def test_every_score_is_larger_for_an_image_of_a_known_class():
    """All scores have the same sign: an image near a class scores above one far from all."""
    axes = torch.eye(4, dtype=torch.float64)
    images = torch.stack([axes[0] + 0.1 * axes[1], 0.2 * axes[:3].sum(0) + axes[3]])
    images /= images.norm(dim=1, keepdim=True)
    train = torch.cat([axes[:3] + 0.05 * axes[[1, 2, 0]], axes[:3]])
    x = images @ axes[:3].T
    kept = {"cosines": x, "logit_scale": torch.tensor(10.0), "logit_bias": torch.tensor(-5.0),
            "local_score": mcm(x), "neglabel": mcm(x), "tanl": mcm(x),
            "features": images, "train_features": train, "train_labels": torch.arange(6) % 3}
    for name, score in ALL_SCORES.items():
        known, far = score.function(*(kept[need] for need in score.needs))
        assert known > far, name
