"""Lens-mask blur: sharp in the middle, blurred towards the corners: y = m · x + (1 − m) · Gauss(x, sigma).

The mask is m = (1 − d / d_max)^gamma, with d the distance to the middle of the image and d_max that of a corner pixel. sigma is
in pixels, cut at 4σ; edges repeat the border pixel. Source: DepictQA's lens-mask blur.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_power, power, sqrt
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp
from degrade.ops.spatial._warp import blur_axis, device_blur_axis, gaussian_taps


class LensMaskBlur(TwoStrokeOp):
    """Blur by `sigma` outside the middle; the sharp part shrinks with `gamma`."""

    sigma = Param(0.0, 32.0, neutral=0.0, harsh=10.0, unit="px")
    gamma = Param(0.1, 10.0, neutral=0.1, harsh=10.0, unit="(exponent)", default=(2.0, 5.0))
    tolerance = 3e-6
    settle_warps = 4

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.floor(4.0 * theta[:, 0].astype(np.float64) + 0.5).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The middle, 1 / d_max, then the taps."""
        y, x = (frame.height - 1) / 2, (frame.width - 1) / 2
        head = np.asarray([[y, x, 1 / max(float(np.hypot(y, x)), 0.5)]], dtype=np.float32)
        return np.concatenate([np.repeat(head, len(theta), 0), gaussian_taps(theta[:, 0], 4.0)], 1)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        y0, x0, scale = (context.table[:, i, None, None, None].detach() for i in range(3))
        ry = torch.arange(x.shape[2], device=x.device)[:, None] - y0
        rx = torch.arange(x.shape[3], device=x.device) - x0
        m = power(1.0 - sqrt(ry * ry + rx * rx) * scale, theta[1])
        blurred = blur_axis(context.round(blur_axis(x, context.table[:, 3:], 3)), context.table[:, 3:], 2)
        return blurred + m * (x - blurred)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        return device_blur_axis(image, y, x, table + 3, 3)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        ry, rx = y - tl.load(table), x - tl.load(table + 1)
        m = device_power(1.0 - tl.sqrt_rn(ry * ry + rx * rx) * tl.load(table + 2), theta[1])
        r0, g0, b0 = device_blur_axis(scratch, y, x, table + 3, 2)
        return r0 + m * (r - r0), g0 + m * (g - g0), b0 + m * (b - b0)
