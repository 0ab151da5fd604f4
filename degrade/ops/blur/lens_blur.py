"""Lens blur: the mean over a disk of `radius` pixels, each pixel weighted by its area inside the circle; edges repeat the border.

radius is in pixels; up to ½ it is the identity. Kernel "exact" is the disk of MATLAB's fspecial('disk'). Kernel "clipped"
is a known fault: of the two limits of the integral over a pixel on the arc, where the arc crosses the pixel's far side is taken as
0, and where it crosses the near side is computed from the smaller coordinate in place of the larger; from radius 2 on some weights
are negative. Both kernels are normalised. Source: KADID-10k type 2; "clipped": ARNIQA lensblur.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Window, window


class LensBlur(Window, TwoStrokeOp):
    """Convolve with a disk of `radius` pixels."""

    radius = Param(0.0, 16.0, neutral=0.0, harsh=8.0, unit="px")  # type: ignore[assignment]
    kernel = Param(choices=("exact", "clipped"), default="exact")

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return cls.extent(theta) == 0

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return np.maximum(np.ceil(theta[:, 0].astype(np.float64) - 0.5), 0).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        r = np.maximum(theta[:, :1].astype(np.float64), 0.5)

        def weights(y: Array, x: Array) -> Array:
            a, b = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
            exact = _area(r, a, b)
            return np.where((theta[:, 1:2] == 0) | (a == 0), exact, _clipped(r, a, b))

        return window(cls.extent(theta), weights)


def _segment(r: Array, u: Array) -> Array:
    """The integral of √(r² − t²) for t from 0 to u."""
    t = np.clip(u / r, -1.0, 1.0)
    return 0.5 * r * r * (t * np.sqrt(1.0 - t * t) + np.arcsin(t))


def _quadrant(r: Array, u: Array, v: Array) -> Array:
    """The area of the disk over [0, u] × [0, v], negative where just one of u and v is."""
    sign, u, v = np.sign(u) * np.sign(v), np.minimum(np.abs(u), r), np.minimum(np.abs(v), r)
    flat = np.minimum(np.sqrt(r * r - v * v), u)  # up to here the arc runs above v
    return sign * (v * flat + _segment(r, u) - _segment(r, flat))


def _area(r: Array, a: Array, b: Array) -> Array:
    """The area of the disk over the pixel at (a, b)."""
    area = _quadrant(r, a + 0.5, b + 0.5) - _quadrant(r, a + 0.5, b - 0.5) - _quadrant(r, a - 0.5, b + 0.5) + _quadrant(r, a - 0.5, b - 0.5)
    return np.where(area < 1e-12, 0.0, area)  # a corner that the circle touches, but for rounding


def _clipped(r: Array, a: Array, b: Array) -> Array:
    """The areas with both limits wrong, as the module describes; a ≥ b are the sizes of a pixel's coordinates."""
    near, far = (a - 0.5) ** 2, (a + 0.5) ** 2
    low = np.where(r * r < far + (b - 0.5) ** 2, b - 0.5, 0.0)
    high = np.where(r * r > near + (b + 0.5) ** 2, b + 0.5, np.sqrt(np.maximum(r * r - (b - 0.5) ** 2, 0.0)))
    on_the_arc = ((r * r < far + (b + 0.5) ** 2) & (r * r > near + (b - 0.5) ** 2)) | ((b == 0) & (a - 0.5 < r) & (a + 0.5 >= r))
    part = _segment(r, high) - _segment(r, low) - (a - 0.5) * (high - low) + (low - b + 0.5)
    return np.where(on_the_arc, part, 0.0) + (far + (b + 0.5) ** 2 < r * r)
