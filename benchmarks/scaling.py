"""The suite `scaling`: with what power of the batch, of pixels, of the masked area, of ops and of regions the time of a call grows.

A row is one op along one axis. Its points are timed in turns, on the CPU by the process's own clock, and their lower quartiles fitted by a straight line of
logarithms. Beside it stands the power of the bytes that `explain` counts for the same programs: what is predicted where moving bytes takes the
time, as on a GPU. Time may grow less, for what a call costs whatever it does; where it grows faster than its bytes, the row says so.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks import checks, regions, timing
from benchmarks.images import ids_of, photographs
from benchmarks.suites import KINDS, MIXED, POINTS, Setting
from benchmarks.text import checked, significant

SLACK = 0.1  # of a power, by which a fit on a busy machine wanders
COLUMNS = (
    "op",
    "axis",
    "points",
    "ms",
    "power of time",
    "of its last step",
    "power of bytes, predicted",
    "of its last step",
    "faster than bytes",
    "check",
)
RIGHT = COLUMNS[4:8]


@dataclass(frozen=True)
class Scaling:
    """One op along one axis: where each point is, and what it is."""

    op: str
    axis: str
    points: tuple[tuple[float, Setting], ...]


def settings(pattern: str, backend: str) -> list[Scaling]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    many = 16 if device == "cuda" else 1  # on a GPU sixteen times as many images, for that many keep it busy
    base = Setting("", backend, device, torch.uint8, 4 * many, 1.0, 224)
    found = [Scaling("mean_shift", "ops", tuple((n, replace(base, op=op)) for n, op in POINTS.items()))]
    found += [Scaling("mixed", "ops", tuple((n, replace(base, op=op)) for n, op in MIXED.items()))]
    for op in KINDS:
        own = replace(base, op=op)
        found += [
            Scaling(op, "batch", tuple((b * many, replace(own, batch=b * many)) for b in (1, 2, 4, 8, 16, 32))),
            Scaling(op, "pixels", tuple((size**2, replace(own, size=size)) for size in (112, 224, 448, 896))),
            Scaling(op, "area", tuple((area, replace(own, area=area, region="ellipse")) for area in (0.05, 0.1, 0.25, 0.5, 1.0))),
        ]
    found += [
        Scaling(op, "regions", tuple((n, replace(base, op=op, size=512, batch=many, region=f"grid {n}")) for n in (1, 4, 16, 64)))
        for op in ("mean_shift", "gaussian_blur σ 2")
    ]
    return [s for s in found if any(fnmatch.fnmatch(s.op, p) for p in pattern.split(","))]


def run(wanted: list[Scaling], seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each; one that fails has no figures, and the others go on."""
    for each in wanted:
        base = each.points[0][1]
        head = {"op": each.op, "axis": each.axis, "device": base.device, "backend": base.backend, "dtype": "uint8"}
        try:
            yield {**head, **measure(each, seconds)}
        except Exception as error:
            yield {**head, "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


def measure(wanted: Scaling, seconds: float) -> dict[str, Any]:
    """Calls as a user makes them, drawing included."""
    calls: dict[str, timing.Call] = {}
    said, bytes_ = [], []
    for number, (_, setting) in enumerate(wanted.points):
        x, pipe = photographs(setting.batch, setting.size).to(setting.device), setting.pipeline()
        ids = ids_of(0, len(x))
        said.append(checks.alone(pipe, x, pipe(x, ids=ids), ids))
        bytes_.append(regions.bytes_of(pipe, x))
        calls[str(number)] = lambda n, pipe=pipe, x=x: pipe(x, ids=ids_of(n, len(x)))  # type: ignore[misc]
    wrong = [s for s in said if s != checks.OK]
    out: dict[str, Any] = {"checks": {"alone": wrong[0] if wrong else checks.OK}, "ok": not wrong}
    if wrong:
        return out
    if wanted.points[0][1].device == "cuda":
        taken = timing.on_cuda(calls)  # and of the device alone, for what the host does grows with none of this
        stats = [timing.device_only(call, taken[name]["wall_ms"]["median"]) for name, call in calls.items()]
    else:
        stats = list(timing.on_cpu(calls, seconds, time.process_time).values())
    places = [place for place, _ in wanted.points]
    times = [own["q1"] for own in stats]
    out["points"] = [{"x": x, "ms": ms, "bytes": moved, "images": setting.batch} for (x, setting), ms, moved in zip(wanted.points, stats, bytes_)]
    out |= {"power": power(places, times), "last": power(places[-2:], times[-2:])}
    out |= {"bytes_power": power(places, bytes_), "bytes_last": power(places[-2:], bytes_[-2:])}
    out["faster"] = out["power"] > out["bytes_power"] + SLACK or out["last"] > out["bytes_last"] + SLACK
    return out


def power(x: list[float], y: list[float]) -> float:
    """The slope of log y against log x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    if not row["ok"]:
        return [row["op"], row["axis"], *["—"] * 7, checked(row)]
    places, times = (" ".join(map(significant, values)) for values in ([p["x"] for p in row["points"]], [p["ms"]["q1"] for p in row["points"]]))
    powers = [f"{row[name]:.2f}" for name in ("power", "last", "bytes_power", "bytes_last")]
    return [row["op"], row["axis"], places, times, *powers, "yes" if row["faster"] else "no", checked(row)]


def lost(row: dict[str, Any]) -> bool:
    """Whether time grows faster than bytes."""
    return row["faster"]
