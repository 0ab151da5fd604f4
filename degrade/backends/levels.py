"""At which parameters an op runs whose strength is a mask, where its parameter cannot differ from pixel to pixel; see `degrade.kernels.levels`."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.masks.combine import operations
from degrade.op import Op
from degrade.ops import find
from degrade.program import Program

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


def levelled_slots(program: Program) -> Array:
    """Which slots hold an op that runs at several levels, since a mask is its strength and its parameter cannot follow: (b, s) bool."""
    out = np.zeros(program.code.shape, dtype=bool)
    strengths = np.flatnonzero([layout.MODULATE in operations(fold) for fold in program.fold.tolist()])
    if not len(strengths):
        return out
    by_levels = np.array([not find(name).modulates for name in program.ops] + [False])[program.code]
    rows, which = (program.family[:, strengths] >= 0).nonzero()
    out[rows, program.first[rows, strengths[which]]] = True  # such a mask is around one op
    return out & by_levels
