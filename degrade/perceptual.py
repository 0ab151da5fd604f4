"""Severity that means the same for every op: how far each one's parameter must go for a given visible change.

The change is 1 − MS-SSIM, the mean of red, green and blue, so that colour counts; of it the median over photographs. `perceptual.json` holds, for every op and direction, the change
at severities from 0 to 1 with the op's other parameters at their defaults; `degrade calibrate` makes it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .distributions import Array, Choice, Constant, Levels, Uniform
from .errors import unknown
from .op import Op
from .pipeline import Pipeline

Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LADDER = (0.01, 0.03, 0.08, 0.18, 0.35)  # the change at perceptual levels 1 to 5
SEVERITIES = (0.0, 0.01, 0.02, 0.04, 0.07, 0.11, 0.16, 0.22, 0.3, 0.4, 0.52, 0.66, 0.82, 1.0)
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales: Wang, Simoncelli, Bovik, Asilomar 2003
SMALLEST = 11 << len(WEIGHTS) - 1  # pixels a side for which the window fits into the coarsest scale


def ms_ssim_change(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 − MS-SSIM, the mean of the three channels, of two batches b 3 h w in 0…1, 176 pixels a side or more: (b,) in 0…1.

    Gaussian window of 11 pixels, σ 1.5, without padding; constants .01² and .03²; five scales, halved by means of 2x2.

    Raises:
        ValueError: if the images are too small.
    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003.
    """
    if min(x.shape[2:]) < SMALLEST:
        raise ValueError(f"images of {x.shape[2]}x{x.shape[3]} are too small for MS-SSIM; accepted: at least {SMALLEST} pixels a side.")
    a, b = x.reshape(-1, 1, *x.shape[2:]), y.reshape(-1, 1, *y.shape[2:])
    out = torch.ones(len(a), device=x.device)
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
        luminance, structure = _ssim(a, b)
        value = structure * luminance if scale == len(WEIGHTS) - 1 else structure
        out *= value.mean((1, 2, 3)).clamp(min=0.0) ** weight
    return 1.0 - out.reshape(-1, 3).mean(1)


def _ssim(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The luminance term and the contrast-structure term at each pixel."""
    taps = torch.exp(-0.5 * (torch.arange(-5, 6, dtype=a.dtype) / 1.5) ** 2)
    taps = taps / taps.sum()

    def smooth(v: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(functional.conv2d(v, taps.reshape(1, 1, 1, -1)), taps.reshape(1, 1, -1, 1))

    ma, mb = smooth(a), smooth(b)
    va, vb, cov = smooth(a * a) - ma * ma, smooth(b * b) - mb * mb, smooth(a * b) - ma * mb
    return (2 * ma * mb + 0.01**2) / (ma * ma + mb * mb + 0.01**2), (2 * cov + 0.03**2) / (va + vb + 0.03**2)


# ---- measuring ---------------------------------------------------------------------------------------------------------


def directions(op: type[Op]) -> tuple[str, ...]:
    """Both ways for a signed parameter, else one."""
    return ("down", "up") if isinstance(next(iter(op.parameters.values())).harsh, tuple) else ("up",)


def measure(op: type[Op], images: torch.Tensor, metric: Metric = ms_ssim_change) -> dict[str, list[float]]:
    """The median change of one op at SEVERITIES, in each direction, made to grow.

    Args:
        images: b 3 h w uint8, the photographs.
        metric: from (original, degraded), both b 3 h w in 0…1, to (b,) numbers that grow with the change.
    """
    defaults = {name: _typical(param.spread()) for name, param in list(op.parameters.items())[1:]}
    out = {}
    for direction in directions(op):
        changes = [0.0]
        for severity in SEVERITIES[1:]:
            pipe = Pipeline(op(severity=severity, direction=direction, **defaults), check="never")
            changes.append(float(metric(images / 255, pipe(images, ids=range(len(images))) / 255).median()))
        out[direction] = np.maximum.accumulate(changes).round(5).tolist()
    return out


def _typical(spread: Any) -> Any:
    """The middle of what is drawn by default."""
    if isinstance(spread, (Constant, Choice)):
        return spread
    low, high = spread.bounds()
    return Uniform(low, high) if low != high else Constant(low)


# ---- using -------------------------------------------------------------------------------------------------------------


@functools.cache
def table() -> Mapping[str, Mapping[str, list[float]]]:
    """The committed table: op, direction, changes at SEVERITIES."""
    data = json.loads((resources.files(__package__) / "perceptual.json").read_text(encoding="utf-8"))
    return data["ops"]  # type: ignore[no-any-return]


def severity(op: type[Op] | str, change: Any, direction: str = "up") -> Array:
    """The severity at which an op makes a visible change.

    Args:
        op: the op or its name.
        change: 1 − MS-SSIM, a number or an array; what lies beyond the op's strongest change gives severity 1.
        direction: "up" or "down", for a signed parameter.

    Raises:
        ValueError: an op or direction that the table does not hold.
    """
    name = op if isinstance(op, str) else op.name
    if name not in table():
        raise ValueError(unknown("op", name, table()))
    if direction not in table()[name]:
        raise ValueError(unknown(f"direction of {name}", direction, table()[name]))
    changes = np.asarray(table()[name][direction])
    changes = changes + np.arange(len(changes)) * 1e-9  # where the curve is flat the mildest severity
    return np.interp(change, changes, SEVERITIES)


def levels(op: type[Op], published: Levels) -> Levels:
    """An op's first parameter at the five changes of LADDER, on the sides of the neutral value that the published levels lie."""
    first = next(iter(op.parameters.values()))
    signed = isinstance(first.harsh, tuple)
    strongest = max(published.table, key=lambda v: abs(v - first.neutral))
    values = []
    for i, change in enumerate(LADDER):
        own = published.table[i] if len(published.table) == len(LADDER) and published.table[i] != first.neutral else strongest
        up = not signed or own > first.neutral
        s = severity(op, change, "up" if up else "down")
        value = float(first.at(s, np.asarray(up)))
        values.append(float(np.floor(value + 0.5)) if first.integer else value)
    return Levels(*values)
