"""Edges: where the image has strong edges.

A pixel's score is |Sobel| of the luma, |∂x| + |∂y|, its mean over a square of `window` around it. Its rank q within the image gives the weight
as in FromTensor: smoothstep((q − (1 − area)) / f + ½), so that Σ weight / (h · w) is the area; feather is f, as a fraction of the frame's
area, capped at 2 · min(area, 1 − area). Equal scores share their mean rank: what is flat is never half in the mask, and an image with too few
edges for the area gets what it has; one without any is taken whole. The image is read as it came, in 8 bits, before anything is done to it.

Source: KADIS-700k's distortions, of which colour shift follows the edges; I. Sobel's operator.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.parameter import Param

from ._maps import RankedMask, box, channels, luma, radius_of


class Edges(RankedMask):
    """Weights from the image's own edges.

    Args:
        area: Σ weight / (h · w).
        feather: the ramp's width, as a fraction of the frame's area.
        window: side of the square over which the mean is taken, as a fraction of √(h · w); 0 is one pixel.
    """

    window = Param(0.0, 0.5, unit="of √(h·w)", default=0.02)

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        return np.column_stack([super().solve(u, height, width, **drawn), radius_of(drawn["window"], height, width)])

    @staticmethod
    def scores(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        radius = numbers[:, 3].to(torch.int64).clamp(0, max(x.shape[2:]))
        side = (radius * 2 + 1)[:, None, None]
        summed = box(sobel(luma(*channels(x))), radius)
        return (summed * 16 // (side * side)).to(torch.int32)  # in sixteenths: the mean of whole numbers, as a whole number


def sobel(values: torch.Tensor) -> torch.Tensor:
    """|∂x| + |∂y| of (n, h, w) whole numbers; the border pixels repeat."""
    v = torch.cat([values[:, :1], values, values[:, -1:]], 1)
    v = torch.cat([v[..., :1], v, v[..., -1:]], 2)
    across, down = v[..., 2:] - v[..., :-2], v[:, 2:] - v[:, :-2]
    dx = across[:, :-2] + across[:, 1:-1] * 2 + across[:, 2:]
    dy = down[..., :-2] + down[..., 1:-1] * 2 + down[..., 2:]
    return dx.abs() + dy.abs()
