"""Training on a pretended GPU: every method succeeds, and no step waits for the device."""

import itertools
import os
from collections import Counter

import pytest
from conftest import read, toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed
from pretended_gpu import pretended_gpu
from pretended_graph import pretended_graphs

from ueo.clip.model import PromptedCLIP
from ueo.commands import train
from ueo.runs.configure import build_cfg

KINDS = {name: TRAINER_REGISTRY.get(name) for name in trainer_names()}
PRECISIONS = ("fp16", "amp", "fp32")
MOST_KERNELS = 270  # of a step with these small towers: a launch costs as much as a small kernel
BATCHES = {"CLIPTTA": 2}  # in one pass, where there are more: CLIPTTA draws one from its memory
# each trainer once, in turn with each precision and each tower
RUNS = [(name, PRECISIONS[i % 3], ("rn", "vit")[i % 2]) for i, name in enumerate(KINDS)]
RUNS += [run for run in itertools.product(("UEO",), PRECISIONS, ("rn", "vit")) if run not in RUNS]
if os.environ.get("TEST_EVERY_PRECISION"):  # of every trainer with both towers: three minutes
    RUNS = list(itertools.product(KINDS, PRECISIONS, ("rn", "vit")))


def arguments(root: str, weights: dict, out, name: str, precision: str, kind: str) -> list[str]:
    argv = toy_arguments(root, weights, out, kind=kind, trainer=name, epochs=1)
    argv[argv.index("--device") + 1] = "auto"
    return [*argv, f"TRAINER.{name}.PREC", precision, "DATASET.NUM_SHOTS", "3",
            "TRAINER.TipAdapter.VIEWS", "1", "TRAINER.TipAdapterF.VIEWS", "1"]


@pytest.mark.parametrize("name, precision, kind", RUNS)
def test_a_run_ends_well_on_a_gpu(toy_root, weights, tmp_path, name, precision, kind, capsys):
    with pretended_gpu(), pretended_graphs():
        status = train.main(arguments(toy_root, weights, tmp_path, name, precision, kind))
    assert status == 0, capsys.readouterr().err
    found = read(tmp_path)
    assert found["precision"] == precision and found["environment"]["device"] == "pretended"


@pytest.fixture
def steps(toy_root, weights, tmp_path, monkeypatch):
    """Counts of each step of an epoch, launched kernel by kernel: steps(name, precision, kind,
    *options) -> [(reads, kernels, passes of the image tower), ...]."""
    passes = []
    encode = PromptedCLIP.encode_images
    monkeypatch.setattr(PromptedCLIP, "encode_images",
                        lambda model, images: passes.append(1) or encode(model, images))

    def run(name: str, precision: str, kind: str, *options: str) -> list[tuple[Counter, int, int]]:
        argv = arguments(toy_root, weights, tmp_path, name, precision, kind)
        argv += [f"TRAINER.{name}.GRAPH", "False"]
        counts = []
        with pretended_gpu() as gpu:
            cfg = build_cfg(train.settings_of([*argv, "TRAIN.PRINT_FREQ", "2", *options]))
            set_random_seed(cfg.SEED)
            trainer = build_trainer(cfg)
            step = trainer.forward_backward

            def counted(batch: dict) -> dict:
                gpu.reset()
                passes.clear()
                losses = step(batch)
                counts.append((Counter(gpu.reads), sum(gpu.kernels.values()), len(passes)))
                return losses

            trainer.forward_backward = counted
            trainer.before_train()
            trainer.epoch = 0
            trainer.before_epoch()
            trainer.run_epoch()
        return counts

    return run


@pytest.mark.parametrize("name, options", [
    *((name, ()) for name, kind in KINDS.items() if not kind.training_free),
    ("MARS", ("TRAINER.MARS.FIRST_STAGE", "0.0")),  # its second stage
])
def test_a_step_without_logging_reads_nothing_from_the_gpu(steps, name, options):
    counts = steps(name, "fp16", "vit", "DATALOADER.TRAIN_X.BATCH_SIZE", "4", *options)
    assert len(counts) > 2
    for number, (reads, kernels, passes) in enumerate(counts, 1):
        logged = number % 2 == 0 or number == len(counts)
        assert sum(reads.values()) == logged, reads  # one read of the losses
        limit = max(BATCHES.get(name, 1), passes) * MOST_KERNELS
        assert kernels <= limit, f"{kernels} kernels a step: compute all views in one pass"
