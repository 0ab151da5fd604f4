"""Hue rotation: add an angle to the hue of HSV, keep saturation and value.

angle is in degrees; 120, where severity 1 lies, turns red into green. Each channel is V − C · min(max(min(k, 4 − k), 0), 1), with
C = V − min and k = (n + hue / 60°) mod 6 for n = 5, 3, 1. Source: the HSV hexagon of A. R. Smith, 1978.
"""

import torch

from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


class HueRotation(PointOp):
    """Turn every hue by `angle` degrees."""

    angle = Param(-180.0, 180.0, neutral=0.0, harsh=(-120.0, 120.0), unit="degrees")
    tolerance = 5e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        r, g, b = x.unbind(1)
        value = torch.maximum(torch.maximum(r, g), b)
        chroma = value - torch.minimum(torch.minimum(r, g), b)
        by = torch.where(chroma > 0.0, chroma, 1.0)
        hue = torch.where(value == r, (g - b) / by, torch.where(value == g, (b - r) / by + 2.0, (r - g) / by + 4.0))
        hue = hue + (theta[0] * 0.016666667)[:, 0]
        return torch.stack([_channel(value, chroma, hue + n) for n in (5.0, 3.0, 1.0)], 1)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        value = tl.maximum(tl.maximum(r, g), b)
        chroma = value - tl.minimum(tl.minimum(r, g), b)
        by = tl.where(chroma > 0.0, chroma, 1.0)
        from_r, from_g, from_b = tl.div_rn(g - b, by), tl.div_rn(b - r, by) + 2.0, tl.div_rn(r - g, by) + 4.0
        hue = tl.where(value == r, from_r, tl.where(value == g, from_g, from_b))
        hue = hue + theta[0] * 0.016666667
        return _device_channel(value, chroma, hue + 5.0), _device_channel(value, chroma, hue + 3.0), _device_channel(value, chroma, hue + 1.0)


def _channel(value: torch.Tensor, chroma: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    k = k - torch.floor(k * 0.16666667) * 6.0
    return value - chroma * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0)


@jit
def _device_channel(value, chroma, k):
    k = k - tl.floor(k * 0.16666667) * 6.0
    return value - chroma * tl.minimum(tl.maximum(tl.minimum(k, 4.0 - k), 0.0), 1.0)
