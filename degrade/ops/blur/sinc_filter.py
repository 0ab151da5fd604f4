"""Sinc filter: the circular low pass ω J₁(ωr) / (2πr), centre ω²/4π, over a window, normalised; it rings at edges.

cutoff is ω in radians per pixel; size is the side of the window, an even one counts as the next odd one. Some weights are negative:
what leaves 0..1 is clamped. A cutoff of exactly π is the identity; just below, only the corners of the spectrum are lost. Edges
repeat the border pixel, where Real-ESRGAN mirrors the image. Source: Real-ESRGAN.
"""

import math

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Window, window


class SincFilter(Window, TwoStrokeOp):
    """Remove the frequencies beyond `cutoff`, with the ringing of a sharp cut."""

    cutoff = Param(0.1, math.pi, neutral=math.pi, harsh=math.pi / 5, unit="radians per px")
    size = Param(3, 65, neutral=3, harsh=31, unit="px", default=13, integer=True)

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return theta[:, 1].astype(np.int64) // 2

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        cutoff = theta[:, :1].astype(np.float64)

        def weights(y: Array, x: Array) -> Array:
            distance = np.sqrt(x * x + y * y)
            ring = cutoff * _j1(cutoff * distance) / (2 * np.pi * np.maximum(distance, 0.5))
            return np.where(distance == 0, cutoff * cutoff / (4 * np.pi), ring)

        return window(cls.extent(theta), weights)


def _j1(z: Array) -> Array:
    """The Bessel function J₁(z) = 2/π ∫ sin(z sin t) sin t dt over a quarter turn, for |z| < 80.

    The midpoint rule converges faster than any power for a periodic integrand; 32 points leave an error of |J₁₂₇(z)|.
    """
    total = np.zeros_like(z)
    for k in range(32):
        s = math.sin((k + 0.5) * math.pi / 64)
        total += s * np.sin(z * s)
    return total / 32
