"""Impulse noise: each value becomes 0 or 1 with probability `density`, every channel on its own or whole pixels at once.

`salt` is the part of the impulses that is 1; `per="pixel"` blackens or whitens all three channels together.
Source: KADID-10k type 13 (MATLAB imnoise 'salt & pepper'); Re-IQA replaces whole pixels.
"""

import torch

from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class ImpulseNoise(PointOp):
    """Salt and pepper: a fraction `density` of all values (or pixels) is replaced, `salt` of them by 1 and the rest by 0."""

    density = Param(0.0, 1.0, neutral=0.0, harsh=0.3, unit="of values")
    per = Param(choices=("value", "pixel"), default="value")
    salt = Param(0.0, 1.0, default=0.5, unit="of impulses")
    steps = ("density", "salt")
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        u0, u1, u2, _ = context.rng.uniform4()
        whole = theta[1][:, 0] == 1.0
        u = torch.stack((u0, torch.where(whole, u0, u1), torch.where(whole, u0, u2)), 1)
        pepper = theta[0] * (1.0 - theta[2])
        return torch.where(u < pepper, 0.0, torch.where(u < theta[0], 1.0, x))

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        u0, u1, u2, u3 = uniform4(rng, pixel)
        density, whole = theta[0], theta[1] == 1.0
        u1, u2 = tl.where(whole, u0, u1), tl.where(whole, u0, u2)
        pepper = density * (1.0 - theta[2])
        r = tl.where(u0 < pepper, 0.0, tl.where(u0 < density, 1.0, r))
        g = tl.where(u1 < pepper, 0.0, tl.where(u1 < density, 1.0, g))
        b = tl.where(u2 < pepper, 0.0, tl.where(u2 < density, 1.0, b))
        return r, g, b
