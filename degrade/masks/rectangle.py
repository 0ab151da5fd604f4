"""Rectangle: an axis-aligned box with a soft edge.

weight = smoothstep(min(hy − |y − cy|, hx − |x − cx|) / F), half sizes hy, hx and ramp F in pixels. Integrating over the
ramp's levels gives Σ weight = 4 [hy hx − F (hy + hx) / 2 + 0.3 F²], a quadratic in the size. Where an axis outgrows the
frame its half size stays the frame's and the other grows; where both do, the ramp shrinks.
aspect is width / height.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array, LogUniform
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._placed import Placed
from .base import EDGE, Numbers, box, root


class Rectangle(Placed):
    """An axis-aligned rectangle, uniform over the positions where it fits the frame, or about `centre`."""

    aspect = Param(0.1, 10.0, unit="width / height", default=LogUniform(0.5, 2.0))
    shape_draws = 2

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        total = drawn["area"] * (height * width)
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE)
        wide = np.sqrt(drawn["aspect"])
        tall = 1.0 / wide
        thin = np.minimum(tall, wide)
        capped = np.minimum(ramp, thin * np.sqrt(total / (2.0 - 0.8 * thin * thin)))  # the width at which ramp = half size
        p = 0.5 * (tall + wide) * capped
        size = 0.5 * (p + np.sqrt(np.maximum(p * p + total - 1.2 * capped * capped, 0.0)))
        hy, hx = size * tall, size * wide
        outgrown = np.flatnonzero((hy > _limit(height)) | (hx > _limit(width)))
        if len(outgrown):
            hy[outgrown], hx[outgrown], capped[outgrown] = _outgrown(
                total[outgrown], ramp[outgrown], size[outgrown], tall[outgrown], wide[outgrown], height, width
            )
        cy, _ = self.place(u[:, 0], 0, hy, hy, height)
        cx, _ = self.place(u[:, 1], 1, hx, hx, width)
        return np.stack([cy, cx, hy, hx, capped * (1.0 - 1e-6)], 1)  # so that no rounding keeps the peak under 1

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        cy, cx, hy, hx = numbers[:, :4].astype(np.float64).T
        return box(cy - hy, cy + hy, cx - hx, cx + hx, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        depth = torch.minimum(numbers[2] - (y - numbers[0]).abs(), numbers[3] - (x - numbers[1]).abs())
        return smoothstep(depth / numbers[4])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        depth = tl.minimum(numbers[2] - tl.abs(y - numbers[0]), numbers[3] - tl.abs(x - numbers[1]))
        return device_smoothstep(tl.div_rn(depth, numbers[4]))


def _limit(size: int) -> float:
    """The largest half size for which the frame's border changes nothing."""
    return size / 2 if size % 2 else size / 2 - 1.0


def _outgrown(total: Array, ramp: Array, size: Array, tall: Array, wide: Array, height: int, width: int) -> tuple[Array, Array, Array]:
    """Half sizes and ramp of rectangles that reach the frame's borders."""
    top, side = height / 2, width / 2
    start = np.log(size * 0.5)
    span = np.log(np.maximum(np.maximum(top / tall, side / wide), size)) + 1e-3 - start

    def shape(stage: Array) -> tuple[Array, Array, Array]:
        """Stage 0 to 1 grows the sizes until both are the frame's, 1 to 2 then shrinks the ramp to nothing."""
        grown = np.exp(start + np.minimum(stage, 1.0) * span)
        hy, hx = grown * tall, grown * wide
        hy, hx = np.minimum(hy, top), np.minimum(hx, side)
        # The middle of an even axis lies between two pixel centres: there the core must reach half a pixel.
        dy, dx = np.clip(hy - _limit(height), 0.0, 0.5), np.clip(hx - _limit(width), 0.0, 0.5)
        cap = np.minimum(ramp, np.minimum(hy - dy, hx - dx)) * np.minimum(2.0 - stage, 1.0)
        return hy, hx, np.maximum(cap, 1e-3)

    def area(stage: Array) -> Array:
        hy, hx, width_of_ramp = shape(stage)
        # A full frame's edges lie on pixel borders: a ramp thinner than EDGE takes weight from the outermost pixels only.
        t = np.minimum(0.5 / width_of_ramp, 1.0)
        loss = np.where((stage > 1.0) & (width_of_ramp < EDGE), 1.0 - t * t * (3.0 - 2.0 * t), 0.5 * width_of_ramp)
        return 4.0 * (hy * hx - loss * (hy + hx) + 1.2 * loss * loss)

    return shape(root(area, total, np.zeros_like(total), np.full_like(total, 2.0), steps=12))
