"""The suite `memory`: what one call takes beyond its input and its output, and whether many calls take more than one."""

from __future__ import annotations

import ctypes
import fnmatch
import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import checks
from benchmarks.images import SIZE, ids_of, in_dtype, photographs
from benchmarks.suites import Setting
from benchmarks.text import checked, megabytes
from degrade import Pipeline

OPS = "mean_shift", "gaussian_blur σ 2", "jpeg 4:2:0", "bank arniqa"  # a point op, a blur, a codec, a bank
WARM, MANY, QUICK_MANY = 3, 50, 20  # batches
NOISE = 4 << 20  # bytes by which a process's memory wanders
COLUMNS = ("op", "backend", "dtype", "batch", "input", "beyond input and output", "× input", "growth over many batches", "check")
RIGHT = COLUMNS[3:8]


@dataclass(frozen=True)
class Memory:
    """One row."""

    setting: Setting
    many: int


def settings(pattern: str, backend: str, quick: bool, batch: int | None) -> list[Memory]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = (batch,) if batch else (1, 32, 256) if device == "cuda" else (1, 32)
    dtypes = (torch.uint8,) if quick else (torch.uint8, torch.float16, torch.float32)
    return [
        Memory(Setting(op, backend, device, dtype, b, 1.0, SIZE), QUICK_MANY if quick else MANY)
        for op in OPS
        if any(fnmatch.fnmatch(op, p) for p in pattern.split(","))
        for dtype in dtypes
        for b in batches
    ]


def run(wanted: list[Memory], seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each; one that fails has no figures, and the others go on."""
    for each in wanted:
        try:
            yield {**each.setting.to_dict(), **measure(each)}
        except Exception as error:
            yield {**each.setting.to_dict(), "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


def measure(wanted: Memory) -> dict[str, Any]:
    """Memory of the process on a CPU, of torch's allocator on a GPU, once kernels are built and everything that is kept is there."""
    setting = wanted.setting
    x = in_dtype(photographs(setting.batch, setting.size), setting.dtype).to(setting.device)
    pipe = setting.pipeline()
    for number in range(WARM):
        pipe(x, ids=ids_of(number, len(x)))
    peak = max(peak_of(pipe, x, number) for number in range(WARM))
    before = held(x.device)
    for number in range(WARM, WARM + wanted.many):
        pipe(x, ids=ids_of(number, len(x)))
    growth = held(x.device) - before
    size = x.numel() * x.element_size()
    grows = growth > max(NOISE, size)
    found = {"growth": f"{megabytes(growth)} more after {wanted.many} batches" if grows else checks.OK}
    return {
        "checks": found, "ok": not checks.red(found), "input_bytes": size, "beyond_bytes": peak, "times_input": peak / size,
        "growth_bytes": growth, "batches": wanted.many,
    }  # fmt: skip


def peak_of(pipe: Pipeline, x: torch.Tensor, number: int) -> int:
    """The most that a call holds at once beyond what was held before it and the result."""
    before = held(x.device)
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats(x.device)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
    y = pipe(x, ids=ids_of(number, len(x)))
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    most = torch.cuda.max_memory_allocated(x.device) if x.is_cuda else _status("VmHWM")
    return max(0, most - before - y.numel() * y.element_size())


def held(device: torch.device) -> int:
    """Bytes that are held now, with what was given back truly given back."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.memory_allocated(device)
    if not sys.platform.startswith("linux"):
        raise NotImplementedError("a process's peak memory is read from Linux's /proc.")
    ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    head = [row["op"], row["backend"], row["dtype"], str(row["batch"])]
    if not row["ok"]:
        return [*head, "—", "—", "—", "—", checked(row)]
    figures = [megabytes(row["input_bytes"]), megabytes(row["beyond_bytes"]), f"{row['times_input']:.2f}"]
    return [*head, *figures, f"{megabytes(row['growth_bytes'])} in {row['batches']}", checked(row)]
