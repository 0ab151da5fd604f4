"""Masks that a call makes: of the images themselves, or of the segments that come with them; and the cells of partitions.

A program that was drawn without images knows what such masks shall be like, and not yet where. At the call their maps are rendered, on the
images' device and without waiting for it, and stored in the program, which from then on is like any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from .backends.upload import upload
from .distributions import Array
from .inputs import SEGMENTS
from .masks import find
from .masks._cells import BOX, INDEX, Cell, SegmentCell, bounds_of
from .masks._maps import MadeMask
from .program import Program


def resolve(program: Program, x: torch.Tensor, segments: torch.Tensor | None = None) -> Program:
    """The program with the maps of all masks that wait for images or segments; the same program where none does.

    Args:
        x: the images as they came, b 3 h w, of the program's size.
        segments: what `check_segments` gave.

    Raises:
        ValueError: segments that nothing reads, or that are missing.
    """
    if segments is not None and not any(find(name).made_of == "segments" for name in program.families):
        raise ValueError("segments= was given, but no Local reads it; put Local(..., mask=masks.Segments()) where it shall apply.")
    waiting = program.waiting()
    return _Making(program, x, segments, waiting).program() if waiting.any() else program


class _Making:
    """The maps of one call, one after the other."""

    def __init__(self, program: Program, x: torch.Tensor, segments: torch.Tensor | None, waiting: Array) -> None:
        self.drawn, self.x, self.segments, self.waiting = program, x.detach(), segments, waiting
        self.numbers = program.numbers.copy()
        self.maps = [] if program.maps is None else [program.maps.to(x.device)]
        self.count = sum(map(len, self.maps))

    def program(self) -> Program:
        stored = self.count
        for number, name in enumerate(self.drawn.families):
            family, own = find(name), self.waiting & (self.drawn.family == number)
            if issubclass(family, Cell):
                for partition in np.unique(self.drawn.partition[own.any(0)]).tolist():
                    self._partition(family, own & (self.drawn.partition == partition))
            elif issubclass(family, MadeMask) and own.any():
                self._masks(family, *own.nonzero())
        return self.drawn if self.count == stored else replace(self.drawn, numbers=self.numbers, maps=torch.cat(self.maps))

    def _masks(self, family: type[MadeMask], rows: Array, regions: Array) -> None:
        """A map for each mask."""
        given = self.x if family.made_of == "image" else self._given()
        drawn = self.numbers[rows, regions, : family.columns]
        made = family.render(given, *_sent(rows, drawn, self.x.device), drawn)
        self.numbers[rows, regions, 0] = self._store(made)

    def _partition(self, family: type[Cell], own: Array) -> None:
        """A map for the cells of each sample: own (b, r)."""
        rows, regions = own.nonzero()
        samples, first, of = np.unique(rows, return_index=True, return_inverse=True)
        of = of.reshape(-1)
        segments = None
        if family.made_of == "segments":
            given = self._given()
            segments = given if len(samples) == len(given) else given[_sent(samples, np.empty((len(samples), 0), dtype=np.float32), self.x.device)[0]]
        made = family.paint(self.numbers[rows[first], regions[first], : family.columns], *self.drawn.size, self.x.device, segments)
        if issubclass(family, SegmentCell) and made.device.type == "cpu":  # elsewhere it would have to be waited for
            self.numbers[rows, regions, BOX] = bounds_of(made)[of, self.numbers[rows, regions, INDEX].astype(np.int64)]
        self.numbers[rows, regions, 0] = self._store(made)[of]

    def _given(self) -> torch.Tensor:
        if self.segments is None:
            raise ValueError(f"segments=None, but the pipeline holds masks.Segments() or cells.Segments(); give segments= at the call, {SEGMENTS}.")
        return self.segments

    def _store(self, made: torch.Tensor) -> Array:
        """Store maps; their rows."""
        self.maps.append(made)
        self.count += len(made)
        return np.arange(self.count - len(made), self.count)


def _sent(rows: Array, drawn: Array, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (n,) int64 and numbers (n, columns) float32 on the device, by one copy that nothing waits for."""
    values = np.concatenate([rows.astype(np.int32)[:, None], drawn.view(np.int32)], 1)
    flat = upload(values.ravel(), device) if device.type == "cuda" else torch.from_numpy(values).to(device)
    table = flat.view(values.shape)
    return table[:, 0].to(torch.int64), table[:, 1:].contiguous().view(torch.float32)
