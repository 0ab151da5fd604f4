"""The table of instructions: what each sample runs at each position, under which masks, and on which rectangle."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout

from .rectangles import bounds
from .regions import Regions
from .steps import Steps

RECTANGLE = slice(layout.Y0, layout.X1 + 1)


def instructions(steps: Steps, regions: Regions | None) -> tuple[Array, Array]:
    """The table (b, positions, INSTRUCTION) but for where an op's own tables begin, and the place of each step among all positions."""
    program, depth = steps.program, 0 if regions is None else regions.depth
    stride = 1 + 2 * depth
    positions = program.slots * stride
    table = np.zeros((len(program) * positions, layout.INSTRUCTION), dtype=np.int32)
    table[:, layout.CODE] = layout.EMPTY
    own = np.zeros((len(steps.row), layout.INSTRUCTION), dtype=np.int32)
    own[:, layout.CODE], own[:, layout.STREAM], own[:, layout.THETA] = steps.branch, steps.stream, steps.parameters
    own[:, layout.WORDS] = steps.words.cumsum() - steps.words
    own[:, RECTANGLE] = steps.frame if regions is None else bounds(regions.rects)
    place = steps.place * stride + depth
    table[place] = own
    if regions is not None:
        rows, leaders = regions.single
        _mask(table, rows * positions + program.first[rows, leaders].astype(np.int64) * stride + depth, rows, leaders, regions)
    if regions is not None and depth:
        rows, leaders = regions.chain
        level = regions.level[rows, leaders]
        first, last = (rows * positions + end[rows, leaders].astype(np.int64) * stride for end in (program.first, program.last))
        for code, at in ((layout.SAVE, first + level), (layout.BLEND, last + 2 * depth - level)):
            table[at, layout.CODE] = code
            table[at, layout.DEPTH] = level
            table[at, RECTANGLE] = bounds(regions.rect[:, leaders, rows])
            _mask(table, at, rows, leaders, regions)
    return table.reshape(len(program), positions, layout.INSTRUCTION), place


def _mask(table: Array, place: Array, rows: Array, leaders: Array, regions: Regions) -> None:
    table[place, layout.MASKS] = regions.begin[rows, leaders]
    table[place, layout.COUNT] = regions.count[rows, leaders]
