"""Pixel scatter: every pixel takes the value of a neighbour, at a whole offset uniform in ±distance down and across.

distance is in pixels. The offsets are a pixel's own, the same for the three channels; borders repeat the last pixel.
Source: DepictQA's "blur jitter".
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, Theta, TwoStrokeOp


class PixelScatter(TwoStrokeOp):
    """Take every pixel from a random neighbour at most `distance` pixels away along each axis."""

    distance = Param(0, 64, neutral=0, harsh=8, unit="px", integer=True)

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return theta[:, 0].astype(np.int64)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, height, width = x.shape
        down, across = context.rng.uniform4()[:2]
        distance = theta[0][:, 0]
        y = torch.floor(down * (2.0 * distance + 1.0)) - distance + torch.arange(height, dtype=torch.float32, device=x.device)[:, None]
        z = torch.floor(across * (2.0 * distance + 1.0)) - distance + torch.arange(width, dtype=torch.float32, device=x.device)
        at = y.clamp(0, height - 1).to(torch.int64) * width + z.clamp(0, width - 1).to(torch.int64)
        return x.flatten(2).gather(2, at.flatten(1)[:, None].expand(-1, 3, -1)).reshape(x.shape)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        down, across, _, _ = uniform4(rng, (y << 16) | x)
        distance = theta[0]
        dy = tl.floor(down * (2.0 * distance + 1.0)) - distance
        dx = tl.floor(across * (2.0 * distance + 1.0)) - distance
        return fetch(image, y + dy.to(tl.int32), x + dx.to(tl.int32))
