"""At which parameters an op runs whose strength is a mask, where its parameter cannot differ from pixel to pixel; see `degrade.kernels.levels`."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array
from degrade.op import Op

MOST = 128  # levels of a parameter that is a whole number


def levels_of(op: type[Op], first: Array) -> tuple[Array, bool]:
    """How many levels each of these first parameters (n,) has, int64, and whether pixels take the nearest."""
    param = next(iter(op.parameters.values()))
    if param.integer:
        return np.minimum(np.abs(first - param.neutral).astype(np.int64), MOST), True
    return np.full(len(first), op.strengths, dtype=np.int64), False


def at_level(op: type[Op], first: Array, level: Array | int, count: Array) -> Array:
    """The first parameters (n,) float32 at a level of each."""
    param = next(iter(op.parameters.values()))
    part = level / np.maximum(count, 1)
    value = param.neutral + (part if param.integer else part * part) * (first.astype(np.float64) - param.neutral)
    value = np.where(np.asarray(level) == count, first, value)
    return (np.floor(value + 0.5) if param.integer else value).astype(np.float32)
