"""Contrast curve: an odd cubic about the middle grey that keeps black, grey and white.

With u = x − 0.5: y = 0.5 + s·u + c·u³, where c = −(0.05 + amount / 4) / 0.042 and s = 1 − c / 4. It runs through (0.3,
0.25 − amount / 4) and (0.7, 0.75 + amount / 4), so the identity is at an amount of −0.2, not 0: above it the contrast rises,
below it falls. Source: KADID-10k type 25 (a spline through these points, which is this cubic).
"""

from degrade.kernels.lang import jit
from degrade.op import Context, Param, PointOp, Theta


class ContrastCurve(PointOp):
    """Bend the tone curve to an S, or below an amount of −0.2 to its opposite."""

    amount = Param(-0.8, 0.8, neutral=-0.2, harsh=(-0.6, 0.3), unit="of the curve")
    tolerance = 1e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        cube = (theta[0] + 0.2) * -5.9523809523809526
        slope = 1.0 - cube * 0.25
        u = x - 0.5
        return (cube * (u * u) + slope) * u + 0.5

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        cube = (theta[0] + 0.2) * -5.9523809523809526
        slope = 1.0 - cube * 0.25
        r, g, b = r - 0.5, g - 0.5, b - 0.5
        return (cube * (r * r) + slope) * r + 0.5, (cube * (g * g) + slope) * g + 0.5, (cube * (b * b) + slope) * b + 0.5
