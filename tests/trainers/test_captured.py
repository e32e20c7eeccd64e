"""Steps captured in a graph, on a pretended GPU: the same run as without, and refusals."""

import random

import numpy as np
import pytest
import torch
from conftest import toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed
from pretended_gpu import pretended_gpu
from pretended_graph import Graph, Recorder, pretended_graphs

from ueo.clip.captured import CapturedStep
from ueo.commands import train
from ueo.errors import ConfigError
from ueo.runs.configure import build_cfg

NAMES = [name for name in trainer_names()
         if TRAINER_REGISTRY.get(name).capturable]  # a property counts: it depends on options


@pytest.fixture
def trained(toy_root, weights, tmp_path):
    """trained(name, kind, *options): losses of each step of two epochs, and tuned parameters."""
    def run(name: str, kind: str, *options: str, device: str = "auto", evaluate: bool = False):
        argv = toy_arguments(toy_root, weights, tmp_path, kind=kind, trainer=name)
        argv[argv.index("--device") + 1] = device
        size = "5" if TRAINER_REGISTRY.get(name).uses_labels else "9"  # shots are fewer
        options = ("OPTIM.LR", "0.01", "DATALOADER.TRAIN_X.BATCH_SIZE", size, "DATASET.NUM_SHOTS",
                   "3", f"TRAINER.{name}.PREC", "fp32", *options)
        losses = []
        with pretended_gpu(), pretended_graphs():
            cfg = build_cfg(train.settings_of([*argv, *options]))
            set_random_seed(cfg.SEED)
            trainer = build_trainer(cfg)
            step = trainer.forward_backward

            def noted(batch: dict) -> dict:
                losses.append(step(batch))
                return losses[-1]

            trainer.forward_backward = noted
            trainer.before_train()
            for trainer.epoch in range(2):
                trainer.run_epoch()
                if evaluate:
                    trainer.test()
            tuned = [p.detach().cpu() for g in trainer.groups.values() for p in g.values()]
            return [{n: float(v) for n, v in loss.items()} for loss in losses], tuned

    return run


@pytest.mark.parametrize("name, kind", [(n, ("rn", "vit")[i % 2]) for i, n in enumerate(NAMES)])
def test_a_captured_run_equals_the_run_without_a_graph(trained, name, kind):
    """Also after parameters changed since the capture, and after a small last batch."""
    Graph.made.clear()
    eager, tuned = trained(name, kind, f"TRAINER.{name}.GRAPH", "False")
    captured, as_well = trained(name, kind)
    assert len(eager) > 5 and captured == eager
    assert all(torch.equal(a, b) for a, b in zip(tuned, as_well))
    (graph,) = Graph.made
    assert len(eager) - 2 <= graph.replays <= len(eager)  # an epoch's last batch may be small


def test_an_evaluation_in_between_changes_nothing(trained):
    """It folds BatchNorm into copies: the graph goes on with the parameters that it recorded."""
    eager, _ = trained("UEO", "rn", "TRAINER.UEO.GRAPH", "False")
    captured, _ = trained("UEO", "rn", evaluate=True)
    assert captured == eager


def test_a_step_that_the_host_reads_is_not_captured():
    """CUDA behaves the same, so the tests above would fail for a loss with a read."""
    with pretended_gpu(), pretended_graphs():
        weight = torch.nn.Parameter(torch.ones(2, device="cuda"))
        captured = CapturedStep(
            lambda batch: {"loss": batch["img"].sum() * weight[0].item()}, [weight], "UEO")
        with pytest.raises(ConfigError, match="not permitted when stream is capturing"):
            captured({"img": torch.ones(2, device="cuda")})


def test_a_batch_may_come_from_the_cpu():
    """Losses get it there and move it to the device; the parity check also passes such batches."""
    with pretended_gpu(), pretended_graphs():
        weight = torch.nn.Parameter(torch.ones(2, device="cuda"))
        captured = CapturedStep(
            lambda batch: {"loss": (weight * batch["img"].to("cuda")).sum()}, [weight], "UEO")
        losses = [captured({"img": torch.full((2,), float(i))})["loss"] for i in range(3)]
        assert [loss.item() for loss in losses] == [0, 2, 4]


def test_a_loss_with_state_in_python_is_refused():
    """The test above would therefore fail for a method that is wrongly called capturable."""
    weight, calls = torch.nn.Parameter(torch.ones(2)), []

    def step(batch: dict) -> dict:
        calls.append(1)
        weight.grad = None
        loss = (weight * batch["img"]).sum() * len(calls)
        loss.backward()
        return {"loss": loss.detach()}

    captured = CapturedStep(step, [weight], "UEO")
    with pretended_graphs(), pytest.raises(ConfigError, match="loss 8, the step itself 6"):
        captured({"img": torch.ones(2)})


@pytest.mark.parametrize("draw", [
    lambda: torch.rand(()).item(), lambda: np.random.rand(), lambda: random.random(),
])
def test_a_loss_that_draws_on_the_host_draws_anew_in_each_step(capsys, draw):
    """A replay would repeat the numbers of the recorded step, in silence if they change little."""
    def losses(captured: bool) -> list[float]:
        set_random_seed(3)
        weight = torch.nn.Parameter(torch.ones(2))

        def step(batch: dict) -> dict:
            return {"loss": (weight * batch["img"]).sum() * (1 + 0.001 * draw())}

        taken = CapturedStep(step, [weight], "Viewed") if captured else step
        return [taken({"img": torch.ones(2)})["loss"].item() for _ in range(4)]

    with pretended_graphs():
        found = losses(captured=True)
    assert found == losses(captured=False) and len({*found}) == 4
    assert "Viewed's loss draws random numbers on the host" in capsys.readouterr().out


def test_a_step_that_cannot_be_captured_is_one_line():
    def step(batch: dict) -> dict:
        if isinstance(torch.utils._python_dispatch._get_current_dispatch_mode(), Recorder):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return {"loss": batch["img"].sum()}

    captured = CapturedStep(step, [torch.nn.Parameter(torch.ones(2))], "UEO")
    with pretended_graphs(), pytest.raises(ConfigError) as caught:
        captured({"img": torch.ones(2)})
    assert str(caught.value) == (
        "TRAINER.UEO.GRAPH: the step could not be captured in a CUDA graph (operation not "
        "permitted when stream is capturing); set it False")


def test_loaders_may_pin_memory_while_a_step_is_recorded():
    """They pin in other threads, whose calls break a capture in CUDA's mode "global"."""
    Graph.made.clear()
    weight = torch.nn.Parameter(torch.ones(2))
    captured = CapturedStep(lambda batch: {"loss": (weight * batch["img"]).sum()}, [weight], "UEO")
    with pretended_graphs():
        captured({"img": torch.ones(2)})
    assert [graph.mode for graph in Graph.made] == ["thread_local"]


def test_a_full_gpu_is_reported_as_out_of_memory():
    def step(batch: dict) -> dict:
        if isinstance(torch.utils._python_dispatch._get_current_dispatch_mode(), Recorder):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return {"loss": batch["img"].sum()}

    with pretended_graphs(), pytest.raises(torch.cuda.OutOfMemoryError):
        CapturedStep(step, [torch.nn.Parameter(torch.ones(2))], "UEO")({"img": torch.ones(2)})


@pytest.mark.parametrize("name, options, device, why", [
    ("DANCE", (), "auto", "DANCE does not declare"), ("ARF", (), "auto", "ARF does not declare"),
    ("UEO", ("TRAINER.UEO.REFRESH", "True"), "auto", "UEO does not declare"),
    ("UEO", ("TRAINER.UEO.PREC", "amp"), "auto", "PREC amp"), ("UEO", (), "cpu", ""),
])
def test_methods_that_cannot_be_captured_run_without_a_graph_with_a_message(
    trained, capsys, name, options, device, why
):
    Graph.made.clear()
    losses, _ = trained(name, "vit", *options, device=device)
    said = [line for line in capsys.readouterr().out.splitlines() if "CUDA graph" in line]
    assert len(losses) > 5 and not Graph.made
    assert len(said) == bool(why) and why in "".join(said)
