"""The parts of the built-in trainers' losses against formulas written out."""

import math

import dassl.engine
import pytest
import torch
from dassl.engine.da.cdac import clustering_loss, similar
from dassl.engine.da.dael import Experts
from dassl.engine.da.dann import domain_loss
from dassl.engine.da.m3sda import moment_distance
from dassl.engine.da.mcd import discrepancy
from dassl.engine.da.mme import Prototypes
from dassl.engine.steps import entropy, pseudo_label_quality, soft_cross_entropy
from dassl.utils import set_random_seed
from made_domains import configuration, write_images
from torch.nn import functional as F


def test_entropy_and_cross_entropy_of_probabilities():
    p = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
    expected = [math.log(2), -0.9 * math.log(0.9) - 0.1 * math.log(0.1)]
    assert entropy(p).tolist() == pytest.approx(expected, abs=1e-4)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = [math.log(2), -math.log(0.1)]
    assert soft_cross_entropy(p, target).tolist() == pytest.approx(expected, abs=2e-4)


def test_difference_of_two_classifiers():
    a, b = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.0, 0.0]])
    assert discrepancy(a, b).item() == pytest.approx(0.25)  # (1/4, 3/4) and (1/2, 1/2)


def test_distance_of_moments():
    a, b = torch.randn(6, 3), torch.randn(5, 3)
    shifted, wider = a + torch.tensor([3.0, 0, 4.0]), 2 * (b - b.mean(0)) + b.mean(0)
    assert moment_distance([a], shifted).item() == pytest.approx(2.5)  # means 5 apart
    assert moment_distance([b], wider).item() == pytest.approx(1.5 * b.var(0).norm().item())
    pairs = [(a, b), (a, wider), (b, wider)]
    expected = sum(moment_distance([one], other).item() for one, other in pairs) / 3
    assert moment_distance([a, b], wider).item() == pytest.approx(expected)


def test_similar_images_share_their_largest_features():
    features = torch.tensor([[3.0, 2, 1, 0], [2.0, 3, 0, 1], [0.0, 1, 2, 3]])
    assert similar(features, 2).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    same, p = torch.eye(2), torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    expected = -(math.log(0.82) * 2 + math.log(1 - 0.18) * 2) / 4
    assert clustering_loss(same, p, p).item() == pytest.approx(expected, abs=1e-5)


def test_critic_is_asked_for_the_domain():
    logits = torch.tensor([[0.0], [2.0]])
    expected = (math.log(2) + math.log(1 + math.exp(-2))) / 2
    assert domain_loss(logits, 1).item() == pytest.approx(expected)
    assert domain_loss(-logits, 0).item() == pytest.approx(expected)


def test_prototypes_see_directions_alone():
    layer, x = Prototypes(4, 3), torch.randn(2, 4, requires_grad=True)
    assert torch.allclose(layer(x), layer(7 * x), atol=1e-5)
    (plain,) = torch.autograd.grad(layer(x).sum(), x)
    (reversed_,) = torch.autograd.grad(layer(x, reverse=True).sum(), x)
    assert torch.equal(plain, -reversed_)


def test_quality_of_pseudo_labels():
    predicted, label = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 0])
    quality = pseudo_label_quality(predicted, label, torch.tensor([1.0, 0, 1, 0]))
    assert {k: round(v.item(), 3) for k, v in quality.items()} == {
        "acc_thre": 0.5, "acc_raw": 0.5, "keep_rate": 0.5
    }


@pytest.fixture
def first_step(tmp_path):
    """first_step(name, ...) -> (trainer before its first step, batches, losses of that step)."""
    write_images(tmp_path)

    def make(name, *options):
        set_random_seed(1)
        trainer = getattr(dassl.engine, name)(
            configuration(name, tmp_path, tmp_path / "run", "OPTIM.LR", 0.0, "OPTIM.NAME", "sgd",
                          "OPTIM.WEIGHT_DECAY", 0.0, *options)
        )  # nothing moves
        batches = [next(iter(trainer.train_loader_x))]
        if trainer.train_loader_u is not None and hasattr(trainer, "batches_in_epoch"):
            batches.append(next(iter(trainer.train_loader_u)))
        trainer.batch_idx, trainer.num_batches = 0, 2
        trainer.set_model_mode("train")
        losses = trainer.forward_backward(*batches)
        return trainer, batches, {key: value.item() for key, value in losses.items()}

    return make


def test_losses_of_mcd(first_step):
    trainer, (x, u), losses = first_step("MCD")
    images, labels = x["img"], x["label"]
    heads = (trainer.C1, trainer.C2)
    both = sum(F.cross_entropy(head(trainer.F(images)), labels) for head in heads).item()
    one, other = (head(trainer.F(u["img"])).softmax(1) for head in heads)
    differ = (one - other).abs().mean().item()
    assert losses["loss_step_A"] == pytest.approx(both, rel=1e-5)
    assert losses["loss_step_B"] == pytest.approx(both - differ, rel=1e-5)
    assert losses["loss_step_C"] == pytest.approx(differ, rel=1e-4)


def test_losses_of_fixmatch(first_step):
    trainer, (x, u), losses = first_step("FixMatch")
    weak = torch.cat([x["img"], u["img"]])
    p, predicted = trainer.model(weak).softmax(1).max(1)
    strong = trainer.model(torch.cat([x["img2"], u["img2"]])).log_softmax(1)
    chosen = [-strong[i, c].item() if p[i] >= 0.4 else 0.0 for i, c in enumerate(predicted)]
    assert 0 < losses["loss_u"] == pytest.approx(sum(chosen) / len(chosen), rel=1e-4)
    assert losses["y_u_pred_keep"] == pytest.approx((p[len(x["img"]):] >= 0.4).float().mean())


def test_losses_of_the_experts(first_step):
    trainer, (batch,), losses = first_step("DAELDG")
    experts = [lambda x, i=i: trainer.E(i, trainer.F(x)) for i in (0, 1)]
    domain, half = batch["domain"], len(batch["domain"]) // 2
    assert len(set(domain[:half].tolist())) == 1
    own, other = 0.0, 0.0
    for part in (slice(0, half), slice(half, None)):
        d, labels = int(domain[part][0]), batch["label"][part]
        p = experts[d](batch["img"][part])
        own += F.nll_loss((p + 1e-5).log(), labels).item() / 2
        strong = experts[1 - d](batch["img2"][part])
        other += ((strong - p) ** 2).sum(1).mean().item() / 2
    assert losses["loss_x"] == pytest.approx(own, rel=1e-4)
    assert losses["loss_cr"] == pytest.approx(other, rel=1e-4)


def test_all_experts_at_once():
    experts, x = Experts(3, 4, 2), torch.randn(5, 4)
    assert torch.equal(experts.all(x)[:, 1], experts(1, x)) and experts.all(x).shape == (5, 3, 2)


def test_domain_mix_mixes_with_the_other_domain(first_step):
    trainer, _, _ = first_step("DomainMix")
    domains = torch.tensor([0, 0, 0, 1, 1])  # more of one than of the other: some twice
    for _ in range(5):
        assert (domains[trainer.partners(domains)] != domains).all()


def test_images_of_crossgrad_move_along_the_other_gradient(first_step):
    trainer, (batch,), _ = first_step("CrossGrad")
    images = batch["img"].clone().requires_grad_(True)
    F.cross_entropy(trainer.D(images), batch["domain"]).backward()
    expected = images.detach() + 2 * images.grad.clamp(-0.1, 0.1)
    moved = trainer.moved(batch["img"], trainer.D, batch["domain"], 2)
    assert torch.allclose(moved, expected, atol=1e-6)
