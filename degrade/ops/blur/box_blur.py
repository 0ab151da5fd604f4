"""Box blur: the mean of the (2·radius + 1)² pixels around each, along x, then along y; edges repeat the border pixel.

radius is in pixels; of a fractional one, the outermost pixels weigh its fraction, as in Pillow. Source: Re-IQA denoise, Pillow.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Separable, separable


class BoxBlur(Separable, TwoStrokeOp):
    """Average a square of 2·`radius` + 1 pixels."""

    radius = Param(0.0, 32.0, neutral=0.0, harsh=10.0, unit="px")  # type: ignore[assignment]

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return np.ceil(theta[:, 0].astype(np.float64)).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        return separable(cls.extent(theta), lambda i: np.clip(theta[:, :1].astype(np.float64) + 1 - i, 0.0, 1.0))
