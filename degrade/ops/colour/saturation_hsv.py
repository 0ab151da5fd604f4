"""HSV saturation: multiply the saturation by a factor, S ← min(factor · S, 1).

With V = max(r, g, b) the round trip through hue collapses to y = V + k · (x − V), where k = min(factor, V / (V − min)).
A negative factor leads to the complementary hue and is clipped at white. Source: KADID-10k type 7 (factor ≤ 1).
"""

import torch

from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


class SaturationHsv(PointOp):
    """Scale the HSV saturation: 1 changes nothing, 0 gives the maximum channel as grey, above 1 oversaturates."""

    factor = Param(-1.0, 64.0, neutral=1.0, harsh=(-0.4, 8.0), unit="× saturation")
    tolerance = 1e-6

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        value = x.amax(1, keepdim=True)
        spread = value - x.amin(1, keepdim=True)
        limit = value / torch.where(spread > 0, spread, 1.0)
        factor = torch.where(spread > 0, torch.minimum(theta[0], limit), 1.0)
        return value + factor * (x - value)

    @staticmethod
    @jit
    def point(r, g, b, theta, rng, pixel):
        value = tl.maximum(tl.maximum(r, g), b)
        spread = value - tl.minimum(tl.minimum(r, g), b)
        limit = tl.div_rn(value, tl.where(spread > 0, spread, 1.0))
        factor = tl.where(spread > 0, tl.minimum(theta[0], limit), 1.0)
        return value + factor * (r - value), value + factor * (g - value), value + factor * (b - value)
