"""Row shift: every row is displaced along itself by a random distance, as a rolling shutter or a loose line sync does.

The displacement is uniform in [−amplitude, amplitude] pixels, drawn at every `length`-th row and interpolated smoothly in
between (smoothstep), so that length 1 displaces every row on its own and larger ones make waves. Values are bilinear and edges
repeat the border pixel. Source: the geometry of rolling-shutter jitter; no bank has it.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, Theta, TwoStrokeOp

from ._warp import device_sample_linear, sample_linear


class RowShift(TwoStrokeOp):
    """Displace each row by up to `amplitude` pixels, alike over about `length` rows."""

    amplitude = Param(0.0, 128.0, neutral=0.0, harsh=8.0, unit="px")
    length = Param(1.0, 512.0, neutral=1.0, harsh=64.0, unit="rows", default=1.0)
    tolerance = 2e-6

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.ceil(theta[:, 0].astype(np.float64)).astype(np.int64) + 1

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        row = torch.arange(x.shape[2], device=x.device)[:, None] / theta[1][:, 0]
        node = torch.floor(row)
        u, following = (context.rng.uniform4(pixel=(node + i).to(torch.int64))[0] for i in range(2))
        u = u + smoothstep(row - node) * (following - u)
        return context.round(sample_linear(x, torch.zeros_like(u), theta[0][:, 0] * (u * 2.0 - 1.0)))

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        row = tl.div_rn(y.to(tl.float32), y * 0.0 + theta[1])
        node = tl.floor(row)
        u, a, b, c = uniform4(rng, node.to(tl.int32))
        following, a, b, c = uniform4(rng, node.to(tl.int32) + 1)
        u = u + device_smoothstep(row - node) * (following - u)
        return device_sample_linear(image, y, x, u * 0.0, theta[0] * (u * 2.0 - 1.0))
