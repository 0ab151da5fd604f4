"""Anisotropic Gaussian blur: exp(−½q), q = (u/σx)² + (v/σy)² in axes turned by `angle`, over a window; edges repeat the border.

sigma_x and sigma_y are in pixels, angle in degrees, anticlockwise from the x axis; size is the side of the window, an even one
counts as the next odd one. Isotropic "on" takes sigma_x for both. The weights are normalised. sigma_x = 0 is the identity
whatever sigma_y. Real-ESRGAN and BSRGAN turn clockwise, by an angle that is symmetric about 0, and mirror the border. Source:
Real-ESRGAN, BSRGAN.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._elliptic import elliptic
from ._taps import Window


class AnisotropicGaussianBlur(Window, TwoStrokeOp):
    """Convolve with a Gaussian of standard deviations `sigma_x` and `sigma_y`, turned by `angle`."""

    sigma_x = Param(0.0, 16.0, neutral=0.0, harsh=3.0, unit="px")
    sigma_y = Param(0.0, 16.0, neutral=0.0, harsh=3.0, unit="px", default=(0.2, 3.0))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))
    size = Param(3, 65, neutral=3, harsh=31, unit="px", default=13, integer=True)
    isotropic = Param(choices=("off", "on"), default="off")

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return theta[:, 3].astype(np.int64) // 2

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        return elliptic(theta, cls.extent(theta), theta[:, 4], lambda q: np.exp(-0.5 * q))
