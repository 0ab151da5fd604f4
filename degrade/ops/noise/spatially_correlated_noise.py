"""Spatially correlated noise: white Gaussian noise through a box filter of side 2 · window + 1.

`over="noise"` filters the noise alone and scales it, so that it has deviation std again: pixels (i, j) apart correlate by
max(0, 1 − |i| / side) · max(0, 1 − |j| / side); at the border the window is cut. `over="image"` is the box mean of
x + std · n, which blurs the image, too, and leaves noise of deviation std / side; its border repeats the edge pixel, where
the original mirrors it. Source: TID2013 type 3 (noise); DepictQA (image, window 1).
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

from ._field import LARGEST, device_field, device_rows, field, reach_of, root_table, window_sum


class SpatiallyCorrelatedNoise(TwoStrokeOp):
    """Add noise of standard deviation `std` that correlates between pixels up to 2 · `window` apart."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.25, unit="of full range")
    window = Param(1, LARGEST, neutral=1, default=1, unit="px to each side", integer=True)
    over = Param(choices=("noise", "image"), default="noise")
    colour = Param(choices=("colour", "grey"), default="colour")
    tolerance = 5e-6

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 0) & (theta[:, 2] == 0)

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return theta[:, 1].astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """What brings x + std · n into 0..1 (no normal here is beyond ± 6) and back, 1 / side, and the roots."""
        wide, share = 1.0 + 12.0 * theta[:, :1].astype(np.float64), 1.0 / (2.0 * theta[:, 1:2].astype(np.float64) + 1.0)
        return np.concatenate([1.0 / wide, wide, share, root_table(theta[:, 1])], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n = noise.normals(context.rng.uniform4(), theta[3] == 1.0)
        narrow, wide, share = context.table[:, :3, None, None, None].unbind(1)
        table = context.table[:, 3:]
        rows = window_sum((x + theta[0] * n - 0.5) * narrow, theta[1], reach_of(table), 3, "replicate") * share + 0.5
        mean = window_sum(context.round(rows) - 0.5, theta[1], reach_of(table), 2, "replicate") * share * wide + 0.5
        return torch.where(theta[2] == 1.0, mean, x + theta[0] * field(n, theta[1], table, context))

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        window, grey = theta[1].to(tl.int32), theta[3] == 1.0
        if theta[2] == 1.0:
            narrow, share = tl.load(table), tl.load(table + 2)
            r = (y * 0 + x * 0).to(tl.float32)
            g, b = r, r
            for d in range(-window, window + 1):
                at = tl.minimum(tl.maximum(x + d, 0), image[2] - 1)
                n0, n1, n2 = device_normals(uniform4(rng, (y << 16) | at), grey)
                r0, g0, b0 = fetch(image, y, at)
                r += (r0 + theta[0] * n0 - 0.5) * narrow
                g += (g0 + theta[0] * n1 - 0.5) * narrow
                b += (b0 + theta[0] * n2 - 0.5) * narrow
            r, g, b = r * share + 0.5, g * share + 0.5, b * share + 0.5
        else:
            r, g, b = device_rows(y, x, image[2], window, grey, table + 3, rng)
        return r, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        window = theta[1].to(tl.int32)
        if theta[2] == 1.0:
            wide, share = tl.load(table + 1), tl.load(table + 2)
            r = (y * 0 + x * 0).to(tl.float32)
            g, b = r, r
            for d in range(-window, window + 1):
                r0, g0, b0 = fetch(scratch, y + d, x)
                r += r0 - 0.5
                g += g0 - 0.5
                b += b0 - 0.5
            r, g, b = r * share * wide + 0.5, g * share * wide + 0.5, b * share * wide + 0.5
        else:
            n0, n1, n2 = device_field(scratch, y, x, window, table + 3)
            r, g, b = r + theta[0] * n0, g + theta[0] * n1, b + theta[0] * n2
        return r, g, b
