"""Motion blur: the average along a straight line of `length` pixels, MATLAB's fspecial('motion'); edges repeat the border.

length is in pixels (1 is the identity), angle in degrees, anticlockwise from the x axis. Each tap weighs 1 − d, with d its
distance to the line, as MATLAB's documentation of fspecial describes. Source: KADID-10k type 3.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Listed, packed


class MotionBlur(Listed, TwoStrokeOp):
    """Blur along a line of `length` pixels at `angle` degrees."""

    length = Param(1.0, 128.0, neutral=1.0, harsh=20.0, unit="px")
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return np.ceil((theta[:, 0].astype(np.float64) - 1) / 2 + 1).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        length, angle = theta[:, 0].astype(np.float64)[:, None, None], np.deg2rad(theta[:, 1].astype(np.float64))[:, None, None]
        half, cos, sin = (length - 1) / 2, np.cos(angle), np.sin(angle)
        # Walk along the axis that the line is closer to; a tap lies less than a pixel from the line, so within one step of it.
        flat = np.abs(cos) >= np.abs(sin)
        major = np.arange(-int(half.max(initial=0)) - 1, int(half.max(initial=0)) + 2)
        minor = np.rint(major * np.where(flat, sin, cos) / np.where(flat, cos, sin)) + np.asarray([[-1], [0], [1]])
        x, y = np.where(flat, major, minor), np.where(flat, minor, major)  # y points up
        along, distance = x * cos + y * sin, np.abs(y * cos - x * sin)
        at_the_end = (x * x + y * y >= half * half) & (distance <= 1)  # the squares are exact
        weight = 1.0 - np.hypot(distance, half - np.abs(along), out=distance, where=at_the_end)
        weight[weight < 1e-12] = 0.0  # a pixel on the rim, but for rounding
        return packed(*(a.reshape(len(theta), -1) for a in (-y, x, weight)))
