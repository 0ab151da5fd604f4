"""Programs in stages: partitions, ops at several levels of a mask that is their strength, and what comes before, between and after.

The cells of all images run side by side as samples of their own, each with the part of the frame that it needs; so do the levels, the even
ones first. Between stages images are kept in the working precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from degrade.distributions import Array
from degrade.masks import find as find_mask
from degrade.ops import find
from degrade.program import Program, groups

from .levels import at_level, levelled_slots, levels_of
from .twin import from_canvas, to_canvas
from .windows import SPACE, Origins

Run = Callable[[Program, torch.Tensor, torch.Tensor | None], torch.Tensor]
RunSamples = Callable[[Program, Origins, torch.Tensor, torch.Tensor, torch.Tensor | None], None]
MOST_PIXELS = 1 << 27  # in the rectangles around cells that run side by side


class Stage(NamedTuple):
    """A part of a program that is run by itself."""

    program: Program
    kind: str  # "plain", "cells" of one partition, or one op for each sample: "levels" of it, or "shifted"
    partition: int = -1


def needs_stages(program: Program) -> bool:
    """Whether a program holds more than what is run in one go."""
    masked = program.family.size > 0
    return bool(masked and ((program.partition >= 0).any() or levelled_slots(program).any())) or bool(program.phase.any())


def run_stages(program: Program, x: torch.Tensor, mask: torch.Tensor | None, run: Run, run_samples: RunSamples) -> torch.Tensor:
    """Apply a program stage by stage.

    Args:
        run: applies one that holds no more than what is run in one go.
        run_samples: applies a program of other samples, such as cells, to the images that they lie in.
    """
    stages = stages_of(program)
    mixes = len(stages) > 1 or any(stage.kind == "levels" for stage in stages)
    y = working(x) if mixes and x.dtype != torch.float32 else x
    for stage in stages:
        if stage.kind == "plain":
            y = run(stage.program, y, mask)
            continue
        out = y.clone(memory_format=torch.preserve_format)
        for samples, origins in samples_of(stage):
            run_samples(samples, origins, y, out, mask)
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


def stages_of(program: Program) -> list[Stage]:
    """The stages of a program, one after the other."""
    numbers = np.unique(program.partition[program.partition >= 0])
    shifted = np.asarray(program.phase.any(2))
    slot = np.arange(program.slots)
    alone = levelled_slots(program) | shifted
    begin, end = np.full((2, len(program), len(numbers) + program.slots), program.slots, dtype=np.int64)
    for i, number in enumerate(numbers):
        own = (program.family >= 0) & (program.partition == number)
        begin[:, i] = np.where(own, program.first, program.slots).min(1, initial=program.slots)
        end[:, i] = np.where(own, program.last + 1, 0).max(1, initial=0)
    begin[:, len(numbers) :], end[:, len(numbers) :] = np.where(alone, slot, program.slots), slot + 1
    stages: list[Stage] = []
    at = np.zeros(len(program), dtype=np.int64)
    while (at < program.slots).any():
        ahead = np.where(begin >= at[:, None], begin, program.slots)
        following, until = ahead.argmin(1), ahead.min(1)
        between = program.between(at, until)
        if (between.code >= 0).any():
            stages.append(Stage(between, "plain"))
        at = until
        to = np.take_along_axis(end, following[:, None], 1)[:, 0]
        by_shift = shifted[np.arange(len(program)), np.minimum(until, program.slots - 1)]
        which = np.where(following < len(numbers), following, len(numbers) + by_shift)
        for i in np.unique(which[until < program.slots]).tolist():
            own = (which == i) & (until < program.slots)
            part = program.between(np.where(own, until, 0), np.where(own, to, 0))
            kind = "cells" if i < len(numbers) else "levels" if i == len(numbers) else "shifted"
            stages.append(Stage(part, kind, int(numbers[i]) if i < len(numbers) else -1))
            at = np.where(own, to, at)
    return stages


def samples_of(stage: Stage) -> list[tuple[Program, Origins]]:
    """What a stage of cells or levels is run by, one after the other."""
    if stage.kind == "cells":
        return split(*cells_of(stage.program, stage.partition))
    if stage.kind == "shifted":
        return split(*shifted_in(stage.program))
    return [part for parity in (0, 1) for part in split(*levels_in(stage.program, parity))]


def levels_in(program: Program, parity: int) -> tuple[Program, Origins]:
    """The even or the odd levels of one op for each sample as a program whose samples they are."""
    rows, slots = (program.code >= 0).nonzero()
    theta = program.theta[rows, slots]
    count, hard, block = np.zeros((3, len(rows)), dtype=np.int64)
    for number, own in groups(program.code[rows, slots]):
        op = find(program.ops[number])
        count[own], hard[own] = levels_of(op, theta[own, 0])
        block[own] = getattr(op, "block", 1)
    level = np.arange(2 - parity, max(int(count.max(initial=0)), 0) + 1, 2)
    which, of = (level <= count[:, None]).nonzero()
    level = level[of]
    rows, slots, theta, count, hard, block = (values[which] for values in (rows, slots, theta, count, hard, block))
    for number, own in groups(program.code[rows, slots]):
        theta[own, 0] = at_level(find(program.ops[number]), theta[own, 0], level[own], count[own])
    return replace(one_slot(program, rows, slots), theta=theta[:, None]), Origins(rows, slots, np.stack([level, count, hard, block]))


def shifted_in(program: Program) -> tuple[Program, Origins]:
    """One op for each sample, on a frame that is larger by what a block grid may be shifted."""
    rows, slots = (program.code >= 0).nonzero()
    height, width = program.size
    return replace(one_slot(program, rows, slots), size=(height + SPACE, width + SPACE)), Origins(rows, slots, phases=program.phase[rows, slots])


def one_slot(program: Program, rows: Array, slots: Array) -> Program:
    """Samples of one slot each, with the masks around it."""
    at = rows, slots
    span = np.where(program.family[rows] >= 0, 0, -1).astype(np.int16)
    return replace(
        program.select(rows),
        code=program.code[at][:, None],
        theta=program.theta[at][:, None],
        severity=program.severity[at][:, None],
        level=program.level[at][:, None],
        phase=program.phase[at][:, None],
        first=span,
        last=span,
    )


def cells_of(program: Program, partition: int) -> tuple[Program, Origins]:
    """The cells of one partition as a program whose samples they are."""
    cells = (program.partition == partition).nonzero()[0]
    around = region_around(program)
    inside = int(np.bincount(around[around >= 0])[cells].max())  # regions of one cell, its own and those in it
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
        phase=kept(program.phase, 0),
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
    area = np.full(len(program), program.size[0] * program.size[1], dtype=np.int64)
    if origins.levels is None and origins.phases is None:  # cells, whose rectangles are known
        for family, rows in groups(program.family[:, 0]):
            y0, y1, x0, x1 = find_mask(program.families[family]).support(program.numbers[rows, 0], *program.size).T
            area[rows] = (y1 - y0) * (x1 - x0)
    part = area.cumsum() // MOST_PIXELS
    parts = [rows for _, rows in groups(part)]
    return [(program.select(rows), origins[rows]) for rows in parts]
