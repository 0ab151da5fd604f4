"""Ellipses: a union of ellipses with soft edges, each at its own angle.

weight = smoothstep((1 − ρ) / f), ρ the least of the distances from the centres, each in its ellipse's own coordinates, 1 on its
boundary. The largest has semi-axes s √aspect and s / √aspect and a ramp of f·s pixels; smaller ones, down to half of it, are
scaled as a whole. All grow together about fixed centres until the area is met, and may come to reach over the frame's border.
s is solved from ρ at a lattice of 40² points, which leaves the area right within 0.01. An ellipse is rounder than drawn where
it would be thinner than 3 px or 1/30 of the frame.
aspect is the axis along `angle` over the one across it; angle is counter-clockwise from the horizontal, in degrees.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array, LogUniform
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._lattice import lattice, mean, slope
from ._placed import Placed
from ._radial import whole
from .base import EDGE, Numbers, box, root

COUNT = 8
FIRST, EACH = 8, 6  # the column of the first ellipse, and the numbers of each: cy, cx, and ρ's coordinates, two along y and x
POINTS = 40
THIN = POINTS / 60  # half of 1/30 of the frame, in steps of the lattice


class Ellipses(Placed):
    """Several ellipses, which may overlap, each with a size, an aspect, an angle and a place of its own.

    Args:
        centre: of each ellipse by itself, (y, x) in fractions of the frame, as near to it as the ellipse fits; None: uniform over
            the positions where it fits.
    """

    count = Param(1, COUNT, unit="ellipses", default=(1, 6), integer=True)
    aspect = Param(0.2, 5.0, unit="axis along / across", default=LogUniform(0.5, 2.0))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))
    columns = FIRST + EACH * COUNT
    shape_draws = 5 * COUNT

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        most = int(self.values["count"].bounds()[1])
        real = np.arange(most) < drawn["count"][:, None]
        place_y, place_x, size, aspect, angle = (u[:, i * COUNT : i * COUNT + most] for i in range(5))
        size = np.where(real, 0.5 + 0.5 * size, 0.0)
        size /= size.max(1)[:, None]
        rows, columns, apart = lattice(height, width, POINTS)
        total = drawn["area"] * (height * width) / (np.pi * np.square(size).sum(1))
        longest = np.maximum(np.sqrt(total)[:, None] * size / max(EDGE, THIN * apart), 1.0)
        # Each has an aspect and an angle of its own; those drawn for the mask are left aside.
        along, turn = np.sqrt(self.values["aspect"].draw(aspect)).clip(1.0 / longest, longest), np.deg2rad(self.values["angle"].draw(angle))
        cos, sin, across = np.cos(turn), -np.sin(turn), 1.0 / along  # y points down
        thin = np.where(real, np.maximum(along, across), 0.0).max(1)
        # The ramp is thinner across the short axis, which is to be seen in the largest.
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE * thin)
        half_y, half_x = size * np.hypot(along * sin, across * cos), size * np.hypot(along * cos, across * sin)
        least, _ = whole(total, ramp)  # what they take side by side
        cy, cx = (
            np.floor(self.place(v, axis, least[:, None] * half, least[:, None] * half, n)[0]) + 0.5  # on a pixel, so that the peak is 1
            for axis, (v, half, n) in enumerate(((place_y, half_y, height), (place_x, half_x, width)))
        )
        p, q = (1.0 / (np.where(real, size, 1.0) * axis) for axis in (along, across))
        into = np.stack([sin * p, cos * p, cos * q, -sin * q])
        value = -_nearest(cy, cx, into, real, rows, columns)
        blur = slope(value, len(rows))

        def area(log_scale: Array) -> Array:
            s = np.exp(log_scale)
            f = np.minimum(ramp, s)
            return mean(value, f - s, f, np.minimum(blur, (2.0 * s - f)[:, None]))

        s = np.exp(root(area, drawn["area"], np.log(0.25 * least), np.log(ramp - 1.1 * value.min(1)), steps=12))
        half_y, half_x = s[:, None] * half_y, s[:, None] * half_x
        ends = [np.where(real, v, np.inf).min(1) for v in (cy - half_y, -cy - half_y, cx - half_x, -cx - half_x)]
        head = [drawn["count"], np.minimum(ramp / s, 1.0), ends[0], -ends[1], ends[2], -ends[3]]
        each = np.where(real[..., None], np.stack([cy, cx, *(into / s[:, None])], 2), 0.0).reshape(len(u), -1)
        return np.concatenate([np.stack(head, 1), np.zeros((len(u), FIRST - len(head))), each], 1)

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        y0, y1, x0, x1 = numbers[:, 2:6].astype(np.float64).T
        return box(y0 - 0.01, y1 + 0.01, x0 - 0.01, x1 + 0.01, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        count = numbers[0].clamp(max=COUNT)
        near = y * 0.0 + x * 0.0 + count * 0.0 + 1e30
        for i in range(int(count.max()) if count.numel() else 0):
            cy, cx, py, px, qy, qx = numbers[FIRST + EACH * i : FIRST + EACH * (i + 1)]
            dy, dx = y - cy, x - cx
            p, q = dy * py + dx * px, dy * qy + dx * qx
            near = torch.where(count > i, torch.minimum(near, p * p + q * q), near)
        return smoothstep((1.0 - sqrt(near)) / numbers[1])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        near = y * 0.0 + x * 0.0 + 1e30
        for i in range(0, tl.minimum(numbers[0], 8.0).to(tl.int32)):
            at = row + 8 + 6 * i
            dy, dx = y - tl.load(at), x - tl.load(at + 1)
            p = dy * tl.load(at + 2) + dx * tl.load(at + 3)
            q = dy * tl.load(at + 4) + dx * tl.load(at + 5)
            near = tl.minimum(near, p * p + q * q)
        return device_smoothstep(tl.div_rn(1.0 - tl.sqrt_rn(near), numbers[1]))


def _nearest(cy: Array, cx: Array, into: Array, real: Array, rows: Array, columns: Array) -> Array:
    """ρ of ellipses of scale 1 at lattice points, (n, rows · columns) float32."""
    near = np.full((len(cy), len(rows), len(columns)), np.inf, dtype=np.float32)
    into = into.astype(np.float32)
    for i in range(cy.shape[1]):
        dy, dx = rows - cy[:, i, None].astype(np.float32), columns - cx[:, i, None].astype(np.float32)
        square = np.where(real[:, i], np.float32(0.0), np.float32(np.inf))[:, None, None]
        for py, px in (into[:2, :, i, None], into[2:, :, i, None]):
            square = square + np.square((dy * py)[:, :, None] + (dx * px)[:, None])
        np.minimum(near, square, out=near)
    return np.sqrt(near).reshape(len(cy), -1)
