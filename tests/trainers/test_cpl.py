"""CPL: its candidates and its loss image by image, and that candidates are renewed."""

import numpy as np
import pytest
import torch

from ueo.losses import candidate_loss
from ueo.pseudo_labels import candidate_labels


def by_hand(prob, quantile, share):
    """The rules, one image and one label after the other."""
    threshold = np.quantile(prob.max(1), quantile)
    found = np.zeros(prob.shape, bool)
    for i, row in enumerate(prob):
        total = 0.0
        for label in np.argsort(-row):
            if total > threshold:
                break
            total += row[label]
            found[i, label] = row[label] >= np.quantile(prob[:, label], 1 - share)
    return found


@pytest.mark.parametrize("quantile, share", [(0.75, 0.4), (0.0, 0.2), (1.0, 1.0), (0.5, 0.0)])
def test_candidates_equal_the_papers(quantile, share):
    prob = np.random.default_rng(0).dirichlet(np.full(6, 0.7), 50)
    found = candidate_labels(torch.from_numpy(prob), quantile, share).numpy()
    np.testing.assert_array_equal(found, by_hand(prob, quantile, share))
    assert found.any() and found.any(1).all() == (share >= 0.4)


def test_the_loss_is_minus_the_log_of_the_candidates_probability():
    rng = np.random.default_rng(0)
    logits, candidates = rng.normal(size=(7, 5)), rng.random((7, 5)) < 0.4
    candidates[2] = False
    prob = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = [-np.log(p[c].sum()) for p, c in zip(prob, candidates) if c.any()]
    tensor = torch.tensor(logits, requires_grad=True)
    found = candidate_loss(tensor, torch.from_numpy(candidates))
    assert found.item() == pytest.approx(np.mean(expected), abs=1e-12)
    found.backward()
    assert tensor.grad.isfinite().all() and not tensor.grad[2].any() and tensor.grad[3].any()
    none = torch.zeros(7, 5, dtype=torch.bool)
    assert candidate_loss(tensor, none).item() == 0
    assert torch.autograd.gradcheck(lambda z: candidate_loss(z, torch.from_numpy(candidates)),
                                    (tensor,))


def test_candidates_are_renewed_in_each_epoch(build):
    trainer = build("OPTIM.LR", "0.05", trainer="CPL", kind="vit", epochs=3)
    seen, start = [], trainer.before_epoch

    def watched():
        start()
        seen.append(trainer.candidates.clone())

    trainer.before_epoch = watched
    trainer.train()
    assert (seen[0] != seen[1]).any() and (seen[1] != seen[2]).any()
    sizes = seen[0].sum(1)
    assert trainer.notes["candidates"] == {
        "images_without": int((sizes == 0).sum()), "mean": pytest.approx(sizes.float().mean())}
