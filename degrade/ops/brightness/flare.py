"""Flare: a glow around a bright source, and a veil over the whole frame, added to the image.

y = x + strength · (veil + (1 − veil) / (1 + (d / R)²)), with d the distance from the source and R = size · √(h·w). The source
lies at a random place in the frame. The glare that a lens scatters falls with the inverse square of the angle. Source:
G. Vos, "Disability glare", CIE Journal 1984, for the falloff; veiling glare as in ISO 9358.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta


class Flare(PointOp):
    """Add the glow of a source in the frame, and a veil."""

    strength = Param(0.0, 2.0, neutral=0.0, harsh=1.0, unit="of full range")
    size = Param(0.01, 2.0, unit="of √(h·w)", default=(0.1, 0.4))
    veil = Param(0.0, 1.0, unit="of the strength", default=(0.05, 0.25))
    uniforms = 2  # where the source is
    tolerance = 2e-6
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The source, y and x, and 1 / R²."""
        radius = theta[:, 1].astype(np.float64) * np.sqrt(frame.height * frame.width)
        y, x = frame.u[:, 0] * frame.height - 0.5, frame.u[:, 1] * frame.width - 0.5
        return np.stack([y, x, 1.0 / (radius * radius)], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        cy, cx, scale = (context.table[:, i, None, None, None] for i in range(3))
        dy = torch.arange(x.shape[2], device=x.device)[:, None] - cy
        dx = torch.arange(x.shape[3], device=x.device) - cx
        glow = 1.0 / ((dy * dy + dx * dx) * scale + 1.0)
        return x + theta[0] * (theta[2] + (1.0 - theta[2]) * glow)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        dy = (pixel >> 16).to(tl.float32) - tl.load(table)
        dx = (pixel & 0xFFFF).to(tl.float32) - tl.load(table + 1)
        glow = tl.div_rn(1.0, (dy * dy + dx * dx) * tl.load(table + 2) + 1.0)
        light = theta[0] * (theta[2] + (1.0 - theta[2]) * glow)
        return r + light, g + light, b + light
