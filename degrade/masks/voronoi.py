"""Voronoi: cells of the frame around random points, some of them together, with soft borders.

weight = smoothstep((½ (d₁ − d₀) + shift) / F), d₀ the distance from the nearest point of the region, d₁ from the nearest other
one, F the ramp, in pixels. Of the runs of cells in an order drawn at random, the region is the one that comes nearest to the
area; the shift then moves its borders until the area is met. Both are found from the distances at a lattice of 24² points,
which leaves the area right within 0.01; within 0.02 where the region, or the rest, is smaller than a cell. A small area, or a
small rest, needs more cells than may have been drawn, up to 32.
cells is the number of points.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._lattice import lattice, mean, slope
from .base import EDGE, Mask, Numbers, root

CELLS = 32
FIRST = 8  # the column of the first point's y; its x follows, then the other points, those of the region first
POINTS = 24


class Voronoi(Mask):
    """Cells of random points."""

    cells = Param(2, CELLS, unit="cells", default=(6, 16), integer=True)
    columns = FIRST + 2 * CELLS
    shape_draws = 2 * CELLS

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        thin, n = np.maximum(np.minimum(drawn["area"], 1.0 - drawn["area"]), 1.0 / CELLS), len(u)
        count, most = np.maximum(drawn["cells"], np.ceil(1.0 / thin)), self._most()
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE)
        # Points lie on pixels: there a region's weight is highest.
        y, x = np.floor(u[:, :most] * height) + 0.5, np.floor(u[:, CELLS : CELLS + most] * width) + 0.5
        rows, columns, _ = lattice(height, width, POINTS)
        index = np.arange(most)
        real = index < count[:, None]
        square = _squares(y, x, real, rows, columns)
        first, inside = _run(_shares(square[:, :, ::3]), drawn["area"], count)
        ours = (index - first[:, None]) % count[:, None] < inside[:, None]
        own, other = (_nearest(square, real & which) for which in (ours, ~ours))
        value = 0.5 * (other - own)
        blur = EDGE * slope(value, len(rows))
        # Nothing lies deeper than a point, inside or outside: half its distance from the nearest of the others.
        between = np.hypot(y[:, :, None] - y[:, None], x[:, :, None] - x[:, None])
        between = np.where((ours[:, :, None] ^ ours[:, None]) & real[:, :, None] & real[:, None], between, np.inf).min(2)
        deepest, lowest = (0.5 * np.where(real & which, between, 0.0).max(1) for which in (ours, ~ours))

        def sharp(shift: Array) -> Array:
            return np.maximum(np.minimum(ramp, deepest + shift), 1e-3)

        def area(shift: Array) -> Array:
            f = sharp(shift)
            most_blur = np.minimum(2.0 * (deepest + shift) - f, 2.0 * (lowest - shift) + f)
            return mean(value, f - shift, f, np.minimum(blur, np.maximum(most_blur, f)[:, None]))

        shift = root(area, drawn["area"], 1e-3 - deepest, 0.5 * (height + width) + ramp, steps=10)
        f = sharp(shift) * (1.0 - 1e-5)  # so that no rounding keeps the peak under 1
        order = np.where(real, (first[:, None] + index) % count[:, None], index).astype(np.int64)
        points = np.zeros((n, CELLS, 2))
        points[:, :most] = np.stack([np.take_along_axis(v, order, 1) for v in (y, x)], 2)
        return np.concatenate([np.stack([count, inside, shift, f], 1), np.zeros((n, FIRST - 4)), points.reshape(n, -1)], 1)

    def _most(self) -> int:
        """The most cells that a sample may have."""
        low, high = self.values["area"].bounds()
        return int(max(self.values["cells"].bounds()[1], min(np.ceil(1.0 / max(min(low, 1.0 - high), 1.0 / CELLS)), CELLS)))

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        count = numbers[0].clamp(max=CELLS)
        own = y * 0.0 + x * 0.0 + count * 0.0 + 1e30
        other = own
        for i in range(int(count.max()) if count.numel() else 0):
            dy, dx = y - numbers[FIRST + 2 * i], x - numbers[FIRST + 2 * i + 1]
            square = dy * dy + dx * dx
            own = torch.where(numbers[1] > i, torch.minimum(own, square), own)
            other = torch.where((numbers[1] <= i) & (count > i), torch.minimum(other, square), other)
        return smoothstep(((sqrt(other) - sqrt(own)) * 0.5 + numbers[2]) / numbers[3])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        own = y * 0.0 + x * 0.0 + 1e30
        other = own
        for i in range(0, tl.minimum(numbers[0], 32.0).to(tl.int32)):
            dy, dx = y - tl.load(row + 8 + 2 * i), x - tl.load(row + 9 + 2 * i)
            square = dy * dy + dx * dx
            ours = numbers[1] > i
            own = tl.where(ours, tl.minimum(own, square), own)
            other = tl.where(ours, other, tl.minimum(other, square))
        return device_smoothstep(tl.div_rn((tl.sqrt_rn(other) - tl.sqrt_rn(own)) * 0.5 + numbers[2], numbers[3]))


def _squares(y: Array, x: Array, real: Array, rows: Array, columns: Array) -> Array:
    """Squared distances of lattice points from n rows of points: (points, n, rows · columns); infinite from those that are not there."""
    y, x = np.where(real, y, np.inf).T.astype(np.float32), x.T.astype(np.float32)
    down, across = np.square(rows - y[..., None]), np.square(columns - x[..., None])
    return (down[..., None] + across[:, :, None]).reshape(*y.shape, -1)


def _shares(square: Array) -> Array:
    """The part of the frame that is nearest to each point, (n, points)."""
    near, which = square[0].copy(), np.zeros(square.shape[1:], dtype=np.int64)
    for i, distance in enumerate(square[1:], start=1):
        np.copyto(which, i, where=distance < near)
        np.minimum(near, distance, out=near)
    n, points = which.shape
    which += np.arange(n)[:, None] * len(square)
    return np.bincount(which.reshape(-1), minlength=n * len(square)).reshape(n, -1) / points


def _run(share: Array, area: Array, count: Array) -> tuple[Array, Array]:
    """The first cell and the length of the run of cells, going round, whose share comes nearest to the area."""
    n, most = share.shape
    index, count = np.arange(most), count.astype(np.int64)[:, None, None]
    ends = np.concatenate([np.zeros((n, 1), dtype=np.float32), share.cumsum(1, dtype=np.float32)], 1)
    last = index[:, None] + index + 1  # first cell by length − 1
    beyond = last > count
    at = np.minimum(last - np.where(beyond, count, 0), most)
    total = np.take_along_axis(ends, at.reshape(n, -1), 1).reshape(at.shape) + beyond - ends[:, :-1, None]
    off = np.abs(total - area[:, None, None])
    off[(index[:, None] >= count) | (index + 1 >= count)] = np.inf
    best = off.reshape(n, -1).argmin(1)
    return best // most, best % most + 1


def _nearest(square: Array, which: Array) -> Array:
    """The distance of lattice points from the nearest of some of the points."""
    near = np.full(square.shape[1:], np.inf, dtype=np.float32)
    for distance, left_out in zip(square, np.where(which, 0.0, np.inf).T.astype(np.float32)):
        np.minimum(near, distance + left_out[:, None], out=near)
    return np.sqrt(near)
