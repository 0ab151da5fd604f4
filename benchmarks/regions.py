"""What a part of the frame costs: an op under a mask or in cells, timed in turns with the same op over the whole frame and in one cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import degrade
from benchmarks.suites import Setting
from benchmarks.text import checked, significant
from benchmarks.timing import Call, Stats
from degrade import Pipeline
from degrade.explain import explain

DRAWN = 4  # programs drawn beforehand, applied in turns
COLUMNS = (
    "op", "region", "area", "backend", "batch", "size", "ms", "of it drawing", "and planning", "× copy floor", "× whole frame", "run × whole", "bytes × whole",
    "run × one cell", "bytes × one", "labels unread", "check",
)  # fmt: skip
RIGHT = [name for name in COLUMNS if name not in ("op", "region", "backend", "check")]


def calls(setting: Setting, pipe: Pipeline, x: torch.Tensor) -> dict[str, Call]:
    """What such a row also times: the call with labels that nobody reads, and the others' calls; of each also programs that are drawn already."""
    if not setting.region:
        return {}
    out: dict[str, Call] = {"labels": lambda number: pipe(x, ids=_ids(number, x), labels=True), "run": _run(pipe, x)}
    for name, other in setting.beside().items():
        theirs = other.pipeline()
        out |= {name: lambda number, theirs=theirs: theirs(x, ids=_ids(number, x)), f"{name} run": _run(theirs, x)}  # type: ignore[misc]
    return out


def _ids(number: int, x: torch.Tensor) -> Any:
    return np.arange(number * len(x), (number + 1) * len(x))


def _run(pipe: Pipeline, x: torch.Tensor) -> Call:
    programs = [pipe.sample(_ids(number, x), (x.shape[2], x.shape[3])) for number in range(DRAWN)]
    return lambda number: degrade.apply(programs[number % DRAWN], x, backend=pipe.backend, check="never")


def ratios(setting: Setting, pipe: Pipeline, x: torch.Tensor, times: Callable[[str], Stats]) -> dict[str, Any]:
    """The row's fields from the times of these calls and of the row's own, "pipe"; and what `explain` predicts from bytes, for Triton's kernels."""
    if not setting.region:
        return {}
    own, own_run, own_bytes, beside = times("pipe"), times("run"), bytes_of(pipe, x), {}
    for name, other in setting.beside().items():
        ms, run_ms, moved = times(name), times(f"{name} run"), bytes_of(other.pipeline(), x)
        beside[name] = {
            "ms": ms,
            "run_ms": run_ms,
            "bytes": moved,
            "ratio": own["median"] / ms["median"],
            "run_ratio": own_run["median"] / run_ms["median"],
            "bytes_ratio": own_bytes / moved,
        }
    return {"run_ms": own_run, "bytes": own_bytes, "labels_ratio": times("labels")["median"] / own["median"], "beside": beside}


def bytes_of(pipe: Pipeline, x: torch.Tensor) -> int:
    """What the launches of one batch read and write, masks made of the images included."""
    return explain(pipe(x, ids=_ids(0, x), labels=True)[1].program, x.dtype).bytes


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    head = [row["op"], row["region"], f"{row['area']:.0%}", row["backend"], str(row["batch"]), str(row["size"])]
    if not row["ok"]:
        return [*head, *["—"] * (len(COLUMNS) - len(head) - 1), checked(row)]
    whole, one = row["beside"]["whole"], row["beside"].get("one")
    figures = [
        row["ms"]["median"],
        row["sample_ms"]["median"],
        row["host_ms"]["median"],
        row["times_copy"],
        whole["ratio"],
        whole["run_ratio"],
        whole["bytes_ratio"],
    ]
    of_one = [significant(one[key]) for key in ("run_ratio", "bytes_ratio")] if one else ["", ""]
    return [*head, *map(significant, figures), *of_one, f"{row['labels_ratio']:.2f}", checked(row)]
