"""Statistics of natural scenes, made by hand: what was there before encoders were learned."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch.nn import functional

TAPS, SIGMA = 7, 7 / 6  # of the Gaussian window
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # down and right: beside, below, and on both diagonals
SHAPES = (0.2, 10.0)  # of generalised Gaussians that are looked for
FLOOR = 1e-6  # below every variance that 8 bits can have


def brisque(x: torch.Tensor) -> torch.Tensor:
    """BRISQUE's 36 numbers of images b 3 h w in 0…1, at least 14 x 14 pixels: (b, 36) float32.

    Luma (BT.601), less its local mean and by its local deviation (mscn), at full and at half size. Of each: shape and variance of a generalised Gaussian, and of
    the products of neighbours in four directions shape, mean, left and right variance of an asymmetric one. Shapes and variances as logarithms, so that a distance is
    one of ratios.

    Source: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE Transactions on Image Processing 21(12), 2012.

    Raises:
        ValueError: smaller images. TypeError: integers.
    """
    if not x.is_floating_point():
        raise TypeError(f"x is {x.dtype}; accepted: images b 3 h w of floats in 0…1.")
    if min(x.shape[2:]) < 2 * TAPS:
        raise ValueError(f"images have {x.shape[2]}x{x.shape[3]} pixels; accepted: at least {2 * TAPS} a side.")
    luma = 255.0 * (x * torch.tensor([0.299, 0.587, 0.114], device=x.device).view(3, 1, 1)).sum(1, keepdim=True)
    half = functional.interpolate(luma, scale_factor=0.5, mode="bicubic", antialias=True)
    return torch.cat([_scale(luma), _scale(half)], 1)


def mscn(luma: torch.Tensor) -> torch.Tensor:
    """Mean-subtracted, contrast-normalised luma: (v − μ) / (σ + 1), with μ and σ under a Gaussian window, edges repeated."""
    taps = torch.exp(-(torch.arange(TAPS, dtype=luma.dtype, device=luma.device) - TAPS // 2).square() / (2 * SIGMA**2))
    taps = taps / taps.sum()

    def blurred(v: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(v, (TAPS // 2,) * 4, mode="replicate")
        return functional.conv2d(functional.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))

    mean = blurred(luma)
    deviation = (blurred(luma * luma) - mean * mean).clamp(min=0.0).sqrt()
    return (luma - mean) / (deviation + 1.0)


def _scale(luma: torch.Tensor) -> torch.Tensor:
    v = mscn(luma)[:, 0]
    parts = [*_symmetric(v.flatten(1))]
    height, width = v.shape[1:]
    for down, right in NEIGHBOURS:
        a = v[:, : height - down, max(0, -right) : width - max(0, right)]
        b = v[:, down:, max(0, right) : width - max(0, -right)]
        parts += _asymmetric((a * b).flatten(1))
    return torch.stack(parts, 1)


def _symmetric(v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithms of shape and variance of a generalised Gaussian with the moments of v (b, n)."""
    square = v.square().mean(1).clamp(min=FLOOR)
    return _shape(v.abs().mean(1).square() / square).log(), square.log()


def _asymmetric(v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logarithm of the shape, mean, and logarithms of left and right variance of an asymmetric generalised Gaussian with the moments of v (b, n)."""
    left, right = (_mean_square(v, side) for side in (v < 0, v > 0))
    ratio = (left / right).sqrt()
    known = v.abs().mean(1).square() / v.square().mean(1).clamp(min=FLOOR)
    shape = _shape(known * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2)
    gamma = [torch.lgamma(k / shape) for k in (1.0, 2.0, 3.0)]
    mean = (right.sqrt() - left.sqrt()) * (gamma[1] - 0.5 * gamma[0] - 0.5 * gamma[2]).exp()
    return shape.log(), mean, left.log(), right.log()


def _mean_square(v: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    return ((v * of).square().sum(1) / of.sum(1).clamp(min=1)).clamp(min=FLOOR)


def _shape(ratio: torch.Tensor) -> torch.Tensor:
    """The shape α at which E|v|² / E v² = Γ(2/α)² / (Γ(1/α) Γ(3/α)) has a value."""
    shapes, ratios = (t.to(ratio.device) for t in _table())
    at = torch.searchsorted(ratios, ratio.contiguous()).clamp(1, len(ratios) - 1)
    low, high = ratios[at - 1], ratios[at]
    part = ((ratio - low) / (high - low)).clamp(0.0, 1.0)
    return shapes[at - 1] + part * (shapes[at] - shapes[at - 1])


@lru_cache(maxsize=1)
def _table() -> tuple[torch.Tensor, torch.Tensor]:
    shapes = [SHAPES[0] * (SHAPES[1] / SHAPES[0]) ** (i / 1000) for i in range(1001)]
    ratios = [math.exp(2 * math.lgamma(2 / a) - math.lgamma(1 / a) - math.lgamma(3 / a)) for a in shapes]
    return torch.tensor(shapes), torch.tensor(ratios)
