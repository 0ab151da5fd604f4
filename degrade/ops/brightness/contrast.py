"""Contrast about the mean: y = μ + factor · (x − μ), with μ the mean of each channel, or of the grey image, over the whole image.

The grey mean, 0.299 R + 0.587 G + 0.114 B, is rounded to 8 bits, as Pillow does. A mean is a sum of 16-bit fixed-point values
in 64-bit integers, so it does not depend on the order of addition.
Source: ImageNet-C contrast; DepictQA contrast weaken and strengthen by scaling ("grey").
"""

import torch

from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Stroke, Theta, TwoStrokeOp

from ._mean import add_up, channel_means, device_channel_means


class Contrast(TwoStrokeOp):
    """Scale the distance of every value to the mean: below 1 flattens, above 1 exaggerates."""

    factor = Param(0.0, 8.0, neutral=1.0, harsh=(0.05, 4.0), unit="× contrast")
    mean = Param(choices=("channel", "grey"), default="channel")
    words = 3  # the sum of each channel
    whole_frame = True
    strokes = (Stroke(add_up, stores=False),)
    tolerance = 1e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        mean = channel_means(x)
        grey = mean[:, :1] * 0.299 + mean[:, 1:2] * 0.587 + mean[:, 2:] * 0.114
        mean = torch.where(theta[1] == 1.0, torch.floor(grey * 255.0 + 0.5) * (1.0 / 255.0), mean)
        return mean + theta[0] * (x - mean)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        factor = theta[0]
        mr, mg, mb = device_channel_means(words, scratch)
        grey = tl.floor((mr * 0.299 + mg * 0.587 + mb * 0.114) * 255.0 + 0.5) * (1.0 / 255.0)
        pools = theta[1] == 1.0
        mr, mg, mb = tl.where(pools, grey, mr), tl.where(pools, grey, mg), tl.where(pools, grey, mb)
        return mr + factor * (r - mr), mg + factor * (g - mg), mb + factor * (b - mb)
