"""HSV saturation: multiply the saturation by a factor and add an offset, S ← min(factor · S + offset, 1).

With V = max(r, g, b) and S = (V − min) / V the round trip through hue collapses to y = V + k · (x − V), where k is the new S
over the old one; grey has the hue of red. A negative factor leads to the complementary hue and is clipped at white.
Source: KADID-10k type 7 (factor ≤ 1), ImageNet-C saturate (with an offset).
"""

import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


class SaturationHsv(PointOp):
    """Scale the HSV saturation: 1 changes nothing, 0 gives the maximum channel as grey, above 1 oversaturates."""

    factor = Param(-1.0, 64.0, neutral=1.0, harsh=(-0.4, 8.0), unit="× saturation")
    offset = Param(0.0, 1.0, unit="of saturation", default=0.0)
    tolerance = 1e-6
    modulates = True

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 1.0) & (theta[:, 1] == 0.0)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        value = x.amax(1, keepdim=True)
        spread = value - x.amin(1, keepdim=True)
        coloured = spread > 0
        ratio = value / torch.where(coloured, spread, 1.0)  # 1 / S
        factor = torch.minimum(theta[0] + theta[1] * ratio, ratio)
        faded = value * (1.0 - theta[1])
        grey = torch.cat([value, faded, faded], 1)
        return torch.where(coloured, value + factor * (x - value), grey)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        value = tl.maximum(tl.maximum(r, g), b)
        spread = value - tl.minimum(tl.minimum(r, g), b)
        ratio = tl.div_rn(value, tl.where(spread > 0, spread, 1.0))
        factor = tl.minimum(theta[0] + theta[1] * ratio, ratio)
        faded = value * (1.0 - theta[1])
        return (
            value + tl.where(spread > 0, factor * (r - value), 0.0),
            tl.where(spread > 0, value + factor * (g - value), faded),
            tl.where(spread > 0, value + factor * (b - value), faded),
        )
