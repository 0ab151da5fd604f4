"""High-frequency noise: white Gaussian noise minus its own mean over a square window, scaled to deviation std.

With side 2 · window + 1 its power spectrum is std² · (1 − B(u) · B(v))² / (1 − 1 / side²), where B(f) =
sin(π · f · side) / (side · sin(π · f)): nothing at frequency 0, flat above 1 / side. At the border the window is cut, and the
noise as strong as elsewhere. An image of a single pixel stays as it is. Source: TID2013 type 5.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

from ._field import LARGEST, device_field, device_root, device_rows, field, root_table, roots


class HighFrequencyNoise(TwoStrokeOp):
    """Add noise of standard deviation `std` that has no power at low frequencies."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.2, unit="of full range")
    window = Param(1, LARGEST, neutral=1, default=1, unit="px to each side", integer=True)
    colour = Param(choices=("colour", "grey"), default="colour")
    tolerance = 5e-6
    modulates = True
    settle_warps = 4

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return theta[:, 1].astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        return root_table(theta[:, 1])

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n = noise.normals(context.rng.uniform4(), theta[2] == 1.0)
        root = roots(context.table, theta[1], x.shape[2], 2) * roots(context.table, theta[1], x.shape[3], 3)
        rest = 1.0 - root * root
        scale = theta[0] / sqrt(rest.clamp(min=1e-3))
        scale = torch.where(rest < 1e-3, 0.0, scale)  # the window is one pixel
        return x + scale * (n - field(n, theta[1], context.table, context) * root)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        return device_rows(y, x, image[2], theta[1].to(tl.int32), theta[2] == 1.0, table, rng)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        window = theta[1].to(tl.int32)
        n0, n1, n2 = device_normals(uniform4(rng, (y << 16) | x), theta[2] == 1.0)
        r0, g0, b0 = device_field(scratch, y, x, window, table)
        root = device_root(y, scratch[1], window, table) * device_root(x, scratch[2], window, table)
        rest = 1.0 - root * root
        scale = tl.div_rn(theta[0] + rest * 0.0, tl.sqrt_rn(tl.maximum(rest, 1e-3)))
        scale = tl.where(rest < 1e-3, 0.0, scale)
        return r + scale * (n0 - r0 * root), g + scale * (n1 - g0 * root), b + scale * (n2 - b0 * root)
