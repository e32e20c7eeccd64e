"""Train one model in several processes that torchrun started.

    torchrun --nproc-per-node 2 train.py ...

Each process works on its share of every batch. Outputs are gathered if a loss or a metric needs the
whole batch. Gradients are averaged before each step, so all processes have the same weights. Only
process 0 writes files and prints. Without torchrun there is one process, and every function here
does nothing.
"""

import atexit
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Variable

PATIENCE = timedelta(hours=2)  # one process may fetch or unpack a data set while the others wait


class ProcessesError(RuntimeError):
    """Processes that cannot train together."""


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return world_size() > 1


def world_size() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """Return the number of this process, 0 .. world_size() - 1."""
    return int(os.environ["RANK"]) if launched() else 0


def is_main() -> bool:
    """Whether this is the process that writes and prints."""
    return rank() == 0


def silence() -> None:
    """Discard the standard output of all processes except the main one."""
    if not is_main():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (lives with the process)


def see_one_gpu() -> None:
    """Make only one GPU of the machine visible to this process, before CUDA is initialised.

    Then "cuda" is that GPU, and trainers do not use DataParallel, which needs several GPUs.
    """
    if launched():
        local = int(os.environ["LOCAL_RANK"])
        visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        if visible:
            os.environ["CUDA_VISIBLE_DEVICES"] = visible[local] if local < len(visible) else ""
        elif "CUDA_VISIBLE_DEVICES" not in os.environ:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(local)


def start() -> None:
    """Connect the processes; every function below does so on first use.

    Raise ProcessesError if only some processes have a GPU.
    """
    if not launched() or dist.is_initialized():
        return
    gpu = torch.cuda.is_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)
    atexit.register(_leave)
    gpus = [None] * world_size()
    dist.all_gather_object(gpus, gpu)
    if len(set(gpus)) > 1:
        raise ProcessesError(
            f"{world_size()} processes were started, but only {sum(gpus)} of them have a GPU; "
            "start one for each GPU, or hide all GPUs (CUDA_VISIBLE_DEVICES=)"
        )


def fail(status: int) -> None:
    """Let this failed process exit with `status` without waiting for the others. NCCL would keep it
    until all processes leave, but they wait for it elsewhere; torchrun ends them."""
    if launched() and dist.is_initialized():
        atexit.register(_end_alone, status)  # called before `_leave`


def _leave() -> None:
    if hasattr(sys, "last_value"):  # an uncaught error
        _end_alone(1)
    dist.destroy_process_group()


def _end_alone(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def barrier() -> None:
    """Wait for all processes."""
    if launched():
        broadcast(torch.zeros(1))  # dist.barrier() would use a GPU if there is one


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block in the main process first, then in the others: for files that are made once."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def broadcast(tensor: Tensor) -> Tensor:
    """Fill `tensor` in place with its values in the main process; return it."""
    if launched():
        start()
        dist.broadcast(tensor, src=0)
    return tensor


def share(items: Sequence) -> Sequence:
    """Return this process's consecutive part of a list; lengths differ by at most one."""
    count, size = len(items), world_size()
    return items[count * rank() // size : count * (rank() + 1) // size]


def batch_share(batch: Sequence) -> Sequence:
    """Return this process's part of a batch; the first item of the batch if the part is empty.

    A process without an image must still take part in the step. `WholeBatch` drops the duplicate.
    """
    return share(batch) or batch[:1]


@dataclass(frozen=True)
class WholeBatch:
    """Assembles the rows of one batch from the shares of all processes.

    once: positions of the gathered rows without duplicates, see `batch_share`; None if one process
    has all rows. counts: rows of each process, cached.
    """

    once: tuple[int, ...] | None = None
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, index: Tensor) -> "WholeBatch":
        """Gather the indices of a batch. index: (own share,), positions of the images in their
        list; negative for an image that does not belong to the batch."""
        if not launched():
            return cls()
        counts = _counts(index)
        seen = _Gather.apply(index, counts).tolist()
        return cls(tuple(i for i, position in enumerate(seen)
                         if position >= 0 and position not in seen[:i]), counts)

    def rows(self, share: Tensor) -> Tensor:
        """Gather this process's rows (own share, ...) into (batch, ...), see `gather`."""
        if self.once is None:
            return share
        gathered = _Gather.apply(share, self.counts)
        return gathered if len(self.once) == len(gathered) else gathered[list(self.once)]


def gather(rows: Tensor) -> Tensor:
    """Gather the rows of all processes in rank order; gradients flow to this process's rows.

    rows: (own rows, ...); their number may differ between processes. Return (all rows, ...). If all
    processes compute the same loss from the result, the gradient averaged over processes equals
    that of a single process.
    """
    return _Gather.apply(rows, _counts(rows)) if launched() else rows


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, counts: tuple[int, ...]) -> Tensor:
        ctx.begin, ctx.count = sum(counts[: rank()]), counts[rank()]
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts)])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.begin : ctx.begin + ctx.count] * world_size(), None


def _counts(rows: Tensor) -> tuple[int, ...]:
    """Return the number of rows of each process. The host waits for the device to read them."""
    start()
    own = torch.full((1,), len(rows), device=rows.device)
    counts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(counts, own)
    return tuple(torch.cat(counts).tolist())


def unify(module: nn.Module) -> None:
    """Copy the main process's weights to all processes, and average gradients from now on.

    A training step needs no change: at the end of each backward pass, the gradients that it changed
    are averaged over the processes. This happens before a GradScaler looks for infinite gradients,
    so all processes take or skip a step together.
    """
    if not launched():
        return
    for tensor in [*module.parameters(), *module.buffers()]:
        broadcast(tensor.detach())
    changed: list[nn.Parameter] = []

    def flush() -> None:
        average([parameter.grad for parameter in changed])
        changed.clear()

    def note(parameter: nn.Parameter) -> None:
        if not changed:
            Variable._execution_engine.queue_callback(flush)  # once, when the pass ends
        changed.append(parameter)

    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(note)


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors in place by their mean over all processes; one message per dtype."""
    if not launched():
        return
    start()
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for members in by_type.values():
        flat = torch.cat([member.reshape(-1) for member in members]) / world_size()
        dist.all_reduce(flat)
        for member, mean in zip(members, flat.split([m.numel() for m in members])):
            member.copy_(mean.view_as(member))
