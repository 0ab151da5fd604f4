"""Laplacian sharpening: L − amount · (∂²L/∂x² + ∂²L/∂y²) on L of CIELAB, clipped to 0..100.

Each second derivative is the central difference (one-sided at the border) taken twice, so that it spans five pixels, as two calls
of numpy.gradient give it. With scale "0..255" the conversion is given values up to 255 where it expects up to 1: L then reaches
9,300, is clipped to 100, and a and b stay huge. Between its passes L is kept over a span of 100 (9,400) in the working precision.
Source: Re-IQA's high sharpening, whose code has the scale "0..255"; "0..1" is what its formula means.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.colour import device_lab_from_rgb, device_rgb_from_lab, lab_from_rgb, rgb_from_lab
from degrade.kernels.fetch import fetch_column, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp


class LaplacianSharpen(TwoStrokeOp):
    """Subtract `amount` times the Laplacian of the lightness."""

    amount = Param(0.0, 16.0, neutral=0.0, harsh=12.0, unit="× Laplacian")
    scale = Param(choices=("0..1", "0..255"), default="0..1")
    tolerance = 1e-4
    settle_warps = 8
    modulates = True

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 0.0) & (theta[:, 1] == 0.0)

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.full(len(theta), 2, dtype=np.int64)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        gain = theta[1] * 254.0 + 1.0
        span = theta[1] * 9300.0 + 100.0
        lightness, a, b = lab_from_rgb(*(x * gain).unbind(1))
        stored = context.round(lightness[:, None] / span)
        bend = _slope(_slope(stored, 3), 3) + _slope(_slope(stored, 2), 2)
        lightness = (lightness - (theta[0] * span * bend)[:, 0]).clamp(0.0, 100.0)
        return torch.stack(rgb_from_lab(lightness, a, b), 1)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        gain = theta[1] * 254.0 + 1.0
        span = theta[1] * 9300.0 + 100.0
        r, g, b = fetch_column(image, y, x)
        lightness, a, b = device_lab_from_rgb(r * gain, g * gain, b * gain)
        return tl.div_rn(lightness, lightness * 0.0 + span), r * 0.0, r * 0.0

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        gain = theta[1] * 254.0 + 1.0
        span = theta[1] * 9300.0 + 100.0
        height, width = scratch[1], scratch[2]
        left, right, up, down = tl.maximum(x - 1, 0), tl.minimum(x + 1, width - 1), tl.maximum(y - 1, 0), tl.minimum(y + 1, height - 1)
        bend = (_device_slope_x(scratch, y, right) - _device_slope_x(scratch, y, left)) * _device_weight(left, right)
        bend = bend + (_device_slope_y(scratch, down, x) - _device_slope_y(scratch, up, x)) * _device_weight(up, down)
        lightness, a, b = device_lab_from_rgb(r * gain, g * gain, b * gain)
        lightness = tl.minimum(tl.maximum(lightness - theta[0] * span * bend, 0.0), 100.0)
        return device_rgb_from_lab(lightness, a, b)


def _slope(v: torch.Tensor, axis: int) -> torch.Tensor:
    """Central differences along an axis, one-sided at the border."""
    size = v.shape[axis]
    at = torch.arange(size, device=v.device)
    low, high = (at - 1).clamp(min=0), (at + 1).clamp(max=size - 1)
    weight = torch.where(high - low == 2, 0.5, 1.0)
    return (v.index_select(axis, high) - v.index_select(axis, low)) * (weight if axis == 3 else weight[:, None])


@jit
def _device_weight(low, high):
    return tl.where(high - low == 2, 0.5, 1.0)


@jit
def _device_slope_x(image, y, x):
    width = image[2]
    low, high = tl.maximum(x - 1, 0), tl.minimum(x + 1, width - 1)
    return (fetch_plane(image, 0, y, high) - fetch_plane(image, 0, y, low)) * _device_weight(low, high)


@jit
def _device_slope_y(image, y, x):
    height = image[1]
    low, high = tl.maximum(y - 1, 0), tl.minimum(y + 1, height - 1)
    return (fetch_plane(image, 0, high, x) - fetch_plane(image, 0, low, x)) * _device_weight(low, high)
