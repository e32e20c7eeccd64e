"""An adapted model as an ONNX file: pixels in, class probabilities and score out."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ueo.errors import CheckpointError
from ueo.images.transforms import normalise
from ueo.inference.adapted_model import AdaptedModel

PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # the extra `onnx`
INSTALL = "pip install 'ueo-toolbox[onnx]'"
INPUT, OUTPUTS = "pixels", ("probabilities", "score")
TOLERANCE = 1e-4  # by which onnxruntime's outputs may differ from torch's


def missing_packages() -> list[str]:
    """Return those of PACKAGES that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


class NoGraphError(Exception):
    """torch cannot write what a network does as one graph."""


class PixelsToPredictions(nn.Module):
    """The network of an ONNX file, from the model's own towers on the CPU."""

    def __init__(self, model: AdaptedModel):
        super().__init__()
        self.clip, self.score = model.network.model, model.score
        self.register_buffer("classes", model.class_features)
        self.mean, self.std = model.normalise.mean, model.normalise.std

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(probabilities (batch, K), score (batch,)) of pixels (batch, height, width, 3), uint8."""
        features = self.clip.image_features(normalise(pixels, self.mean, self.std))
        cosines = self.clip.cosines(features, self.classes)
        probabilities = (self.clip.logit_scale * cosines).softmax(-1)
        return probabilities, self.score(features, cosines, padded=False).float()


def write_onnx(model: AdaptedModel, path: Path, facts: dict) -> float:
    """Write `path`, run it and compare it with the model. Returns the largest difference of a
    probability or score. facts: go into the file's metadata, as JSON.

    Raises CheckpointError if the difference is above TOLERANCE, NoGraphError if torch cannot write
    what the network does.
    """
    network = PixelsToPredictions(model).eval().requires_grad_(False)
    height, width = model.cfg.INPUT.SIZE
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, height, width, 3), dtype=torch.uint8, generator=generator)
    with network.clip.evaluating(), _decided(network.clip.adapter), _quiet():
        try:
            program = torch.onnx.export(
                network, (pixels[:2],), input_names=[INPUT], output_names=OUTPUTS, dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
            )
        except Exception as error:  # the exporter may raise anything
            raise NoGraphError from error
        program.model.metadata_props.update({k: json.dumps(v) for k, v in facts.items()})
        program.save(path)
        expected = network(pixels)
    differs = max(
        float(np.abs(ours.numpy() - theirs).max())
        for ours, theirs in zip(expected, run_onnx(path, pixels.numpy()))
    )
    if not differs <= TOLERANCE:
        raise CheckpointError(
            f"{path.name}: onnxruntime's outputs differ from torch's by {differs:.1g}, more "
            f"than {TOLERANCE:g}; leave the file out with --no-onnx"
        )
    return differs


def run_onnx(path: Path, pixels: np.ndarray) -> list[np.ndarray]:
    """[probabilities (batch, K), score (batch,)] of pixels (batch, height, width, 3), uint8."""
    import onnxruntime  # here, because it is an extra

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(list(OUTPUTS), {INPUT: pixels})


@contextmanager
def _decided(adapter: nn.Module) -> Iterator[None]:
    """Make scalar buffers of the adapter NumPy numbers within the block: while a network is
    exported, no branch can depend on a tensor."""
    single = {name: buffer for name, buffer in adapter.named_buffers(recurse=False)
              if buffer.dim() == 0}
    for name, buffer in single.items():
        delattr(adapter, name)
        setattr(adapter, name, buffer.numpy()[()])
    try:
        yield
    finally:
        for name, buffer in single.items():
            delattr(adapter, name)
            adapter.register_buffer(name, buffer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks, which are about its own workings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
