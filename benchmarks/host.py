"""The suite `host`: what the host does for a batch before a GPU has anything to do, and what is left of it where a loader's workers do it.

Drawing and planning need no images and no GPU. A batch that a worker prepared (`degrade.data.Prepare`) costs the process that trains its unpickling, in
place of both. On a GPU, what is left after them, the upload and the launches, is timed too, until the host is free again.
"""

from __future__ import annotations

import fnmatch
import pickle
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

import degrade
from benchmarks import checks, timing
from benchmarks.images import SIZE, ids_of, in_dtype, photographs
from benchmarks.suites import BATCH, Setting
from benchmarks.text import checked
from degrade import Prepared

OPS = "mean_shift", "point ops: 4", "mixed ops: 4", "1–3 local ops", "bank kadid10k", "bank arniqa"
PROGRAMS = 16  # different ones, so that nothing but what is kept between batches is found again
COLUMNS = ("op", "batch", "drawing, ms", "planning, ms", "launches", "upload and launches, ms", "from a worker, kB", "unpickled, ms", "check")
RIGHT = COLUMNS[1:8]


def settings(pattern: str, batch: int | None) -> list[Setting]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [
        Setting(op, "triton", device, torch.uint8, b, 1.0, SIZE)
        for op in OPS
        if any(fnmatch.fnmatch(op, p) for p in pattern.split(","))
        for b in ((batch,) if batch else (1, BATCH))
    ]


def run(wanted: list[Setting], seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each; one that fails has no figures, and the others go on."""
    for each in wanted:
        try:
            yield {**each.to_dict(), **measure(each, seconds)}
        except Exception as error:
            yield {**each.to_dict(), "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


def measure(setting: Setting, seconds: float) -> dict[str, Any]:
    """Milliseconds of each part, in turns."""
    pipe, size = setting.pipeline(), (setting.size, setting.size)
    programs = [pipe.sample(ids_of(number, setting.batch), size) for number in range(PROGRAMS)]
    ready = [degrade.prepare(program) for program in programs]
    sent = [pickle.dumps(each) for each in ready]
    contestants: dict[str, timing.Call] = {
        "draw_ms": lambda number: pipe.sample(ids_of(number, setting.batch), size),
        "plan_ms": lambda number: degrade.prepare(programs[number % PROGRAMS]),
        "load_ms": lambda number: pickle.loads(sent[number % PROGRAMS]),
    }
    if setting.device == "cuda":
        contestants["launch_ms"] = partial(launched, ready, in_dtype(photographs(setting.batch, setting.size), setting.dtype).cuda())
    times = timing.on_cpu(contestants, seconds)
    if setting.device == "cuda":
        torch.cuda.synchronize()
    found = {"sent": checks.outcome(lambda: alike(ready[0], pickle.loads(sent[0])))}
    plan = ready[0].plan
    assert plan is not None
    return {
        **times, "checks": found, "ok": not checks.red(found), "launches": len(plan.launches), "sent_bytes": int(np.mean([len(each) for each in sent])),
    }  # fmt: skip


def launched(ready: list[Prepared], x: torch.Tensor, number: int) -> torch.Tensor:
    return degrade.apply(ready[number % PROGRAMS], x, backend="triton", check="never")


def alike(one: Prepared, other: Prepared) -> str:
    """Whether a program is prepared alike here and there."""
    assert one.plan is not None and other.plan is not None
    same = one.program.equals(other.program) and np.array_equal(one.plan.arena, other.plan.arena) and one.plan.launches == other.plan.launches
    return checks.OK if same else "another plan than was sent"


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    head = [row["op"], str(row["batch"])]
    if not row["ok"]:
        return [*head, *["—"] * 6, checked(row)]
    draw, plan, load = (f"{row[name]['median']:.2f}" for name in ("draw_ms", "plan_ms", "load_ms"))
    launch = f"{row['launch_ms']['median']:.2f}" if "launch_ms" in row else ""
    return [*head, draw, plan, str(row["launches"]), launch, f"{row['sent_bytes'] / 1e3:.0f}", load, checked(row)]
