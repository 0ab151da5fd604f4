"""Checker: a chessboard of soft squares, at any angle, across the whole frame.

weight = smoothstep((e + shift) / F), e the distance from the border of the cell around the pixel, positive in every other cell
and negative in the ones between, F the ramp, in pixels. With a shift the squares shrink, or the gaps between them do. One
square's middle lies on a pixel drawn uniformly, so that the peak is 1. The mean over the frame is a sum over lines across it,
each in closed form: the shift is solved from it, so that the area is right for the cells that the frame shows, not only on
average. Where squares would be thinner than a pixel, or more than 32 in a line, the cells are larger. The support is the whole
frame.
cell is the side of a cell; angle is counter-clockwise from the right, in degrees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from .base import EDGE, LEVELS, SHARES, Mask, Numbers, once, root

LINES, STEPS = 128, 2


class Checker(Mask):
    """Squares in every other cell of a lattice, as large as the area asks for."""

    cell = Param(0.02, 0.5, unit="of √(h·w)", default=(0.08, 0.25))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 90.0))
    shape_draws = 2

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        side, thin = (height * width) ** 0.5, np.maximum(np.minimum(drawn["area"], 1.0 - drawn["area"]), 0.01)
        turn = np.deg2rad(drawn["angle"])
        nx, ny = np.cos(turn), -np.sin(turn)  # y points down
        extent = np.maximum(np.abs(nx) * height + np.abs(ny) * width, np.abs(ny) * height + np.abs(nx) * width)
        ramp = np.maximum(drawn["feather"] * side, EDGE)
        cell = np.maximum(np.maximum(drawn["cell"] * side, extent / 32), 2.0 * EDGE / np.sqrt(2.0 * thin))
        cy, cx = np.floor(u[:, 0] * height) + 0.5, np.floor(u[:, 1] * width) + 0.5
        half = 0.5 * cell
        # A quarter turn is the same board: take the one whose lines run along the frame.
        turned = np.abs(ny) * height + np.abs(nx) * width < np.abs(nx) * height + np.abs(ny) * width
        ny, nx = np.where(turned, nx, ny), np.where(turned, -ny, nx)
        mean = _mean(cy, cx, ny, nx, cell, height, width)
        low, high = np.log(1e-3 * half), np.log(cell + ramp)  # of the shift plus half a cell

        def shape(stage: Array) -> tuple[Array, Array]:
            grown = np.exp(stage)
            return grown - half, np.minimum(ramp, grown)

        def endless(stage: Array) -> Array:
            """The mean over a board without borders."""
            shift, f = shape(stage)
            kept = 1.0 - np.clip(np.abs(shift - LEVELS[:, None] * f) / half, 0.0, 1.0)
            kept = 0.5 * kept * kept
            return sum(share * np.where(shift < level * f, k, 1.0 - k) for share, level, k in zip(SHARES, LEVELS, kept))

        # From there, secants over the frame.
        stage = root(endless, drawn["area"], low, high, steps=10)
        slope = (endless(stage + 0.02) - endless(stage - 0.02)) / 0.04
        value = mean(*shape(stage))
        for _ in range(STEPS):
            ahead = np.clip(stage + np.clip((drawn["area"] - value) / np.maximum(slope, 0.01), -0.7, 0.7), low, high)
            found = mean(*shape(ahead))
            step = ahead - stage
            slope = np.where(np.abs(step) > 1e-4, (found - value) / np.where(step == 0.0, 1.0, step), slope)
            stage, value = ahead, found
        shift, f = shape(np.clip(stage + np.clip((drawn["area"] - value) / np.maximum(slope, 0.01), -0.7, 0.7), low, high))
        return np.stack([cy, cx, ny / cell, nx / cell, cell, shift, f * (1.0 - 1e-6)], 1)  # so that no rounding keeps the peak under 1

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        dy, dx = y - numbers[0], x - numbers[1]
        p = dy * numbers[2] + dx * numbers[3]
        q = dy * numbers[3] - dx * numbers[2]
        row, column = torch.floor(p + 0.5), torch.floor(q + 0.5)
        depth = (0.5 - torch.maximum((p - row).abs(), (q - column).abs())) * numbers[4]
        pair = (row + column) * 0.5
        depth = torch.where(pair == torch.floor(pair), depth, -depth)
        return smoothstep((depth + numbers[5]) / numbers[6])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        dy, dx = y - numbers[0], x - numbers[1]
        p = dy * numbers[2] + dx * numbers[3]
        q = dy * numbers[3] - dx * numbers[2]
        line, column = tl.floor(p + 0.5), tl.floor(q + 0.5)
        depth = (0.5 - tl.maximum(tl.abs(p - line), tl.abs(q - column))) * numbers[4]
        pair = (line + column) * 0.5
        depth = tl.where(pair == tl.floor(pair), depth, -depth)
        return device_smoothstep(tl.div_rn(depth + numbers[5], numbers[6]))


def _mean(cy: Array, cx: Array, ny: Array, nx: Array, cell: Array, height: int, width: int) -> Callable[[Array, Array], Array]:
    """The mean weight over the frame as a function of shift and ramp."""
    cy, cx, ny, nx, cell = (v.astype(np.float32) for v in (cy, cx, ny, nx, cell))
    middle_y, middle_x = height / 2 - cy, width / 2 - cx
    reach = 0.5 * (np.abs(nx) * height + np.abs(ny) * width)  # of the frame, across the lines
    step = 2.0 * reach / LINES
    across = (np.arange(LINES, dtype=np.float32) + (0.5 - LINES / 2))[:, None] * step  # of each line from the frame's middle, along (nx, -ny)
    # Where each line enters and leaves the frame: the later and the earlier of two borders.
    ends = []
    for n, away, size in ((nx, -across * ny, width), (ny, across * nx, height)):
        n = np.where(np.abs(n) < 1e-6, np.float32(1e-6), n)
        one, two = (-0.5 * size - away) / n, (0.5 * size - away) / n
        ends.append((np.minimum(one, two), np.maximum(one, two)))
    enters, leaves = np.maximum(ends[0][0], ends[1][0]), np.minimum(ends[0][1], ends[1][1])
    leaves = np.maximum(leaves, enters)
    place = across + middle_y * nx - middle_x * ny
    row = np.floor(place / cell + 0.5)
    side = np.abs(place - row * cell)  # from the middle of its row of cells
    along = np.stack([enters, leaves]) + middle_x * nx + middle_y * ny - (row % 2.0) * cell
    pairs = np.floor(along / (2.0 * cell) + 0.5)
    away = along - pairs * (2.0 * cell)  # from the middle of the nearest square
    half, sign, away = 0.5 * cell, np.sign(away), np.abs(away)
    near, far = np.minimum(away, half), np.minimum(2.0 * half - away, half)
    depth = half - side

    def mean(shift: Array, ramp: Array) -> Array:
        s, f = shift.astype(np.float32), ramp.astype(np.float32)

        def cell_of(way: float, end: Array) -> tuple[Array, Array]:
            """The sums of weights along a line from the middle of a cell, to `end` and to the cell's border."""
            top, border = (s + way * depth) / f, once(s / f)
            t, summed = np.clip(top, 0.0, 1.0), once(top)
            flat, f_way = t * t * (3.0 - 2.0 * t), way * f
            slope = np.where(end > side, summed - once((s + way * (half - end)) / f), 0.0)
            return np.minimum(end, side) * flat + f_way * slope, side * flat + f_way * (summed - border)

        (to_near, square), (to_far, gap) = cell_of(1.0, near), cell_of(-1.0, far)
        total = sign * (to_near + gap - to_far) + 2.0 * pairs * (square + gap)
        lines: Array = total[1] - total[0]
        summed = np.zeros_like(shift)
        for line in lines:
            summed = summed + line
        return summed * step / (height * width)

    return mean
