"""Plateau blur: 1 / (1 + q^β), q = (u/σx)² + (v/σy)² in axes turned by `angle`, over a window; edges repeat the border.

A kernel with a flat top and long tails. sigma_x and sigma_y are in pixels, angle in degrees, anticlockwise from the x axis; size
is the side of the window, an even one counts as the next odd one. Isotropic "on" takes sigma_x for both. The weights are
normalised. sigma_x = 0 is the identity whatever sigma_y. Real-ESRGAN turns clockwise, by an angle that is symmetric about 0, and
mirrors the border. Source: Real-ESRGAN.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._elliptic import elliptic
from ._taps import Window


class PlateauBlur(Window, TwoStrokeOp):
    """Convolve with a plateau of scales `sigma_x` and `sigma_y`, turned by `angle`."""

    sigma_x = Param(0.0, 16.0, neutral=0.0, harsh=3.0, unit="px")
    sigma_y = Param(0.0, 16.0, neutral=0.0, harsh=3.0, unit="px", default=(0.2, 3.0))
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))
    beta = Param(0.25, 8.0, neutral=1.0, harsh=2.0, unit="(exponent)", default=(1.0, 2.0))
    size = Param(3, 65, neutral=3, harsh=31, unit="px", default=13, integer=True)
    isotropic = Param(choices=("off", "on"), default="off")

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return theta[:, 4].astype(np.int64) // 2

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        return elliptic(theta, cls.extent(theta), theta[:, 5], lambda q: 1.0 / (1.0 + q ** theta[:, 3:4].astype(np.float64)))
