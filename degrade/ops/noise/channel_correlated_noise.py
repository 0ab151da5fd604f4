"""Channel-correlated noise: y = x + A · n, white in space, its three channels mixed by a random matrix A for each image.

A · Aᵀ is the covariance std² · |Uᵀ diag(d) U|, where U is a random rotation, d are three uniform numbers in (0, 1), and |·|
takes every element's absolute value (which keeps a 3 × 3 covariance positive semi-definite). A channel's variance is std² / 2
on average. U is uniform over all rotations; in the original it is the basis of a matrix of uniform numbers.
Source: BSRGAN, with std = 25/255.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normal3
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, PointOp, Theta


class ChannelCorrelatedNoise(PointOp):
    """Add Gaussian noise with a random 3 × 3 covariance of scale `std`² between the channels."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.3, unit="of full range")
    uniforms = 6

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The lower triangle of A, by rows."""
        rotation, scale = _rotation(frame.u[:, :3]), frame.u[:, 3:]
        covariance = np.zeros((len(theta), 3, 3))
        for k in range(3):
            covariance += scale[:, k, None, None] * rotation[:, k, :, None] * rotation[:, k, None, :]
        c = np.abs(covariance) * theta[:, 0, None, None].astype(np.float64) ** 2
        tiny = 1e-300  # std may be 0
        a00 = np.sqrt(c[:, 0, 0])
        a10, a20 = c[:, 1, 0] / np.maximum(a00, tiny), c[:, 2, 0] / np.maximum(a00, tiny)
        a11 = np.sqrt(np.maximum(c[:, 1, 1] - a10 * a10, 0.0))
        a21 = (c[:, 2, 1] - a20 * a10) / np.maximum(a11, tiny)
        a22 = np.sqrt(np.maximum(c[:, 2, 2] - a20 * a20 - a21 * a21, 0.0))
        return np.stack([a00, a10, a11, a20, a21, a22], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n0, n1, n2 = noise.normal3(context.rng.uniform4())
        a00, a10, a11, a20, a21, a22 = context.table[:, :, None, None].unbind(1)
        return x + torch.stack((a00 * n0, a10 * n0 + a11 * n1, a20 * n0 + a21 * n1 + a22 * n2), 1)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        u0, u1, u2, u3 = uniform4(rng, pixel)
        n0, n1, n2 = device_normal3(u0, u1, u2, u3)
        red = tl.load(table) * n0
        green = tl.load(table + 1) * n0 + tl.load(table + 2) * n1
        blue = tl.load(table + 3) * n0 + tl.load(table + 4) * n1 + tl.load(table + 5) * n2
        return r + red, g + green, b + blue


def _rotation(u: Array) -> Array:
    """Rotation matrices (n, 3, 3), uniform over all, from three uniforms each (K. Shoemake, Graphics Gems III, 1992)."""
    low, high = np.sqrt(1.0 - u[:, 0]), np.sqrt(u[:, 0])
    x, y = low * np.sin(2 * np.pi * u[:, 1]), low * np.cos(2 * np.pi * u[:, 1])
    z, w = high * np.sin(2 * np.pi * u[:, 2]), high * np.cos(2 * np.pi * u[:, 2])
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, 1) for row in rows], 1)
