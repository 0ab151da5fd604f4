"""Stripes: parallel soft bands across the whole frame.

weight = smoothstep((h − |c|) / F), c the distance from the middle of the nearest band, h half a band's width, F the ramp, in
pixels. A band's middle runs through a pixel drawn uniformly, so that the peak is 1. The mean over the frame is a second
difference, over the four corners, of the second antiderivative of the periodic profile: h is solved from it, so that the area
is right for the bands that the frame shows, not only on average. Where bands, or the gaps between them, would be thinner than
a pixel, the period is longer. The support is the whole frame.
period is from band to band; angle is of the direction across the bands, counter-clockwise from the right, in degrees.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from .base import EDGE, Mask, Numbers, once, root, twice


class Stripes(Mask):
    """Bands at one angle, as wide as the area asks for."""

    period = Param(0.02, 2.0, unit="of √(h·w)", default=(0.1, 0.4))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))
    shape_draws = 2

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        side, thin = (height * width) ** 0.5, np.maximum(np.minimum(drawn["area"], 1.0 - drawn["area"]), 0.01)
        ramp, period = np.maximum(drawn["feather"] * side, EDGE), np.maximum(drawn["period"] * side, EDGE / thin)
        turn = np.deg2rad(drawn["angle"])
        nx, ny = np.cos(turn), -np.sin(turn)  # y points down
        cy, cx = np.floor(u[:, 0] * height) + 0.5, np.floor(u[:, 1] * width) + 0.5
        a, b = np.maximum(np.abs(nx) * (width / 2), 1e-4), np.maximum(np.abs(ny) * (height / 2), 1e-4)
        middle = (height / 2 - cy) * ny + (width / 2 - cx) * nx
        corners = middle[:, None] + np.stack([a + b, a - b, b - a, -a - b], 1)
        turns = np.floor(corners / period[:, None] + 0.5)
        within = np.abs(corners - turns * period[:, None])  # from the nearest middle
        carried = (corners**2 - within**2) / (2.0 * period[:, None])  # what one unit of weight per period adds up to between

        def area(log_half: Array) -> Array:
            half = np.exp(log_half)[:, None]
            f = np.minimum(ramp[:, None], half)
            rise, start = f * once(half / f), f * f * twice(half / f)
            whole = 2.0 * (rise - f * once((half - 0.5 * period[:, None]) / f))
            v = within * rise - start + f * f * twice((half - within) / f) + carried * whole
            return (v[:, 0] - v[:, 1] - v[:, 2] + v[:, 3]) / (4.0 * a * b)

        half = np.exp(root(area, drawn["area"], np.log(0.1 * thin * period), np.log(0.5 * period + ramp), steps=12))
        f = np.minimum(ramp, half)
        return np.stack([cy, cx, ny / period, nx / period, period, half, f * (1.0 - 1e-6)], 1)  # so that no rounding keeps the peak under 1

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        along = (y - numbers[0]) * numbers[2] + (x - numbers[1]) * numbers[3]
        away = (along - torch.floor(along + 0.5)).abs() * numbers[4]
        return smoothstep((numbers[5] - away) / numbers[6])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        along = (y - numbers[0]) * numbers[2] + (x - numbers[1]) * numbers[3]
        away = tl.abs(along - tl.floor(along + 0.5)) * numbers[4]
        return device_smoothstep(tl.div_rn(numbers[5] - away, numbers[6]))
