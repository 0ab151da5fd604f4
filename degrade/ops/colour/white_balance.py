"""White balance error: a gain per channel that keeps the luma of white.

shift and tint are in stops of the encoded value: red · 2^(shift/2), blue · 2^(−shift/2) and green · 2^−tint, all divided by the
luma (0.299, 0.587, 0.114) that white would then have. A positive shift is warmer, a positive tint more magenta. The gains act on
the gamma-encoded values, where a gain of linear light is nearly a gain too. Source: the diagonal (von Kries) model.
"""

import numpy as np

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta


class WhiteBalance(PointOp):
    """Shift the colours between blue and red by `shift`, and between green and magenta by `tint`, in stops."""

    shift = Param(-2.0, 2.0, neutral=0.0, harsh=(-1.0, 1.0), unit="stops")
    tint = Param(-1.0, 1.0, neutral=0.0, harsh=(-0.5, 0.5), unit="stops", default=0.0)
    tolerance = 1e-6

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 0.0) & (theta[:, 1] == 0.0)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The gain of each channel."""
        shift, tint = theta[:, 0].astype(np.float64), theta[:, 1].astype(np.float64)
        red, green, blue = np.exp2(shift / 2), np.exp2(-tint), np.exp2(-shift / 2)
        return (np.stack([red, green, blue], 1) / (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return x * context.table[:, :, None, None]

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        return r * tl.load(table), g * tl.load(table + 1), b * tl.load(table + 2)
