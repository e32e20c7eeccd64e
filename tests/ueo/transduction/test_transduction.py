"""Transductive methods against their formulas in NumPy, one image at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ueo.transduction import mixture, neighbours, propagation
from ueo.transduction.adapters import GaussianClasses, Propagated

IMAGES, CLASSES, WIDTH, SCALE = 60, 4, 6, 20.0


@pytest.fixture(scope="module")
def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Features of images and of texts, float64; class 3 has no images."""
    g = torch.Generator().manual_seed(3)
    texts = F.normalize(torch.randn(CLASSES, WIDTH, generator=g, dtype=torch.double), dim=-1)
    of_class = texts[torch.randint(0, 3, (IMAGES,), generator=g)]
    noise = torch.randn(IMAGES, WIDTH, generator=g, dtype=torch.double)
    return F.normalize(of_class + 0.4 * noise, dim=-1), texts


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def graph_of(f, count):
    """The affinity matrix W: each image's cosines with its `count` nearest neighbours."""
    w = np.zeros((len(f), len(f)))
    for i in range(len(f)):
        cosines = f @ f[i]
        cosines[i] = -2
        for j in np.argsort(-cosines)[:count]:
            w[i, j] = cosines[j]
    return w


def solve(f, t, anchored):
    """Ten iterations of the method, class by class."""
    p = softmax(SCALE * f @ t.T)
    z, w = p.copy(), graph_of(f, 3)
    if anchored:
        mu = t.copy()
        start = sum(z[i, k] * (f[i] - t[k]) ** 2 for i in range(IMAGES) for k in range(CLASSES))
        var = np.tile(start / IMAGES, (CLASSES, 1))
        start = var[0]
    else:
        top = [np.argsort(-z[:, k])[:8] for k in range(CLASSES)]
        mu = unit(np.stack([(z[top[k], k, None] * f[top[k]]).sum(0) for k in range(CLASSES)]))
        var = np.full((CLASSES, WIDTH), 1 / WIDTH)
    for turn in range(11):
        like = np.stack([-0.5 * (((f - mu[k]) ** 2 / var[k]).sum(1) + np.log(var[k]).sum())
                         for k in range(CLASSES)], 1)
        for _ in range(5):
            z = softmax(np.log(p) + (like + 50 / 6 * (w @ z + w.T @ z)) / 50)
        if turn == 10:
            return z, mu, var
        mean = unit(np.stack([(z[:, k, None] * f).sum(0) / z[:, k].sum() for k in range(CLASSES)]))
        if anchored:
            n = np.bincount(z.argmax(1), minlength=CLASSES)
            beta = (n / (1 + n))[:, None]
            mu = unit(beta * mean + (1 - beta) * t)
        else:
            mu = mean
        own = np.stack([(z[:, k, None] * (f - mu[k]) ** 2).sum(0) for k in range(CLASSES)])
        if anchored:
            own = own / z.sum(0)[:, None]
            var = beta * own + (1 - beta) * (start + (t - mu) ** 2)
        else:
            var = np.tile(own.sum(0) / IMAGES, (CLASSES, 1))


@pytest.mark.parametrize("anchored", [False, True], ids=["TransCLIP", "StatA"])
def test_one_image_for_each_of_four_classes_is_classified(anchored):
    texts = torch.eye(8)
    features = F.normalize(texts[:4] + 0.1, dim=-1)
    adapter = GaussianClasses(8, 8, SCALE)
    adapter.fill(mixture.fit(features, texts, SCALE, anchored))
    assert adapter.jointly(features, texts).argmax(1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("anchored", [False, True], ids=["TransCLIP", "StatA"])
def test_the_mixture_equals_its_formula(data, anchored):
    features, texts = data
    found = mixture.fit(features, texts, SCALE, anchored)
    z, means, variances = solve(features.numpy(), texts.numpy(), anchored)
    np.testing.assert_allclose(found.posterior, z, atol=1e-9)
    np.testing.assert_allclose(found.means, means, atol=1e-9)
    np.testing.assert_allclose(found.variances, variances, atol=1e-9)


def test_a_class_without_images_stays_nearer_its_text_in_stata(data):
    features, texts = data
    moved = {a: (mixture.fit(features, texts, SCALE, a).means[3] - texts[3]).norm().item()
             for a in (False, True)}
    assert moved[True] < 0.9 * moved[False]


def test_propagation_equals_the_inverse_of_the_graph(data):
    features, texts = data
    f, t = features.numpy(), texts.numpy()
    nodes = CLASSES + IMAGES
    w = np.zeros((nodes, nodes))
    w[CLASSES:, CLASSES:] = graph_of(f, 4).clip(0)
    for i in range(IMAGES):
        for k in np.argsort(-(t @ f[i]))[:5]:
            w[CLASSES + i, k] = max(f[i] @ t[k], 0) ** 5
    w = w + w.T
    d = w.sum(1)
    s = w / np.sqrt(np.outer(d, d))
    expected = np.linalg.inv(np.eye(nodes) - 0.3 * s)[:, :CLASSES]
    np.testing.assert_allclose(propagation.propagate(features, texts), expected, atol=1e-9)


def test_neighbours_are_the_same_in_blocks_of_any_size(data, monkeypatch):
    features, _ = data
    cosines, indices = neighbours.nearest(features, 3)
    monkeypatch.setattr(neighbours, "BLOCK", 7 * IMAGES)
    in_blocks = neighbours.nearest(features, 3)
    # on some processors the last bit of a product depends on its size
    torch.testing.assert_close(in_blocks[0], cosines, rtol=0, atol=1e-14)
    assert torch.equal(in_blocks[1], indices)
    assert not (indices == torch.arange(IMAGES)[:, None]).any()


def test_an_adapter_predicts_all_images_as_the_method_does(data):
    features, texts = (x.float() for x in data)
    adapter = GaussianClasses(CLASSES, WIDTH, SCALE)
    cosines = features @ texts.T
    assert torch.equal(adapter.jointly(features, texts), cosines)  # before it is filled
    found = mixture.fit(features, texts, SCALE, True)
    adapter.fill(found)
    answers = (SCALE * adapter.jointly(features, texts)).softmax(-1)
    assert (answers - found.posterior).abs().max() < 1e-3
    alone = torch.cat([adapter(row, texts) for row in features.split(1)])
    torch.testing.assert_close(alone, adapter(features, texts))
    assert (alone.argmax(1) == found.posterior.argmax(1)).float().mean() > 0.9


def test_propagation_to_single_images_mostly_agrees_with_the_joint_one(data):
    features, texts = (x.float() for x in data)
    adapter = Propagated(IMAGES, CLASSES, WIDTH)
    assert torch.equal(adapter(features, texts), features @ texts.T)
    labels = propagation.propagate(features, texts)
    adapter.fill(features, labels)
    together = adapter.jointly(features, texts)
    torch.testing.assert_close(together.sum(1), torch.ones(IMAGES))
    assert torch.equal(together.argmax(1), labels[CLASSES:].argmax(1))
    assert (adapter(features, texts).argmax(1) == together.argmax(1)).float().mean() > 0.9
