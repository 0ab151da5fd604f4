"""Denoise residue: add white Gaussian noise, clip, then remove it with a filter, which leaves blur and blotches.

std is in units of the full range; 0 is the identity, without a filter. sigma is in pixels: the standard deviation of
"gaussian", cut at 3σ; the radius of "box", whose outermost pixels count in part where it is no whole number, as in Pillow's
BoxBlur. "bilateral" is the Gaussian times (1 − |Δ|² / (5·std)²)², 0 beyond, with Δ the difference of colours, first along
rows, then along columns. Edges repeat the border pixel. KADIS denoises with a network, DnCNN, for which these filters stand.
Source: Re-IQA denoise, variances 0.001 to 0.01, Gaussian(3) or Box(2); KADID-10k type 15, variances 0.01 to 0.15.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normal3
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp, ordered_sum

BOX, BILATERAL = 1.0, 2.0  # positions among the choices of `filter`


class DenoiseResidue(TwoStrokeOp):
    """Add noise of standard deviation `std` and filter it away."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.3, unit="of full range")
    filter = Param(choices=("gaussian", "box", "bilateral"), default="gaussian")
    sigma = Param(0.1, 16.0, neutral=3.0, harsh=3.0, unit="px", default=3.0)
    tolerance = 2e-6
    settle_warps = 4

    @classmethod
    def radius(cls, theta: Array) -> Array:
        sigma = theta[:, 2].astype(np.float64)
        return np.ceil(np.where(theta[:, 1] == BOX, sigma, 3.0 * sigma) - 1e-6).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The radius and 1 / (5·std)², then one half of the taps from the centre outwards."""
        radius, sigma = cls.radius(theta), theta[:, 2:3].astype(np.float64)
        i = np.arange(radius.max(initial=0) + 1)
        taps = np.where(theta[:, 1:2] == BOX, np.clip(sigma + 1.0 - i, 0.0, 1.0), np.exp(-0.5 * (i / sigma) ** 2))
        taps = np.where(i > radius[:, None], 0.0, taps)
        taps /= taps[:, :1] + 2.0 * ordered_sum(taps[:, 1:])
        narrow = 1.0 / (5.0 * np.maximum(theta[:, 0].astype(np.float64), 1e-6)) ** 2
        return np.concatenate([radius[:, None], narrow[:, None], taps], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        noisy = context.round(x + theta[0] * torch.stack(noise.normal3(context.rng.uniform4()), 1))
        bilateral, gpu = theta[1] == BILATERAL, x.device.type != "cpu"  # to ask a GPU would wait for it
        out = noisy
        if gpu or not bilateral.all():
            out = _linear(context.round(_linear(noisy, context.table, 3)), context.table, 2)
        if gpu or bilateral.any():
            out = torch.where(bilateral, _bilateral(context.round(_bilateral(noisy, context.table, 3)), context.table, 2), out)
        return out

    @staticmethod
    @jit
    def add_noise(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch(image, y, x)
        u0, u1, u2, u3 = uniform4(rng, (y << 16) | x)
        n0, n1, n2 = device_normal3(u0, u1, u2, u3)
        std = theta[0]
        return r + std * n0, g + std * n1, b + std * n2

    @staticmethod
    @jit
    def filter_rows(image, before, y, x, theta, table, words, rng, stage, inside):
        return _filter(before, y, x, 0, 1, theta, table)

    strokes = (Stroke(add_noise), Stroke(filter_rows))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        return _filter(scratch, y, x, 1, 0, theta, table)


@jit
def _filter(image, y, x, down, across, theta, table):
    """One axis of the filter."""
    weight = tl.load(table + 2)
    r, g, b = fetch(image, y, x)
    radius = tl.load(table).to(tl.int32)
    if theta[1] == 2.0:
        narrow = tl.load(table + 1)
        r0, g0, b0 = r, g, b
        r, g, b = weight * r, weight * g, weight * b
        total = r0 * 0.0 + weight
        for d in range(1, radius + 1):
            weight = tl.load(table + 2 + d)
            r1, g1, b1 = fetch(image, y - d * down, x - d * across)
            r2, g2, b2 = fetch(image, y + d * down, x + d * across)
            near = weight * _alike(r1 - r0, g1 - g0, b1 - b0, narrow)
            far = weight * _alike(r2 - r0, g2 - g0, b2 - b0, narrow)
            r += near * r1 + far * r2
            g += near * g1 + far * g2
            b += near * b1 + far * b2
            total += near + far
        r, g, b = tl.div_rn(r, total), tl.div_rn(g, total), tl.div_rn(b, total)
    else:
        r, g, b = weight * r, weight * g, weight * b
        for d in range(1, radius + 1):
            weight = tl.load(table + 2 + d)
            r1, g1, b1 = fetch(image, y - d * down, x - d * across)
            r2, g2, b2 = fetch(image, y + d * down, x + d * across)
            r += weight * (r1 + r2)
            g += weight * (g1 + g2)
            b += weight * (b1 + b2)
    return r, g, b


@jit
def _alike(r, g, b, narrow):
    """Tukey's biweight of a difference of colours."""
    near = tl.maximum(1.0 - (r * r + g * g + b * b) * narrow, 0.0)
    return near * near


def _pairs(x: torch.Tensor, table: torch.Tensor, axis: int):
    """Each tap's weight (n, 1, 1, 1) and the images shifted by it to either side along an axis."""
    reach, size = table.shape[1] - 3, x.shape[axis]
    padded = torch.nn.functional.pad(x, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach), mode="replicate") if reach else x
    for d in range(1, reach + 1):
        yield table[:, 2 + d, None, None, None], padded.narrow(axis, reach - d, size), padded.narrow(axis, reach + d, size)


def _linear(x: torch.Tensor, table: torch.Tensor, axis: int) -> torch.Tensor:
    """Symmetric taps along one axis, in the device's order of additions."""
    out = x * table[:, 2, None, None, None]
    for weight, one, other in _pairs(x, table, axis):
        out = out + weight * (one + other)
    return out


def _bilateral(x: torch.Tensor, table: torch.Tensor, axis: int) -> torch.Tensor:
    """The same, weighed by how alike the colours are."""
    narrow = table[:, 1, None, None, None]
    total = x[:, :1] * 0.0 + table[:, 2, None, None, None]
    out = x * table[:, 2, None, None, None]
    for weight, one, other in _pairs(x, table, axis):
        near, far = weight * _likeness(one - x, narrow), weight * _likeness(other - x, narrow)
        out = out + (near * one + far * other)
        total = total + (near + far)
    return out / total


def _likeness(difference: torch.Tensor, narrow: torch.Tensor) -> torch.Tensor:
    """The twin of `_alike`."""
    r, g, b = (difference * difference).split(1, 1)
    near = (1.0 - (r + g + b) * narrow).clamp_min(0.0)
    return near * near
