"""Impulse noise: each value becomes 0 or 1 with probability density / 2 each, every channel on its own.

Source: KADID-10k type 13 (MATLAB imnoise 'salt & pepper').
"""

import torch

from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class ImpulseNoise(PointOp):
    """Salt and pepper: a fraction `density` of all values is replaced, half by 0 and half by 1."""

    density = Param(0.0, 1.0, neutral=0.0, harsh=0.3, unit="of values")

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        u = torch.stack(context.rng.uniform4()[:3], 1)
        return torch.where(u < theta[0] * 0.5, 0.0, torch.where(u < theta[0], 1.0, x))

    @staticmethod
    @jit
    def point(r, g, b, theta, rng, pixel):
        u0, u1, u2, u3 = uniform4(rng, pixel)
        density = theta[0]
        half = density * 0.5
        r = tl.where(u0 < half, 0.0, tl.where(u0 < density, 1.0, r))
        g = tl.where(u1 < half, 0.0, tl.where(u1 < density, 1.0, g))
        b = tl.where(u2 < half, 0.0, tl.where(u2 < density, 1.0, b))
        return r, g, b
