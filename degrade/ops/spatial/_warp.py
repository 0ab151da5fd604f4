"""What warps and scatters share: sampling between pixels, and Gaussian taps. Beyond the frame the border pixel repeats.

A displacement (dy, dx) says how far from a pixel its new value is read. It is split into whole pixels and a fraction before
the pixel's own coordinate is added, so that fractions are as fine in a large image as in a small one.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import ordered_sum

MARGIN = 3  # border pixels around the image: a neighbourhood that lies wholly outside the frame sees nothing else


class _Neighbours:
    """The pixels around the places that a displacement points to, for every channel of (n, c, h, w) images."""

    def __init__(self, x: torch.Tensor, dy: torch.Tensor, dx: torch.Tensor) -> None:
        n, c, h, w = self.shape = x.shape
        down, right = torch.floor(dy), torch.floor(dx)
        self.ty, self.tx = (dy - down)[:, None], (dx - right)[:, None]
        rows = torch.arange(h, dtype=torch.int32, device=x.device)[:, None] + down.to(torch.int32)
        columns = torch.arange(w, dtype=torch.int32, device=x.device) + right.to(torch.int32)
        self.wide = w + 2 * MARGIN
        at = rows.clamp_(-2, h).add_(MARGIN - 1).mul_(self.wide) + columns.clamp_(-2, w).add_(MARGIN - 1)
        plane = self.wide * (h + 2 * MARGIN)
        self.at = (at[:, None] + torch.arange(n * c, dtype=torch.int32, device=x.device).view(n, c, 1, 1) * plane).flatten()
        self.flat = torch.nn.functional.pad(x, (MARGIN,) * 4, mode="replicate").flatten()

    def value(self, i: int, j: int) -> torch.Tensor:
        """The pixel i rows down and j columns right of the one at the whole part of the displacement, from -1 to 2."""
        begin = (i + 1) * self.wide + j + 1
        return self.flat[begin:].index_select(0, self.at).view(self.shape)


def sample_linear(x: torch.Tensor, dy: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
    """Bilinear values of (n, c, h, w) at displacements that broadcast to (n, h, w)."""
    p = _Neighbours(x, dy, dx)
    a, c = p.value(0, 0), p.value(1, 0)
    top = p.value(0, 1).sub_(a).mul_(p.tx).add_(a)
    bottom = p.value(1, 1).sub_(c).mul_(p.tx).add_(c)
    return bottom.sub_(top).mul_(p.ty).add_(top)


def sample_cubic(x: torch.Tensor, dy: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
    """Bicubic values of (n, c, h, w), Keys' kernel with a = −1/2, at displacements that broadcast to (n, h, w)."""
    p = _Neighbours(x, dy, dx)
    across = _cubic_weights(p.tx)
    total = torch.zeros_like(x)
    for i, down in enumerate(_cubic_weights(p.ty)):
        row = p.value(i - 1, -1).mul_(across[0])
        for j in range(1, 4):
            row += p.value(i - 1, j - 1).mul_(across[j])
        total += row.mul_(down)
    return total


def _cubic_weights(t):
    """The four weights at a fraction t; also the device's."""
    w0 = ((1.0 - t * 0.5) * t - 0.5) * t
    w1 = (t * 1.5 - 2.5) * t * t + 1.0
    w2 = ((2.0 - t * 1.5) * t + 0.5) * t
    w3 = (t * 0.5 - 0.5) * t * t
    return w0, w1, w2, w3


device_cubic_weights = jit(_cubic_weights)


@jit
def device_sample_linear(image, y, x, dy, dx):
    """The device function of `sample_linear` for three channels."""
    down, right = tl.floor(dy), tl.floor(dx)
    ty, tx = dy - down, dx - right
    y, x = y + down.to(tl.int32), x + right.to(tl.int32)
    r0, g0, b0 = fetch(image, y, x)
    r1, g1, b1 = fetch(image, y, x + 1)
    r2, g2, b2 = fetch(image, y + 1, x)
    r3, g3, b3 = fetch(image, y + 1, x + 1)
    r0, g0, b0 = r0 + tx * (r1 - r0), g0 + tx * (g1 - g0), b0 + tx * (b1 - b0)
    r2, g2, b2 = r2 + tx * (r3 - r2), g2 + tx * (g3 - g2), b2 + tx * (b3 - b2)
    return r0 + ty * (r2 - r0), g0 + ty * (g2 - g0), b0 + ty * (b2 - b0)


@jit
def device_sample_plane(image, c, y, x, dy, dx):
    """The device function of `sample_linear` for one channel."""
    down, right = tl.floor(dy), tl.floor(dx)
    ty, tx = dy - down, dx - right
    y, x = y + down.to(tl.int32), x + right.to(tl.int32)
    top, bottom = fetch_plane(image, c, y, x), fetch_plane(image, c, y + 1, x)
    top += tx * (fetch_plane(image, c, y, x + 1) - top)
    bottom += tx * (fetch_plane(image, c, y + 1, x + 1) - bottom)
    return top + ty * (bottom - top)


@jit
def device_sample_cubic(image, y, x, dy, dx):
    """The device function of `sample_cubic` for three channels."""
    down, right = tl.floor(dy), tl.floor(dx)
    w0, w1, w2, w3 = device_cubic_weights(dx - right)
    v0, v1, v2, v3 = device_cubic_weights(dy - down)
    y, x = y + down.to(tl.int32), x + right.to(tl.int32)
    r = w0 * 0.0
    g, b = r, r
    for i in range(4):  # not unrolled, for the sake of registers
        v = tl.where(i == 0, v0, tl.where(i == 1, v1, tl.where(i == 2, v2, v3)))
        r0, g0, b0 = fetch(image, y + (i - 1), x - 1)
        r1, g1, b1 = fetch(image, y + (i - 1), x)
        r2, g2, b2 = fetch(image, y + (i - 1), x + 1)
        r3, g3, b3 = fetch(image, y + (i - 1), x + 2)
        r += v * (w0 * r0 + w1 * r1 + w2 * r2 + w3 * r3)
        g += v * (w0 * g0 + w1 * g1 + w2 * g2 + w3 * g3)
        b += v * (w0 * b0 + w1 * b1 + w2 * b2 + w3 * b3)
    return r, g, b


def gaussian_taps(sigma: Array, cut: float) -> Array:
    """Rows of (radius, centre tap, next tap, …) of Gaussians (n,) cut at ⌊cut · σ + 1/2⌋ pixels, as SciPy cuts them."""
    sigma = sigma.astype(np.float64)[:, None]
    radius = np.floor(cut * sigma + 0.5)
    i = np.arange(int(radius.max(initial=0)) + 1)
    taps = np.where(i > radius, 0.0, np.exp(-0.5 * (i / np.maximum(sigma, 1e-3)) ** 2))
    taps /= taps[:, :1] + 2.0 * ordered_sum(taps[:, 1:])
    return np.concatenate([radius, taps], 1).astype(np.float32)


def blur_axis(x: torch.Tensor, taps: torch.Tensor, axis: int) -> torch.Tensor:
    """Rows of `gaussian_taps` along one axis, one for each sample, in the device's order of additions."""
    reach = taps.shape[1] - 2
    size = x.shape[axis]
    pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = torch.nn.functional.pad(x, pad, mode="replicate") if reach else x
    weights = taps[:, 1:, None, None, None]
    total = x * weights[:, 0]
    for d in range(1, reach + 1):
        pair = padded.narrow(axis, reach - d, size) + padded.narrow(axis, reach + d, size)
        total += pair.mul_(weights[:, d])
    return total


@jit
def device_blur_axis(image, y, x, taps, AXIS: tl.constexpr):
    """The device function of `blur_axis`; axis 2 is down, 3 across."""
    weight = tl.load(taps + 1)
    r, g, b = fetch(image, y, x)
    r, g, b = weight * r, weight * g, weight * b
    for d in range(1, tl.load(taps).to(tl.int32) + 1):
        weight = tl.load(taps + 1 + d)
        if AXIS == 2:
            r0, g0, b0 = fetch(image, y - d, x)
            r1, g1, b1 = fetch(image, y + d, x)
        else:
            r0, g0, b0 = fetch(image, y, x - d)
            r1, g1, b1 = fetch(image, y, x + d)
        r += weight * (r0 + r1)
        g += weight * (g0 + g1)
        b += weight * (b0 + b1)
    return r, g, b
