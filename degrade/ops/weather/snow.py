"""Snow: streaks of thresholded noise, and a whitened image behind them.

Normal numbers of mean `mean` and deviation `std`, one per `zoom` pixels and linear between them, are 0 below `threshold` and
limited to 1; they are smeared along a trail of 2 · length + 1 pixels with weights exp(−i²/2σ²), σ = `sigma`, at a random angle
from −135° to −45°. The result is keep · x + (1 − keep) · max(x, 1.5 · grey + 0.5), plus the streaks, plus the streaks turned
by 180°. The low end of `mean` stands for no snow at all. ImageNet-C rounds the streaks to 8 bits. Source: ImageNet-C snow.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.colour import device_ycbcr_from_rgb, ycbcr_from_rgb
from degrade.kernels.fetch import fetch_column_plane, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp
from degrade.ops.blur._trail import device_smear, smear, trail

from ._nodes import between, device_between, device_normal_node, normal_nodes, points_within


class Snow(TwoStrokeOp):
    """Let it snow: the higher `mean` is, the more flakes are above `threshold`."""

    mean = Param(-0.2, 1.0, neutral=-0.2, harsh=0.6, unit="of full range")
    std = Param(0.01, 1.0, neutral=0.01, harsh=1.0, unit="of full range", default=0.3)
    zoom = Param(1.0, 32.0, neutral=1.0, harsh=32.0, unit="px", default=(2.0, 4.5))
    threshold = Param(0.0, 1.0, unit="of full range", default=0.75)
    length = Param(0, 64, unit="px", default=12, integer=True)
    sigma = Param(0.5, 64.0, neutral=0.5, harsh=64.0, unit="px", default=(4.0, 12.0))
    keep = Param(0.0, 1.0, unit="of the image", default=0.7)
    steps = ("mean", "std", "zoom", "threshold")
    uniforms = 1  # the angle
    whole_frame = True
    tolerance = 1e-5

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """1 / zoom, then the trail."""
        i = np.arange(2 * int(theta[:, 4].max(initial=0)) + 1)
        weight = np.where(i <= 2 * theta[:, 4:5], np.exp(-0.5 * (i / theta[:, 5:6].astype(np.float64)) ** 2), 0.0)
        # The layer is read above a pixel; ImageNet-C, whose y points down, calls that −135° to −45°.
        taps = trail(weight, 45.0 + 90.0 * frame.u[:, 0])
        return np.concatenate([1.0 / theta[:, 2:3].astype(np.float64), taps], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        scale = context.table[:, :1].detach()
        lattice = normal_nodes(context, points_within(height, scale), points_within(width, scale))
        layer = between(lattice, torch.arange(height, device=x.device) * scale, torch.arange(width, device=x.device) * scale)
        layer = layer * theta[1][:, 0] + theta[0][:, 0]
        layer = context.round(torch.where(layer < theta[3][:, 0], 0.0, layer))
        layer = smear(layer, context.table[:, 1:], theta, context)[:, None]
        grey = ycbcr_from_rgb(*x.unbind(1))[0][:, None]
        white = x * theta[6] + torch.maximum(x, grey * 1.5 + 0.5) * (1.0 - theta[6])
        return white + layer + layer.flip((2, 3))

    @staticmethod
    @jit
    def flakes(image, before, y, x, theta, table, words, rng, stage, inside):
        scale = tl.load(table)
        v = device_between(rng, 0, y * scale, x * scale, device_normal_node) * theta[1] + theta[0]
        v = tl.where(v < theta[3], 0.0, v)
        return v, v, v

    @staticmethod
    @jit
    def streaks(image, before, y, x, theta, table, words, rng, stage, inside):
        v = device_smear(before, y, x, table + 1)
        return v, v, v

    strokes = (Stroke(flakes), Stroke(streaks))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        keep = theta[6]
        white = 1.0 - keep
        near = fetch_column_plane(scratch, 0, y, x)
        far = fetch_plane(scratch, 0, scratch[1] - 1 - y, scratch[2] - 1 - x)
        grey, cb, cr = device_ycbcr_from_rgb(r, g, b)
        light = grey * 1.5 + 0.5
        r = r * keep + tl.maximum(r, light) * white + near + far
        g = g * keep + tl.maximum(g, light) * white + near + far
        b = b * keep + tl.maximum(b, light) * white + near + far
        return r, g, b
