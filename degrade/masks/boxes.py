"""Boxes: a union of axis-aligned boxes with soft edges, drawn at random or given.

weight = smoothstep(max over the boxes of min(hy − |y − cy|, hx − |x − cx|) / F), half sizes hy, hx and ramp F in pixels, F at
most the lesser half size. Random: all sizes grow together about fixed centres until the area is met, and may reach over the
frame's border. The union's area is exact, by inclusion and exclusion; the mean over the ramp's levels is a
sum over five of them. Given: the area is what it is.
stretch is how many times wider than high, or higher than wide, a box may be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._given import refuse, table
from ._placed import Placed
from .base import EDGE, LEVELS, SHARES, Numbers, box, root

COUNT, GIVEN = 6, 16  # the most boxes, drawn and given
FIRST, EACH = 8, 5  # the column of the first box, and the numbers of each: cy, cx, hy, hx, F
FARTHER = np.maximum, np.minimum, np.maximum, np.minimum


class Boxes(Placed):
    """Several boxes, which may overlap; or the same given ones for all samples.

    Args:
        boxes: k x 4 boxes (y0, x0, y1, x1) in fractions of the frame, from 1 to 16; None: drawn at random.
        feather: the ramp's width; it lies inside, and is capped so that the peak stays 1.
        centre: of each box by itself, (y, x) in fractions of the frame; None: anywhere.
        area, count, stretch, centre: of drawn ones only.
    """

    count = Param(1, COUNT, unit="boxes", default=(1, 4), integer=True)
    stretch = Param(1.0, 10.0, unit="× at most", default=2.0)
    others = ("boxes", "centre")
    columns = FIRST + EACH * GIVEN
    shape_draws = 4 * COUNT

    def __init__(self, boxes: Any = None, **given: Any) -> None:
        super().__init__(**given)
        self.boxes = None if boxes is None else table("boxes", boxes, 1, GIVEN, ("y0", "x0", "y1", "x1"))
        if self.boxes is not None:
            refuse("boxes", given, ("area", "count", "stretch", "centre"))
            for y0, x0, y1, x1 in self.boxes:
                if y1 <= y0 or x1 <= x0:
                    raise ValueError(
                        f"boxes holds ({y0:g}, {x0:g}, {y1:g}, {x1:g}), which is empty; accepted: (y0, x0, y1, x1) with y0 < y1 and x0 < x1."
                    )
            self.values, self.shape_draws = {"feather": self.values["feather"]}, 0  # type: ignore[misc]

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        ramp = drawn["feather"] * (height * width) ** 0.5
        if self.boxes is not None:
            ends = self.boxes * (height, width, height, width)
            middle, half = 0.5 * (ends[:, :2] + ends[:, 2:]), 0.5 * (ends[:, 2:] - ends[:, :2])
            cy, cx, hy, hx = (np.tile(v, (len(u), 1)) for v in (*middle.T, *half.T))
            f = np.minimum(np.maximum(ramp[:, None], 0.5), np.minimum(hy, hx))
            return _rows(np.full(len(u), len(ends)), cy, cx, hy, hx, f)
        most = int(self.values["count"].bounds()[1])
        real = np.arange(most) < drawn["count"][:, None]
        place_y, place_x, size, shape = (u[:, i * COUNT : i * COUNT + most] for i in range(4))
        cy, cx = self.anywhere(place_y, 0, height), self.anywhere(place_x, 1, width)
        tall = np.exp((shape - 0.5) * np.log(drawn["stretch"])[:, None])
        size = np.where(real, 0.4 + 0.6 * size, 0.0)
        tall, wide, ramp = size * tall, size / tall, np.maximum(ramp, EDGE)[:, None]
        sides = np.stack([tall.T, wide.T]).astype(np.float32)[:, :, None]  # y and x, boxes, levels, samples
        my, mx, thin = cy.T[:, None].astype(np.float32), cx.T[:, None].astype(np.float32), ramp[:, 0].astype(np.float32)

        def area(log_scale: Array) -> Array:
            high, long = np.exp(log_scale).astype(np.float32) * sides
            inner = np.minimum(thin, np.minimum(high, long)) * LEVELS[:, None]
            total = np.zeros(len(log_scale))
            for share, level in zip(SHARES, _union(my, mx, high - inner, long - inner, height, width)):
                total += share * level
            return total / (height * width)

        total = drawn["area"] * (height * width)
        least = np.sqrt(total / (4.0 * np.square(size).sum(1)))  # what boxes without ramps would take side by side
        s = np.exp(root(area, drawn["area"], np.log(least), np.log((2.0 * (height + width) + ramp[:, 0]) / 0.1), steps=10))[:, None]
        hy, hx = s * tall, s * wide
        return _rows(drawn["count"], cy, cx, hy, hx, np.minimum(ramp, np.minimum(hy, hx)))

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **({} if self.boxes is None else {"boxes": self.boxes.tolist()})}

    def __repr__(self) -> str:
        return super().__repr__() if self.boxes is None else f"Boxes(boxes={len(self.boxes)}×4, feather={self.values['feather'].to_dict()})"

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        y0, y1, x0, x1 = numbers[:, 1:5].astype(np.float64).T
        return box(y0 - 0.001, y1 + 0.001, x0 - 0.001, x1 + 0.001, height, width)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        count = numbers[0].clamp(max=GIVEN)
        best = (y - y) * 0.0 + (x - x) * 0.0 + count * 0.0
        for i in range(int(count.max()) if count.numel() else 0):
            cy, cx, hy, hx, f = numbers[FIRST + EACH * i : FIRST + EACH * (i + 1)]
            depth = torch.minimum(hy - (y - cy).abs(), hx - (x - cx).abs())
            best = torch.where(count > i, torch.maximum(best, depth / torch.where(count > i, f, 1.0)), best)
        return smoothstep(best)

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        best = y * 0.0 + x * 0.0
        for i in range(0, tl.minimum(numbers[0], 16.0).to(tl.int32)):
            at = row + 8 + 5 * i
            depth = tl.minimum(tl.load(at + 2) - tl.abs(y - tl.load(at)), tl.load(at + 3) - tl.abs(x - tl.load(at + 1)))
            best = tl.maximum(best, tl.div_rn(depth, tl.load(at + 4)))
        return device_smoothstep(best)


def _rows(count: Array, cy: Array, cx: Array, hy: Array, hx: Array, f: Array) -> Array:
    """The numbers: how many, their bounds, and the boxes."""
    real = np.arange(cy.shape[1]) < count[:, None]
    ends = [np.where(real, cy - hy, np.inf).min(1), np.where(real, cy + hy, -np.inf).max(1)]
    ends += [np.where(real, cx - hx, np.inf).min(1), np.where(real, cx + hx, -np.inf).max(1)]
    each = np.where(real[..., None], np.stack([cy, cx, hy, hx, f * (1.0 - 1e-6)], 2), 0.0)  # so that no rounding keeps the peak under 1
    return np.concatenate([np.stack([count, *ends], 1), np.zeros((len(count), FIRST - 5)), each.reshape(len(count), -1)], 1)


def _union(cy: Array, cx: Array, hy: Array, hx: Array, height: int, width: int) -> Array:
    """The area of unions of boxes (k, …) within the frame: all intersections in turn, taken off and put back."""
    y0, y1, x0, x1 = np.maximum(cy - hy, 0.0), np.minimum(cy + hy, height), np.maximum(cx - hx, 0.0), np.minimum(cx + hx, width)
    met = [v[:1] for v in (y0, y1, x0, x1)]
    odd = [True]
    for i in range(1, len(cy)):
        met = [np.concatenate([v, o[i : i + 1], f(v, o[i])]) for v, o, f in zip(met, (y0, y1, x0, x1), FARTHER)]
        odd += [True, *(not o for o in odd)]
    area = np.maximum(met[1] - met[0], 0.0) * np.maximum(met[3] - met[2], 0.0)
    total = np.zeros_like(area[0])
    for one, adds in zip(area, odd):
        total = total + one if adds else total - one
    return total
