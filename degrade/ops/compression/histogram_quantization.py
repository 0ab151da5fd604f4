"""Histogram quantisation: levels that hold equally many pixels each, so that common values keep more of them.

levels is L. "means": the thresholds are the quantiles k/L of the 8-bit values (the least value with at least that share at or
below it), and each class becomes its mean. "equalised" (DepictQA): values are rounded to L equally spaced levels, which become the
equalised histogram of L bins, (cdf − min)·255/(max − min) cut to 8 bits. Statistics are of all channels ("joint") or of each.
64 levels still change pixels. Source: DepictQA quantization by histogram; median cut along one axis.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Stroke, Theta, TwoStrokeOp

from ._histogram import CHANNELS, count, look_up, quantise_twin

MOST = 64
BLOCK = 256 * 3  # the histogram, the table, and counts up to each value


class HistogramQuantization(TwoStrokeOp):
    """Reduce the values to `levels` levels that follow the histogram."""

    levels = Param(2, MOST, neutral=MOST, harsh=2, unit="levels", default=(4, 24), integer=True)
    output = Param(choices=("means", "equalised"), default="means")
    channels = Param(choices=CHANNELS, default="joint")
    words = 3 * BLOCK
    whole_frame = True
    tolerance = 0.0
    gradient = "straight-through"

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.zeros(len(theta), dtype=bool)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        levels, kind = theta[0].flatten().to(torch.int64), theta[1].flatten()

        def rule(histograms, rows):
            means, equalised = _means(histograms, levels[rows, None]), _equalised(histograms, levels[rows, None])
            return torch.where(kind[rows, None] == 0, means, equalised)

        return quantise_twin(x, theta[2].flatten() == CHANNELS.index("each"), rule)

    @staticmethod
    @jit
    def count(image, before, y, x, theta, table, words, rng, stage, inside):
        return count(image, y, x, words, theta[2].to(tl.int32), inside, 768)

    @staticmethod
    @jit
    def solve(image, before, y, x, theta, table, words, rng, stage, inside):
        levels = theta[0].to(tl.int32)
        for c in range(0, 1 + 2 * theta[2].to(tl.int32)):
            if theta[1] == 0.0:
                _device_means(words + c * 768, levels)
            else:
                _device_equalised(words + c * 768, levels)
        nothing = y * 0.0 + x * 0.0
        return nothing, nothing, nothing

    strokes = (Stroke(count, stores=False), Stroke(solve, solo=True))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        return look_up(r, g, b, words, theta[2].to(tl.int32), 768)


def _means(histograms: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Class means of each 8-bit value, in 16-bit fixed point: (m, 256). All is int64."""
    counts = histograms.to(torch.int64).cumsum(1)
    index = torch.div((counts - histograms) * levels, counts[:, -1:], rounding_mode="floor")
    index = torch.minimum(index, levels - 1)
    zero = torch.zeros((len(histograms), MOST), dtype=torch.int64, device=histograms.device)
    p = zero.scatter_add(1, index, histograms)
    s = zero.scatter_add(1, index, histograms * torch.arange(256, device=histograms.device))
    return torch.div(514 * s + p, (2 * p).clamp(min=1), rounding_mode="floor").gather(1, index)


def _equalised(histograms: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """DepictQA's levels of each 8-bit value, likewise."""
    counts = histograms.to(torch.int64).cumsum(1)
    v = torch.arange(256, device=histograms.device)
    level = torch.div(2 * v * (levels - 1) + 255, 510, rounding_mode="floor")
    cdf = counts.gather(1, _end(level, levels))
    first = (counts == 0).to(torch.int64).sum(1, keepdim=True)
    least = counts.gather(1, _end(torch.minimum(torch.div(first * levels, 255, rounding_mode="floor"), levels - 1), levels))
    made = torch.div((cdf - least) * 255, (counts[:, -1:] - least).clamp(min=1), rounding_mode="floor")
    return torch.where(cdf == 0, 0, made * 257)


def _end(bin_: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The highest 8-bit value in a bin, of `levels` bins over 0..255."""
    end = torch.div((bin_ + 1) * 255 + levels - 1, levels, rounding_mode="floor") - 1
    return torch.where(bin_ == levels - 1, 255, end)


@jit
def _device_means(words, levels):
    v = tl.arange(0, 256)
    found = tl.load(words + v)
    index = ((tl.cumsum(found, 0) - found) * levels) // tl.sum(found, 0)
    index = tl.minimum(index, levels - 1)
    made = tl.zeros((256,), tl.int64)
    for k in range(0, levels):
        here = index == k
        p, s = tl.sum(tl.where(here, found, 0), 0), tl.sum(tl.where(here, found * v, 0), 0)
        made = tl.where(here, (514 * s + p) // tl.maximum(2 * p, 1), made)
    tl.store(words + 256 + v, made)


@jit
def _device_equalised(words, levels):
    v = tl.arange(0, 256)
    found = tl.load(words + v)
    counts = tl.cumsum(found, 0)
    tl.store(words + 512 + v, counts)
    tl.debug_barrier()
    cdf = tl.load(words + 512 + _device_end((2 * v * (levels - 1) + 255) // 510, levels))
    first = tl.sum(tl.where(counts == 0, 1, 0), 0)
    least = tl.load(words + 512 + _device_end(tl.minimum((first * levels) // 255, levels - 1), levels))
    made = ((cdf - least) * 255) // tl.maximum(tl.sum(found, 0) - least, 1)
    tl.store(words + 256 + v, tl.where(cdf == 0, 0, made * 257))


@jit
def _device_end(bin_, levels):
    end = ((bin_ + 1) * 255 + levels - 1) // levels - 1
    return tl.where(bin_ == levels - 1, 255, end)
