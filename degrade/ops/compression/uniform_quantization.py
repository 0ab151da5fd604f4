"""Uniform quantisation: every channel rounded to one of n + 1 equally spaced levels, y = ⌊n·x + ½⌋ / n.

thresholds is n, how many lie between the levels. The "arniqa" variant counts instead, on 8-bit values, how many of the
thresholds ⌊255·k/n⌋, k = 0 … n−1, a value exceeds, and stretches the counts of the whole image to 0..1: black alone keeps the
lowest level, and the image gets brighter. An image of one level is not stretched. 64 thresholds still change pixels.
Source: ARNIQA quantization.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.codec import to_byte, to_byte_twin
from degrade.kernels.fetch import fetch_column
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import raise_to
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp

VARIANTS = ("nearest", "arniqa")


class UniformQuantization(TwoStrokeOp):
    """Reduce every channel to `thresholds` + 1 equally spaced levels."""

    thresholds = Param(1, 64, neutral=64, harsh=1, unit="thresholds", default=(4, 24), integer=True)
    variant = Param(choices=VARIANTS, default="nearest")
    words = 2  # 255 − the lowest 8-bit value, and the highest one
    whole_frame = True
    tolerance = 0.0
    gradient = "straight-through"

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.zeros(len(theta), dtype=bool)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        """Only ARNIQA's stretch needs a pass over the image."""
        return np.where(theta[:, 1:2] == VARIANTS.index("arniqa"), 0, -1)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, arniqa = theta[0], theta[1].flatten() == VARIANTS.index("arniqa")
        out = torch.empty_like(x)
        for variant, function in ((False, _nearest), (True, _arniqa)):
            rows = (arniqa == variant).nonzero().flatten()
            if len(rows) == len(x):
                return function(x, n)
            out[rows] = function(x[rows], n[rows])
        return out

    @staticmethod
    @jit
    def extremes(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch_column(image, y, x)
        low, high = to_byte(tl.minimum(tl.minimum(r, g), b)), to_byte(tl.maximum(tl.maximum(r, g), b))
        raise_to(words, tl.max(tl.max(255 - low, 1), 0))
        raise_to(words + 1, tl.max(tl.max(high, 1), 0))
        return r, g, b

    strokes = (Stroke(extremes, stores=False),)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        n = theta[0]
        if theta[1] == 0.0:
            r, g, b = tl.div_rn(tl.floor(r * n + 0.5), n), tl.div_rn(tl.floor(g * n + 0.5), n), tl.div_rn(tl.floor(b * n + 0.5), n)
        else:
            whole = n.to(tl.int32)
            low, high = _device_exceeded(255 - tl.load(words).to(tl.int32), whole), _device_exceeded(tl.load(words + 1).to(tl.int32), whole)
            span = tl.where(low == high, whole, high - low).to(tl.float32)
            low = tl.where(low == high, 0, low)
            r = tl.div_rn((_device_exceeded(to_byte(r), whole) - low).to(tl.float32), span)
            g = tl.div_rn((_device_exceeded(to_byte(g), whole) - low).to(tl.float32), span)
            b = tl.div_rn((_device_exceeded(to_byte(b), whole) - low).to(tl.float32), span)
        return r, g, b


def _nearest(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    return torch.floor(x * n + 0.5) / n


def _arniqa(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    k, n = to_byte_twin(x), n.to(torch.int32)
    low, high = _exceeded(k.amin((1, 2, 3), keepdim=True), n), _exceeded(k.amax((1, 2, 3), keepdim=True), n)
    low, span = torch.where(low == high, 0, low), torch.where(low == high, n, high - low)
    return (_exceeded(k, n) - low).to(torch.float32) / span.to(torch.float32)


def _exceeded(k: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    """How many of the thresholds ⌊255·k/n⌋ an 8-bit value exceeds: ⌈k·n/255⌉."""
    return torch.div(k * n + 254, 255, rounding_mode="floor")


@jit
def _device_exceeded(k, n):
    """The device function of `_exceeded`."""
    return (k * n + 254) // 255
