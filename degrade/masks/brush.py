"""Brush: a free-form stroke of one width, as a hand draws it.

A walk of straight segments with round joints and ends, folded back at the frame's border. weight = smoothstep((r − d) / F), d
the distance from the walk, r half the stroke's width and F the ramp, in pixels. r is solved from the distances at a lattice of
24² points, which leaves the area right within 0.01. The walk is shortened where the stroke would be thinner than 3 px or 1/30
of the frame.
length is of one segment, turn the most by which the next one turns away, in degrees.   Source: the irregular masks of LaMa.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._lattice import lattice, mean
from ._placed import Placed
from ._segment import device_squared_distance, squared_distance
from .base import EDGE, Numbers, box, root

SEGMENTS = 16
FIRST = 8  # the column of the walk's first y; its x follows, then the other points
POINTS = 24


class Brush(Placed):
    """A stroke along a random walk, as thick as the area asks for.

    Args:
        centre: where the middle of the walk's bounding box shall lie, (y, x) in fractions of the frame, as near to it as the walk fits.
            None: the walk begins anywhere, and is folded back.
    """

    segments = Param(1, SEGMENTS, unit="segments", default=(3, 10), integer=True)
    length = Param(0.02, 0.5, unit="of √(h·w)", default=(0.1, 0.3))
    turn = Param(0.0, 180.0, unit="degrees", default=90.0)
    columns = FIRST + 2 * (SEGMENTS + 1)
    shape_draws = 3 + 2 * SEGMENTS

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        n, side, most = len(u), (height * width) ** 0.5, int(self.values["segments"].bounds()[1])
        ramp, count = np.maximum(drawn["feather"] * side, EDGE), drawn["segments"]
        turns = np.deg2rad(drawn["turn"])[:, None] * (2.0 * u[:, 3 : 3 + most] - 1.0)
        turns[:, 0] = 2.0 * np.pi * u[:, 2]
        step = (drawn["length"] * side)[:, None] * (0.5 + u[:, 3 + SEGMENTS : 3 + SEGMENTS + most]) * (np.arange(most) < count[:, None])
        # No longer than a stroke can be that is wide enough to be seen on the pixels, and by the lattice.
        rows, columns, apart = lattice(height, width, POINTS)
        longest = drawn["area"] * (height * width) / max(2.0 * EDGE, 0.8 * apart)
        step *= np.minimum(longest / step.sum(1), 1.0)[:, None]
        along = np.cumsum(turns, 1)
        # The first point lies on a pixel, so that the peak is 1.
        y, x = (
            _fold(np.cumsum(np.concatenate([self._start(u[:, i], i, step * f(along), size)[:, None], step * f(along)], 1), 1), size)
            for i, (f, size) in enumerate(((np.sin, height), (np.cos, width)))
        )
        value = -_distance(y.astype(np.float32), x.astype(np.float32), rows, columns)

        def area(log_half: Array) -> Array:
            half = np.exp(log_half)
            f = np.minimum(ramp, half)
            return mean(value, f - half, f, np.minimum(EDGE * apart, 2.0 * half - f)[:, None])

        half = np.exp(root(area, drawn["area"], np.full(n, np.log(0.05)), np.log(height + width + ramp), steps=12))
        f = np.minimum(ramp, half) * (1.0 - 1e-6)  # so that no rounding keeps the peak under 1
        ends = [y.min(1) - half, y.max(1) + half, x.min(1) - half, x.max(1) + half]
        walk = np.zeros((n, 2 * (SEGMENTS + 1)))
        walk[:, 0 : 2 * most + 2 : 2], walk[:, 1 : 2 * most + 2 : 2] = y, x
        return np.concatenate([np.stack([count, half, f, *ends, np.zeros(n)], 1), walk], 1)

    def _start(self, u: Array, axis: int, steps: Array, size: int) -> Array:
        """Where walks of these steps along a frame axis begin."""
        if self.centre is None:
            return self.anywhere(u, axis, size)
        path = np.cumsum(steps, 1)
        at, _ = self.place(u, axis, np.maximum(-path.min(1), 0.0), np.maximum(path.max(1), 0.0), size)
        return np.asarray(np.floor(at) + 0.5)

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        y0, y1, x0, x1 = numbers[:, 3:7].astype(np.float64).T
        return box(y0 - 0.01, y1 + 0.01, x0 - 0.01, x1 + 0.01, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        count = numbers[0].clamp(max=SEGMENTS)
        near = y * 0.0 + x * 0.0 + count * 0.0 + 1e30
        for i in range(int(count.max()) if count.numel() else 0):
            ay, ax, by, bx = numbers[FIRST + 2 * i : FIRST + 2 * i + 4]
            near = torch.where(count > i, torch.minimum(near, squared_distance(y, x, ay, ax, by, bx)), near)
        return smoothstep((numbers[1] - sqrt(near)) / numbers[2])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        near = y * 0.0 + x * 0.0 + 1e30
        for i in range(0, tl.minimum(numbers[0], 16.0).to(tl.int32)):
            point = row + 8 + 2 * i
            ay, ax, by, bx = tl.load(point), tl.load(point + 1), tl.load(point + 2), tl.load(point + 3)
            near = tl.minimum(near, device_squared_distance(y, x, ay, ax, by, bx))
        return device_smoothstep(tl.div_rn(numbers[1] - tl.sqrt_rn(near), numbers[2]))


def _fold(at: Array, size: int) -> Array:
    """Coordinates mirrored at both ends of the frame, as often as needed."""
    beyond = at % (2.0 * size)
    return np.minimum(beyond, 2.0 * size - beyond)


def _distance(y: Array, x: Array, rows: Array, columns: Array) -> Array:
    """The distance of lattice points from n walks, (n, rows · columns)."""
    near = np.full((len(y), len(rows), len(columns)), np.inf, dtype=np.float32)
    for i in range(y.shape[1] - 1):
        ey, ex = y[:, i + 1] - y[:, i], x[:, i + 1] - x[:, i]
        length = np.hypot(ey, ex)
        some = np.maximum(length, 1e-6)
        cos, sin = np.where(length > 1e-6, ex / some, 1.0), np.where(length > 1e-6, ey / some, 0.0)
        py, px = rows - y[:, i, None], columns - x[:, i, None]
        half = 0.5 * length[:, None, None]
        past = (py * sin[:, None])[:, :, None] + (px * cos[:, None])[:, None]  # the foot on the line, from the segment's middle
        past -= half
        np.abs(past, out=past)
        past -= half
        np.maximum(past, 0.0, out=past)
        past *= past
        aside = (py * cos[:, None])[:, :, None] - (px * sin[:, None])[:, None]
        aside *= aside
        past += aside
        np.minimum(near, past, out=near)
    return np.sqrt(near).reshape(len(y), -1)
