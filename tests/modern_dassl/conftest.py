"""A data set of a few tiny images and a linear trainer that draws from every random state."""

import random

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, TrainerXU
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from PIL import Image
from torch import nn
from torch.nn import functional as F


@DATASET_REGISTRY.register()
class Specks(DatasetBase):
    """Three classes of 8 x 8 images: 12 labelled, 9 unlabelled, 6 to validate, 6 to test."""

    def __init__(self, cfg):
        root = cfg.DATASET.ROOT
        items = [
            Datum(f"{root}/{label}_{i}.png", label, 0, f"class {label}")
            for i in range(11)
            for label in range(3)
        ]
        super().__init__(items[:12], items[12:21], items[21:27], items[27:])


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Folder of the images of Specks."""
    folder = tmp_path_factory.mktemp("specks")
    generator = np.random.default_rng(0)
    for label in range(3):
        for i in range(11):
            pixels = generator.integers(0, 120, (8, 8, 3)) + 60 * label
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{label}_{i}.png")
    return folder


class _Linear:
    def build_model(self):
        torch.manual_seed(1)
        self.model = nn.Linear(3 * 8 * 8, self.num_classes)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("linear", self.model, self.optim, self.sched)
        self.rates = []

    def learn(self, images, labels):
        # all three random states decide what is learnt
        noise = random.random() + np.random.rand() + torch.rand(()).item()
        output = self.model_inference(images) * (1 + 0.1 * noise)
        loss = F.cross_entropy(output, labels)
        self.model_backward_and_update(loss)
        self.rates.append(self.get_current_lr())
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(output, labels)[0].item()}

    def model_inference(self, input):
        return self.model(input.flatten(1))


@TRAINER_REGISTRY.register()
class LinearX(_Linear, TrainerX):
    def forward_backward(self, batch):
        images, labels, _ = self.parse_batch_train(batch)
        return self.learn(images, labels)


@TRAINER_REGISTRY.register()
class LinearXU(_Linear, TrainerXU):
    def forward_backward(self, batch_x, batch_u):
        images, labels, unlabelled = self.parse_batch_train(batch_x, batch_u)
        return self.learn(images + 0.01 * unlabelled.mean(), labels)


@pytest.fixture
def make_cfg(images, tmp_path):
    """make_cfg("KEY", value, ...): configuration of a run of LinearX in a folder of its own."""

    def make(*pairs):
        cfg = get_cfg_default()
        options = [
            "TRAINER.NAME", "LinearX", "DATASET.NAME", "Specks", "DATASET.ROOT", str(images),
            "OUTPUT_DIR", str(tmp_path / "run"), "INPUT.SIZE", (8, 8), "USE_CUDA", False,
            "INPUT.TRANSFORMS", ("random_resized_crop", "random_flip", "cutout", "normalize"),
            "INPUT.CUTOUT_LEN", 4, "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.BATCH_SIZE", 4,
            "OPTIM.NAME", "sgd", "OPTIM.LR", 0.02, "OPTIM.MAX_EPOCH", 6, "VERBOSE", False,
            "OPTIM.LR_SCHEDULER", "cosine", "OPTIM.WARMUP_EPOCH", 2,
            "OPTIM.WARMUP_TYPE", "constant", "TRAIN.PRINT_FREQ", 1,
        ]  # fmt: skip
        cfg.merge_from_list([*options, *pairs])
        return cfg

    return make


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random states, on one thread."""
    torch.set_num_threads(1)  # the models are tiny
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
