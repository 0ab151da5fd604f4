"""Interlace: the odd rows are displaced by `shift` pixels to the right, as in two fields taken while the scene moves: combing.

Rows count from 0, negative shifts go to the left, values are bilinear and edges repeat the border pixel.
Source: the geometry of interlaced video; no bank has it.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp

from ._warp import device_sample_linear, sample_linear


class Interlace(TwoStrokeOp):
    """Displace every second row by `shift` pixels."""

    shift = Param(-128.0, 128.0, neutral=0.0, harsh=(-8.0, 8.0), unit="px")
    tolerance = 2e-6

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.ceil(np.abs(theta[:, 0].astype(np.float64))).astype(np.int64) + 1

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        odd = torch.arange(x.shape[2], device=x.device)[:, None] % 2 == 1
        dx = torch.where(odd, -theta[0][:, 0], 0.0)
        return context.round(sample_linear(x, torch.zeros_like(dx), dx))

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        dx = tl.where((y & 1) == 1, -theta[0], 0.0)
        return device_sample_linear(image, y, x, dx * 0.0, dx)
