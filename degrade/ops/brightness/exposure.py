"""Exposure: multiply the linear light by 2^ev, clip, and encode again.

sRGB is decoded to linear light and encoded after the multiplication; what exceeds white is cut off per channel, as a sensor
does. ev counts stops. Source: camera exposure in stops (darktable's and Lightroom's exposure).
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.colour import device_linear_from_srgb, device_srgb_from_linear, linear_from_srgb, srgb_from_linear
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta


@jit
def _expose(v, gain):
    return device_srgb_from_linear(tl.minimum(device_linear_from_srgb(v) * gain, 1.0))


class Exposure(PointOp):
    """Expose by `ev` stops more or less, in linear light."""

    ev = Param(-4.0, 4.0, neutral=0.0, harsh=(-3.0, 3.0), unit="stops")
    tolerance = 5e-6
    settle_warps = 4

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """2^ev."""
        return np.exp2(theta[:, :1].astype(np.float64)).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return srgb_from_linear(torch.clamp(linear_from_srgb(x) * context.table[:, :1, None, None], max=1.0))

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        gain = tl.load(table)
        return _expose(r, gain), _expose(g, gain), _expose(b, gain)
