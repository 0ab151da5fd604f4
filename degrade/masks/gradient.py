"""Gradient: one side of a straight line, rising along a direction.

weight = smoothstep((p · n − offset) / F), p from the frame's centre, n the unit vector at `angle`, F the ramp in pixels. The
mean of the weight over the frame is a second difference, over the four corners, of the ramp's second antiderivative; the
offset is solved from it. The ramp is capped so that the frame's last corner reaches 1.
angle is the direction of rise, counter-clockwise from the right, in degrees.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from .base import EDGE, Mask, Numbers, box, root, twice


class Gradient(Mask):
    """A linear transition across the frame: 0 on one side, 1 on the other."""

    feather = Param(0.0, 2.0, unit="of √(h·w)", default=(0.2, 1.0))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 360.0))

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE)
        turn = np.deg2rad(drawn["angle"])
        nx, ny = np.cos(turn), -np.sin(turn)  # y points down
        a, b = np.maximum(np.abs(nx) * (width / 2), 1e-4), np.maximum(np.abs(ny) * (height / 2), 1e-4)
        last = a + b - 0.5 * (np.abs(nx) + np.abs(ny))  # of the pixel centre farthest along n
        corners = np.stack([a + b, a - b, b - a, -a - b], 1)

        def line(stage: Array) -> tuple[Array, Array]:
            """Stage 0 to 1 widens the ramp below the last corner, 1 to 2 then moves the line until all is 1."""
            f = np.maximum(ramp * np.minimum(stage, 1.0), 1e-2)
            return last - f - np.maximum(stage - 1.0, 0.0) * (last + a + b), f

        def area(stage: Array) -> Array:
            offset, f = line(stage)
            v = twice((corners - offset[:, None]) / f[:, None])
            return (v[:, 0] - v[:, 1] - v[:, 2] + v[:, 3]) * f * f / (4.0 * a * b)

        # The offset lies within one ramp under the line that cuts the frame hard at this area.
        first = 1.0 + (last - _quantile(drawn["area"], a, b) - ramp) / (last + a + b)
        high = np.clip(first + ramp / (last + a + b), 1.0, 2.0)
        low = np.where(first < 1.0, 0.0, np.minimum(first, 2.0))
        offset, f = line(root(area, drawn["area"], low, high, steps=8))
        offset -= 1e-5 * (a + b)  # so that no rounding keeps the corner under 1
        middle = np.full(len(u), 0.5)
        return np.stack([middle * height, middle * width, ny, nx, offset, f], 1)

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        ny, nx, offset = numbers[:, 2:5].astype(np.float64).T
        y0, y1 = _side(offset - np.abs(nx) * (width / 2), ny, height)
        x0, x1 = _side(offset - np.abs(ny) * (height / 2), nx, width)
        return box(y0, y1, x0, x1, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        along = (y - numbers[0]) * numbers[2] + (x - numbers[1]) * numbers[3]
        return smoothstep((along - numbers[4]) / numbers[5])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        along = (y - numbers[0]) * numbers[2] + (x - numbers[1]) * numbers[3]
        return device_smoothstep(tl.div_rn(along - numbers[4], numbers[5]))


def _quantile(area: Array, a: Array, b: Array) -> Array:
    """The z that X + Y exceeds with probability `area`, X uniform in ±a and Y uniform in ±b."""
    long, short, tail = np.maximum(a, b), np.minimum(a, b), np.minimum(area, 1.0 - area)
    z = np.where(2.0 * long * tail < short, long + short - np.sqrt(8.0 * long * short * tail), long * (1.0 - 2.0 * tail))
    return np.where(area > 0.5, -z, z)


def _side(least: Array, n: Array, size: int) -> tuple[Array, Array]:
    """The part of one axis where n · coordinate (from the middle) can exceed `least`, with a margin for rounding."""
    flat = np.abs(n) < 1e-6
    at = size / 2 + np.clip(least / np.where(flat, 1.0, n), -size, size)
    low, high = np.where(flat | (n < 0), 0.0, at - 0.01), np.where(flat | (n > 0), float(size), at + 0.01)
    return low, high
