"""Polygon: drawn at random, star-shaped about a centre, or given corner by corner.

Random: corners at jittered angles and distances about the centre; weight = smoothstep((1 − ρ) / f), ρ the distance from the
centre over the outline's in that direction, so that Σ weight = A (1 − f + 0.3 f²) with A the polygon's area. Given: inside by
the even-odd rule, weight = smoothstep(d / F) with d the distance from the nearest edge and F the ramp, in pixels; the area is
what it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._given import refuse, table
from ._placed import Placed
from ._radial import cut, directions, whole
from ._segment import device_squared_distance, squared_distance
from .base import EDGE, Numbers, box

VERTICES, POINTS = 16, 32  # the most corners, drawn and given
FIRST = 12  # the column of the first corner's y; its x follows, then the other corners, and the first once more


class Polygon(Placed):
    """A polygon, uniform over the positions where it fits the frame, or about `centre`; or the same given one for all samples.

    Args:
        points: k x 2 corners (y, x) in fractions of the frame, from 3 to 32, of any simple polygon; None: drawn at random.
        feather: the ramp's width; with points it lies inside, and is capped so that the peak stays 1.
        area, vertices, irregularity, centre: of drawn ones only.
    """

    vertices = Param(3, VERTICES, unit="corners", default=(4, 9), integer=True)
    irregularity = Param(0.0, 1.0, default=(0.2, 0.8))
    others = ("points", "centre")
    columns = FIRST + 2 * (POINTS + 1)
    shape_draws = 3 + 2 * VERTICES

    def __init__(self, points: Any = None, **given: Any) -> None:
        super().__init__(**given)
        self.points = None if points is None else table("points", points, 3, POINTS, ("y", "x"))
        if self.points is not None:
            refuse("points", given, ("area", "vertices", "irregularity", "centre"))
            self.values, self.shape_draws = {"feather": self.values["feather"]}, 0  # type: ignore[misc]

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        if self.points is not None:
            return self._given(drawn["feather"] * (height * width) ** 0.5, height, width)
        total = drawn["area"] * (height * width)
        y, x, count, apothem = _outline(u, drawn["vertices"], drawn["irregularity"])
        # The ramp is thinner across an edge that is near to the centre: there, too, it must not fall under a pixel.
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE / np.maximum(apothem, 0.2))
        scale, width_of_ramp = whole(total / np.pi, ramp)
        up, low, left, right = -y.min(1), y.max(1), -x.min(1), x.max(1)
        cy, fits_y = self.place(u[:, 0], 0, scale * up, scale * low, height)
        cx, fits_x = self.place(u[:, 1], 1, scale * left, scale * right, width)
        cy, cx = np.floor(cy) + 0.5, np.floor(cx) + 0.5
        at = np.flatnonzero(~(fits_y & fits_x))
        if len(at):
            shape = _reach(y[at], x[at], count[at], height, width)
            scale[at], width_of_ramp[at] = cut(total[at], ramp[at], scale[at], shape, cy[at], cx[at], height, width)
        zero, s = np.zeros(len(u)), scale[:, None]
        rows = [cy, cx, count, zero, np.minimum(width_of_ramp / scale, 1.0), *(scale * e for e in (up, low, left, right)), zero, zero, zero]
        return np.concatenate([np.stack(rows, 1), np.stack([y * s, x * s], 2).reshape(len(u), -1)], 1)

    def _given(self, ramp: Array, height: int, width: int) -> Array:
        assert self.points is not None
        corners = self.points * (height, width)
        ring = np.concatenate([corners, corners[:1]])
        (y0, x0), (y1, x1) = ring.min(0), ring.max(0)
        deepest = _inradius(ring[:, 0], ring[:, 1]) - 0.71  # a pixel's centre lies as near as that to the deepest point
        f = np.maximum(np.minimum(ramp, deepest * (1.0 - 1e-5)), 0.5)
        rows = np.tile(np.concatenate([[0.0, 0.0, 0.0, len(corners), 0.0, -y0, y1, -x0, x1, 0.0, 0.0, 0.0], ring.reshape(-1)]), (len(ramp), 1))
        rows[:, 4] = f
        return rows

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **({} if self.points is None else {"points": self.points.tolist()})}

    def __repr__(self) -> str:
        return super().__repr__() if self.points is None else f"Polygon(points={len(self.points)}×2, feather={self.values['feather'].to_dict()})"

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        cy, cx, up, low, left, right = numbers[:, [0, 1, 5, 6, 7, 8]].astype(np.float64).T
        return box(cy - up - 0.001, cy + low + 0.001, cx - left - 0.001, cx + right + 0.001, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        dy, dx = y - numbers[0], x - numbers[1]
        drawn, given = numbers[2].clamp(max=VERTICES), numbers[3].clamp(max=POINTS)
        rho = dy * 0.0 + dx * 0.0
        for i in range(int(drawn.max()) if drawn.numel() else 0):
            ay, ax, by, bx = numbers[FIRST + 2 * i : FIRST + 2 * i + 4]
            a, b = ax * dy - ay * dx, bx * dy - by * dx
            here = (a >= 0.0) & (b < 0.0) & (drawn > i)
            rho = torch.where(here, (a - b) / (ax * by - ay * bx), rho)
        near, inside = rho * 0.0 + 1e30, torch.zeros_like(rho, dtype=torch.bool)
        for i in range(int(given.max()) if given.numel() else 0):
            ay, ax, by, bx = numbers[FIRST + 2 * i : FIRST + 2 * i + 4]
            real = given > i
            near = torch.where(real, torch.minimum(near, squared_distance(y, x, ay, ax, by, bx)), near)
            down, across = by - ay, bx - ax
            slope = across / torch.where(down == 0.0, 1.0, down)
            inside = inside ^ (((ay <= y) ^ (by <= y)) & (x - ax < slope * (y - ay)) & real)
        depth = torch.where(given > 0.0, torch.where(inside, sqrt(near), -1.0), 1.0 - rho)
        return smoothstep(depth / numbers[4])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        dy, dx = y - numbers[0], x - numbers[1]
        rho = dy * 0.0 + dx * 0.0
        for i in range(0, tl.minimum(numbers[2], 16.0).to(tl.int32)):
            corner = row + 12 + 2 * i
            ay, ax, by, bx = tl.load(corner), tl.load(corner + 1), tl.load(corner + 2), tl.load(corner + 3)
            a, b = ax * dy - ay * dx, bx * dy - by * dx
            rho = tl.where((a >= 0.0) & (b < 0.0), tl.div_rn(a - b, ax * by - ay * bx), rho)
        near, inside = rho * 0.0 + 1e30, rho < -1.0
        for i in range(0, tl.minimum(numbers[3], 32.0).to(tl.int32)):
            corner = row + 12 + 2 * i
            ay, ax, by, bx = tl.load(corner), tl.load(corner + 1), tl.load(corner + 2), tl.load(corner + 3)
            near = tl.minimum(near, device_squared_distance(y, x, ay, ax, by, bx))
            down, across = by - ay, bx - ax
            slope = tl.div_rn(across, tl.where(down == 0.0, 1.0, down))
            inside = inside ^ (((ay <= y) ^ (by <= y)) & (x - ax < slope * (y - ay)))
        depth = tl.where(numbers[3] > 0.0, tl.where(inside, tl.sqrt_rn(near), -1.0), 1.0 - rho)
        return device_smoothstep(tl.div_rn(depth, numbers[4]))


def _outline(u: Array, vertices: Array, irregularity: Array) -> tuple[Array, Array, Array, Array]:
    """Corners about the centre, (n, VERTICES + 1) with the first repeated after the last; area π. And their number, and the
    least distance of an edge's line from the centre."""
    count, index = vertices[:, None], np.arange(VERTICES)
    # Neighbours stay less than 0.9 π apart, so that the centre sees every edge.
    jitter = irregularity[:, None] * np.minimum(0.8, 0.45 * count - 1.0) * (u[:, 3 : 3 + VERTICES] - 0.5)
    angle = (index + jitter) * (2.0 * np.pi / count) + 2.0 * np.pi * u[:, 2:3]
    radius = 1.0 - 0.7 * irregularity[:, None] * u[:, 3 + VERTICES :]
    around = np.arange(VERTICES + 1) % vertices.astype(np.int64)[:, None]
    y, x = (np.take_along_axis(radius * f(angle), around, 1) for f in (np.sin, np.cos))
    cross = np.where(index < count, x[:, :-1] * y[:, 1:] - y[:, :-1] * x[:, 1:], 0.0)
    scale = np.sqrt(2.0 * np.pi / cross.sum(1))
    length = np.where(index < count, np.hypot(np.diff(y), np.diff(x)), 0.0)
    apothem = np.where(index < count, cross / np.maximum(length, 1e-9), np.inf).min(1) * scale
    return y * scale[:, None], x * scale[:, None], vertices, apothem


def _reach(y: Array, x: Array, count: Array, height: int, width: int) -> Array:
    """How many times each vector of `directions` reaches the outline."""
    dx, dy = directions(height, width)
    y, x = y.astype(np.float32)[..., None], x.astype(np.float32)[..., None]
    out = np.ones((len(y), len(dx)), dtype=np.float32)
    cross = x * dy - y * dx
    for i in range(VERTICES):
        a, b = cross[:, i], cross[:, i + 1]
        here = (a >= 0.0) & (b < 0.0) & (count > i)[:, None]
        np.divide(x[:, i] * y[:, i + 1] - y[:, i] * x[:, i + 1], a - b, out=out, where=here)
    return out


def _inradius(y: Array, x: Array) -> float:
    """The greatest depth inside a closed ring of corners: the best of a grid, and of finer ones about it."""
    best, cy, cx, sy, sx = -1.0, 0.5 * (y.min() + y.max()), 0.5 * (x.min() + x.max()), np.ptp(y), np.ptp(x)
    for _ in range(6):
        gy, gx = (g.reshape(-1, 1) for g in np.meshgrid(cy + sy * GRID, cx + sx * GRID, indexing="ij"))
        py, px, ey, ex = gy - y[:-1], gx - x[:-1], np.diff(y), np.diff(x)
        t = np.clip((py * ey + px * ex) / np.maximum(ey * ey + ex * ex, 1e-12), 0.0, 1.0)
        distance = np.hypot(py - t * ey, px - t * ex).min(1)
        crosses = ((y[:-1] <= gy) != (y[1:] <= gy)) & (px < ex / np.where(ey == 0.0, 1.0, ey) * py)
        depth = np.where(crosses.sum(1) % 2 == 1, distance, -distance)
        at = int(depth.argmax())
        if depth[at] > best:
            best, cy, cx = float(depth[at]), float(gy[at, 0]), float(gx[at, 0])
        sy, sx = sy / 8.0, sx / 8.0
    return best


GRID = (np.arange(32) + 0.5) / 32 - 0.5
