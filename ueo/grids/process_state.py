"""Restore a process after a run, so that the next run gives the same results as in a new process.

What runs may share is kept: imported modules, the CUDA context, cuDNN's choice of algorithms, a
backbone's weights (`own_copy` in ueo/clip/backbones.py).
"""

import gc
import logging
import multiprocessing
import os
import random
import sys
import warnings

import numpy as np
import torch
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.evaluation import EVALUATOR_REGISTRY
from dassl.modeling import BACKBONE_REGISTRY, HEAD_REGISTRY, NETWORK_REGISTRY

from ueo.settings.discover import forget_files

REGISTRIES = (DATASET_REGISTRY, TRAINER_REGISTRY, EVALUATOR_REGISTRY, BACKBONE_REGISTRY,
              HEAD_REGISTRY, NETWORK_REGISTRY)
SWITCHES = tuple(
    (holder, name) for holder, names in (
        (torch.backends.cudnn, ("enabled", "benchmark", "deterministic", "allow_tf32")),
        (torch.backends.cuda.matmul, ("allow_tf32",)),
    ) for name in names
)
SETTINGS = (  # (getter, setter)
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (multiprocessing.get_start_method, lambda way: multiprocessing.set_start_method(way, True)),
)


def _handlers() -> dict[logging.Logger, list[logging.Handler]]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return {one: list(one.handlers) for one in loggers if isinstance(one, logging.Logger)}


class ProcessState:
    """A snapshot of what a run may change in its process."""

    def __init__(self):
        self.folder, self.environment = os.getcwd(), dict(os.environ)
        self.path, self.streams = list(sys.path), (sys.stdout, sys.stderr)
        self.filters, self.logging = list(warnings.filters), _handlers()
        self.registered = [dict(registry._obj_map) for registry in REGISTRIES]
        self.switches = [getattr(holder, name) for holder, name in SWITCHES]
        self.settings = [getter() for getter, _ in SETTINGS]
        self.numpy, self.torch = np.random.get_state(), torch.get_rng_state()
        self.seed = torch.initial_seed()

    def restore(self) -> None:
        """Restore the snapshot and free unused memory."""
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        sys.path[:], (sys.stdout, sys.stderr) = self.path, self.streams
        warnings.resetwarnings()  # so that warnings are shown again
        warnings.filters[:] = self.filters
        for logger in _handlers():
            logger.handlers[:] = self.logging.get(logger, ())
        forget_files()
        for registry, registered in zip(REGISTRIES, self.registered):
            registry._obj_map.clear()
            registry._obj_map.update(registered)
        for (holder, name), value in zip(SWITCHES, self.switches):
            setattr(holder, name, value)
        for (_, setter), value in zip(SETTINGS, self.settings):
            setter(value)
        random.seed()  # as in a new process
        np.random.set_state(self.numpy)
        torch.manual_seed(self.seed)  # CUDA's too
        torch.set_rng_state(self.torch)
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
