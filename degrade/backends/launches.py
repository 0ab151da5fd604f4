"""What is launched, and when: a settle, then for each depth of two-stroke ops the passes of all of them and one more settle."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout

from .arena import Arena
from .instructions import RECTANGLE
from .rectangles import AFTER, bounds, cover_from, intersect, outwards, repeated
from .regions import Regions
from .steps import Steps
from .tiles import SETTLE, Items, Launch, upload

CHANGES, READS = slice(layout.CHANGES, layout.CHANGES + 4), slice(layout.READS, layout.READS + 4)


class Strokes:
    """The steps of two-stroke ops, sample by sample in the order they are applied."""

    def __init__(self, step: Array, place: Array, samples: int, positions: int) -> None:
        at = place[step]
        order = at.argsort()
        self.step, at = step[order], at[order]
        self.row = at // positions
        self.position = at - self.row * positions
        self.count = np.bincount(self.row, minlength=samples)  # of each sample
        self.number = np.arange(1, len(step) + 1) - (self.count.cumsum() - self.count)[self.row]  # within its sample, from 1


def launches(
    steps: Steps, regions: Regions | None, table: Array, place: Array, arena: Arena, window: Array | None = None
) -> tuple[tuple[Launch, ...], int]:
    """All launches for a table of instructions with steps at these places, and how many scratch buffers they need. window: (4, b), what of the
    frame of each sample is stored; None for all.

    Between two settles the kernels come one after the other, each with as many launches as its longest op has passes; all of its ops
    end with the last.
    """
    step = (steps.branch >= len(steps.vocabulary.points)).nonzero()[0]  # an op that takes no pass here settles all the same
    if not len(step) and window is not None:
        rows = np.arange(table.shape[0])
        return upload(_runs(window, rows, 0, table.shape[1]), np.zeros_like(rows), arena), 1
    if not len(step):
        part, single = _single(arena.size, *table.shape[:2], *steps.program.size)
        arena.add(part)
        return single, 1
    strokes = Strokes(step, place, *table.shape[:2])
    settles, after = _settles(steps, regions, strokes, table, window)
    reaches, number, ahead, buffers = _reaches(steps, regions, strokes)
    kernels, most = len(steps.vocabulary.kernels) + 1, int(steps.passes.max()) + 1
    turn = np.concatenate(((after * kernels + kernels - 1) * most, (number * kernels + reaches.kernel) * most - ahead))
    items = Items(
        np.concatenate((settles.rows, reaches.rows)),
        np.concatenate((settles.rect, reaches.rect), axis=1),
        np.concatenate((settles.kernel, reaches.kernel)),
    )
    if window is not None:
        items.rect[:] = intersect(items.rect, window[:, items.rows[:, layout.SAMPLE]])
    unmasked = not steps.program.families
    even = np.concatenate(((after == 0) | unmasked, unmasked & steps.vocabulary.over_frame[reaches.kernel])) if window is None else None
    return upload(items, turn, arena, even), buffers


@lru_cache(maxsize=16)
def _single(at: int, samples: int, positions: int, height: int, width: int) -> tuple[Array, tuple[Launch, ...]]:
    """The one launch of a batch without two-stroke ops, as a part of an arena: it depends on nothing that is drawn."""
    arena = Arena(at)
    frame = np.array([0, height, 0, width], dtype=np.int32)
    runs = _runs(repeated(frame, samples), np.arange(samples), 0, positions)
    single = upload(runs, np.zeros(samples, dtype=np.int64), arena, np.ones(samples, dtype=bool))
    return arena.join(), single


def _settles(steps: Steps, regions: Regions | None, strokes: Strokes, table: Array, window: Array | None) -> tuple[Items, Array]:
    """From each two-stroke op to the next, with the number of ops before. The first reads the source and covers the frame, or what of it is
    stored; each later one covers what is changed from there on."""
    (samples, positions), deepest = table.shape[:2], int(strokes.count.max())
    where = np.empty((deepest + 2, samples), dtype=np.int64)
    where[0], where[1:] = 0, positions
    where[strokes.number, strokes.row] = strokes.position
    number, row = (strokes.count >= np.arange(deepest + 1)[:, None]).nonzero()
    begin, end = where[number, row], where[number + 1, row]
    items = _runs(repeated(steps.frame, len(row)), row, begin, end)
    if window is not None:
        items.rect[:, :samples] = window
    if regions is None:
        items.rows[number < strokes.count[row], layout.CHANGES : layout.READS + 4] = [*steps.frame, *steps.frame]
        return items, number
    rects = np.empty((4, positions, 2, samples), dtype=np.int32)  # of each position what it changes, and what it changes or reads
    rects[:] = outwards(table[:, :, RECTANGLE])[:, :, None]  # that of an empty position is empty
    rects[:, strokes.position, 1, strokes.row] = regions.blocks[:, strokes.step]
    cover = cover_from(rects)
    cover, following, own = cover.reshape(4, -1), end * (2 * samples) + row, (begin * (2 * samples) + row)[samples:]
    items.rows[:, CHANGES], items.rows[:, READS] = bounds(cover.take(following, axis=1)), bounds(cover.take(following + samples, axis=1))
    items.rect[:, samples:] = cover.take(own, axis=1)  # all but the first of each
    return items, number


def _runs(rect: Array, row: Array, begin: Any, end: Any) -> Items:
    """Items of settles over rectangles (4, n), from the source or the canvas to the result."""
    rows = np.zeros((len(row), layout.ITEM), dtype=np.int32)
    rows[:, layout.SAMPLE], rows[:, layout.BEGIN], rows[:, layout.END], rows[:, layout.SOURCE] = row, begin, end, 1
    return Items(rows, rect, np.full(len(row), SETTLE, dtype=np.int32))


def _reaches(steps: Steps, regions: Regions | None, strokes: Strokes) -> tuple[Items, Array, Array, int]:
    """The passes of all two-stroke ops, with the number of each op and how many passes it has ahead, and the scratch buffers between which they go.

    The last pass that stores writes buffer 1, the one before it buffer 2, and so on in turn.
    """
    step = strokes.step
    passes = steps.passes[step]
    end = passes.cumsum()
    begin = end - passes
    of = np.arange(len(passes)).repeat(passes)  # of each pass, its op among the strokes
    stage = np.arange(len(of)) - begin[of]
    at = steps.begin[step][of] + stage
    kernel, place, stores, solo = steps.vocabulary.stroke_facts.take(steps.strokes[at], axis=1)
    stored = np.zeros(len(of) + 1, dtype=np.int64)
    stores.cumsum(out=stored[1:])
    odd = (stored[end][of] - stored[:-1]) % 2  # whether so many passes of its op store from this one on
    rect = repeated(steps.frame, len(of)) if regions is None else regions.read[:, step[of]]
    np.minimum(rect[AFTER], steps.extent[:, at], out=rect[AFTER])
    np.copyto(rect, [[0], [1], [0], [1]], where=solo > 0)
    rows = np.zeros((len(of), layout.ITEM), dtype=np.int32)
    rows[:, layout.SAMPLE], rows[:, layout.BEGIN] = strokes.row[of], strokes.position[of]
    rows[:, layout.END] = rows[:, layout.BEGIN]
    rows[:, layout.STROKE], rows[:, layout.STAGE] = place, stage
    rows[:, layout.SOURCE] = (stored[:-1] > stored[begin][of]) * (1 + odd)  # what the last pass that stored before this one wrote
    rows[:, layout.TARGET] = stores * (2 - odd)
    buffers = min(2, max(1, int((stored[end] - stored[begin]).max())))
    return Items(rows, rect, kernel), strokes.number[of], passes[of] - stage, buffers
