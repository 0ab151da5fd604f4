"""Masks of a program as tensors, by the twins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.masks import find
from degrade.masks.base import Mask
from degrade.masks.combine import combine, linear, operations, perform
from degrade.program import Program

PIECE = 1 << 16  # pixels that a CPU renders at a time: what is in between stays in its cache


def resolve_maps(program: Program, mask: torch.Tensor | None, device: torch.device) -> tuple[torch.Tensor | None, Array]:
    """All maps the program reads as one (k, h, w) float32 tensor, and the masks' numbers with the rows filled in.

    Args:
        mask: b 1 h w, the mask given at the call, appended after the stored maps.
    """
    maps = [] if program.maps is None else [program.maps.to(device=device)]
    numbers = program.numbers
    waiting = program.waiting()
    if waiting.any():
        unmade = sorted({program.families[f] for f in program.family[waiting]} - {"from_tensor"})
        if unmade:
            raise ValueError(
                f"the masks {', '.join(unmade)} are made at a call, and this program has seen none; accepted: the program of a call's labels, labels.program."
            )
        if mask is None:
            raise ValueError("mask=None, but the pipeline holds masks.FromTensor() without a tensor; give mask= as b 1 h w at the call.")
        rows = (len(maps[0]) if maps else 0) + np.arange(len(program), dtype=np.float32)
        numbers = numbers.copy()
        numbers[..., 0] = np.where(waiting, rows[:, None], numbers[..., 0])
        maps.append(mask[:, 0].to(device=device, dtype=torch.float32))
    return (torch.cat(maps) if len(maps) > 1 else maps[0] if maps else None), numbers


class Masks:
    """The weights of a program's regions, rendered for some samples at a time."""

    def __init__(self, program: Program, mask: torch.Tensor | None, device: torch.device) -> None:
        self.program = program
        self.maps, self.numbers = resolve_maps(program, mask, device)
        self.leaders, self.linear = program.leaders(), np.array(linear(program.fold), dtype=bool)
        self.shift = program.shift
        self.device = device
        height, width = program.size
        self.y = torch.arange(height, device=device, dtype=torch.float32)[:, None] + 0.5
        self.x = torch.arange(width, device=device, dtype=torch.float32) + 0.5

    def region(self, region: int, rows: Array) -> torch.Tensor:
        """Weights (n, h, w) of one region for rows in which it is used."""
        out = torch.zeros((len(rows), *self.program.size), dtype=torch.float32, device=self.device)
        families = self.program.family[rows, region]
        for family in np.unique(families):
            mask = find(self.program.families[family])
            of_family = np.flatnonzero(families == family)
            for here, down, right in self._pieces(mask, of_family, rows, region):
                drawn = torch.from_numpy(self.numbers[rows[here], region]).to(self.device)
                numbers = tuple(drawn[:, i, None, None] for i in range(drawn.shape[1]))
                y, x, shift = self.y[down], self.x[right], self.shift[rows[here], region]
                if shift.any():
                    lower, further = torch.from_numpy(shift.T.copy()).to(self.device)[..., None, None]
                    y, x = y - lower, x - further
                out[torch.from_numpy(here).to(self.device), down, right] = mask.weight(y, x, numbers, self.maps)
        return out

    def _pieces(self, mask: type[Mask], of_family: Array, rows: Array, region: int) -> Iterator[tuple[Array, slice, slice]]:
        """Samples that are rendered at once, and the rows and columns of it; there is nothing elsewhere. A GPU takes all at once."""
        height, width = self.program.size
        if self.device.type != "cpu" or height * width <= PIECE:
            step = len(of_family) if self.device.type != "cpu" else PIECE // (height * width)
            for begin in range(0, len(of_family), step):
                yield of_family[begin : begin + step], slice(None), slice(None)
            return
        taken, shift = rows[of_family], self.shift[rows[of_family], region]
        support = mask.moved(mask.support(self.numbers[taken, region], height, width), shift, height, width)
        for at, (top, bottom, left, right) in enumerate(support.tolist()):
            step = max(1, PIECE // max(1, right - left))
            for row in range(top, bottom, step):
                yield of_family[at : at + 1], slice(row, min(row + step, bottom)), slice(left, right)

    def weights(self, rows: Array, regions: Array) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weights (n, h, w): what the regions marked in `regions` (n, r) come to, in the order of the recipe; and the strength of the op,
        if some of them are that of an op."""
        strength = None
        total = torch.ones((len(rows), *self.program.size), dtype=torch.float32, device=self.device)
        held: list[torch.Tensor] = []  # of the mask at hand, whose parts are used by the same samples
        for region in np.flatnonzero(regions.any(0)).tolist():
            inside = np.flatnonzero(regions[:, region])
            at = torch.from_numpy(inside).to(self.device)
            held.append(self.region(region, rows[inside]))
            for operation in operations(int(self.program.fold[region])):
                if operation == layout.INVERT or len(held) > 1:
                    perform(held, operation)
                else:
                    top = held.pop()
                    if operation == layout.MODULATE:
                        strength = torch.ones_like(total) if strength is None else strength
                        strength[at] = strength[at] * top
                        top = (top > 0.0).to(torch.float32)
                    total[at] = combine(total[at], top, operation)
        return total, strength

    def in_linear_light(self, regions: Array) -> Array:
        """Which samples mix linear light where the regions marked in `regions` (n, r) are blended together: (n,) bool."""
        return (regions & self.linear).any(1)


def slot_weights(program: Program, mask: torch.Tensor | None = None, device: torch.device | None = None) -> torch.Tensor:
    """The effective weight of every slot, (b, s, h, w) float32, on the CPU if no device is given: all masks around it, of blend or of
    strength; 0 where it is empty."""
    device = device or torch.device("cpu")
    masks = Masks(program, mask, device)
    out = torch.zeros((len(program), program.slots, *program.size), dtype=torch.float32, device=device)
    for slot in range(program.slots):
        rows = np.flatnonzero(program.code[:, slot] >= 0)
        if len(rows):
            around = (program.family[rows] >= 0) & (program.first[rows] <= slot) & (program.last[rows] >= slot)
            weight, strength = masks.weights(rows, around)
            out[torch.from_numpy(rows).to(device), slot] = weight if strength is None else weight * strength
    return out
