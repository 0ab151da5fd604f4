"""Vignette: multiply by 1 − strength · (1 − m), where m = (1 − d / D)^gamma falls from the centre to the corners.

d is the distance of a pixel from the centre of the frame and D that of the corner pixels, which at strength 1 become black.
A small gamma darkens the corners alone, a large one nearly all. Source: DepictQA vignette (strength 1).
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_power, power, sqrt
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta


class Vignette(PointOp):
    """Darken from the centre towards the corners."""

    strength = Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the light")
    gamma = Param(0.05, 8.0, unit="(exponent)", default=(0.5, 2.0))
    tolerance = 5e-6
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The centre, y and x, and 1 / D."""
        y, x = (frame.height - 1) / 2, (frame.width - 1) / 2
        return np.tile(np.asarray([y, x, 1.0 / max(np.hypot(y, x), 0.5)], dtype=np.float32), (len(theta), 1))

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        cy, cx, scale = (context.table[:, i, None, None, None] for i in range(3))
        dy = torch.arange(x.shape[2], device=x.device)[:, None] - cy
        dx = torch.arange(x.shape[3], device=x.device) - cx
        mask = power(1.0 - sqrt(dy * dy + dx * dx) * scale, theta[1])
        return x * (1.0 - theta[0] * (1.0 - mask))

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        dy = (pixel >> 16).to(tl.float32) - tl.load(table)
        dx = (pixel & 0xFFFF).to(tl.float32) - tl.load(table + 1)
        mask = device_power(1.0 - tl.sqrt_rn(dy * dy + dx * dx) * tl.load(table + 2), theta[1])
        gain = 1.0 - theta[0] * (1.0 - mask)
        return r * gain, g * gain, b * gain
