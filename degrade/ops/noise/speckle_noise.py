"""Speckle: multiplicative noise y = x + x · n, with n of mean 0 and standard deviation std.

n is Gaussian, or uniform as in MATLAB's imnoise 'speckle' (within ± std · √3), and independent per pixel and channel;
`colour="grey"` multiplies all three channels by one pattern.
Source: KADID-10k type 14 (variances), ImageNet-C speckle noise, DepictQA; uniform n is MATLAB's.
"""

import torch

from degrade.kernels import noise
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class SpeckleNoise(PointOp):
    """Multiply every value by 1 + n, with n of standard deviation `std`."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.6, unit="of the value")
    distribution = Param(choices=("gaussian", "uniform"), default="gaussian")
    colour = Param(choices=("colour", "grey"), default="colour")
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        u, grey = context.rng.uniform4(), theta[2] == 1.0
        flat = torch.stack((u[0], torch.where(grey[:, 0], u[0], u[1]), torch.where(grey[:, 0], u[0], u[2])), 1)
        n = torch.where(theta[1] == 1.0, (flat - 0.5) * 3.4641016151, noise.normals(u, grey))
        return x + x * (theta[0] * n)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        u = uniform4(rng, pixel)
        std, grey = theta[0], theta[2] == 1.0
        if theta[1] == 1.0:
            # A uniform number of width √12 has deviation 1.
            n0 = (u[0] - 0.5) * 3.4641016151
            n1 = (tl.where(grey, u[0], u[1]) - 0.5) * 3.4641016151
            n2 = (tl.where(grey, u[0], u[2]) - 0.5) * 3.4641016151
        else:
            n0, n1, n2 = device_normals(u, grey)
        return r + r * (std * n0), g + g * (std * n1), b + b * (std * n2)
