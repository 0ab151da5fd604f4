"""Blob: an organic outline, a circle whose radius swells and shrinks with the angle.

r(θ) = R g(θ), g = 1 + Σ_{k=2..5} a_k cos(kθ + φ_k); weight = smoothstep((1 − ρ / r(θ)) / f), ρ the distance from the centre.
Σ weight = π R² (1 + ½ Σ a_k²) (1 − f + 0.3 f²). roughness scales the amplitudes a_k; at 1 the outline may come as near to
the centre as 0.15 R.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._placed import Placed
from ._radial import COS, SIN, cut, directions, whole
from .base import EDGE, Numbers, box

WAVES = np.arange(2, 6)
LARGEST = np.asarray([0.34, 0.24, 0.16, 0.11])  # amplitudes at roughness 1; their sum, 0.85, keeps r over 0.15 R
_THETA = np.arctan2(SIN.astype(np.float64), COS.astype(np.float64))
_COS_K, _SIN_K = (f(WAVES[:, None] * _THETA).astype(np.float32) for f in (np.cos, np.sin))
# How far g(θ) cos θ can rise between two directions, per unit of amplitude of each wave: half a step squared, halved,
# times the second derivative.
_BETWEEN, _BETWEEN_0 = 0.5 * (np.pi / len(_THETA)) ** 2 * (WAVES + 1.0) ** 2, 0.5 * (np.pi / len(_THETA)) ** 2


def _outline(cosines: Array, sines: Array, cos_k: Array, sin_k: Array) -> Array:
    """g(θ) in some directions: (n, directions) float32."""
    shape = np.ones((len(cosines), cos_k.shape[1]), dtype=np.float32)
    for k in range(len(WAVES)):
        shape += cosines[:, k, None].astype(np.float32) * cos_k[k].astype(np.float32)
        shape += sines[:, k, None].astype(np.float32) * sin_k[k].astype(np.float32)
    return shape


class Blob(Placed):
    """A rounded irregular region, uniform over the positions where it fits the frame, or about `centre`."""

    roughness = Param(0.0, 1.0, default=(0.2, 0.6))
    shape_draws = 10

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        total = drawn["area"] * (height * width)
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE)
        # Square roots keep most outlines well away from a circle.
        amplitude = drawn["roughness"][:, None] * LARGEST * np.sqrt(u[:, 2:6])
        phase = (2.0 * np.pi) * u[:, 6:10]
        cosines, sines = amplitude * np.cos(phase), -amplitude * np.sin(phase)
        shape = _outline(cosines, sines, _COS_K, _SIN_K)
        squares = amplitude * amplitude
        swell = 1.0 + 0.5 * (squares[:, 0] + squares[:, 1] + squares[:, 2] + squares[:, 3])
        scale, width_of_ramp = whole(total / (np.pi * swell), ramp)
        across, down = shape * COS, shape * SIN
        between = amplitude * _BETWEEN
        margin = 1e-4 + _BETWEEN_0 + between[:, 0] + between[:, 1] + between[:, 2] + between[:, 3]
        up, low, left, right = (v.astype(np.float64) + margin for v in (-down.min(1), down.max(1), -across.min(1), across.max(1)))
        cy, fits_y = self.place(u[:, 0], 0, scale * up, scale * low, height)
        cx, fits_x = self.place(u[:, 1], 1, scale * left, scale * right, width)
        cy, cx = np.floor(cy) + 0.5, np.floor(cx) + 0.5
        at = np.flatnonzero(~(fits_y & fits_x))
        if len(at):
            x, y = directions(height, width)
            angle = WAVES[:, None] * np.arctan2(y, x)
            shape = _outline(cosines[at], sines[at], np.cos(angle), np.sin(angle)) / np.hypot(x, y)
            scale[at], width_of_ramp[at] = cut(total[at], ramp[at], scale[at], shape, cy[at], cx[at], height, width)
        rows = [cy, cx, scale, np.minimum(width_of_ramp / scale, 1.0), *cosines.T, *sines.T, *(scale * e for e in (up, low, left, right))]
        return np.stack(rows, 1)

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        cy, cx, up, low, left, right = numbers[:, [0, 1, 12, 13, 14, 15]].astype(np.float64).T
        return box(cy - up - 0.001, cy + low + 0.001, cx - left - 0.001, cx + right + 0.001, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        dy, dx = y - numbers[0], x - numbers[1]
        distance = sqrt(dy * dy + dx * dx)
        safe = torch.where(distance > 0.0, distance, 1.0)
        c, s = dx / safe, dy / safe
        radius = torch.ones_like(c)
        ck, sk = c, s
        for k in range(4):
            ck, sk = ck * c - sk * s, sk * c + ck * s
            radius = radius + ck * numbers[4 + k] + sk * numbers[8 + k]
        return smoothstep((1.0 - distance / (radius * numbers[2])) / numbers[3])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        dy, dx = y - numbers[0], x - numbers[1]
        distance = tl.sqrt_rn(dy * dy + dx * dx)
        safe = tl.where(distance > 0.0, distance, 1.0)
        c, s = tl.div_rn(dx, safe), tl.div_rn(dy, safe)
        c2, s2 = c * c - s * s, s * c + c * s
        c3, s3 = c2 * c - s2 * s, s2 * c + c2 * s
        c4, s4 = c3 * c - s3 * s, s3 * c + c3 * s
        c5, s5 = c4 * c - s4 * s, s4 * c + c4 * s
        radius = 1.0 + c2 * numbers[4] + s2 * numbers[8]
        radius = radius + c3 * numbers[5] + s3 * numbers[9]
        radius = radius + c4 * numbers[6] + s4 * numbers[10]
        radius = radius + c5 * numbers[7] + s5 * numbers[11]
        return device_smoothstep(tl.div_rn(1.0 - tl.div_rn(distance, radius * numbers[2]), numbers[3]))
