"""Directional blur: a one-sided Gaussian trail of 2·radius + 1 pixels at `angle`, which also displaces the content; edges repeat.

Pixel i of the trail, i = 0 … 2·radius, weighs exp(−i²/2σ²) and is read i pixels away at `angle`, rounded to whole pixels with
halves down; the weights are normalised. radius and sigma are in pixels, angle in degrees, anticlockwise from the x axis (the port of
ImageNet-C turns clockwise, by an angle that is symmetric about 0). The port ends the trail at the image's size, which darkens
images smaller than it; here the border goes on. Source: ImageNet-C motion_blur, as imagecorruptions computes it.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Listed
from ._trail import trail


class DirectionalBlur(Listed, TwoStrokeOp):
    """Smear towards one side, along `angle`, with a Gaussian of standard deviation `sigma`."""

    radius = Param(0, 32, neutral=0, harsh=20, unit="px", integer=True)  # type: ignore[assignment]
    sigma = Param(0.5, 64.0, neutral=0.5, harsh=15.0, unit="px", default=(3.0, 15.0))
    angle = Param(-360.0, 360.0, unit="degrees", default=(-45.0, 45.0))
    steps = ("angle",)

    @classmethod
    def extent(cls, theta: Array) -> Array:
        return 2 * theta[:, 0].astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        extent, sigma = cls.extent(theta)[:, None], theta[:, 1:2].astype(np.float64)
        i = np.arange(extent.max(initial=0) + 1)
        return trail(np.where(i <= extent, np.exp(-0.5 * (i / sigma) ** 2), 0.0), theta[:, 2].astype(np.float64))
