"""Shared by the benchmarks: count operations, alternate between the ways, write the report."""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from tabulate import tabulate
from torch.utils.flop_counter import FlopCounterMode

from ueo.files import write_json
from ueo.results.record import environment, peak_memory


def parsed(p: argparse.ArgumentParser) -> argparse.Namespace:
    """Add the options of how to measure, read the command line and set the number of threads."""
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's default")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    return args


def operations(function: Callable[[], None]) -> int:
    """Return the floating-point operations of one call; a multiply-add counts two."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def warmed_up(models: list, functions: list[Callable[[], None]]) -> list[int]:
    """Return the operations of each function, then warm the CUDA graphs up with one call of each.

    models: the `TimedModel`s that the functions use, see ueo.machine.measured.
    """
    captured = [model for model in models if model.graphs]
    for model in captured:
        model.graphs = False  # the counter sees no operations of a replay
    counts = [operations(function) for function in functions]
    for model in captured:
        model.graphs = True
    if captured:
        for function in functions:
            function()
    return counts


def unless_too_large(measure: Callable, what, *others):
    """Return measure(what, *others); print a line and return [] if the GPU runs out of memory."""
    try:
        return measure(what, *others)
    except torch.OutOfMemoryError:
        print(f"{what}: out of GPU memory, left out", flush=True)
    torch.cuda.empty_cache()
    return []


def take_turns(functions: list[Callable[[], None]], rounds: int) -> list[list[float]]:
    """Return the seconds of each function in each round; all functions run in every round."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for own, function in zip(times, functions):
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            own.append(time.perf_counter() - start)
    return times


def compared(times: list[list[float]]) -> dict:
    """Return the medians of the plain and the fast way, and the speed-up in each round."""
    ratios = [plain / fast for plain, fast in zip(*times)]
    return {
        "plain_seconds": statistics.median(times[0]),
        "fast_seconds": statistics.median(times[1]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def spread(row: dict) -> str:
    """Format the ratio with its range."""
    return f"{row['ratio']:.2f} ({min(row['ratios']):.2f}-{max(row['ratios']):.2f})"


def report(file: str, rows: list[dict], table: list[list], headers: list[str]) -> None:
    """Write the rows as JSON and print the table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    write_json(file, {
        "environment": environment(device), "peak_memory_bytes": peak_memory(device), "rows": rows,
    })
    print(tabulate(table, headers, floatfmt=".3f"), f"\n{file}\n", flush=True)
