"""At which strength a whole frame has a given error: curves of error against strength, inverted, and refined where they were measured again."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array


def invert(strength: Array, error: Array, target: Array) -> Array:
    """The least strength at which each curve reaches its target: (p,).

    Between two points the logarithms are interpolated; above a point of no error the error grows as the square. Targets beyond the last point
    give the last point.

    Args:
        strength: (p, g) rising and positive.
        error: (p, g), made monotone here: the largest up to each strength.
        target: (p,) positive.
    """
    rows = np.arange(len(target))
    error = np.maximum.accumulate(error, axis=1)
    above = error >= target[:, None]
    high = np.where(above.any(1), above.argmax(1), error.shape[1] - 1)
    low = np.maximum(high - 1, 0)
    x1, e1 = strength[rows, high], error[rows, high]
    x0, e0 = np.where(high > 0, strength[rows, low], 0.0), np.where(high > 0, error[rows, low], 0.0)
    e0, e1 = np.minimum(e0, target), np.maximum(e1, target)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log(target / e0) / np.log(e1 / e0)
        between = np.exp(np.log(x0) + np.nan_to_num(share, nan=1.0) * (np.log(x1) - np.log(x0)))
        rising = x0 + (x1 - x0) * np.sqrt(target / e1)
    out: Array = np.where(above.any(1), np.where((e0 > 0.0) & (x0 > 0.0), between, rising), x1)
    return out


def insert(strength: Array, error: Array, more: Array, measured: Array) -> tuple[Array, Array]:
    """The curves (p, g) with one more point each, (p,) both, in order of strength."""
    strength, error = np.column_stack([strength, more]), np.column_stack([error, measured])
    order = strength.argsort(1, kind="stable")
    return np.take_along_axis(strength, order, 1), np.take_along_axis(error, order, 1)


def mismatch(error: Array, target: Array) -> Array:
    """|error / target − 1|, infinite where the target is 0: nothing is matched to no error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(target > 0.0, np.abs(error / np.where(target > 0.0, target, 1.0) - 1.0), np.inf)
