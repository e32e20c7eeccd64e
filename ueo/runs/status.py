"""How a command ends: its exit status, and a one-line message for a user's mistake."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import dassl.utils
import torch

from modern_dassl import distributed
from ueo.errors import UserError, reason
from ueo.runs.configure import RunSettings
from ueo.runs.start import run
from ueo.text import shown

DONE, MISTAKE, NOT_FINITE, INTERRUPTED = 0, 2, 3, 130
# errors that a user can correct; genuine Dassl has no DasslError
MISTAKES = (UserError, OSError, distributed.ProcessesError,
            getattr(dassl.utils, "DasslError", UserError))

LESS_MEMORY = ("lower DATALOADER.TRAIN_X.BATCH_SIZE and DATALOADER.TEST.BATCH_SIZE (--batch-size), "
               "name fewer classes")
LESS_GPU_MEMORY = (f"{LESS_MEMORY}, use --device cpu, run fewer at once (--jobs), or, with the "
                   "same results, set DATASET.DEVICE_GB 0 and the trainer's GRAPH False")
ALLOCATOR = "DefaultCPUAllocator"  # in torch's message when host memory runs out
# the messages of CUDA, cuBLAS and Triton when GPU memory runs out, as other processes may fill it
GPU_FULL = ("CUDA error: out of memory", "CUDA driver error: out of memory",
            "CUBLAS_STATUS_ALLOC_FAILED", "Triton Error [CUDA]: out of memory")


def status_of(work: Callable[[], int | None]) -> int:
    """Do `work` and return its exit status (None: DONE); MISTAKE for a user's mistake, which is
    printed in one line; INTERRUPTED for Ctrl-C."""
    console = sys.stdout  # a run replaces it by its log
    try:
        return work() or DONE
    except MISTAKES as error:
        return _told(one_line(error), MISTAKE)
    except RuntimeError as error:
        message = str(error)
        if isinstance(error, torch.cuda.OutOfMemoryError) or any(f in message for f in GPU_FULL):
            return _told(f"out of GPU memory; {LESS_GPU_MEMORY}", MISTAKE)
        if ALLOCATOR not in message:
            raise
        return _told(f"out of memory; {LESS_MEMORY}", MISTAKE)
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to resume", file=sys.stderr)
        distributed.fail(INTERRUPTED)
        return INTERRUPTED
    finally:
        sys.stdout = console


def command(parser: Callable[[], ArgumentParser]) -> Callable[[Callable], Callable]:
    """Decorate a function of the parsed arguments: it becomes main(argv), by default with the
    arguments of the process, which returns an exit status as `status_of` does."""

    def with_arguments(work: Callable[[Namespace], int | None]) -> Callable:
        def main(argv: list[str] | None = None) -> int:
            return status_of(lambda: work(parser().parse_args(argv)))

        return main

    return with_arguments


def run_to_status(settings: RunSettings) -> int:
    """Run and return the exit status: that of `status_of`, or NOT_FINITE if the loss was not."""

    def work() -> int | None:
        try:
            run(settings)
        except FloatingPointError as error:
            return _told(f"{one_line(error)}; lower OPTIM.LR or use PREC fp32", NOT_FINITE)

    return status_of(work)


def _told(message: str, status: int) -> int:
    process = "" if distributed.is_main() else f" (process {distributed.rank()})"
    print(f"Error{process}: {message}", file=sys.stderr)
    distributed.fail(status)
    return status


def one_line(error: Exception) -> str:
    """Return the message of an error, without the traceback that a loader's worker puts around it.
    """
    if isinstance(error, OSError) and error.strerror:
        return shown(reason(error))
    message = str(error).strip()
    if not message.startswith("Caught "):  # as a worker's message does
        return shown(message or type(error).__name__)
    return shown(message.splitlines()[-1].split("Error: ", 1)[-1])
