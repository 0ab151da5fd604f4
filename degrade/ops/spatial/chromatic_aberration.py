"""Chromatic aberration: red, green and blue are displaced against each other, all alike or the more the farther out.

mode="shift" moves red by `shift` pixels in the direction `angle` (degrees, anticlockwise from the x axis), green and blue by
that times their shares; mode="radial" magnifies each channel about the middle, so that in the corners it has moved outwards by
as much. Values are bilinear, edges repeat the border pixel, and a 3×3 Gaussian of standard deviation `sigma` follows.
RankIQA's level n (2, 6, 10, 14) moves red by n − 1 columns and green by n/2 − 1, with sigma 0.5; it keeps the columns that
nothing moves into and pads the blur with zeros. Source: TID2013 type 23, as RankIQA reconstructs it.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

from ._warp import device_sample_plane, sample_linear


class ChromaticAberration(TwoStrokeOp):
    """Displace red by `shift` pixels, and green and blue by their shares of it."""

    shift = Param(-64.0, 64.0, neutral=0.0, harsh=(-8.0, 8.0), unit="px")
    mode = Param(choices=("shift", "radial"), default="shift")
    green = Param(-1.0, 1.0, neutral=0.0, harsh=1.0, unit="of shift", default=0.0)
    blue = Param(-1.0, 1.0, neutral=0.0, harsh=-1.0, unit="of shift", default=-1.0)
    angle = Param(-360.0, 360.0, unit="degrees", default=0.0)
    sigma = Param(0.0, 2.0, neutral=0.0, harsh=0.5, unit="px", default=0.0)
    tolerance = 2e-6
    settle_warps = 8

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 0) & (theta[:, 5] == 0)

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.ceil(np.abs(theta[:, 0].astype(np.float64))).astype(np.int64) + 2

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The middle; then (down, right, growth) of each channel, where it is read; then the blur's centre and side weight."""
        theta = theta.astype(np.float64)
        middle = np.asarray([[(frame.height - 1) / 2, (frame.width - 1) / 2]])
        corner = max(float(np.hypot(*middle[0])), 0.5)
        move = theta[:, :1] * np.stack([np.ones(len(theta)), theta[:, 2], theta[:, 3]], 1)
        radial, angle = theta[:, 1:2] == 1, np.deg2rad(theta[:, 4:5])
        down, right = np.where(radial, 0.0, move * np.sin(angle)), np.where(radial, 0.0, -move * np.cos(angle))
        growth = np.where(radial, -move / corner, 0.0)
        side = np.exp(-0.5 / np.maximum(theta[:, 5:6], 1e-3) ** 2)
        blur = np.concatenate([np.ones_like(side), side], 1) / (1 + 2 * side)
        channels = np.stack([down, right, growth], 2).reshape(len(theta), 9)
        return np.concatenate([np.repeat(middle, len(theta), 0), channels, blur], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        column = context.table[:, :, None, None]
        ry = torch.arange(height, device=x.device)[:, None] - column[:, 0]
        rx = torch.arange(width, device=x.device) - column[:, 1]
        moved = [
            sample_linear(x[:, c : c + 1], column[:, 2 + 3 * c] + column[:, 4 + 3 * c] * ry, column[:, 3 + 3 * c] + column[:, 4 + 3 * c] * rx)
            for c in range(3)
        ]
        padded = torch.nn.functional.pad(context.round(torch.cat(moved, 1)), (1, 1, 1, 1), mode="replicate")
        centre, side = column[:, 11:12], column[:, 12:13]
        across = centre * padded[..., 1:-1] + side * (padded[..., :-2] + padded[..., 2:])
        return centre * across[:, :, 1:-1] + side * (across[:, :, :-2] + across[:, :, 2:])

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        ry, rx = y - tl.load(table), x - tl.load(table + 1)
        r = ry * 0.0 + rx * 0.0
        g, b = r, r
        for c in range(3):  # not unrolled, for the sake of registers
            place = table + 2 + 3 * c
            growth = tl.load(place + 2)
            v = device_sample_plane(image, c, y, x, tl.load(place) + growth * ry, tl.load(place + 1) + growth * rx)
            r, g, b = tl.where(c == 0, v, r), tl.where(c == 1, v, g), tl.where(c == 2, v, b)
        return r, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        centre, side = tl.load(table + 11), tl.load(table + 12)
        r0, g0, b0 = _across(scratch, y - 1, x, centre, side)
        r1, g1, b1 = _across(scratch, y, x, centre, side)
        r2, g2, b2 = _across(scratch, y + 1, x, centre, side)
        return centre * r1 + side * (r0 + r2), centre * g1 + side * (g0 + g2), centre * b1 + side * (b0 + b2)


@jit
def _across(image, y, x, centre, side):
    """Three taps along a row."""
    r0, g0, b0 = fetch(image, y, x - 1)
    r1, g1, b1 = fetch(image, y, x)
    r2, g2, b2 = fetch(image, y, x + 1)
    return centre * r1 + side * (r0 + r2), centre * g1 + side * (g0 + g2), centre * b1 + side * (b0 + b2)
