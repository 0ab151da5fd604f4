"""Box motion blur: the mean of `length` pixels in a row or a column; edges repeat the border pixel.

length is a whole number of pixels (1 is the identity). Of an even length, half of the pixels lie to the right of (below) the pixel
and one less to its left (above). Shift "scipy" also reads even lengths from one row further down (one column further right): Re-IQA
draws the line into a square of even side, whose centre scipy.ndimage.convolve places beside it. Source: Re-IQA motion blur.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Listed, packed


class BoxMotionBlur(Listed, TwoStrokeOp):
    """Average `length` pixels along one axis."""

    length = Param(1, 64, neutral=1, harsh=31, unit="px", integer=True)
    axis = Param(choices=("horizontal", "vertical"), default="horizontal")
    shift = Param(choices=("none", "scipy"), default="none")

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return theta[:, 0].astype(np.int64) // 2

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        length = theta[:, :1].astype(np.int64)
        i = np.arange(length.max(initial=1)) - (length - 1) // 2
        across = np.where((theta[:, 2:3] == 1) & (length % 2 == 0), 1, 0) + 0 * i
        flat = theta[:, 1:2] == 0
        return packed(np.where(flat, across, i), np.where(flat, i, across), (i <= length // 2).astype(np.float64))
