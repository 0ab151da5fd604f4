"""Sigmoid contrast: y = 1 / (1 + (μ / x)^k), with μ the mean of each channel over the whole image.

The mean becomes 0.5, where the slope is k / 4μ: no k is the identity. An image of middle brightness changes least at about
k = 2; below 1 everything is drawn towards 0.5, far above 2 towards black and white. Black stays black. The mean is a sum of
16-bit fixed-point values in 64-bit integers. Source: DepictQA contrast weaken and strengthen by stretching.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_power, power
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Stroke, Theta, TwoStrokeOp

from ._mean import add_up, channel_means, device_channel_means


@jit
def _sigmoid(v, mean, k):
    ratio = device_power(tl.div_rn(v, tl.where(mean > 0.0, mean, 1.0)), k)
    return tl.div_rn(ratio, ratio + 1.0)


class ContrastSigmoid(TwoStrokeOp):
    """Pass every value through a sigmoid of its ratio to the channel's mean, with exponent `k`."""

    k = Param(0.1, 16.0, neutral=1.5, harsh=(0.4, 10.0), unit="(exponent)")
    whole_frame = True
    words = 3  # the sum of each channel
    strokes = (Stroke(add_up, stores=False),)
    tolerance = 5e-6
    modulates = True

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.zeros(len(theta), dtype=bool)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        mean = channel_means(x)
        ratio = power(x / torch.where(mean > 0.0, mean, 1.0), theta[0])
        return ratio / (ratio + 1.0)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        mr, mg, mb = device_channel_means(words, scratch)
        return _sigmoid(r, mr, theta[0]), _sigmoid(g, mg, theta[0]), _sigmoid(b, mb, theta[0])
