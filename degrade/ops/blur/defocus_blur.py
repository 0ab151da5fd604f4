"""Defocus blur: the mean over the pixels whose centres lie in a disk of `radius` pixels, the disk's edge smoothed by a Gaussian.

radius is in pixels and may be fractional; smoothing is the Gaussian's standard deviation, in pixels. Its taps are 3×3 up to radius
8 and 5×5 beyond. The disk stands on a grid from −8 to 8, beyond radius 8 on one from −⌊radius⌋ to ⌊radius⌋, and the smoothing
mirrors it at the grid's edge without normalising again. As in ImageNet-C, the image becomes brighter from radius 7 on where the
smoothing reaches that edge: by 1.3 % at radius 8 and smoothing 0.5, by 4 % at most.
Radius 0 is the identity whatever the smoothing. Edges repeat the border pixel, where ImageNet-C mirrors the image; the results
differ only within a radius of the border. Source: ImageNet-C defocus_blur.
"""

import numpy as np

from degrade.distributions import Array
from degrade.op import Frame, Param, TwoStrokeOp

from ._taps import Window, window


class DefocusBlur(Window, TwoStrokeOp):
    """Convolve with an aliased disk of `radius` pixels, smoothed."""

    radius = Param(0.0, 24.0, neutral=0.0, harsh=10.0, unit="px")  # type: ignore[assignment]
    smoothing = Param(0.0, 4.0, neutral=0.0, harsh=1.0, unit="px", default=0.5)
    steps = ("radius",)

    @classmethod
    def extent(cls, theta: Array) -> Array:
        whole = np.floor(theta[:, 0].astype(np.float64)).astype(np.int64)
        return np.where(theta[:, 0] > 8, whole, np.minimum(whole + 1, 8))

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        r, smoothing = theta[:, :1].astype(np.float64), np.maximum(theta[:, 1:2].astype(np.float64), 1e-3)
        edge = np.where(r > 8, np.floor(r), 8)
        offsets = range(-2, 3)
        bell = [np.exp(-0.5 * (i / smoothing) ** 2) * ((r > 8) | (abs(i) < 2)) for i in offsets]
        whole = bell[0] + bell[1] + bell[2] + bell[3] + bell[4]

        def weights(y: Array, x: Array) -> Array:
            # Squares of coordinates, mirrored at the grid's edge.
            rows, columns = ([(edge - np.abs(edge - np.abs(v + i))) ** 2 for i in offsets] for v in (y, x))
            total = np.zeros(y.shape)
            for row, high in zip(rows, bell):
                for column, wide in zip(columns, bell):
                    total += high * wide * (row + column <= r * r)
            pixels = 2 * (x[:, 1:] ** 2 + y[:, 1:] ** 2 <= r * r).sum(1, keepdims=True) + 1
            return total / (whole * whole * pixels)

        return window(cls.extent(theta), weights, normalise=False)
