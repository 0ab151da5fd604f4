"""YCbCr saturation: multiply Cb and Cr by a factor, keep Y = 0.299 r + 0.587 g + 0.114 b, then clip.

The round trip collapses to x ← Y + factor · (x − Y). A negative factor gives complementary colours. Without the rounding to
8 bits of OpenCV's conversion, which the original has. Source: DepictQA's X-Distortion saturation in YCrCb; RankIQA.
"""

from degrade.kernels.lang import jit
from degrade.op import Context, Param, PointOp, Theta


class SaturationYcbcr(PointOp):
    """Scale the distance of every value to the luma: 1 changes nothing, 0 gives the luma as grey, above 1 oversaturates."""

    factor = Param(-1.0, 32.0, neutral=1.0, harsh=(-0.8, 16.0), unit="× chroma")
    tolerance = 1e-5
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        luma = x[:, :1] * 0.299 + x[:, 1:2] * 0.587 + x[:, 2:] * 0.114
        return luma + theta[0] * (x - luma)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        factor = theta[0]
        luma = r * 0.299 + g * 0.587 + b * 0.114
        return luma + factor * (r - luma), luma + factor * (g - luma), luma + factor * (b - luma)
