"""Areas of regions that have no closed form: means over a coarse lattice of points, the same for frames of all sizes."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array


def lattice(height: int, width: int, count: int) -> tuple[Array, Array, float]:
    """Rows and columns of about count² points, evenly spread over the frame, and the greater distance between neighbours."""
    rows = int(np.clip(np.round(count * np.sqrt(height / width)), 4, count * count // 4))
    columns = count * count // rows
    y, x = (np.arange(rows) + 0.5) * (height / rows), (np.arange(columns) + 0.5) * (width / columns)
    return y.astype(np.float32), x.astype(np.float32), max(height / rows, width / columns)


def slope(value: Array, rows: int) -> Array:
    """By how much values (n, rows · columns) change from a point to its neighbour, roughly, and at least by 1e-6."""
    grid = value.reshape(len(value), rows, -1)
    out = np.full(grid.shape, 1e-6, dtype=np.float32)
    for axis in (1, 2):
        step = np.abs(np.diff(grid, axis=axis))
        inner = [slice(None)] * 3
        for side in (slice(1, None), slice(None, -1)):
            inner[axis] = side
            np.maximum(out[tuple(inner)], step, out=out[tuple(inner)])
    return out.reshape(value.shape)


def mean(value: Array, top: Array, ramp: Array, blur: Array) -> Array:
    """The mean over points (n, k) of smoothstep((value − top) / ramp + 1), 1 from `top` on, its ramp widened to `blur` (n, 1 or k).

    A ramp as wide as the values of neighbours differ makes the mean of a sharp edge independent of where between two points it lies.
    """
    wide = np.maximum(ramp[:, None], blur).astype(np.float32)
    t = value - (top - 0.5 * ramp).astype(np.float32)[:, None]
    t /= wide
    t += np.float32(0.5)
    np.clip(t, 0.0, 1.0, out=t)
    weight = t * np.float32(-2.0)
    weight += np.float32(3.0)
    weight *= t
    weight *= t
    return weight.mean(1, dtype=np.float64)
