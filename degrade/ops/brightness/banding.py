"""Banding: reduce the bit depth to n = 2^bits equal levels, y = round(x · (n − 1)) / (n − 1), n rounded to a whole number.

bits may be a fraction, so that severity moves on the logarithm of the number of levels; log2(n) gives n levels. 8 bits are
the neutral value and leave every image as it is. With dither "bayer" the thresholds of the rounding follow the 8×8 Bayer
matrix, aligned to the image origin, in place of one half. Source: uniform bit-depth reduction; B. Bayer, ICC 1973.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta


def _bayer(y, x):
    """The thresholds, (k + 0.5) / 64 with k the bits of x ^ y and y interleaved from the lowest."""
    z = x ^ y
    high = (z & 1) << 5 | (y & 1) << 4
    middle = (z & 2) << 2 | (y & 2) << 1
    return ((high | middle | (z & 4) >> 1 | (y & 4) >> 2) * 2 + 1) * (1.0 / 128.0)


_device_bayer = jit(_bayer)


class Banding(PointOp):
    """Reduce every channel to 2^`bits` levels."""

    bits = Param(1.0, 8.0, neutral=8.0, harsh=1.0, unit="bits per channel")
    dither = Param(choices=("none", "bayer"), default="none")
    gradient = "straight-through"

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The number of steps, n − 1."""
        return (np.rint(np.exp2(theta[:, :1].astype(np.float64))) - 1.0).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        steps = context.table[:, :1, None, None]
        y = torch.arange(x.shape[2], device=x.device)[:, None] & 7
        thresholds = _bayer(y, torch.arange(x.shape[3], device=x.device) & 7)
        return torch.floor(x * steps + torch.where(theta[1] == 1.0, thresholds, 0.5)) / steps

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        steps = tl.load(table)
        threshold = tl.where(theta[1] == 1.0, _device_bayer((pixel >> 16) & 7, pixel & 7), 0.5)
        r = tl.div_rn(tl.floor(r * steps + threshold), steps)
        g = tl.div_rn(tl.floor(g * steps + threshold), steps)
        b = tl.div_rn(tl.floor(b * steps + threshold), steps)
        return r, g, b
