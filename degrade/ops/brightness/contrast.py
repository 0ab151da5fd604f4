"""Contrast about the mean: y = μ + factor · (x − μ), with μ the mean of each channel over the whole image.

The mean is a sum of 16-bit fixed-point values in 64-bit integers, so it does not depend on the order of addition.
Source: ImageNet-C contrast.
"""

import numpy as np
import torch

from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp


class Contrast(TwoStrokeOp):
    """Scale the distance of every value to its channel's mean: below 1 flattens, above 1 exaggerates."""

    factor = Param(0.0, 8.0, neutral=1.0, harsh=(0.05, 4.0), unit="× contrast")
    whole_frame = True
    tolerance = 1e-6

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        count = np.float32(65535.0) * np.float32(x.shape[2]) * np.float32(x.shape[3])
        total = torch.floor(x * 65535.0 + 0.5).to(torch.int64).sum((2, 3), keepdim=True)
        # By a tensor: a GPU divides by a plain number through its reciprocal.
        mean = total.to(torch.float32) / torch.full_like(total, float(count), dtype=torch.float32)
        return mean + theta[0] * (x - mean)

    @staticmethod
    @jit
    def reach(image, y, x, theta, table, words, rng, inside):
        r, g, b = fetch(image, y, x)
        tl.atomic_add(words, tl.sum(tl.sum(tl.where(inside, tl.floor(r * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
        tl.atomic_add(words + 1, tl.sum(tl.sum(tl.where(inside, tl.floor(g * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
        tl.atomic_add(words + 2, tl.sum(tl.sum(tl.where(inside, tl.floor(b * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
        return r, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        factor = theta[0]
        count = 65535.0 * scratch[1] * scratch[2]
        mr = tl.div_rn(tl.load(words).to(tl.float32), count)
        mg = tl.div_rn(tl.load(words + 1).to(tl.float32), count)
        mb = tl.div_rn(tl.load(words + 2).to(tl.float32), count)
        return mr + factor * (r - mr), mg + factor * (g - mg), mb + factor * (b - mb)
