"""Gaussian blur: separable, taps exp(−i²/2σ²) up to a radius of `cut` · σ, normalised; edges repeat the border pixel.

sigma is in pixels. With rule "up" the radius is ⌈cut·σ⌉: MATLAB (fspecial with K = 2⌈2σ⌉+1) and KADID cut at 2σ. With rule
"nearest" it is ⌊cut·σ + ½⌋: SciPy and scikit-image cut at 4σ. It is at most 256. Taps under 2.2e-16 are 0, so σ ≤ 0.117 is the
identity. Source: KADID-10k type 1; ImageNet-C gaussian_blur.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Separable, separable


class GaussianBlur(Separable, TwoStrokeOp):
    """Convolve with a Gaussian of standard deviation `sigma`."""

    sigma = Param(0.0, 64.0, neutral=0.0, harsh=6.0, unit="px")
    cut = Param(1.0, 8.0, neutral=2.0, harsh=8.0, unit="σ", default=2.0)
    rule = Param(choices=("up", "nearest"), default="up")
    steps = ("cut",)

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (np.exp(-0.5 / np.maximum(theta[:, 0].astype(np.float64), 1e-3) ** 2) < 2.2e-16) | (cls.extent(theta) == 0)

    @classmethod
    def extent(cls, theta: Array) -> Array:
        reach = theta[:, 1].astype(np.float64) * theta[:, 0].astype(np.float64)
        # float32 parameters: 2.5 · 0.4 is 1.
        whole = np.where(theta[:, 2] == 0, np.ceil(reach * (1 - 1e-6)), np.floor(reach * (1 + 1e-6) + 0.5))
        return np.minimum(whole, 256).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        sigma = np.maximum(theta[:, :1].astype(np.float64), 1e-3)

        def weights(i: Array) -> Array:
            taps = np.exp(-0.5 * (i / sigma) ** 2)
            return np.where(taps < 2.2e-16, 0.0, taps)

        return separable(cls.extent(theta), weights)
