"""Jitter: the image is warped several times, each time by normal displacements, independent for every pixel and axis.

sigma is in pixels. Each of `iterations` warps reads at (y + σ n₁, x + σ n₂), bilinearly or bicubically (Keys, a = −1/2, as
MATLAB), and is rounded to the working precision and clipped; all channels move together and edges repeat the border pixel.
drift="arniqa" adds a fault of that code: its padding mixes up the two margins, so that every warp moves the whole image by
k = ⌈max σ n₂⌉ − ⌈max σ n₁⌉ pixels down and as many to the left. Here the two maxima are drawn from the law of the largest
of h · w normals, which is theirs, without looking for the largest; the dark pixels that the code leaves at the border are
left out. Source: KADIS-700k type 19 (bicubic) and ARNIQA (bilinear, drift).
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_log, device_turn, log, sqrt, turn
from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp

from ._warp import device_sample_cubic, device_sample_linear, sample_cubic, sample_linear

ITERATIONS = 8
FARTHEST = 5.77  # the largest normal that Box and Muller's formula gives for uniforms of 23 bits


class Jitter(TwoStrokeOp):
    """Displace every pixel at random by about `sigma` pixels, `iterations` times."""

    sigma = Param(0.0, 8.0, neutral=0.0, harsh=2.0, unit="px")
    iterations = Param(1, ITERATIONS, neutral=1, harsh=ITERATIONS, unit="warps", default=5, integer=True)
    interpolation = Param(choices=("bicubic", "bilinear"), default="bicubic")
    drift = Param(choices=("none", "arniqa"), default="none")
    tolerance = 5e-6
    registers = 96
    scattered = True
    uniforms = 2 * ITERATIONS

    @classmethod
    def radius(cls, theta: Array) -> Array:
        """Bicubic interpolation reads two pixels beyond the displacement; a margin is no larger than that."""
        farthest = np.ceil(FARTHEST * theta[:, 0].astype(np.float64))
        return (theta[:, 1] * (farthest * (1 + theta[:, 3]) + 2)).astype(np.int64)

    @classmethod
    def needs(cls, theta: Array) -> int:
        return cls.uniforms if (theta[:, 3] == 1).any() else 0

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The drift of each iteration."""
        if not cls.needs(theta):
            return np.zeros((len(theta), ITERATIONS), dtype=np.float32)
        upper = -np.expm1(np.log(frame.u) / (frame.height * frame.width))  # how rare the largest value is
        largest = -torch.special.ndtri(torch.from_numpy(upper)).numpy()
        margin = np.ceil(np.clip(largest, 0.0, FARTHEST) * theta[:, :1].astype(np.float64))
        drift = margin[:, 0::2] - margin[:, 1::2]
        return np.where((theta[:, 3:4] == 1) & (np.arange(ITERATIONS) < theta[:, 1:2]), drift, 0.0).astype(np.float32)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        return np.where(np.arange(theta[:, 1].max(initial=1)) < theta[:, 1:2], 0, -1)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        sigma, iterations, interpolation = theta[0][:, 0], theta[1].flatten(), theta[2].flatten()
        for i in range(int(iterations.max())):
            if i % 2 == 0:
                u = context.rng.uniform4(i // 2)
            far = sqrt(log(u[i % 2 * 2]).mul_(-2.0)).mul_(sigma)
            cos, sin = turn(u[i % 2 * 2 + 1])
            drift = context.table[:, i, None, None]
            dy, dx = far * sin - drift, far * cos + drift
            for mode, sample in enumerate((sample_cubic, sample_linear)):
                these = ((interpolation == mode) & (iterations > i)).nonzero().flatten()
                if len(these) == len(x):
                    x = context.round(sample(x, dy, dx))
                elif len(these):
                    x = x.index_copy(0, these, context.round(sample(x[these], dy[these], dx[these])))
        return x

    @staticmethod
    @jit
    def warp(image, before, y, x, theta, table, words, rng, stage, inside):
        u0, u1, u2, u3 = uniform4(rng, (y << 16) | x, stage >> 1)
        odd = (stage & 1) == 1  # a draw serves two iterations
        far = tl.sqrt_rn(device_log(tl.where(odd, u2, u0)) * -2.0) * theta[0]
        cos, sin = device_turn(tl.where(odd, u3, u1))
        drift = tl.load(table + stage)
        dy, dx = far * sin - drift, far * cos + drift
        if theta[2] == 0.0:
            r, g, b = device_sample_cubic(before, y, x, dy, dx)
        else:
            r, g, b = device_sample_linear(before, y, x, dy, dx)
        return r, g, b

    strokes = (Stroke(warp),)
