"""Gaussian blur: separable, taps exp(−i²/2σ²) up to radius ⌈2σ⌉, normalised; edges repeat the border pixel.

sigma is in pixels. The cut at 2σ is MATLAB's (fspecial with K = 2⌈2σ⌉+1) and KADID's; SciPy and scikit-image cut at 4σ.
Taps under 2.2e-16 are 0, so σ ≤ 0.117 is the identity. Source: KADID-10k type 1.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp, ordered_sum


class GaussianBlur(TwoStrokeOp):
    """Convolve with a Gaussian of standard deviation `sigma`, cut at 2σ."""

    sigma = Param(0.0, 64.0, neutral=0.0, harsh=6.0, unit="px")
    tolerance = 2e-6

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.exp(-0.5 / np.maximum(theta[:, 0].astype(np.float64), 1e-3) ** 2) < 2.2e-16

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.ceil(2.0 * theta[:, 0].astype(np.float64)).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array) -> Array:
        """The radius, then one half of the taps from the centre outwards."""
        radius = cls.radius(theta)
        i = np.arange(radius.max(initial=0) + 1)
        taps = np.exp(-0.5 * (i / np.maximum(theta[:, :1].astype(np.float64), 1e-3)) ** 2)
        taps = np.where((taps < 2.2e-16) | (i > radius[:, None]), 0.0, taps)
        taps /= taps[:, :1] + 2.0 * ordered_sum(taps[:, 1:])
        return np.concatenate([radius[:, None], taps], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        columns = context.round(_one_axis(x, context.table, 3))
        return _one_axis(columns, context.table, 2)

    @staticmethod
    @jit
    def reach(image, y, x, theta, table, words, rng, inside):
        weight = tl.load(table + 1)
        r, g, b = fetch(image, y, x)
        r, g, b = weight * r, weight * g, weight * b
        for d in range(1, tl.load(table).to(tl.int32) + 1):
            weight = tl.load(table + 1 + d)
            r0, g0, b0 = fetch(image, y, x - d)
            r1, g1, b1 = fetch(image, y, x + d)
            r += weight * (r0 + r1)
            g += weight * (g0 + g1)
            b += weight * (b0 + b1)
        return r, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        weight = tl.load(table + 1)
        r, g, b = fetch(scratch, y, x)
        r, g, b = weight * r, weight * g, weight * b
        for d in range(1, tl.load(table).to(tl.int32) + 1):
            weight = tl.load(table + 1 + d)
            r0, g0, b0 = fetch(scratch, y - d, x)
            r1, g1, b1 = fetch(scratch, y + d, x)
            r += weight * (r0 + r1)
            g += weight * (g0 + g1)
            b += weight * (b0 + b1)
        return r, g, b


def _one_axis(x: torch.Tensor, table: torch.Tensor, axis: int) -> torch.Tensor:
    """Symmetric taps along one axis, one filter per sample, in the device's order of additions."""
    reach = table.shape[1] - 2
    size = x.shape[axis]
    pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = torch.nn.functional.pad(x, pad, mode="replicate") if reach else x
    taps = table[:, 1:, None, None, None]
    total = x * taps[:, 0]
    for d in range(1, reach + 1):
        pair = padded.narrow(axis, reach - d, size) + padded.narrow(axis, reach + d, size)
        total += pair.mul_(taps[:, d])
    return total
