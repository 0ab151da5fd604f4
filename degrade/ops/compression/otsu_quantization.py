"""Otsu quantisation: n thresholds that leave the least variance within their n + 1 classes of 8-bit values.

thresholds is n. The optimum is exact, by dynamic programming over the 256-bin histogram of all channels ("joint") or of each;
among equal optima the lowest thresholds count. Class i, of the values above tᵢ up to tᵢ₊₁, becomes tᵢ₊₁, but the lowest 0 and
the highest 1 ("edges", KADIS); or its mean ("means"); or min + i·(max − min)/(n + 1) ("ramp", DepictQA's, which finds the
thresholds on 30 bins instead of 256). MATLAB's multithresh stops at a local optimum beyond two thresholds.
Source: KADID-10k type 22; N. Otsu, "A threshold selection method from gray-level histograms", 1979.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Stroke, Theta, TwoStrokeOp

from ._histogram import CHANNELS, count, look_up, quantise_twin

MOST = 24
# Words of a block after the histogram and the table: counts and sums of values up to each value, two rows of the dynamic
# programme in turn, and its choices, eight to a word.
BLOCK = 256 * (2 + 2 + 2 + MOST // 8)


class OtsuQuantization(TwoStrokeOp):
    """Reduce the values to `thresholds` + 1 levels by multi-level Otsu thresholds."""

    thresholds = Param(1, MOST, neutral=MOST, harsh=1, unit="thresholds", default=(3, 20), integer=True)
    output = Param(choices=("edges", "means", "ramp"), default="edges")
    channels = Param(choices=CHANNELS, default="joint")
    words = 3 * BLOCK
    whole_frame = True
    tolerance = 0.0
    gradient = "straight-through"
    registers = 128
    warps = 16  # one program searches for one image

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.zeros(len(theta), dtype=bool)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, kind = theta[0].flatten().to(torch.int64), theta[1].flatten()

        def rule(histograms, rows):
            sums = _running(histograms)
            return _levels(*sums, _thresholds(*sums, n[rows]), n[rows], kind[rows])

        return quantise_twin(x, theta[2].flatten() == CHANNELS.index("each"), rule)

    @staticmethod
    @jit
    def count(image, before, y, x, theta, table, words, rng, stage, inside):
        return count(image, y, x, words, theta[2].to(tl.int32), inside, 2304)

    @staticmethod
    @jit
    def solve(image, before, y, x, theta, table, words, rng, stage, inside):
        n, kind = theta[0].to(tl.int32), theta[1].to(tl.int32)
        for c in range(0, 1 + 2 * theta[2].to(tl.int32)):
            _solve(words + c * 2304, n, kind)
        nothing = y * 0.0 + x * 0.0
        return nothing, nothing, nothing

    strokes = (Stroke(count, stores=False), Stroke(solve, solo=True))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        return look_up(r, g, b, words, theta[2].to(tl.int32), 2304)


# ---- the twin. Everything is int64, but the gain of a class, (sum of its values)² / count, float64 ------------------------


def _running(histograms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How many values are at most v, and their sum: (m, 256) each."""
    v = torch.arange(256, device=histograms.device)
    return histograms.to(torch.int64).cumsum(1), (histograms * v).to(torch.int64).cumsum(1)


def _thresholds(counts: torch.Tensor, totals: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    """t₁ … of each row (m, most), ascending; 255 beyond its n-th."""
    most = int(n.max())
    # [m, j, i]: the class of the values above i up to j.
    p = counts[:, :, None] - counts[:, None, :]
    s = (totals[:, :, None] - totals[:, None, :]).to(torch.float64)
    gain = torch.where(p > 0, s * s / p.clamp(min=1).to(torch.float64), 0.0)
    v = torch.arange(256, device=counts.device)
    gain = torch.where(v[:, None] >= v, gain, -torch.inf)
    s = totals.to(torch.float64)
    best = torch.where(counts > 0, s * s / counts.clamp(min=1).to(torch.float64), 0.0)
    choices = []
    for _ in range(most):
        best, choice = (gain + best[:, None, :]).max(2)
        choices.append(choice)
    out = torch.full((len(counts), most), 255, dtype=torch.int64, device=counts.device)
    at = torch.full_like(n, 255)
    for k in range(most - 1, -1, -1):
        at = torch.where(k < n, choices[k].gather(1, at[:, None])[:, 0], at)
        out[:, k] = at
    return out


def _levels(counts: torch.Tensor, totals: torch.Tensor, thresholds: torch.Tensor, n: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
    """The new value of each 8-bit value, in 16-bit fixed point: (m, 256)."""
    v = torch.arange(256, device=counts.device)
    index = torch.zeros_like(counts)
    lower, upper = torch.full_like(counts, -1), torch.full_like(counts, 255)
    for k in range(thresholds.shape[1] - 1, -1, -1):
        t = thresholds[:, k, None]
        above = (v > t) & (k < n[:, None])
        index += above
        lower = torch.where(above, torch.maximum(lower, t), lower)
        upper = torch.where(v > t, upper, t)
    edges = torch.where(index == 0, 0, torch.where(index == n[:, None], 65535, upper * 257))
    below = lower >= 0
    p = counts.gather(1, upper) - torch.where(below, counts.gather(1, lower.clamp(min=0)), 0)
    s = totals.gather(1, upper) - torch.where(below, totals.gather(1, lower.clamp(min=0)), 0)
    means = torch.div(514 * s + p, (2 * p).clamp(min=1), rounding_mode="floor")
    first, last = (counts == 0).to(torch.int64).sum(1, keepdim=True), (counts < counts[:, -1:]).to(torch.int64).sum(1, keepdim=True)
    classes = n[:, None] + 1
    ramp = torch.div(514 * (first * classes + index * (last - first)) + classes, 2 * classes, rounding_mode="floor")
    return torch.where(kind[:, None] == 0, edges, torch.where(kind[:, None] == 1, means, ramp))


# ---- the device: the same operations in the same order, one sample at a time ---------------------------------------------


@jit
def _gain(p, s):
    """Of classes of p values that sum to s: both whole numbers in float64.

    s² / p, rounded as by a division, whose own code would branch for every element. Two of Newton's steps make of a reciprocal in
    float32 the nearest in float64: it lies 2⁻⁸⁸ off before it is rounded, and of whole numbers below 2³⁰ no reciprocal comes that near
    to the middle between two. With it the remainder rounds the quotient (Markstein 1990).
    """
    square = s * s
    r = (1.0 / p.to(tl.float32)).to(tl.float64)
    for _ in tl.static_range(2):
        r = tl.fma(r, tl.fma(0.0 - p, r, 1.0), r)
    q = square * r
    q = tl.fma(tl.fma(0.0 - p, q, square), r, q)
    return tl.where(p > 0.0, q, 0.0)


@jit
def _load(at):
    """float64 from words."""
    return tl.load(at).to(tl.float64, bitcast=True)


@jit
def _store(at, v):
    tl.store(at, v.to(tl.int64, bitcast=True))


@jit
def _solve(words, n, kind):
    """The table of one block from its histogram."""
    v = tl.arange(0, 256)
    counts_at, totals_at, rows_at, choices_at = words + 512, words + 768, words + 1024, words + 1536
    found = tl.load(words + v)
    p, s = tl.cumsum(found, 0).to(tl.float64), tl.cumsum(found * v, 0).to(tl.float64)
    _store(counts_at + v, p)
    _store(totals_at + v, s)
    _store(rows_at + v, _gain(p, s))
    tl.debug_barrier()
    for k in range(0, n):
        before, after = rows_at + (k % 2) * 256, rows_at + ((k + 1) % 2) * 256
        chosen = choices_at + (k // 8) * 256
        for half in range(0, 2):
            _best(counts_at, totals_at, before, after, chosen, k % 8, half * 128)
        tl.debug_barrier()

    at = 255
    index = tl.zeros((256,), tl.int32)
    lower, upper = tl.full((256,), -1, tl.int32), tl.full((256,), 255, tl.int32)
    for back in range(0, n):
        k = n - 1 - back
        at = ((tl.load(choices_at + (k // 8) * 256 + at) >> (8 * (k % 8))) & 255).to(tl.int32)
        above = v > at
        index += above.to(tl.int32)
        lower = tl.where(above, tl.maximum(lower, at), lower)
        upper = tl.where(above, upper, at)
    if kind == 0:
        made = tl.where(index == 0, 0, tl.where(index == n, 65535, upper * 257)).to(tl.int64)
    elif kind == 1:
        below = lower >= 0
        least = tl.maximum(lower, 0)
        size = (_load(counts_at + upper) - tl.where(below, _load(counts_at + least), 0.0)).to(tl.int64)
        total = (_load(totals_at + upper) - tl.where(below, _load(totals_at + least), 0.0)).to(tl.int64)
        made = (514 * total + size) // tl.maximum(2 * size, 1)
    else:
        lowest = tl.sum(tl.where(p == 0.0, 1, 0), 0)
        highest = tl.sum(tl.where(p < tl.max(p, 0), 1, 0), 0)
        made = ((514 * (lowest * (n + 1) + index * (highest - lowest)) + n + 1) // (2 * (n + 1))).to(tl.int64)
    tl.store(words + 256 + v, made)


@jit
def _best(counts_at, totals_at, before, after, chosen, place, first):
    """For each of 128 values the best last class that ends there, of those that begin above the values i; 32 i side by side."""
    v = first + tl.arange(0, 128)
    p, s = _load(counts_at + v)[None, :], _load(totals_at + v)[None, :]
    best = tl.full((32, 128), -1.0, tl.float64)
    choice = tl.zeros((32, 128), tl.int32)
    for begin in range(0, first + 128, 32):
        i = begin + tl.arange(0, 32)[:, None]
        total = _gain(p - _load(counts_at + i), s - _load(totals_at + i)) + _load(before + i)
        better = (i <= v[None, :]) & (total > best)
        best, choice = tl.where(better, total, best), tl.where(better, i, choice)
    most = tl.max(best, 0)
    lowest = tl.min(tl.where(best == most[None, :], choice, 256), 0)
    _store(after + v, most)
    tl.store(chosen + v, tl.load(chosen + v) | (lowest.to(tl.int64) << (8 * place)))
