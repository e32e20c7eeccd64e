"""Several processes that train one model together, as torchrun starts them.

    torchrun --nproc-per-node 2 train.py ...

Each process works on its share of every batch. Outputs are gathered where a loss or a metric needs
the whole batch, and gradients are averaged before each step, so that all processes hold the same
weights. Process 0 alone writes files and prints. A script that was not started by torchrun is one
process, for which every function here does nothing.
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
    """Number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """Number of this process, 0 .. world_size() - 1."""
    return int(os.environ["RANK"]) if launched() else 0


def is_main() -> bool:
    """Whether this process is the one that writes and prints."""
    return rank() == 0


def silence() -> None:
    """End the standard output of all processes but the main one."""
    if not is_main():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (lives with the process)


def see_one_gpu() -> None:
    """Leave this process one GPU of its machine's, before CUDA starts.

    "cuda" is then its own, and trainers that use DataParallel on several GPUs see none to use.
    """
    if launched():
        local = int(os.environ["LOCAL_RANK"])
        visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        if visible:
            os.environ["CUDA_VISIBLE_DEVICES"] = visible[local] if local < len(visible) else ""
        elif "CUDA_VISIBLE_DEVICES" not in os.environ:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(local)


def start() -> None:
    """Connect the processes; every function below does so when it is first needed.

    Raises ProcessesError when some processes have a GPU and some have none.
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
    """Let this process, which failed, end with this exit status and without the others. They wait
    for it elsewhere, and NCCL lets no process leave before all do; torchrun ends them."""
    if launched() and dist.is_initialized():
        atexit.register(_end_alone, status)  # called before `_leave`


def _leave() -> None:
    if hasattr(sys, "last_value"):  # an error that nobody caught
        _end_alone(1)
    dist.destroy_process_group()


def _end_alone(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def barrier() -> None:
    """Wait for all processes."""
    if launched():
        broadcast(torch.zeros(1))  # dist.barrier() would need a GPU where there is one


@contextmanager
def main_first() -> Iterator[None]:
    """The main process runs the block, then the others do: for files that are made once."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def broadcast(tensor: Tensor) -> Tensor:
    """`tensor`, with the values that it has in the main process."""
    if launched():
        start()
        dist.broadcast(tensor, src=0)
    return tensor


def share(items: Sequence) -> Sequence:
    """This process's part of a list: consecutive, and at most one longer than another's."""
    count, size = len(items), world_size()
    return items[count * rank() // size : count * (rank() + 1) // size]


def batch_share(batch: Sequence) -> Sequence:
    """This process's part of a batch; the batch's first item where that would be nothing.

    A process without an image must still take part in the step. The double is found by its index.
    """
    return share(batch) or batch[:1]


@dataclass(frozen=True)
class WholeBatch:
    """How the rows of one batch are put together from the shares of all processes.

    once: positions among the gathered rows without doubles, see `batch_share`; None: one process
    has them all. counts: rows of each process, which need not be asked for again.
    """

    once: tuple[int, ...] | None = None
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, index: Tensor) -> "WholeBatch":
        """index: (own share,), the images' positions in their list, or a negative number for one
        that does not belong to the batch."""
        if not launched():
            return cls()
        counts = _counts(index)
        seen = _Gather.apply(index, counts).tolist()
        return cls(tuple(i for i, position in enumerate(seen)
                         if position >= 0 and position not in seen[:i]), counts)

    def rows(self, share: Tensor) -> Tensor:
        """(batch, ...) of the rows (own share, ...) of this process, see `gather`."""
        if self.once is None:
            return share
        gathered = _Gather.apply(share, self.counts)
        return gathered if len(self.once) == len(gathered) else gathered[list(self.once)]


def gather(rows: Tensor) -> Tensor:
    """Rows of all processes, in the order of the processes, with gradient to one's own.

    rows: (own rows, ...), as many as each process has. Returns (all rows, ...). What every process
    computes from the result in the same way has, averaged over processes, the gradient that a
    single process would have got.
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
    """How many rows each process has. The host waits for the device, to read them."""
    start()
    own = torch.full((1,), len(rows), device=rows.device)
    counts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(counts, own)
    return tuple(torch.cat(counts).tolist())


def unify(module: nn.Module) -> None:
    """Give all processes the main one's weights, and average gradients whenever they are computed.

    Nothing has to be added to a training step: at the end of each backward pass, the gradients that
    it changed are averaged over the processes. So they are before a GradScaler looks for infinite
    ones, and all processes take or leave a step together.
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
    """Replace tensors by their mean over all processes, in place; one message for each dtype."""
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
