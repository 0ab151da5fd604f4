"""Range stretch: (x − min) / (max − min), with the extremes of all three channels over the whole image.

amount blends between the image at 0 and the stretched image at 1. The extremes are taken of 16-bit fixed-point values; an
image of one value stays as it is. Source: KADID-10k, which stretches every image before and after the distortion.
"""

import torch

from degrade.kernels.fetch import fetch_column
from degrade.kernels.gradient import carried
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import raise_to
from degrade.op import Context, Param, Stroke, Theta, TwoStrokeOp


class RangeStretch(TwoStrokeOp):
    """Stretch the values of an image to the full range."""

    amount = Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the stretch")
    whole_frame = True
    words = 2  # the largest value, and the largest distance from white
    tolerance = 1e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        scaled = x * 65535.0
        fixed = carried(torch.floor(scaled + 0.5), scaled)
        low, high = fixed.amin((1, 2, 3), keepdim=True), fixed.amax((1, 2, 3), keepdim=True)
        flat = high == low
        stretched = (scaled - low) / torch.where(flat, 1.0, high - low)
        return torch.where(flat, x, x * (1.0 - theta[0]) + stretched * theta[0])

    @staticmethod
    @jit
    def extremes(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch_column(image, y, x)
        high = tl.floor(tl.maximum(tl.maximum(r, g), b) * 65535.0 + 0.5)
        low = tl.floor(tl.minimum(tl.minimum(r, g), b) * 65535.0 + 0.5)
        raise_to(words, tl.max(tl.max(high, 1), 0))
        raise_to(words + 1, tl.max(tl.max(65535.0 - low, 1), 0))
        return r, g, b

    strokes = (Stroke(extremes, stores=False),)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        amount = theta[0]
        own = 1.0 - amount
        low = (65535 - tl.load(words + 1)).to(tl.float32)
        span = tl.load(words).to(tl.float32) - low
        if span > 0.0:
            r = r * own + tl.div_rn(r * 65535.0 - low, span) * amount
            g = g * own + tl.div_rn(g * 65535.0 - low, span) * amount
            b = b * own + tl.div_rn(b * 65535.0 - low, span) * amount
        return r, g, b
