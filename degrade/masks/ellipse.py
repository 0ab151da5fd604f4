"""Ellipse: at any angle, with a soft edge.

weight = smoothstep((1 − ρ) / f), ρ the distance from the centre in the ellipse's own coordinates, 1 on its boundary.
Σ weight = π s² (1 − f + 0.3 f²) for semi-axes s √aspect and s / √aspect and a ramp of f·s pixels.
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

from ._placed import Placed
from ._radial import cut, directions, whole
from .base import EDGE, Numbers, box


class Ellipse(Placed):
    """An ellipse, uniform over the positions where it fits the frame, or about `centre`."""

    aspect = Param(0.1, 10.0, unit="axis along / across", default=LogUniform(0.5, 2.0))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))
    shape_draws = 2

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        total = drawn["area"] * (height * width)
        along = np.sqrt(drawn["aspect"])
        across = 1.0 / along
        # The ramp is thinner across the short axis: there, too, it must not fall under a pixel.
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE * np.maximum(along, across))
        turn = np.deg2rad(drawn["angle"])
        cos, sin = np.cos(turn), -np.sin(turn)  # y points down
        scale, width_of_ramp = whole(total / np.pi, ramp)
        half_y, half_x = np.sqrt((along * sin) ** 2 + (across * cos) ** 2), np.sqrt((along * cos) ** 2 + (across * sin) ** 2)
        cy, fits_y = self.place(u[:, 0], 0, scale * half_y, scale * half_y, height)
        cx, fits_x = self.place(u[:, 1], 1, scale * half_x, scale * half_x, width)
        cy, cx = np.floor(cy) + 0.5, np.floor(cx) + 0.5
        at = (~(fits_y & fits_x)).nonzero()[0]
        if len(at):
            c, s, a, b = (v[at, None].astype(np.float32) for v in (cos, sin, 1.0 / along, 1.0 / across))
            x, y = directions(height, width)
            shape = 1.0 / np.sqrt(np.square((x * c + y * s) * a) + np.square((y * c - x * s) * b))
            scale[at], width_of_ramp[at] = cut(total[at], ramp[at], scale[at], shape, cy[at], cx[at], height, width)
        p, q = 1.0 / (scale * along), 1.0 / (scale * across)
        rows = [cy, cx, sin * p, cos * p, cos * q, -sin * q, np.minimum(width_of_ramp / scale, 1.0), scale * half_y, scale * half_x]
        return np.array(rows).T

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        cy, cx, hy, hx = numbers[:, [0, 1, 7, 8]].astype(np.float64).T
        hy, hx = hy * 1.00001 + 0.001, hx * 1.00001 + 0.001  # for the rounding of ρ
        return box(cy - hy, cy + hy, cx - hx, cx + hx, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        dy, dx = y - numbers[0], x - numbers[1]
        p = dy * numbers[2] + dx * numbers[3]
        q = dy * numbers[4] + dx * numbers[5]
        return smoothstep((1.0 - sqrt(p * p + q * q)) / numbers[6])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        dy, dx = y - numbers[0], x - numbers[1]
        p = dy * numbers[2] + dx * numbers[3]
        q = dy * numbers[4] + dx * numbers[5]
        return device_smoothstep(tl.div_rn(1.0 - tl.sqrt_rn(p * p + q * q), numbers[6]))
