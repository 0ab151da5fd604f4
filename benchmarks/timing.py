"""Clocks. Contestants are always timed in turns within one run, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

Call = Callable[[int], object]  # takes the number of the round, so that every call can draw anew
Stats = dict[str, float]

CUDA_WARMUP, CUDA_REPEATS, CUDA_BLOCKS = 25, 100, 4
CUDA_SECONDS, CUDA_LEAST = 1.0, 3  # a contestant's timed calls take no longer, and its warm-up a quarter, but for three calls of a block
CPU_LEAST, CPU_MOST = 3, 200
GATE_CYCLES = 2_000_000  # about a millisecond of a busy device for each millisecond that the host needs


def summary(milliseconds: list[float]) -> Stats:
    """Median, quartiles, mean and number of repeats."""
    q1, median, q3 = np.percentile(milliseconds, (25, 50, 75)).tolist()
    return {"median": median, "q1": q1, "q3": q3, "mean": float(np.mean(milliseconds)), "repeats": len(milliseconds)}


def on_cpu(contestants: dict[str, Call], seconds: float, clock: Callable[[], float] = time.perf_counter) -> dict[str, Stats]:
    """Milliseconds of one call each, by default of the wall clock, round-robin until the time is up, with at least three rounds."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        call(0)
    end = time.perf_counter() + seconds
    for number in range(1, CPU_MOST + 1):
        for name, call in contestants.items():
            taken[name].append(_taken(call, number, clock))
        if number >= CPU_LEAST and time.perf_counter() > end:
            break
    return {name: summary(values) for name, values in taken.items()}


def _taken(call: Call, number: int, clock: Callable[[], float]) -> float:
    start = clock()
    call(number)
    return (clock() - start) * 1e3


def on_cuda(contestants: dict[str, Call]) -> dict[str, dict[str, Stats]]:
    """Steady calls without waiting in between: `ms` from event to event, `wall_ms` by the host's clock per block.

    A call whose host part is longer than its device part shows its host part. Caches are as the loop leaves them.
    """
    lengths = {name: _warm(call) for name, call in contestants.items()}
    events: dict[str, list[float]] = {name: [] for name in contestants}
    walls: dict[str, list[float]] = {name: [] for name in contestants}
    for block in range(CUDA_BLOCKS):
        for name, call in contestants.items():
            between, wall = _block(call, range(block * (lengths[name] + 1), (block + 1) * (lengths[name] + 1)))
            events[name] += between[1:]  # the first also fills the queue
            walls[name].append(wall)
    return {name: {"ms": summary(events[name]), "wall_ms": summary(walls[name])} for name in contestants}


def _warm(call: Call) -> int:
    """Warm a call up, and say how many calls a block of it has: slow ones, as a loop over images, have fewer of both."""
    call(0)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for number in range(1, CUDA_WARMUP):
        call(number)
        if number == CUDA_LEAST:
            torch.cuda.synchronize()
            seconds = (time.perf_counter() - start) / number
            if seconds * CUDA_WARMUP > CUDA_SECONDS / 4:
                break
    return repeats(seconds) // CUDA_BLOCKS


def repeats(seconds: float) -> int:
    """Timed calls of one that takes so long."""
    return int(min(CUDA_REPEATS, max(CUDA_BLOCKS * CUDA_LEAST, CUDA_SECONDS / seconds)))


def _block(call: Call, numbers: range) -> tuple[list[float], float]:
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(len(numbers) + 1)]
    torch.cuda.synchronize()
    start = time.perf_counter()
    marks[0].record()
    for mark, number in zip(marks[1:], numbers):
        call(number)
        mark.record()
    torch.cuda.synchronize()
    wall = (time.perf_counter() - start) * 1e3 / len(numbers)
    return [a.elapsed_time(b) for a, b in itertools.pairwise(marks)], wall


def device_only(call: Call, host_ms: float) -> Stats:
    """Device time of one call: the device is kept busy until the host has launched all of it, if the host never waits."""
    taken = []
    for number in range(CUDA_REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        torch.cuda._sleep(int(GATE_CYCLES * (1.0 + 2.0 * host_ms)))
        begin.record()
        call(number)
        end.record()
        torch.cuda.synchronize()
        taken.append(begin.elapsed_time(end))
    return summary(taken)


@contextmanager
def one_thread() -> Iterator[None]:
    """torch and OpenCV on one thread."""
    import cv2

    threads, others = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(others)
