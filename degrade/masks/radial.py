"""Radial: weight that grows with the distance from a centre, as a lens's faults do, or falls with it.

ρ is the distance in the frame's own proportions: it is constant along ellipses as wide to high as the frame is.
weight = smoothstep(1 − (s − ρ) / F); inward, smoothstep((s − ρ) / F). The frame's mean is a sum over directions, as for the
regions that the frame cuts; s, and where the farthest corner would not reach 1 the ramp too, is solved from it.
spread is how far from the middle the centre may lie, 1 for anywhere in the frame; inward is the chance that the weight falls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._given import refuse
from ._placed import Placed
from ._radial import borders, disc
from .base import EDGE, Numbers, box, root


class Radial(Placed):
    """Rings about a centre: nothing there and everything at the corners, or the other way round.

    Args:
        centre: of the rings, (y, x) in fractions of the frame, in place of spread.
    """

    feather = Param(0.0, 2.0, unit="of √(h·w)", default=(0.2, 0.6))
    spread = Param(0.0, 1.0, unit="of the frame", default=(0.0, 0.5))
    inward = Param(0.0, 1.0, unit="chance", default=0.0)
    shape_draws = 3

    def __init__(self, *, centre: Any = None, **given: Any) -> None:
        super().__init__(centre=centre, **given)
        if self.centre is not None:
            refuse("centre", given, ("spread",))

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        stretch = (width / height) ** 0.5
        ramp = np.maximum(drawn["feather"] * (height * width) ** 0.5, EDGE * max(stretch, 1.0 / stretch))
        falls = u[:, 2] < drawn["inward"]
        share = 0.5 + (u[:, :2] - 0.5) * drawn["spread"][:, None] if self.centre is None else u[:, :2]
        cy, cx = (self.anywhere(share[:, i], i, size) for i, size in enumerate((height, width)))
        farthest = np.hypot((np.maximum(cy, height - cy) - 0.5) * stretch, (np.maximum(cx, width - cx) - 0.5) / stretch)
        # Outward, what is left out is a disc that must leave the farthest pixel 1; inward, the disc may grow beyond the frame.
        top = np.where(falls, farthest + ramp, np.maximum(farthest * (1.0 - 1e-5), 0.5))
        target, border = np.where(falls, drawn["area"], 1.0 - drawn["area"]), borders(cy, cx, height, width)

        def shape(stage: Array) -> tuple[Array, Array]:
            """Stage 0 to 1 grows the disc to its limit, 1 to 2 then shrinks the ramp to nothing."""
            s = np.maximum(np.minimum(stage, 1.0) * top, 1e-3)
            return s, np.minimum(ramp, s) * np.maximum(np.minimum(2.0 - stage, 1.0), 1e-4)

        s, f = shape(root(lambda stage: disc(border, *shape(stage)), target, np.zeros(len(u)), np.full(len(u), 2.0), steps=12))
        return np.stack([cy, cx, np.full(len(u), stretch), np.full(len(u), 1.0 / stretch), s, f * (1.0 - 1e-6), falls], 1)

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in super().to_dict().items() if name != "spread" or self.centre is None}

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        cy, cx, p, q, s, _, falls = numbers[:, :7].astype(np.float64).T
        reach = np.where(falls > 0.0, s * 1.00001 + 0.001, 2.0 * (height + width) * np.maximum(p, q))
        return box(cy - reach / p, cy + reach / p, cx - reach / q, cx + reach / q, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        p, q = (y - numbers[0]) * numbers[2], (x - numbers[1]) * numbers[3]
        t = (numbers[4] - sqrt(p * p + q * q)) / numbers[5]
        return smoothstep(torch.where(numbers[6] > 0.0, t, 1.0 - t))

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        p, q = (y - numbers[0]) * numbers[2], (x - numbers[1]) * numbers[3]
        t = tl.div_rn(numbers[4] - tl.sqrt_rn(p * p + q * q), numbers[5])
        return device_smoothstep(tl.where(numbers[6] > 0.0, t, 1.0 - t))
