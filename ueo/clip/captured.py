"""One training step as one CUDA graph: forward and backward of a batch, launched at once.

A step launches hundreds of small kernels one by one, and a GPU often waits for the next. A graph is
recorded once and then replayed on the same memory: each batch is copied to the place of the first,
and losses and gradients are written to the same tensors. The optimiser is not part of the graph.

Only kernels are recorded. The Python code of a loss runs during recording and never again. So a
method whose loss carries state from step to step, or draws random numbers on the host, cannot be
captured: `capturable` in trainers/base.py. Draws on the device are new in each replay.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from modern_dassl import distributed
from modern_dassl.random_states import drew_on_cpu, get_random_states, set_random_states
from ueo.errors import ConfigError, first_line
from ueo.settings.config import is_online, is_sharded

WARM_UP = 3  # steps before recording, in which cuDNN chooses algorithms and libraries allocate
BY_ONE = "Kernels of a step are launched one by one, not as a CUDA graph"
TOLERANCE = 0.02  # of a replayed loss, relative or absolute; rounding differs in half precision


def why_not_captured(trainer) -> str:
    """Return why the steps of a CLIPTrainer on CUDA cannot be captured; "" if they can."""
    name, cfg = type(trainer).__name__, trainer.cfg
    reasons = (
        (not trainer.capturable, f"{name} does not declare that its loss is `capturable`"),
        (is_online(cfg), "the batches of a stream differ in more than their images"),
        (is_sharded(cfg), "images in shards are not supported"),
        (distributed.launched(), "it needs one process, not several of torchrun"),
        (trainer.precision == "amp", "PREC amp changes its scale between steps"),
    )
    return next((why for wrong, why in reasons if wrong), "")


def captured_step(
    trainer, step: Callable[[dict], dict], parameters: list[nn.Parameter]
) -> "CapturedStep | None":
    """Return the captured step of a CLIPTrainer; None on a CPU, if GRAPH is False, or if it is
    impossible, which is printed."""
    if trainer.device.type != "cuda" or not trainer.options.GRAPH:
        return None
    if why := why_not_captured(trainer):
        print(f"{BY_ONE}: {why}")
        return None
    return CapturedStep(step, parameters, type(trainer).__name__)


class CapturedStep:
    """Computes the losses of a batch, and their gradients in `.grad` of `parameters`.

    step: batch -> {name: loss}; replaces the gradients by those of the batch. It is called directly
    for a batch whose shape differs from the first's, such as a smaller last one, and always if it
    draws random numbers on the host, which is printed: a replay would repeat them.
    name: of the trainer, for messages.
    """

    def __init__(
        self, step: Callable[[dict], dict], parameters: list[nn.Parameter], name: str
    ):
        self.step, self.parameters, self.name = step, parameters, name
        self._batch: dict | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._losses: dict[str, Tensor] = {}
        self._gradients: list[Tensor | None] = []

    def __call__(self, batch: dict) -> dict:
        if self._batch is None:
            return self._capture(batch)
        if self._graph is None or _shapes(batch) != _shapes(self._batch):
            return self.step(batch)
        for key, kept in self._batch.items():
            if isinstance(kept, Tensor):
                kept.copy_(batch[key], non_blocking=True)
        return self._replay()

    def _replay(self) -> dict:
        self._graph.replay()
        for parameter, gradient in zip(self.parameters, self._gradients):
            parameter.grad = gradient
        return {name: value.clone() if isinstance(value, Tensor) else value
                for name, value in self._losses.items()}  # the next replay overwrites them

    def _capture(self, batch: dict) -> dict:
        """Record the step on a copy of this batch on the device, replay it, and compare."""
        device = self.parameters[0].device  # copies from the CPU cannot be recorded
        self._batch = {k: v.to(device, copy=True) if isinstance(v, Tensor) else v
                       for k, v in batch.items()}
        before = get_random_states()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                expected = self.step(self._batch)["loss"].detach().clone()
        torch.cuda.current_stream().wait_stream(stream)
        if drew_on_cpu(before, get_random_states()):
            print(f"{BY_ONE}: {self.name}'s loss draws random numbers on the host")
            self._batch = {}
            set_random_states(before)  # a run without a graph draws the same
            return self.step(batch)
        for parameter in self.parameters:
            parameter.grad = None  # so that the graph allocates the gradients
        self._graph = torch.cuda.CUDAGraph()
        try:
            # in mode "global", a loader's thread that pins a batch would make the recording fail
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._losses = {n: v.detach() if isinstance(v, Tensor) else v
                                for n, v in self.step(self._batch).items()}
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ConfigError(
                f"TRAINER.{self.name}.GRAPH: the step could not be captured in a CUDA graph "
                f"({first_line(error)}); set it False"
            ) from error
        self._gradients = [parameter.grad for parameter in self.parameters]
        losses = self._replay()
        found, wanted = losses["loss"].item(), expected.item()
        if abs(found - wanted) > TOLERANCE * max(1.0, abs(wanted)):
            raise ConfigError(
                f"TRAINER.{self.name}.GRAPH: the captured step gives the loss {found:.6g}, the "
                f"step itself {wanted:.6g}; set it False"
            )
        return losses


def _shapes(batch: dict) -> dict:
    return {k: (v.shape, v.dtype) for k, v in batch.items() if isinstance(v, Tensor)}
