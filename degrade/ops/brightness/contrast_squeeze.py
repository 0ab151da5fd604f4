"""Contrast squeeze: map the range 0..1 to 0.5 ± half_width by y = 0.5 + 2 · half_width · (x − 0.5).

Unlike contrast about the mean it does not depend on the image; below 0.5 the range shrinks, above it the ends are clipped.
Source: ARNIQA nonlincontrchange; after a range stretch, DBCNN's contrast.
"""

from degrade.kernels.lang import jit
from degrade.op import Context, Param, PointOp, Theta


class ContrastSqueeze(PointOp):
    """Squeeze all values into 0.5 ± `half_width`."""

    half_width = Param(0.0, 4.0, neutral=0.5, harsh=0.05, unit="of full range")
    tolerance = 1e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return theta[0] * 2.0 * (x - 0.5) + 0.5

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        gain = theta[0] * 2.0
        return gain * (r - 0.5) + 0.5, gain * (g - 0.5) + 0.5, gain * (b - 0.5) + 0.5
