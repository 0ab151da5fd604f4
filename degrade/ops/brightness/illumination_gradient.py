"""Illumination gradient: light that changes evenly from one side of the frame to the other.

With t rising from 0 at one end of the frame to 1 at the other, along `angle`: y = x · (1 + strength · t), or by addition
y = x + strength · t. angle is the direction of rise, anticlockwise from the right, in degrees; the ends are the frame's
outermost pixels in that direction. Source: kornia RandomLinearIllumination (addition).
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta


class IlluminationGradient(PointOp):
    """Light one side of the frame by `strength` more or less than the other."""

    strength = Param(-1.0, 4.0, neutral=0.0, harsh=(-0.9, 1.5), unit="of the light")
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 360.0))
    mode = Param(choices=("multiply", "add"), default="multiply")
    tolerance = 2e-6
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The centre, y and x, and the rise of t per pixel in y and x."""
        angle = np.deg2rad(theta[:, 1].astype(np.float64))
        cy, cx, ny, nx = (frame.height - 1) / 2, (frame.width - 1) / 2, -np.sin(angle), np.cos(angle)  # y points down
        length = np.maximum(2.0 * (np.abs(ny) * cy + np.abs(nx) * cx), 1e-3)
        return np.stack([np.full(len(theta), cy), np.full(len(theta), cx), ny / length, nx / length], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        cy, cx, rise_y, rise_x = (context.table[:, i, None, None, None] for i in range(4))
        dy = torch.arange(x.shape[2], device=x.device)[:, None] - cy
        dx = torch.arange(x.shape[3], device=x.device) - cx
        change = theta[0] * (dy * rise_y + dx * rise_x + 0.5).clamp(0.0, 1.0)
        return torch.where(theta[2] == 1.0, x + change, x * (1.0 + change))

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        dy = (pixel >> 16).to(tl.float32) - tl.load(table)
        dx = (pixel & 0xFFFF).to(tl.float32) - tl.load(table + 1)
        t = dy * tl.load(table + 2) + dx * tl.load(table + 3) + 0.5
        change = theta[0] * tl.minimum(tl.maximum(t, 0.0), 1.0)
        adds = theta[2] == 1.0
        gain = tl.where(adds, 1.0, change + 1.0)
        change = tl.where(adds, change, 0.0)
        return r * gain + change, g * gain + change, b * gain + change
