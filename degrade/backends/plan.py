"""The planner: a program as launches of the two-stroke engine. NumPy only, vectorised over the batch.

Launches per batch = 2 · (deepest chain of two-stroke ops in any sample) + 1. Ops of several passes have reach kernels of their own,
so that a long one neither slows the building of the others down nor takes registers from them; each of their passes is a launch
more. A reach runs on the region of its op dilated by the op's radius, a settle on what it and the later ones change; only the first
settle, which reads the source, covers the frame. A tile that no later settle changes goes to the result at once, and to the canvas
only if a later reach reads it.

The host's time goes by the number of NumPy calls for a single image and by their length for a large batch. So only ops that some
sample takes are looked at, once each, and all that follows is done for the steps of the whole batch together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.masks import find as find_mask
from degrade.op import MAX_PARAMETERS, Frame, Op, PointOp, TwoStrokeOp
from degrade.ops import find
from degrade.program import Program, groups

WORD = np.dtype("<i8")  # 64 bits whose low half comes first
ROW = np.dtype((np.void, 4 * MAX_PARAMETERS))  # the parameters of one op, as bytes


class Launch(NamedTuple):
    """One launch: where its items and its tile-to-item list stand in the arena, and how many tiles it has."""

    kind: str  # "settle" or "reach"
    items: int
    item_of: int
    tiles: int
    kernel: int = 0  # which of the plan's reach kernels


@dataclass(frozen=True)
class Plan:
    """Everything the engine uploads and launches."""

    vocabulary: Vocabulary
    families: tuple[str, ...]
    arena: Array  # int32; floats are stored as their bits
    sections: dict[str, int]  # offset of ids, instructions, regions in the arena
    launches: tuple[Launch, ...]
    positions: int  # instructions per sample
    depth: int  # nesting depth of chains that keep their input
    words: int  # int64 words per batch
    buffers: int  # scratch buffers: two if some op stores in several passes


class Vocabulary:
    """What of a plan depends on the ops alone that a program may hold."""

    def __init__(self, ops: tuple[type[Op], ...]) -> None:
        self.points = tuple(op for op in ops if issubclass(op, PointOp))
        self.strokes = tuple(op for op in ops if issubclass(op, TwoStrokeOp))
        self.functions = tuple(op.point for op in self.points)
        self.settles = tuple(dict.fromkeys(op.settle for op in self.strokes))  # what several ops share is built once
        shared = [op for op in self.strokes if not op.several]
        own = [op for op in self.strokes if op.several]
        # Of each reach kernel, its device functions and its limit of registers.
        self.kernels = ((tuple(op.strokes[0].fn for op in shared), None), *((tuple(s.fn for s in op.strokes), op.registers) for op in own))
        # Of each op, its branch of the settle kernel, how far its block goes on beyond a pixel, whether it reads the whole frame, and its words.
        self.facts: dict[type[Op], tuple[int, int, int, int]] = {op: (i, 0, 0, 0) for i, op in enumerate(self.points)}
        for stroke in self.strokes:
            self.facts[stroke] = len(self.points) + self.settles.index(stroke.settle), stroke.block - 1, int(stroke.whole_frame), stroke.words
        # All strokes of all ops in one row: where an op's begin; of each its kernel, its place there, whether it stores, whether it is solo.
        self.begin: dict[type[Op], int] = {}
        rows: list[tuple[int, int, bool, bool]] = []
        for op, kernel, first in (*((op, 0, i) for i, op in enumerate(shared)), *((op, i, 0) for i, op in enumerate(own, start=1))):
            self.begin[op] = len(rows)
            rows += [(kernel, first + i, s.stores and not s.solo, s.solo) for i, s in enumerate(op.strokes)]
        self.stroke_facts = np.array(rows, dtype=np.int64).reshape(-1, 4)
        self.binaries: dict[tuple[object, ...], Any] = {}  # kernels built for it, by kind of launch and of images


_vocabulary = lru_cache(maxsize=64)(Vocabulary)


class Arena:
    """One growing int32 buffer; `add` returns the offset of what it takes.

    Every part starts at a multiple of 16 bytes: Triton builds another binary for each pointer whose alignment differs.
    """

    PADDING = np.zeros(4, np.int32)

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, values: Array) -> int:
        flat = values.reshape(-1)
        flat = flat.view(np.int32) if flat.dtype == np.float32 else flat.astype(np.int32, copy=False)
        at, padding = self.size, -len(flat) % 4
        self.parts += [flat, self.PADDING[:padding]] if padding else [flat]
        self.size += len(flat) + padding
        return at

    def join(self) -> Array:
        return np.concatenate(self.parts)


def make_plan(program: Program, numbers: Array) -> Plan:
    """Plan a program; `numbers` are its masks' numbers with the rows of given maps filled in."""
    vocabulary, arena = _vocabulary(tuple(find(name) for name in program.ops)), Arena()
    arena.add(np.array([program.key], dtype=np.uint64).astype(WORD).view(np.int32))
    ids = arena.add(program.ids.astype(WORD).view(np.int32))
    steps = Steps(program, vocabulary, arena)
    regions = Regions(program, numbers, steps, arena)
    table = _instructions(steps, regions)
    sections = {"ids": ids, "regions": regions.table, "instructions": arena.add(table)}
    launches, buffers = _launches(steps, table, regions.depth, arena)
    return Plan(vocabulary, program.families, arena.join(), sections, launches, table.shape[1], regions.depth, int(steps.words.sum()), buffers)


class Steps:
    """The ops that change something, of all samples: an entry for each occupied slot, op by op."""

    def __init__(self, program: Program, vocabulary: Vocabulary, arena: Arena) -> None:
        self.program, self.vocabulary, self.arena = program, vocabulary, arena
        self.theta = arena.add(program.theta)
        ops: list[type[Op]] = []
        parts = []
        for op, rows, slots in program.taken():
            theta = program.theta[rows, slots]
            if (same := op.identity(theta)).any():
                rows, slots, theta = rows[~same], slots[~same], theta[~same]
            if len(rows) and op in vocabulary.facts:
                ops.append(op)
                parts.append(self._of_op(op, rows, slots, theta))
        # Where it stands; its table; what it reads around a pixel, in pixels; its passes; and in one row the strokes of all of them, and
        # how far down and to the right each works.
        self.row, self.slot, self.table, self.radius, self.passes, self.strokes, self.extent = (
            np.concatenate(part) for part in (zip(*parts) if parts else [[np.zeros(0, dtype=np.int64)]] * 7)
        )
        facts = np.array([vocabulary.facts[op] for op in ops], dtype=np.int64).reshape(-1, 4)
        self.branch, self.beyond, self.whole, self.words = facts.repeat([len(part[0]) for part in parts], 0).T
        self.first_stroke = self.passes.cumsum() - self.passes
        self.frame = np.array([0, program.size[0], 0, program.size[1]])
        self.rect = self.frame[None].repeat(len(self.row), 0)  # what each must be right on; less than the frame in a region

    def _of_op(self, op: type[Op], rows: Array, slots: Array, theta: Array) -> tuple[Array, ...]:
        program, nothing = self.program, np.zeros(len(rows), dtype=np.int64)
        frame = op.frame(program.key, program.ids[rows], slots, *program.size)
        table = self._tables(op, theta, frame) if op.tables.__func__ is not Op.tables.__func__ else nothing  # type: ignore[attr-defined]
        if not issubclass(op, TwoStrokeOp):
            return rows, slots, table, nothing, nothing, nothing[:0], nothing[:0, None].repeat(2, 1)
        first = self.vocabulary.begin[op]
        if not op.several:
            return rows, slots, table, op.radius(theta), nothing + 1, nothing + first, np.array([program.size]).repeat(len(rows), 0)
        schedule = op.schedule(theta, frame)
        real = schedule >= 0
        return rows, slots, table, op.radius(theta), real.sum(1), first + schedule[real], op.extents(theta, frame, schedule.shape[1])[real]

    def _tables(self, op: type[Op], theta: Array, frame: Frame) -> Array:
        """Upload an op's tables, equal ones once; where each sample's begins."""
        which = np.arange(len(theta))
        if not op.uniforms and len(theta) > 1:
            rows = theta.view(ROW)[:, 0].tolist()
            different = {row: i for i, row in enumerate(dict.fromkeys(rows))}
            if len(different) < len(rows):
                theta = np.array([*different], dtype=ROW).view(theta.dtype).reshape(-1, theta.shape[1])
                which = np.array([different[row] for row in rows])
        tables = op.tables(theta, frame)
        return self.arena.add(tables) + which * tables.shape[1]


class Regions:
    """The masks, those that multiply side by side. The first of them leads; some leaders blend one op, others a chain of ops."""

    def __init__(self, program: Program, numbers: Array, steps: Steps, arena: Arena) -> None:
        self.program, self.steps = program, steps
        self.depth, self.table = 0, arena.size
        if program.family.size:
            self.leader, index = program.leaders(), np.arange(program.family.shape[1])
            self._upload(numbers, arena)
            leads = self.leader == index
            self.single, self.chain = ((leads & which).nonzero() for which in (program.first == program.last, program.first < program.last))
            self.level = self._levels(leads & (program.first < program.last))
            self.depth = int(self.level[self.chain].max(initial=-1)) + 1
            self.rect = self._supports(numbers)
            self._dilate_chains()
            steps.rect = self._rectangles(leads)

    def _upload(self, numbers: Array, arena: Arena) -> None:
        b, r = self.leader.shape
        order = np.where(self.leader < 0, r, self.leader).argsort(axis=1, kind="stable")
        at = arena.add(numbers) + np.arange(b * r).reshape(b, r) * numbers.shape[2]
        rows = np.arange(b)[:, None]
        pairs = np.empty((b, r, 2), dtype=np.int32)
        pairs[:, :, 0], pairs[:, :, 1] = self.program.family[rows, order], at[rows, order]
        self.table = arena.add(pairs)
        self.count = (self.leader[:, None, :] == np.arange(r)[:, None]).sum(2)  # masks, per leader
        self.begin = self.count.cumsum(1) - self.count + rows * r

    def _supports(self, numbers: Array) -> Array:
        """Where each mask is not 0: (b, r, 4). A leader's is the intersection of all that multiply with it."""
        program = self.program
        support = np.empty((*program.family.shape, 4), dtype=np.int64)
        support[:] = self.steps.frame
        rows, regions = (program.family >= 0).nonzero()
        for family, own in groups(program.family[rows, regions]):
            at = rows[own], regions[own]
            support[at] = find_mask(program.families[family]).support(numbers[at], *program.size)
        for region in (program.parent >= 0).nonzero()[0][::-1].tolist():
            parent = program.parent[region]
            joined = (self.leader[:, region] == self.leader[:, parent]) & (self.leader[:, region] >= 0)
            support[joined, parent] = _intersect(support[joined, parent], support[joined, region])
        return support

    def _levels(self, chain: Array) -> Array:
        """How many chains lie around each chain: (b, r)."""
        if not len(self.chain[0]):
            return np.zeros(chain.shape, dtype=np.int64)
        first, last, index = self.program.first, self.program.last, np.arange(chain.shape[1])
        around = (first[:, :, None] <= first[:, None, :]) & (last[:, :, None] >= last[:, None, :])
        around &= chain[:, :, None] & chain[:, None, :] & (index[:, None] < index)
        return around.sum(1)

    def _dilate_chains(self) -> None:
        """A chain must be right on its support dilated by all that its ops read.

        An op that computes whole blocks reads, from a pixel, its radius and the rest of the block at the end of it.
        """
        if not len(self.chain[0]):
            return
        program, steps = self.program, self.steps
        read = np.zeros((2, len(program), program.slots + 1), dtype=np.int64)
        read[0, steps.row, steps.slot + 1], read[1, steps.row, steps.slot + 1] = steps.radius + steps.beyond, steps.whole
        read = read.cumsum(2)
        rows = self.chain[0]
        reach, whole = read[:, rows, program.last[self.chain] + 1] - read[:, rows, program.first[self.chain]]
        grown = _dilate(self.rect[self.chain], reach, *program.size)
        self.rect[self.chain] = np.where(whole[:, None] > 0, steps.frame, grown)

    def _rectangles(self, leads: Array) -> Array:
        """The rectangle each op must be right on: what all regions around it share."""
        row, slot = self.steps.row, self.steps.slot[:, None]
        inside = leads[row] & (self.program.first[row] <= slot) & (slot <= self.program.last[row])
        rects = np.where(inside[:, :, None], self.rect[row], self.steps.frame)
        shared = np.empty((len(row), 4), dtype=np.int64)
        shared[:, 0::2] = rects[:, :, 0::2].max(1)
        shared[:, 1::2] = np.maximum(shared[:, 0::2], rects[:, :, 1::2].min(1))
        return shared


def _instructions(steps: Steps, regions: Regions) -> Array:
    """The instruction table (b, positions, INSTRUCTION)."""
    program, depth, stride = steps.program, regions.depth, 1 + 2 * regions.depth
    table = np.zeros((len(program), program.slots * stride, layout.INSTRUCTION), dtype=np.int32)
    table[:, :, layout.CODE] = layout.EMPTY
    own = np.zeros((len(steps.row), layout.INSTRUCTION), dtype=np.int32)
    own[:, layout.CODE], own[:, layout.SLOT], own[:, layout.TABLE] = steps.branch, steps.slot, steps.table
    own[:, layout.THETA] = steps.theta + (steps.row * program.slots + steps.slot) * program.theta.shape[2]
    own[:, layout.WORDS] = steps.words.cumsum() - steps.words
    own[:, layout.Y0 : layout.X1 + 1] = steps.rect
    table[steps.row, steps.slot * stride + depth] = own
    if not program.family.size:
        return table
    rows, leaders = regions.single
    _mask(table, rows, program.first[rows, leaders].astype(np.int64) * stride + depth, leaders, regions)
    if depth:
        rows, leaders = regions.chain
        level = regions.level[rows, leaders]
        first, last = (end[rows, leaders].astype(np.int64) * stride for end in (program.first, program.last))
        for code, position in ((layout.SAVE, first + level), (layout.BLEND, last + 2 * depth - level)):
            table[rows, position, layout.CODE] = code
            table[rows, position, layout.DEPTH] = level
            table[rows, position, layout.Y0 : layout.X1 + 1] = regions.rect[rows, leaders]
            _mask(table, rows, position, leaders, regions)
    return table


def _mask(table: Array, rows: Array, position: Array, leaders: Array, regions: Regions) -> None:
    table[rows, position, layout.MASKS] = regions.begin[rows, leaders]
    table[rows, position, layout.COUNT] = regions.count[rows, leaders]


class Strokes:
    """The steps of two-stroke ops, sample by sample in the order they are applied."""

    def __init__(self, steps: Steps, step: Array, table: Array, depth: int) -> None:
        at = steps.row[step] * table.shape[1] + steps.slot[step] * (1 + 2 * depth) + depth
        order = at.argsort()
        self.step, at = step[order], at[order]
        self.row = at // table.shape[1]
        self.position = at - self.row * table.shape[1]
        self.count = np.bincount(self.row, minlength=len(table))  # of each sample
        self.number = np.arange(1, len(step) + 1) - (self.count.cumsum() - self.count)[self.row]  # within its sample, from 1


# What is known of a work item beside its row in the arena: the rectangle that its tiles cover, its kernel, and when its launch comes.
KERNEL, TURN = layout.ITEM + 4, layout.ITEM + 5
WIDTH = layout.ITEM + 6
SETTLE = -1  # in place of one of the reach kernels
CHANGES, READS = slice(layout.CHANGES, layout.CHANGES + 4), slice(layout.READS, layout.READS + 4)
RECT, LOW, HIGH = slice(layout.ITEM, KERNEL), slice(layout.ITEM, KERNEL, 2), slice(layout.ITEM + 1, KERNEL, 2)
TILE = np.array([TILE_ROWS, TILE_COLUMNS])


def _launches(steps: Steps, table: Array, depth: int, arena: Arena) -> tuple[tuple[Launch, ...], int]:
    """All launches, and how many scratch buffers they need.

    Settle, then the reaches and one settle for each depth of two-stroke ops. Between two settles the kernels come one after the
    other, each with as many launches as its longest op has passes; all of its ops end with the last.
    """
    step = (steps.branch >= len(steps.vocabulary.points)).nonzero()[0]
    if not len(step):
        part, launches = _single(*table.shape[:2], *steps.program.size)
        at = arena.add(part)
        return tuple(launch._replace(items=at + launch.items, item_of=at + launch.item_of) for launch in launches), 1
    strokes = Strokes(steps, step, table, depth)
    settles = _settles(steps, strokes, table)
    reaches, ahead, buffers = _reaches(steps, strokes)
    kernels, most = len(steps.vocabulary.kernels) + 1, int(steps.passes.max()) + 1
    settles[:, TURN] = (settles[:, TURN] * kernels + kernels - 1) * most
    reaches[:, TURN] = (reaches[:, TURN] * kernels + reaches[:, KERNEL]) * most - ahead
    items = np.concatenate([settles, reaches])
    return _upload(items[items[:, TURN].argsort(kind="stable")], arena), buffers


@lru_cache(maxsize=16)
def _single(samples: int, positions: int, height: int, width: int) -> tuple[Array, tuple[Launch, ...]]:
    """The one launch of a batch without two-stroke ops, as a part of an arena: it depends on nothing that is drawn."""
    arena = Arena()
    launches = _upload(_runs(np.array([0, height, 0, width]), np.arange(samples), 0, positions), arena)
    return arena.join(), launches


def _settles(steps: Steps, strokes: Strokes, table: Array) -> Array:
    """From each two-stroke op to the next. The first reads the source and covers the frame; each later one covers what is changed from there on."""
    positions, deepest = table.shape[1], int(strokes.count.max())
    where = np.empty((deepest + 2, len(table)), dtype=np.int64)
    where[0], where[1:] = 0, positions
    where[strokes.number, strokes.row] = strokes.position
    number, row = (strokes.count >= np.arange(deepest + 1)[:, None]).nonzero()
    begin, end = where[number, row], where[number + 1, row]
    items = _runs(steps.frame, row, begin, end)
    items[:, TURN] = number
    if not steps.program.family.size:
        items[number < strokes.count[row], layout.CHANGES : layout.READS + 4] = [*steps.frame, *steps.frame]
        return items
    rects = table[:, :, layout.Y0 : layout.X1 + 1].astype(np.int64)
    rects[table[:, :, layout.CODE] == layout.EMPTY] = 0
    changed = _cover_from(rects)
    rects[strokes.row, strokes.position] = _dilated(steps, strokes.step, steps.radius + steps.beyond)
    items[:, CHANGES], items[:, READS] = changed[row, end], _cover_from(rects)[row, end]
    items[number > 0, RECT] = changed[row, begin][number > 0]
    return items


def _runs(frame: Array, row: Array, begin: Any, end: Any) -> Array:
    """Items of settles over the whole frame, from the source or the canvas to the result."""
    items = np.zeros((len(row), WIDTH), dtype=np.int64)
    items[:, layout.SAMPLE], items[:, layout.BEGIN], items[:, layout.END] = row, begin, end
    items[:, layout.SOURCE], items[:, RECT], items[:, KERNEL] = 1, frame, SETTLE
    return items


def _dilated(steps: Steps, step: Array, by: Array) -> Array:
    """Where two-stroke ops read, to be right on their rectangles: these grown by some pixels, or the whole frame."""
    rect = _dilate(steps.rect[step], by[step], *steps.program.size)
    rect[steps.whole[step] > 0] = steps.frame
    return rect


def _reaches(steps: Steps, strokes: Strokes) -> tuple[Array, Array, int]:
    """The passes of all two-stroke ops, with each how many its op has ahead, and between how many scratch buffers they go.

    The last pass that stores writes buffer 1, the one before it buffer 2, and so on in turn.
    """
    vocabulary, step = steps.vocabulary, strokes.step
    passes = steps.passes[step]
    end = passes.cumsum()
    begin = end - passes
    of = np.arange(len(passes)).repeat(passes)  # of each pass, its op among the strokes
    stage = np.arange(len(of)) - begin[of]
    at = steps.first_stroke[step][of] + stage
    kernel, place, stores, solo = vocabulary.stroke_facts[steps.strokes[at]].T
    stored = np.zeros(len(of) + 1, dtype=np.int64)
    stores.cumsum(out=stored[1:])
    before, after = stored[:-1] - stored[begin][of], stored[end][of] - stored[1:]  # passes of its op that store
    rect = _dilated(steps, step, steps.radius)
    items = np.zeros((len(of), WIDTH), dtype=np.int64)
    items[:, layout.SAMPLE], items[:, layout.BEGIN], items[:, layout.END] = strokes.row[of], strokes.position[of], strokes.position[of]
    items[:, layout.STROKE], items[:, layout.STAGE] = place, stage
    items[:, layout.SOURCE] = (before > 0) * (1 + (after + stores) % 2)  # what the last pass that stored before this one wrote
    items[:, layout.TARGET], items[:, RECT] = stores * (1 + after % 2), rect[of]
    items[:, HIGH] = np.minimum(items[:, HIGH], steps.extent[at])
    items[solo > 0, RECT] = 0, 1, 0, 1
    items[:, KERNEL], items[:, TURN] = kernel, strokes.number[of]
    return items, passes[of] - stage, min(2, max(1, int((stored[end] - stored[begin]).max())))


def _upload(items: Array, arena: Arena) -> tuple[Launch, ...]:
    """Upload the items, and for each launch the item of every tile; equal lists once."""
    turn = items[:, TURN]
    edges = np.array([0, *((turn[1:] != turn[:-1]).nonzero()[0] + 1).tolist(), len(items)])
    corner = items[:, LOW] // TILE
    extent = np.maximum(-(items[:, HIGH] // -TILE) - corner, 0)
    tiles = extent[:, 0] * extent[:, 1]
    sums = np.zeros(len(items) + 1, dtype=np.int64)
    tiles.cumsum(out=sums[1:])
    begin = sums[edges]
    items[:, layout.FIRST_TILE] = sums[:-1] - begin[:-1].repeat(edges[1:] - edges[:-1])
    items[:, layout.TILE_Y : layout.TILE_X + 1], items[:, layout.TILES_WIDE] = corner, np.maximum(extent[:, 1], 1)
    at, lists, out = arena.add(items[:, : layout.ITEM]), dict[bytes, int](), []
    for (first, end), kernel, total in zip(pairwise(edges.tolist()), items[edges[:-1], KERNEL].tolist(), (begin[1:] - begin[:-1]).tolist()):
        key = (own := tiles[first:end]).tobytes()
        if key not in lists:
            lists[key] = arena.add(np.arange(end - first, dtype=np.int32).repeat(own))
        out.append(Launch("settle" if kernel == SETTLE else "reach", at + first * layout.ITEM, lists[key], total, max(kernel, 0)))
    return tuple(out)


OUTWARDS = np.array([-1, 1, -1, 1])


def _intersect(a: Array, b: Array) -> Array:
    """Rectangles (…, 4) that two share; empty ones get no height or width."""
    low, high = np.maximum(a[..., 0::2], b[..., 0::2]), np.minimum(a[..., 1::2], b[..., 1::2])
    high = np.maximum(low, high)
    return np.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], -1)


def _dilate(rect: Array, radius: Array, height: int, width: int) -> Array:
    """Rectangles grown by a radius and limited to the frame; an empty one stays empty."""
    grown: Array = (rect + radius[:, None] * OUTWARDS).clip(0, (height, height, width, width))
    grown[(rect[:, 0::2] >= rect[:, 1::2]).any(1)] = 0
    return grown


def _cover_from(rects: Array) -> Array:
    """Of rectangles (b, k, 4), the smallest around those from each place on: (b, k + 1, 4); empty where there is none."""
    big = np.iinfo(rects.dtype).max
    real = (rects[..., 0::2] < rects[..., 1::2]).all(2, keepdims=True)
    out = np.zeros((len(rects), rects.shape[1] + 1, 4), dtype=rects.dtype)
    low = np.minimum.accumulate(np.where(real, rects[..., 0::2], big)[:, ::-1], 1)[:, ::-1]
    out[:, :-1, 1::2] = np.maximum.accumulate(np.where(real, rects[..., 1::2], 0)[:, ::-1], 1)[:, ::-1]
    out[:, :-1, 0::2] = np.where(low == big, 0, low)
    return out
