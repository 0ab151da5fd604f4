"""White Gaussian noise: y = x + std · n, with n standard normal and independent per pixel and channel.

std is in units of the full range (0.1 is 25.5 of 255). Source: KADID-10k type 11, which lists variances.
"""

import torch

from degrade.kernels import noise
from degrade.kernels.lang import jit
from degrade.kernels.noise import device_normal3
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class GaussianNoise(PointOp):
    """Add white Gaussian noise of standard deviation `std`, then clip."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.2, unit="of full range")

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return x + theta[0] * torch.stack(noise.normal3(context.rng.uniform4()), 1)

    @staticmethod
    @jit
    def point(r, g, b, theta, rng, pixel):
        u0, u1, u2, u3 = uniform4(rng, pixel)
        n0, n1, n2 = device_normal3(u0, u1, u2, u3)
        std = theta[0]
        return r + std * n0, g + std * n1, b + std * n2
