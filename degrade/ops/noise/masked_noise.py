"""Masked noise: y = x + std · m · n, white Gaussian noise that hides in texture.

m is the least of v / (v + half²) over a pixel and its eight neighbours, and v the variance of grey (.2989, .587, .114) in the
3 × 3 window about each of them; the border repeats the edge pixel. Flat areas stay clean, a texture of deviation `half` gets
half of std, and a thin edge between flat areas, which hides nothing, gets none. The generator of TID2013 is not published; this
formula stands for it. Source: TID2013 type 4.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.colour import device_grey, grey
from degrade.kernels.fetch import fetch, fetch_column_plane, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, Theta, TwoStrokeOp


class MaskedNoise(TwoStrokeOp):
    """Add Gaussian noise of standard deviation up to `std`, the stronger, the more texture there is."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.5, unit="of full range")
    half = Param(0.001, 1.0, neutral=0.05, default=0.05, unit="of full range")
    colour = Param(choices=("colour", "grey"), default="colour")
    tolerance = 5e-6
    modulates = True

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.full(len(theta), 2, dtype=np.int64)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n = noise.normals(context.rng.uniform4(), theta[2] == 1.0)
        own = grey(*x.unbind(1))[:, None]
        first, second = torch.zeros_like(own), torch.zeros_like(own)
        for near in _neighbours(own):
            apart = near - own
            first, second = first + apart, second + apart * apart
        mean = first * 0.11111111
        v = (second * 0.11111111 - mean * mean).clamp(min=0.0)
        m = context.round(v / (v + theta[1] * theta[1]))
        for near in _neighbours(m):
            m = torch.minimum(m, near)
        return x + theta[0] * m * n

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        """The weight before the least of neighbours is taken. Differences to the pixel itself keep all digits in flat areas."""
        r, g, b = fetch(image, y, x)
        own = device_grey(r, g, b)
        first, second = own * 0.0, own * 0.0
        for i in range(9):
            r, g, b = fetch(image, y + i // 3 - 1, x + i % 3 - 1)
            apart = device_grey(r, g, b) - own
            first += apart
            second += apart * apart
        mean = first * 0.11111111
        v = tl.maximum(second * 0.11111111 - mean * mean, 0.0)
        m = tl.div_rn(v, v + theta[1] * theta[1])
        return m, m, m

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        n0, n1, n2 = device_normals(uniform4(rng, (y << 16) | x), theta[2] == 1.0)
        m = fetch_column_plane(scratch, 0, y, x)
        for i in range(9):
            m = tl.minimum(m, fetch_plane(scratch, 0, y + i // 3 - 1, x + i % 3 - 1))
        m = theta[0] * m
        return r + m * n0, g + m * n1, b + m * n2


def _neighbours(v: torch.Tensor) -> list[torch.Tensor]:
    """A plane shifted by every step of a 3 × 3 window, by rows, the border repeated."""
    (h, w), padded = v.shape[2:], torch.nn.functional.pad(v, (1, 1, 1, 1), mode="replicate")
    return [padded[:, :, i : i + h, j : j + w] for i in range(3) for j in range(3)]
