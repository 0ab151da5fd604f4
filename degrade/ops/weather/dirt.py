"""Dirt: dark specks on the lens, out of focus, with uneven outlines.

A lattice has cells of 2.5 · size pixels, and each of its points a speck with probability `density`, moved by up to a quarter of
a cell, of a radius from half of `size` to all of it. To the distance from its centre, in cells, finer lattice noise adds up to
0.1. The result is x · (1 − m) + m · (0.12, 0.1, 0.08), where m is `opacity` times a smoothstep `softness` · size pixels wide
about the radius, and the strongest speck counts. Source: dust and dirt of lens-soiling surrogates; no bank has it.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.op import Context, Frame, Param, PointOp, Theta

from ._nodes import between, device_between, device_four, device_uniform_node, four_uniforms, points_within, uniform_nodes


class Dirt(PointOp):
    """Soil the lens with specks of `opacity`."""

    opacity = Param(0.0, 1.0, neutral=0.0, harsh=0.9, unit="of the speck")
    size = Param(1.0, 256.0, neutral=1.0, harsh=256.0, unit="px", default=(3.0, 12.0))
    density = Param(0.0, 1.0, unit="of the points", default=(0.2, 0.5))
    softness = Param(0.05, 0.5, neutral=0.05, harsh=0.5, unit="of the size", default=(0.1, 0.5))
    steps = ("size", "density")
    uniforms = 2  # where the frame lies on the lattice
    tolerance = 2e-6
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """Points per pixel, where pixel 0 lies down and across, and 1 / the width of the edge in cells."""
        size, softness = theta[:, 1].astype(np.float64), theta[:, 3].astype(np.float64)
        return np.column_stack([0.4 / size, frame.u, 2.5 / softness]).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, height, width = x.shape
        scale = context.table[:, :1].detach()
        y = torch.arange(height, device=x.device) * scale + context.table[:, 1:2].detach()
        x0 = torch.arange(width, device=x.device) * scale + context.table[:, 2:3].detach()
        rows, columns = points_within(height, scale), points_within(width, scale)
        rough = between(uniform_nodes(context, [(5 * rows, 5 * columns)], 1)[0], y * 4.0, x0 * 4.0).sub_(0.5).mul_(0.2)
        u = four_uniforms(context, 0, rows, columns)
        radius = torch.where(u[2] < theta[2][:, 0], u[3] * 0.2 + 0.2, -1.0)
        nodes = [v.flatten() for v in (u[0] * 0.5 - 0.25, u[1] * 0.5 - 0.25, radius)]
        top, left = torch.floor(y), torch.floor(x0)
        first = (top.to(torch.int64) + torch.arange(n, device=x.device)[:, None] * rows)[:, :, None] * columns + left.to(torch.int64)[:, None, :]
        edge = torch.full_like(rough, -1.0)
        for i in (0, 1):
            for j in (0, 1):
                at = (first + (i * columns + j)).flatten()
                down, right, reach = (v.index_select(0, at).view(edge.shape) for v in nodes)
                dy, dx = (y - top - i)[:, :, None] - down, (x0 - left - j)[:, None, :] - right
                torch.maximum(edge, reach.sub_(sqrt(dy.mul_(dy).add_(dx.mul_(dx)))), out=edge)
        m = (smoothstep(edge.sub_(rough).mul_(context.table[:, 3, None, None]).add_(0.5)) * theta[0][:, 0])[:, None]
        own = 1.0 - m
        return torch.cat([x[:, c : c + 1] * own + m * dark for c, dark in enumerate((0.12, 0.1, 0.08))], 1)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        scale = tl.load(table)
        y, x = ((pixel >> 16) & 65535) * scale + tl.load(table + 1), (pixel & 65535) * scale + tl.load(table + 2)
        rough = (device_between(rng, 1, y * 4.0, x * 4.0, device_uniform_node) - 0.5) * 0.2
        top, left = tl.floor(y), tl.floor(x)
        edge = rough * 0.0 - 1.0
        for corner in range(4):
            i, j = corner >> 1, corner & 1
            u0, u1, u2, u3 = device_four(rng, 0, top.to(tl.int32) + i, left.to(tl.int32) + j)
            dy, dx = y - top - i - (u0 * 0.5 - 0.25), x - left - j - (u1 * 0.5 - 0.25)
            radius = tl.where(u2 < theta[2], u3 * 0.2 + 0.2, -1.0)
            edge = tl.maximum(edge, radius - tl.sqrt_rn(dy * dy + dx * dx))
        m = device_smoothstep((edge - rough) * tl.load(table + 3) + 0.5) * theta[0]
        own = 1.0 - m
        return r * own + m * 0.12, g * own + m * 0.1, b * own + m * 0.08
