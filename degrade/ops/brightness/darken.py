"""Darken: the curve f(t) = max(t − 2 · amount · t(1 − t), 0) on every channel.

A parabola through black and white that lowers the middle by amount / 2; above an amount of 0.5 the shadows are cut off, at
0.8 up to a value of 0.375. Source: KADID-10k type 17.
"""

from degrade.kernels.lang import jit
from degrade.op import Context, Param, PointOp, Theta


class Darken(PointOp):
    """Lower the middle tones by a parabola that keeps black and white."""

    amount = Param(0.0, 2.0, neutral=0.0, harsh=0.8, unit="of the curve")
    tolerance = 1e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return x - theta[0] * 2.0 * x * (1.0 - x)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        twice = theta[0] * 2.0
        return r - twice * r * (1.0 - r), g - twice * g * (1.0 - g), b - twice * b * (1.0 - b)
