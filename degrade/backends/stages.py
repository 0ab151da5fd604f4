"""Programs with partitions, stage by stage: what comes before a partition, its cells, what comes after.

The cells of all images run side by side as samples of their own, each with the part of the frame that it needs. Between stages images are
kept in the working precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from degrade.distributions import Array
from degrade.masks import find as find_mask
from degrade.program import Program, groups

from .twin import from_canvas, to_canvas
from .windows import Origins

Run = Callable[[Program, torch.Tensor, torch.Tensor | None], torch.Tensor]
RunCells = Callable[[Program, Origins, torch.Tensor, torch.Tensor], None]
MOST_PIXELS = 1 << 27  # in the rectangles around cells that run side by side


def run_stages(program: Program, x: torch.Tensor, mask: torch.Tensor | None, run: Run, run_cells: RunCells) -> torch.Tensor:
    """Apply a program with partitions.

    Args:
        run: applies a program without any.
        run_cells: applies a program of cells to the images that they lie in.
    """
    stages = stages_of(program)
    if len(stages) > 1:
        y = x if x.dtype == torch.float32 else working(x)
    else:
        y = x
    for stage, partition in stages:
        if partition is None:
            y = run(stage, y, mask)
            continue
        out = y.clone(memory_format=torch.preserve_format)
        for cells, origins in split(*cells_of(stage, partition)):
            run_cells(cells, origins, y, out)
        y = out
    if y is x:
        return x.clone(memory_format=torch.preserve_format)
    return y if y.dtype == x.dtype else from_working(y, x)


def working(x: torch.Tensor) -> torch.Tensor:
    """Images in 16-bit fixed point, uint16."""
    whole = x.to(torch.int32) * 257 if x.dtype == torch.uint8 else (to_canvas(x) * 65535.0 + 0.5).to(torch.int32)
    return whole.to(torch.int16).view(torch.uint16)


def from_working(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The same in the dtype of x, which they were made of; a value that did not change leaves exactly as it came."""
    return from_canvas((y.view(torch.int16).to(torch.int32) & 0xFFFF).to(torch.float32) * (1.0 / 65535.0), x)


def stages_of(program: Program) -> list[tuple[Program, int | None]]:
    """The program in parts, one after the other: without partitions, or of the cells of one partition, which is named."""
    numbers = np.unique(program.partition[program.partition >= 0])
    begin, end = np.empty((2, len(program), len(numbers) + 1), dtype=np.int64)
    begin[:, -1] = end[:, -1] = program.slots  # after all of them
    for i, number in enumerate(numbers):
        own = (program.family >= 0) & (program.partition == number)
        begin[:, i] = np.where(own, program.first, program.slots).min(1)
        end[:, i] = np.where(own, program.last + 1, 0).max(1)
    stages: list[tuple[Program, int | None]] = []
    at = np.zeros(len(program), dtype=np.int64)
    while (at < program.slots).any():
        following = np.where(begin >= at[:, None], begin, program.slots).argmin(1)
        until = np.where(begin >= at[:, None], begin, program.slots).min(1)
        between = program.between(at, until)
        if (between.code >= 0).any():
            stages.append((between, None))
        at = until
        for i, number in enumerate(numbers):
            own = (following == i) & (until < program.slots)
            if own.any():
                stages.append((program.between(np.where(own, until, 0), np.where(own, end[:, i], 0)), int(number)))
                at = np.where(own, end[:, i], at)
    return stages


def cells_of(program: Program, partition: int) -> tuple[Program, Origins]:
    """The cells of one partition as a program whose samples they are."""
    cells = (program.partition == partition).nonzero()[0]
    around = region_around(program)
    inside = max(int((around == cell).sum()) for cell in cells.tolist())  # regions of one cell, its own and those in it
    rows, which = (program.family[:, cells] >= 0).nonzero()
    first, last = (end[rows, cells[which]].astype(np.int64) for end in (program.first, program.last))
    slots = first[:, None] + np.arange(int((last - first).max()) + 1)
    real = slots <= last[:, None]
    slots = np.minimum(slots, program.slots - 1)
    regions = cells[which][:, None] + np.arange(inside)
    of, at = rows[:, None], cells[0] + np.arange(inside)
    family = program.family[of, regions]
    parent = np.where(program.parent[at] < cells[0], -1, program.parent[at] - cells[0]).astype(np.int16)

    def kept(values: Array, empty: float) -> Array:
        own = values[of, slots]
        return np.where(real.reshape(*real.shape, *[1] * (own.ndim - 2)), own, np.asarray(empty, dtype=values.dtype))

    def counted(ends: Array) -> Array:
        return np.where(family >= 0, ends[of, regions] - first[:, None], -1).astype(np.int16)

    made = replace(
        program,
        ids=program.ids[rows],
        frame=program.frame[rows],
        code=kept(program.code, -1),
        theta=kept(program.theta, 0.0),
        severity=kept(program.severity, 0.0),
        level=kept(program.level, np.nan),
        family=family,
        numbers=program.numbers[of, regions],
        velocity=program.velocity[of, regions],
        first=counted(program.first),
        last=counted(program.last),
        parent=parent,
        fold=program.fold[at],
        partition=np.full(inside, -1, dtype=np.int16),
    )
    return made, Origins(rows, first)


def region_around(program: Program) -> Array:
    """Of each region the cell that it is or lies in, -1 for none: (r,)."""
    out = np.full(len(program.parent), -1, dtype=np.int64)
    for region in range(len(program.parent)):
        parent = int(program.parent[region])
        out[region] = region if program.partition[region] >= 0 else out[parent] if parent >= 0 else -1
    return out


def split(program: Program, origins: Origins) -> list[tuple[Program, Origins]]:
    """The samples in parts that take a limited amount of memory."""
    y0, y1, x0, x1 = find_mask(program.families[program.family[0, 0]]).support(program.numbers[:, 0], *program.size).T
    part = ((y1 - y0) * (x1 - x0)).cumsum() // MOST_PIXELS
    parts = [rows for _, rows in groups(part)]
    return [(program.select(rows), Origins(origins.parents[rows], origins.slots[rows])) for rows in parts]
