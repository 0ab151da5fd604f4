"""The planner: a program as launches of the two-stroke engine. NumPy only, vectorised over the batch.

Launches per batch = 2 · (deepest chain of two-stroke ops in any sample) + 1. Ops of several passes have reach kernels of their own,
so that a long one neither slows the building of the others down nor takes registers from them; each of their passes is a launch
more. A reach runs on the region of its op dilated by the op's radius, a settle on what it and the later ones change; only the first
settle, which reads the source, covers the frame. A tile that no later settle changes goes to the result at once, and to the canvas
only if a later reach reads it.

The host's time goes by the number of NumPy calls for a single image and by their length for a large batch. So an op is looked at by
itself only where it has a hook of its own, and all else is done for the steps of the whole batch together. What comes again from batch
to batch is kept: rows of tables, as of an op with a few levels, and the launches of a pipeline without masks that draws no ops by chance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.rng import TABLE_DRAW
from degrade.masks import find as find_mask
from degrade.op import MAX_PARAMETERS, Frame, Op, PointOp, TwoStrokeOp
from degrade.ops import find
from degrade.program import Program, groups, uniforms_of

WORD = np.dtype("<i8")  # 64 bits whose low half comes first
ROW = np.dtype((np.void, 4 * MAX_PARAMETERS))  # the parameters of one op, as bytes
FEW = 8  # different parameters of an op in one batch, up to which they are likely to come again
MOST_ROWS, MOST_LAYOUTS = 1024, 4  # that are kept for one vocabulary


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
    """What of a plan depends on the ops alone that a program may hold, and what is kept from batch to batch."""

    def __init__(self, ops: tuple[type[Op], ...]) -> None:
        self.ops = ops
        self.points = tuple(op for op in ops if issubclass(op, PointOp))
        self.strokes = tuple(op for op in ops if issubclass(op, TwoStrokeOp))
        self.functions = tuple(op.point for op in self.points)
        self.settles = tuple(dict.fromkeys(op.settle for op in self.strokes))  # what several ops share is built once
        shared = [op for op in self.strokes if not op.several]
        own = [op for op in self.strokes if op.several]
        # Of each reach kernel, its device functions, its limit of registers and its warps.
        self.kernels = (
            (tuple(op.strokes[0].fn for op in shared), None, TwoStrokeOp.warps),
            *((tuple(s.fn for s in op.strokes), op.registers, op.warps) for op in own),
        )
        # All strokes of all ops in one row: where an op's begin; of each its kernel, its place there, whether it stores, whether it is solo.
        begin: dict[type[Op], int] = {}
        rows: list[tuple[int, int, bool, bool]] = []
        for op, kernel, first in (*((op, 0, i) for i, op in enumerate(shared)), *((op, i, 0) for i, op in enumerate(own, start=1))):
            begin[op] = len(rows)
            rows += [(kernel, first + i, s.stores and not s.solo, s.solo) for i, s in enumerate(op.strokes)]
        self.stroke_facts = np.array(rows, dtype=np.int64).reshape(-1, 4)
        # Of each op, its branch of the settle kernel, how far its block goes on beyond a pixel, whether it reads the whole frame, its words,
        # where its strokes begin, and how many passes it usually takes.
        facts: dict[type[Op], tuple[int, ...]] = {op: (i, 0, 0, 0, 0, 0) for i, op in enumerate(self.points)}
        for stroke in self.strokes:
            branch = len(self.points) + self.settles.index(stroke.settle)
            facts[stroke] = branch, stroke.block - 1, int(stroke.whole_frame), stroke.words, begin[stroke], len(stroke.strokes)
        self.facts = np.array([facts.get(op, (-1,) * 6) for op in ops], dtype=np.int64).reshape(-1, 6)
        # The ops that have a hook of their own; the identity of the others.
        self.with_identity, self.with_tables = _with_own(ops, Op, "identity"), _with_own(ops, Op, "tables")
        self.with_radius = _with_own(ops, TwoStrokeOp, "radius")
        self.with_schedule, self.with_extents = _with_own(ops, TwoStrokeOp, "schedule", "extents"), _with_own(ops, TwoStrokeOp, "extents")
        self.neutral = np.array([next(iter(op.parameters.values())).neutral for op in ops], dtype=np.float32)
        self.neutral[list(self.with_identity)] = np.nan
        self.rows: dict[tuple[type[Op], tuple[int, int], bytes], Array] = {}  # of tables
        self.layouts: dict[bytes, Layout] = {}
        self.binaries: dict[tuple[object, ...], Any] = {}  # kernels built for it, by kind of launch and of images

    def layout(self, steps: Steps, at: int) -> Layout:
        """The layout of steps without masks, that of an earlier batch if it was the same."""
        key = steps.key()
        if (found := self.layouts.get(key)) is None:
            if len(self.layouts) >= MOST_LAYOUTS:
                self.layouts.clear()
            self.layouts[key] = found = Layout(steps, None, at)
        return found


def _with_own(ops: tuple[type[Op], ...], base: type[Op], *hooks: str) -> tuple[int, ...]:
    """Which ops of a kind define one of these hooks themselves."""
    own = (i for i, op in enumerate(ops) if issubclass(op, base))
    return tuple(i for i in own if any(getattr(ops[i], hook).__func__ is not getattr(base, hook).__func__ for hook in hooks))


_vocabulary = lru_cache(maxsize=64)(Vocabulary)


class Arena:
    """One growing int32 buffer, or a part of one that begins at some offset; `add` returns the offset of what it takes.

    Every part starts at a multiple of 16 bytes: Triton builds another binary for each pointer whose alignment differs.
    """

    PADDING = np.zeros(4, np.int32)

    def __init__(self, at: int = 0) -> None:
        self.parts: list[Array] = []
        self.size = at

    def add(self, values: Array) -> int:
        flat = values.reshape(-1)
        flat = flat.view(np.int32) if flat.dtype == np.float32 else flat.astype(np.int32, copy=False)
        at, padding = self.size, -len(flat) % 4
        self.parts += [flat, self.PADDING[:padding]] if padding else [flat]
        self.size += len(flat) + padding
        return at

    def add_rows(self, values: Array) -> Array:
        """The offset of each row."""
        return self.add(values) + np.arange(len(values)) * values.shape[1]

    def join(self) -> Array:
        return np.concatenate(self.parts)


def make_plan(program: Program, numbers: Array) -> Plan:
    """Plan a program; `numbers` are its masks' numbers with the rows of given maps filled in."""
    vocabulary, arena = _vocabulary(tuple(map(find, program.ops))), Arena()
    arena.add(np.array([program.key], dtype=np.uint64).astype(WORD).view(np.int32))
    ids, theta = arena.add(program.ids.astype(WORD).view(np.int32)), arena.add(program.theta)
    steps = Steps(program, vocabulary, theta)
    regions = Regions(program, numbers, steps, arena) if program.family.size else None
    laid = vocabulary.layout(steps, arena.size) if regions is None else Layout(steps, regions, arena.size)
    arena.add(laid.part)
    sections = {"ids": ids, "regions": arena.size if regions is None else regions.table, "instructions": arena.add(laid.instructions(steps, arena))}
    positions, depth = laid.table.shape[1], 0 if regions is None else regions.depth
    return Plan(vocabulary, program.families, arena.join(), sections, laid.launches, positions, depth, laid.words, laid.buffers)


class Steps:
    """The ops that change something, of all samples: an entry for each occupied slot, op by op."""

    def __init__(self, program: Program, vocabulary: Vocabulary, theta: int) -> None:
        self.program, self.vocabulary, self.at = program, vocabulary, theta
        self.frame = np.array([0, program.size[0], 0, program.size[1]])
        row, slot = (program.code >= 0).nonzero()
        code = program.code[row, slot]
        if len(vocabulary.ops) > 1:
            order = code.argsort(kind="stable")
            row, slot, code = row[order], slot[order], code[order]
        self._hold(row, slot, code)
        if not (real := ~self._identity()).all():
            self._hold(row[real], slot[real], code[real])
        self.branch, self.beyond, self.whole, self.words, self.first, self.passes = vocabulary.facts[self.code].T
        self._schedule()

    def _hold(self, row: Array, slot: Array, code: Array) -> None:
        self.row, self.slot, self.code = row, slot, code
        self.theta = self.program.theta[row, slot]
        edges = code.searchsorted(np.arange(len(self.vocabulary.ops) + 1)).tolist()
        self.spans = [*map(slice, edges, edges[1:])]

    def of(self, ops: tuple[int, ...]) -> list[tuple[int, type[Op], slice]]:
        """Those of these ops that stand anywhere, with their entries."""
        return [(i, self.vocabulary.ops[i], span) for i in ops if (span := self.spans[i]).start < span.stop]

    def _identity(self) -> Array:
        """Which entries change nothing, or are of no op that has device functions."""
        same = self.theta[:, 0] == self.vocabulary.neutral[self.code]
        for _, op, span in self.of(self.vocabulary.with_identity):
            same[span] = op.identity(self.theta[span])
        return same | (self.vocabulary.facts[self.code, 0] < 0)

    @cached_property
    def frames(self) -> dict[int, Frame]:
        """What the tables of each op may depend on. The uniforms of all ops come from one Philox call."""
        frames = {i: Frame(*self.program.size, np.empty((span.stop - span.start, 0))) for i, span in enumerate(self.spans)}
        drawing = [(i, span, op.needs(self.theta[span])) for i, op, span in self.of(self.vocabulary.with_tables) if op.uniforms]
        if drawing:
            ids = self.program.ids[np.concatenate([self.row[span] for _, span, _ in drawing])]
            stream = np.concatenate([self.slot[span] for _, span, _ in drawing]) << 20 | TABLE_DRAW
            parts = uniforms_of(self.program.key, ids, stream, [(span.stop - span.start, 0, -(-count // 4)) for _, span, count in drawing])
            for (i, _, count), part in zip(drawing, parts):
                frames[i] = frames[i]._replace(u=part[:, :count])
        return frames

    def _schedule(self) -> None:
        """The passes: in one row the strokes of all steps, where a step's begin there, and how far down and to the right each works."""
        program, own = self.program, []
        for i, op, span in self.of(self.vocabulary.with_schedule):
            schedule = op.schedule(self.theta[span], self.frames[i])  # type: ignore[attr-defined]
            real = schedule >= 0
            self.passes[span] = real.sum(1)
            some = i in self.vocabulary.with_extents
            extents = op.extents(self.theta[span], self.frames[i], schedule.shape[1])[real] if some else program.size  # type: ignore[attr-defined]
            own.append((span, schedule[real], extents))
        self.begin = self.passes.cumsum() - self.passes
        of = np.arange(len(self.passes)).repeat(self.passes)
        self.strokes = (self.first - self.begin)[of] + np.arange(len(of))
        self.extent = np.empty((len(of), 2), dtype=np.int64)
        self.extent[:] = program.size
        for span, strokes, extents in own:
            at = self.begin[span.start]
            self.strokes[at : at + len(strokes)] = self.first[span.start] + strokes
            self.extent[at : at + len(strokes)] = extents

    def key(self) -> bytes:
        """What a layout without masks depends on."""
        program = self.program
        sizes = np.array([*program.size, *program.code.shape])
        return b"".join(part.tobytes() for part in (sizes, self.row, self.slot, self.code, self.passes, self.strokes, self.extent))

    def radius(self) -> Array:
        """What each reads around a pixel, in pixels."""
        radius = np.zeros(len(self.row), dtype=np.int64)
        for _, op, span in self.of(self.vocabulary.with_radius):
            radius[span] = op.radius(self.theta[span])  # type: ignore[attr-defined]
        return radius

    def tables(self, arena: Arena) -> Array:
        """Upload the tables; where each begins."""
        at = np.zeros(len(self.row), dtype=np.int64)
        for i, op, span in self.of(self.vocabulary.with_tables):
            at[span] = self._tables(op, self.theta[span], self.frames[i], arena)
        return at

    def _tables(self, op: type[Op], theta: Array, frame: Frame, arena: Arena) -> Any:
        """Upload an op's tables, equal ones once."""
        rows = [] if op.uniforms else theta.view(ROW)[:, 0].tolist()
        different = dict.fromkeys(rows)
        if op.uniforms or len(rows) == len(different) > FEW:
            return arena.add_rows(op.tables(theta, frame))
        if len(different) > FEW:
            at = dict(zip(different, arena.add_rows(op.tables(_theta(different), frame)).tolist()))
        else:
            at = {row: arena.add(table) for row, table in self._kept(op, different, frame).items()}
        return [at[row] for row in rows]

    def _kept(self, op: type[Op], rows: dict[bytes, None], frame: Frame) -> dict[bytes, Array]:
        """The table of each of a few parameters: those of earlier batches, or new ones."""
        known, size = self.vocabulary.rows, self.program.size
        tables = {row: known.get((op, size, row)) for row in rows}
        if missing := [row for row, table in tables.items() if table is None]:
            made = dict(zip(missing, op.tables(_theta(missing), frame)))
            tables.update(made)
            if len(known) >= MOST_ROWS:
                known.clear()
            known.update(((op, size, row), table) for row, table in made.items())
        return tables  # type: ignore[return-value]


def _theta(rows: Iterable[bytes]) -> Array:
    """Parameters from their bytes."""
    return np.array([*rows], dtype=ROW).view(np.float32).reshape(-1, MAX_PARAMETERS)


class Regions:
    """The masks, those that multiply side by side. The first of them leads; some leaders blend one op, others a chain of ops."""

    def __init__(self, program: Program, numbers: Array, steps: Steps, arena: Arena) -> None:
        self.program, self.steps, self.radius = program, steps, steps.radius()
        self.leader, index = program.leaders(), np.arange(program.family.shape[1])
        self._upload(numbers, arena)
        leads = self.leader == index
        self.single, self.chain = ((leads & which).nonzero() for which in (program.first == program.last, program.first < program.last))
        self.level = self._levels(leads & (program.first < program.last))
        self.depth = int(self.level[self.chain].max(initial=-1)) + 1
        self.rect = self._supports(numbers)  # of each leader
        self._dilate_chains()
        self.rects = self._rectangles(leads)  # what each step must be right on

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
        read[0, steps.row, steps.slot + 1], read[1, steps.row, steps.slot + 1] = self.radius + steps.beyond, steps.whole
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

    def dilated(self, step: Array, by: Array) -> Array:
        """Where two-stroke ops read, to be right on their rectangles: these grown by some pixels, or the whole frame."""
        rect = _dilate(self.rects[step], by[step], *self.program.size)
        rect[self.steps.whole[step] > 0] = self.steps.frame
        return rect


class Layout:
    """The launches, and the instructions but for what differs from batch to batch even if the same ops are taken: where tables begin."""

    def __init__(self, steps: Steps, regions: Regions | None, at: int) -> None:
        depth = 0 if regions is None else regions.depth
        self.position = steps.slot * (1 + 2 * depth) + depth
        self.table = _instructions(steps, regions, self.position)
        arena = Arena(at)
        self.launches, self.buffers = _launches(steps, regions, self, arena)
        self.part = arena.join()  # of the arena, from `at`
        self.words = int(steps.words.sum())

    def instructions(self, steps: Steps, arena: Arena) -> Array:
        table = self.table.copy()
        table[steps.row, self.position, layout.TABLE] = steps.tables(arena)
        return table


def _instructions(steps: Steps, regions: Regions | None, position: Array) -> Array:
    """The instruction table (b, positions, INSTRUCTION)."""
    program, depth = steps.program, 0 if regions is None else regions.depth
    stride = 1 + 2 * depth
    table = np.zeros((len(program), program.slots * stride, layout.INSTRUCTION), dtype=np.int32)
    table[:, :, layout.CODE] = layout.EMPTY
    own = np.zeros((len(steps.row), layout.INSTRUCTION), dtype=np.int32)
    own[:, layout.CODE], own[:, layout.SLOT] = steps.branch, steps.slot
    own[:, layout.THETA] = steps.at + (steps.row * program.slots + steps.slot) * program.theta.shape[2]
    own[:, layout.WORDS] = steps.words.cumsum() - steps.words
    own[:, layout.Y0 : layout.X1 + 1] = steps.frame if regions is None else regions.rects
    table[steps.row, position] = own
    if regions is None:
        return table
    rows, leaders = regions.single
    _mask(table, rows, program.first[rows, leaders].astype(np.int64) * stride + depth, leaders, regions)
    if depth:
        rows, leaders = regions.chain
        level = regions.level[rows, leaders]
        first, last = (end[rows, leaders].astype(np.int64) * stride for end in (program.first, program.last))
        for code, place in ((layout.SAVE, first + level), (layout.BLEND, last + 2 * depth - level)):
            table[rows, place, layout.CODE] = code
            table[rows, place, layout.DEPTH] = level
            table[rows, place, layout.Y0 : layout.X1 + 1] = regions.rect[rows, leaders]
            _mask(table, rows, place, leaders, regions)
    return table


def _mask(table: Array, rows: Array, position: Array, leaders: Array, regions: Regions) -> None:
    table[rows, position, layout.MASKS] = regions.begin[rows, leaders]
    table[rows, position, layout.COUNT] = regions.count[rows, leaders]


class Strokes:
    """The steps of two-stroke ops, sample by sample in the order they are applied."""

    def __init__(self, steps: Steps, step: Array, laid: Layout) -> None:
        samples, positions = laid.table.shape[:2]
        at = steps.row[step] * positions + laid.position[step]
        order = at.argsort()
        self.step, at = step[order], at[order]
        self.row = at // positions
        self.position = at - self.row * positions
        self.count = np.bincount(self.row, minlength=samples)  # of each sample
        self.number = np.arange(1, len(step) + 1) - (self.count.cumsum() - self.count)[self.row]  # within its sample, from 1


class Items(NamedTuple):
    """Work items: as the arena holds them, and beside that the rectangle that their tiles cover, their kernel, and when their launch comes."""

    rows: Array  # (n, ITEM) int32
    rect: Array  # (n, 4)
    kernel: Array  # (n,)
    turn: Array  # (n,)


SETTLE = -1  # in place of one of the reach kernels
CHANGES, READS = slice(layout.CHANGES, layout.CHANGES + 4), slice(layout.READS, layout.READS + 4)


def _launches(steps: Steps, regions: Regions | None, laid: Layout, arena: Arena) -> tuple[tuple[Launch, ...], int]:
    """All launches, and how many scratch buffers they need.

    Settle, then the reaches and one settle for each depth of two-stroke ops. Between two settles the kernels come one after the
    other, each with as many launches as its longest op has passes; all of its ops end with the last.
    """
    step = (steps.branch >= len(steps.vocabulary.points)).nonzero()[0]  # an op that takes no pass here settles all the same
    if not len(step):
        part, launches = _single(arena.size, *laid.table.shape[:2], *steps.program.size)
        arena.add(part)
        return launches, 1
    strokes = Strokes(steps, step, laid)
    settles = _settles(steps, regions, strokes, laid.table)
    reaches, ahead, buffers = _reaches(steps, regions, strokes)
    kernels, most = len(steps.vocabulary.kernels) + 1, int(steps.passes.max()) + 1
    first = settles._replace(turn=(settles.turn * kernels + kernels - 1) * most)
    others = reaches._replace(turn=(reaches.turn * kernels + reaches.kernel) * most - ahead)
    items = Items(*(np.concatenate(parts) for parts in zip(first, others)))
    order = items.turn.argsort(kind="stable")
    return _upload(Items(*(part[order] for part in items)), arena), buffers


@lru_cache(maxsize=16)
def _single(at: int, samples: int, positions: int, height: int, width: int) -> tuple[Array, tuple[Launch, ...]]:
    """The one launch of a batch without two-stroke ops, as a part of an arena: it depends on nothing that is drawn."""
    arena = Arena(at)
    launches = _upload(_runs(np.array([0, height, 0, width]), np.arange(samples), 0, positions), arena)
    return arena.join(), launches


def _settles(steps: Steps, regions: Regions | None, strokes: Strokes, table: Array) -> Items:
    """From each two-stroke op to the next. The first reads the source and covers the frame; each later one covers what is changed from there on."""
    positions, deepest = table.shape[1], int(strokes.count.max())
    where = np.empty((deepest + 2, len(table)), dtype=np.int64)
    where[0], where[1:] = 0, positions
    where[strokes.number, strokes.row] = strokes.position
    number, row = (strokes.count >= np.arange(deepest + 1)[:, None]).nonzero()
    begin, end = where[number, row], where[number + 1, row]
    items = _runs(steps.frame, row, begin, end)._replace(turn=number)
    if regions is None:
        items.rows[number < strokes.count[row], layout.CHANGES : layout.READS + 4] = [*steps.frame, *steps.frame]
        return items
    rects = table[:, :, layout.Y0 : layout.X1 + 1].astype(np.int64)
    rects[table[:, :, layout.CODE] == layout.EMPTY] = 0
    changed = _cover_from(rects)
    rects[strokes.row, strokes.position] = regions.dilated(strokes.step, regions.radius + steps.beyond)
    items.rows[:, CHANGES], items.rows[:, READS] = changed[row, end], _cover_from(rects)[row, end]
    items.rect[number > 0] = changed[row, begin][number > 0]
    return items


def _runs(frame: Array, row: Array, begin: Any, end: Any) -> Items:
    """Items of settles over the whole frame, from the source or the canvas to the result."""
    rows = np.zeros((len(row), layout.ITEM), dtype=np.int32)
    rows[:, layout.SAMPLE], rows[:, layout.BEGIN], rows[:, layout.END], rows[:, layout.SOURCE] = row, begin, end, 1
    return Items(rows, frame[None].repeat(len(row), 0), np.full(len(row), SETTLE), np.zeros(len(row), dtype=np.int64))


def _reaches(steps: Steps, regions: Regions | None, strokes: Strokes) -> tuple[Items, Array, int]:
    """The passes of all two-stroke ops, with each how many its op has ahead, and between how many scratch buffers they go.

    The last pass that stores writes buffer 1, the one before it buffer 2, and so on in turn.
    """
    vocabulary, step = steps.vocabulary, strokes.step
    passes = steps.passes[step]
    end = passes.cumsum()
    begin = end - passes
    of = np.arange(len(passes)).repeat(passes)  # of each pass, its op among the strokes
    stage = np.arange(len(of)) - begin[of]
    at = steps.begin[step][of] + stage
    kernel, place, stores, solo = vocabulary.stroke_facts[steps.strokes[at]].T
    stored = np.zeros(len(of) + 1, dtype=np.int64)
    stores.cumsum(out=stored[1:])
    before, after = stored[:-1] - stored[begin][of], stored[end][of] - stored[1:]  # passes of its op that store
    rect = steps.frame[None].repeat(len(of), 0) if regions is None else regions.dilated(step, regions.radius)[of]
    rect[:, 1::2] = np.minimum(rect[:, 1::2], steps.extent[at])
    rect[solo > 0] = 0, 1, 0, 1
    rows = np.zeros((len(of), layout.ITEM), dtype=np.int32)
    rows[:, layout.SAMPLE], rows[:, layout.BEGIN], rows[:, layout.END] = strokes.row[of], strokes.position[of], strokes.position[of]
    rows[:, layout.STROKE], rows[:, layout.STAGE] = place, stage
    rows[:, layout.SOURCE] = (before > 0) * (1 + (after + stores) % 2)  # what the last pass that stored before this one wrote
    rows[:, layout.TARGET] = stores * (1 + after % 2)
    buffers = min(2, max(1, int((stored[end] - stored[begin]).max())))
    return Items(rows, rect, kernel, strokes.number[of]), passes[of] - stage, buffers


def _upload(items: Items, arena: Arena) -> tuple[Launch, ...]:
    """Upload the items, in the order of their turns, and for each launch the item of every tile; equal lists once."""
    rows, (y0, y1, x0, x1), turn = items.rows, items.rect.T, items.turn
    edges = np.array([0, *((turn[1:] != turn[:-1]).nonzero()[0] + 1).tolist(), len(turn)])
    top, left = y0 // TILE_ROWS, x0 // TILE_COLUMNS
    wide = np.maximum(-(x1 // -TILE_COLUMNS) - left, 0)
    tiles = np.maximum(-(y1 // -TILE_ROWS) - top, 0) * wide
    sums = np.zeros(len(turn) + 1, dtype=np.int64)
    tiles.cumsum(out=sums[1:])
    begin, count = sums[edges], edges[1:] - edges[:-1]
    rows[:, layout.FIRST_TILE] = sums[:-1] - begin[:-1].repeat(count)
    rows[:, layout.TILE_Y], rows[:, layout.TILE_X], rows[:, layout.TILES_WIDE] = top, left, np.maximum(wide, 1)
    at = arena.add(rows)
    lists = _tile_lists(tiles, edges, arena)
    kernel = items.kernel[edges[:-1]]
    kinds = ["settle" if settle else "reach" for settle in (kernel == SETTLE).tolist()]
    return tuple(map(Launch, kinds, (at + edges * layout.ITEM).tolist(), lists, (begin[1:] - begin[:-1]).tolist(), np.maximum(kernel, 0).tolist()))


def _tile_lists(tiles: Array, edges: Array, arena: Arena) -> list[int]:
    """Of each launch, where the list of its tiles' items stands.

    Where all items of a launch have equally many tiles, its list is the beginning of that of any launch with more such items.
    """
    least, most = (f.reduceat(tiles, edges[:-1]) if len(tiles) else tiles for f in (np.minimum, np.maximum))
    even = np.where(least == most, least, -1).tolist()
    longest = dict(sorted(zip(even, (edges[1:] - edges[:-1]).tolist())))  # of equal keys the last stays
    known: dict[int | bytes, int] = {each: arena.add(_even_list(each, items)) for each, items in longest.items() if each >= 0}
    out = []
    for (first, end), each in zip(pairwise(edges.tolist()), even):
        key = each if each >= 0 else tiles[first:end].tobytes()
        if key not in known:
            known[key] = arena.add(np.arange(end - first, dtype=np.int32).repeat(tiles[first:end]))
        out.append(known[key])
    return out


@lru_cache(maxsize=8)
def _even_list(each: int, items: int) -> Array:
    """The item of every tile, when each has equally many."""
    return np.arange(items, dtype=np.int32).repeat(each)


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
    ends = rects.transpose(1, 2, 0)  # (k, 4, b)
    real = ((ends[:, 0] < ends[:, 1]) & (ends[:, 2] < ends[:, 3]))[:, None]
    low, high = np.where(real, ends[:, 0::2], big), np.where(real, ends[:, 1::2], 0)
    for i in range(len(ends) - 2, -1, -1):
        np.minimum(low[i], low[i + 1], out=low[i])
        np.maximum(high[i], high[i + 1], out=high[i])
    low[low == big] = 0
    out = np.zeros((len(rects), len(ends) + 1, 4), dtype=rects.dtype)
    out[:, :-1, 0::2], out[:, :-1, 1::2] = low.transpose(2, 0, 1), high.transpose(2, 0, 1)
    return out
