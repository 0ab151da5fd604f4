"""Plasma shade: soft shadows, or uneven brightness, with the outlines of a fractal cloud.

The cloud p is five octaves of smoothly interpolated lattice noise, from 2 to 32 cells along the longer side of the frame,
each `roughness` times as strong as the one before; it has mean 0.5 and standard deviation 0.25, limited to 0..1. Mode
"shadow" multiplies by 1 − strength · s((quantity − p) / softness + 0.5), with s the smoothstep: `quantity` of the range of p
lies in shadow, and `softness` of it is penumbra. Mode "brightness" adds strength · (2p − 1). Source: kornia
RandomPlasmaShadow and RandomPlasmaBrightness, which use the diamond-square cloud.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, PointOp, Theta

OCTAVES = 5
# Of one octave: uniforms have the variance 1/12, and interpolation by smoothstep keeps 26/35 of it in each direction on average.
VARIANCE = (26 / 35) ** 2 / 12


@jit
def _node(rng, octave, y, x):
    """The random value of a lattice node."""
    value, _, _, _ = uniform4(rng, (octave << 24) | (y << 12) | x)
    return value


class PlasmaShade(PointOp):
    """Shade the image with a fractal cloud."""

    strength = Param(0.0, 1.0, neutral=0.0, harsh=0.8, unit="of the light")
    roughness = Param(0.0, 1.0, unit="× per octave", default=(0.3, 0.7))
    mode = Param(choices=("shadow", "brightness"), default="shadow")
    quantity = Param(0.0, 1.0, unit="of the cloud", default=(0.4, 0.7))
    softness = Param(0.01, 1.0, unit="of the cloud", default=(0.1, 0.5))
    uniforms = 2  # where the frame lies on the lattice
    tolerance = 5e-6
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """Where pixel 0 lies in y and x, in cells of the coarsest octave; cells per pixel; 1 / softness; the weight of each octave."""
        weights = theta[:, 1:2].astype(np.float64) ** np.arange(OCTAVES)
        weights *= 0.25 / np.sqrt(VARIANCE * (weights * weights).sum(1, keepdims=True))
        cell = np.full(len(theta), 2.0 / max(frame.height, frame.width))
        return np.column_stack([frame.u, cell, 1.0 / theta[:, 4].astype(np.float64), weights]).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        top, left, cell, sharpness = (context.table[:, i, None, None] for i in range(4))
        y = torch.arange(x.shape[2], device=x.device)[:, None] * cell + top
        x0 = torch.arange(x.shape[3], device=x.device) * cell + left
        cloud = torch.full((1, 1, 1), 0.5, device=x.device)
        height, width = x.shape[2:]
        for octave in range(OCTAVES):
            fy, fx = torch.floor(y), torch.floor(x0)
            ty, tx = smoothstep(y - fy), smoothstep(x0 - fx)
            # Pixel 0 lies within the first coarse cell, and the longer side spans two.
            high, wide = (int((1 + 2 * (n - 1) / max(height, width)) * 2**octave) + 3 for n in (height, width))
            node_y, node_x = torch.arange(high, device=x.device)[:, None], torch.arange(wide, device=x.device)
            lattice = context.rng.uniform4(0, octave << 24 | node_y << 12 | node_x)[0]
            rows, columns = fy.to(torch.int64).expand(-1, -1, wide), fx.to(torch.int64).expand(-1, height, -1)
            upper, lower = torch.gather(lattice, 1, rows), torch.gather(lattice, 1, rows + 1)
            a, b = torch.gather(upper, 2, columns), torch.gather(upper, 2, columns + 1)
            c, d = torch.gather(lower, 2, columns), torch.gather(lower, 2, columns + 1)
            above, below = a + (b - a) * tx, c + (d - c) * tx
            cloud = cloud + (above + (below - above) * ty - 0.5) * context.table[:, 4 + octave, None, None]
            y, x0 = y * 2.0, x0 * 2.0
        cloud = cloud.clamp(0.0, 1.0)[:, None]
        shadow = smoothstep((theta[3] - cloud) * sharpness[:, None] + 0.5)
        return torch.where(theta[2] == 1.0, x + theta[0] * (cloud * 2.0 - 1.0), x * (1.0 - theta[0] * shadow))

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        y = (pixel >> 16).to(tl.float32) * tl.load(table + 2) + tl.load(table)
        x = (pixel & 0xFFFF).to(tl.float32) * tl.load(table + 2) + tl.load(table + 1)
        cloud = x * 0.0 + 0.5
        for octave in range(5):
            fy, fx = tl.floor(y), tl.floor(x)
            ty, tx = device_smoothstep(y - fy), device_smoothstep(x - fx)
            row, column = fy.to(tl.int32), fx.to(tl.int32)
            left, right = _node(rng, octave, row, column), _node(rng, octave, row, column + 1)
            above = left + (right - left) * tx
            left, right = _node(rng, octave, row + 1, column), _node(rng, octave, row + 1, column + 1)
            below = left + (right - left) * tx
            cloud += (above + (below - above) * ty - 0.5) * tl.load(table + 4 + octave)
            y, x = y * 2.0, x * 2.0
        cloud = tl.minimum(tl.maximum(cloud, 0.0), 1.0)
        shadow = device_smoothstep((theta[3] - cloud) * tl.load(table + 3) + 0.5)
        adds = theta[2] == 1.0
        gain = tl.where(adds, 1.0, 1.0 - theta[0] * shadow)
        light = tl.where(adds, theta[0] * (cloud * 2.0 - 1.0), 0.0)
        return r * gain + light, g * gain + light, b * gain + light
