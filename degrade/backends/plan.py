"""The planner: a program as launches of the two-stroke engine. NumPy only, vectorised over the batch.

Launches per batch = 2 · (deepest chain of two-stroke ops in any sample) + 1. Ops of several passes have reach kernels of their own,
so that a long one neither slows the building of the others down nor takes registers from them; each of their passes is a launch
more. A reach runs on the region of its op dilated by the op's radius, a settle on the region itself; only the first settle (which reads the source) and each sample's last (which
writes the result) cover the frame, and there the tiles outside the region do nothing but copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.rng import halves
from degrade.masks import find as find_mask
from degrade.op import Frame, Op, PointOp, TwoStrokeOp
from degrade.ops import find
from degrade.program import Program


@dataclass(frozen=True)
class Launch:
    """One launch: where its items and its tile-to-item list stand in the arena, and how many tiles it has."""

    kind: str  # "settle" or "reach"
    items: int
    item_of: int
    tiles: int
    kernel: int = 0  # which of the plan's reach kernels


@dataclass(frozen=True)
class Plan:
    """Everything the engine uploads and launches."""

    arena: Array  # int32; floats are stored as their bits
    sections: dict[str, int]  # offset of ids, instructions, regions in the arena
    launches: tuple[Launch, ...]
    positions: int  # instructions per sample
    depth: int  # nesting depth of chains that keep their input
    words: int  # int64 words per batch
    buffers: int  # scratch buffers: two if some op stores in several passes
    points: tuple[type[PointOp], ...]
    strokes: tuple[type[TwoStrokeOp], ...]
    kernels: tuple[tuple[tuple[Any, ...], int | None], ...]  # of each reach kernel, its device functions and its limit of registers
    settles: tuple[Any, ...]  # those of the settle kernel
    families: tuple[str, ...]


class Arena:
    """One growing int32 buffer; `add` returns the offset of what it takes.

    Every part starts at a multiple of 16 bytes: Triton builds another binary for each pointer whose alignment differs.
    """

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, values: Array) -> int:
        flat = np.ascontiguousarray(values).reshape(-1)
        flat = flat.view(np.int32) if flat.dtype == np.float32 else flat.astype(np.int32)
        padding = -len(flat) % 4
        at, self.size = self.size, self.size + len(flat) + padding
        self.parts += [flat, np.zeros(padding, np.int32)]
        return at

    def join(self) -> Array:
        return np.concatenate(self.parts)


def make_plan(program: Program, numbers: Array) -> Plan:
    """Plan a program; `numbers` are its masks' numbers with the rows of given maps filled in."""
    return _Planner(program, numbers).plan()


class _Planner:
    def __init__(self, program: Program, numbers: Array) -> None:
        self.program, self.numbers = program, numbers
        classes = [find(name) for name in program.ops]
        self.points = tuple(c for c in classes if issubclass(c, PointOp))
        self.strokes = tuple(c for c in classes if issubclass(c, TwoStrokeOp))
        self.ops = (*self.points, *self.strokes)
        # The vocabulary may hold a codec that no sample takes.
        to_code = np.asarray([self.ops.index(c) if c in self.ops else -1 for c in classes] + [-1])  # type: ignore[arg-type]
        self.code = np.where(program.identity(), -1, to_code[program.code])
        self.settles = tuple(dict.fromkeys(op.settle for op in self.strokes))  # what several ops share is built once
        shared = [op for op in self.strokes if not op.several]
        own = [op for op in self.strokes if op.several]
        self.kernels = ((tuple(op.strokes[0].fn for op in shared), None), *((tuple(s.fn for s in op.strokes), op.registers) for op in own))
        # Of each op, its kernel and where its strokes begin there.
        self.place = {op: (0, i) for i, op in enumerate(shared)} | {op: (i, 0) for i, op in enumerate(own, start=1)}
        self.arena = Arena()

    def plan(self) -> Plan:
        key = np.asarray([self.program.key & 0xFFFFFFFF, self.program.key >> 32 & 0xFFFFFFFF], dtype=np.uint32).view(np.int32)
        self.arena.add(key)
        ids = self.arena.add(np.stack(halves(self.program.ids), 1).astype(np.uint32).view(np.int32))
        self.parameters()
        self.regions()
        self.rectangles()
        table = self.instructions()
        sections = {"ids": ids, "instructions": self.arena.add(table), "regions": self.region_table}
        launches = self.launches(table)
        return Plan(
            self.arena.join(), sections, launches, table.shape[1], self.depth, self.words, self.buffers, self.points, self.strokes, self.kernels,
            self.settles, self.program.families,
        )  # fmt: skip

    def parameters(self) -> None:
        """Upload parameters and tables; note what each op reads, its passes and its words."""
        program, shape = self.program, self.program.code.shape
        start = self.arena.add(program.theta)
        self.theta = start + np.arange(program.code.size).reshape(shape) * program.theta.shape[2]
        self.table = np.zeros(shape, dtype=np.int64)
        self.radius = np.zeros(shape, dtype=np.int64)
        self.grain = np.zeros(shape, dtype=np.int64)
        self.whole = np.zeros(shape, dtype=bool)
        self.passes = np.full((*shape, 0, 5), -1)  # stroke, source, target, solo, kernel
        self.buffers = 1
        words = np.zeros(shape, dtype=np.int64)
        for code, op in enumerate(self.ops):
            here = self.code == code
            frame = op.frame(program.key, program.ids[np.nonzero(here)[0]], np.nonzero(here)[1], *program.size)
            if here.any() and op.tables.__func__ is not Op.tables.__func__:  # type: ignore[attr-defined]
                self.table[here] = self._tables(op, program.theta[here], frame)
            if issubclass(op, TwoStrokeOp):
                self.radius[here] = op.radius(program.theta[here])
                self.grain[here] = op.block - 1
                self.whole[here] = op.whole_frame
                words[here] = op.words
                self._passes(op, here, frame)
        self.word = (np.cumsum(words) - words.reshape(-1)).reshape(shape)
        self.words = int(words.sum())

    def _tables(self, op: type[Op], theta: Array, frame: Frame) -> Array:
        """Upload an op's tables, equal ones once; where each sample's begins."""
        rows, which = (theta, np.arange(len(theta))) if op.uniforms else np.unique(theta, axis=0, return_inverse=True)
        tables = op.tables(rows, frame)
        return self.arena.add(tables) + which.reshape(-1) * tables.shape[1]

    def _passes(self, op: type[TwoStrokeOp], here: Array, frame: Frame) -> None:
        """The strokes of each pass of one op, where it stands in a slot, and the buffers between which they go.

        The last pass that stores writes buffer 1, the one before it buffer 2, and so on in turn.
        """
        if not here.any():
            return
        schedule = op.schedule(self.program.theta[here], frame)
        real = schedule >= 0
        stores = np.asarray([s.stores and not s.solo for s in op.strokes])[schedule] & real
        after = stores[:, ::-1].cumsum(1)[:, ::-1] - stores  # passes that store, after this one
        before = stores.cumsum(1) - stores
        source = np.where(before > 0, 1 + (after + stores) % 2, 0)  # what the last pass that stored before this one wrote
        solo = np.asarray([s.solo for s in op.strokes])[schedule]
        kernel, first = self.place[op]
        row = np.where(real, first + schedule, -1), source, np.where(stores, 1 + after % 2, 0), solo, np.full_like(source, kernel)
        at = np.nonzero(here)
        if schedule.shape[1] > self.passes.shape[2]:
            grown = np.full((*here.shape, *np.stack(row, 2).shape[1:]), -1)
            grown[:, :, : self.passes.shape[2]] = self.passes
            self.passes = grown
        self.passes[at[0], at[1], : schedule.shape[1]] = np.stack(row, 2)
        self.buffers = max(self.buffers, min(2, int(stores.sum(1).max())))

    def regions(self) -> None:
        """Upload the masks, those that multiply side by side; find each one's support and which ones keep their input."""
        program, (height, width) = self.program, self.program.size
        b, r = program.family.shape
        leader = program.leaders()
        order = np.argsort(np.where(leader < 0, r, leader), axis=1, kind="stable")
        at = self.arena.add(self.numbers) + np.arange(b * r).reshape(b, r) * self.numbers.shape[2]
        pairs = np.stack([program.family.astype(np.int64), at], 2)
        self.region_table = self.arena.add(np.take_along_axis(pairs, order[:, :, None], 1))
        index = np.arange(r)
        self.mask_count = (leader[:, None, :] == index[:, None]).sum(2)  # per leader
        self.mask_begin = np.cumsum(self.mask_count, 1) - self.mask_count + np.arange(b)[:, None] * r
        support = np.tile(np.asarray([0, height, 0, width]), (b, r, 1))
        for family, name in enumerate(program.families):
            here = program.family == family
            support[here] = find_mask(name).support(self.numbers[here], height, width)
        for region in range(r - 1, -1, -1):  # a leader's rectangle is the intersection of all that multiply with it
            parent = program.parent[region]
            if parent >= 0:
                joined = (leader[:, region] == leader[:, parent]) & (leader[:, region] >= 0)
                support[joined, parent] = _intersect(support[joined, parent], support[joined, region])
        self.support, self.leader = support, leader
        leads = leader == index
        self.single = leads & (program.first == program.last)
        self.chain = leads & (program.first < program.last)
        around = (program.first[:, :, None] <= program.first[:, None, :]) & (program.last[:, :, None] >= program.last[:, None, :])
        around &= self.chain[:, :, None] & self.chain[:, None, :] & (index[:, None] < index)
        self.level = around.sum(1)  # how many chains lie around each chain
        self.depth = int((self.level[self.chain]).max(initial=-1)) + 1

    def rectangles(self) -> None:
        """The rectangle each op must be right on, and each chain's: its support dilated by all that its ops read.

        An op that computes whole blocks reads, from a pixel, its radius and the rest of the block at the end of it.
        """
        program, (height, width) = self.program, self.program.size
        b, s = program.code.shape
        self.rect = np.tile(np.asarray([0, height, 0, width]), (b, s, 1))
        self.chain_rect = self.support.copy()
        reach = np.concatenate([np.zeros((b, 1), np.int64), np.cumsum(self.radius + self.grain, 1)], 1)
        whole = np.concatenate([np.zeros((b, 1), np.int64), np.cumsum(self.whole, 1)], 1)
        slot = np.arange(s)
        for region in range(program.family.shape[1]):
            first, last = program.first[:, region], program.last[:, region]
            rows = np.flatnonzero(self.chain[:, region])
            if len(rows):
                span = first[rows], last[rows] + 1
                grown = _dilate(self.support[rows, region], reach[rows, span[1]] - reach[rows, span[0]], height, width)
                full = whole[rows, span[1]] > whole[rows, span[0]]
                self.chain_rect[rows, region] = np.where(full[:, None], np.asarray([0, height, 0, width]), grown)
            inside = (self.single | self.chain)[:, region, None] & (slot >= first[:, None]) & (slot <= last[:, None])
            limit = np.broadcast_to(self.chain_rect[:, None, region], self.rect.shape)
            self.rect[inside] = _intersect(self.rect[inside], limit[inside])

    def instructions(self) -> Array:
        """The instruction table (b, positions, INSTRUCTION)."""
        program, depth = self.program, self.depth
        b, s = program.code.shape
        stride = 1 + 2 * depth
        table = np.zeros((b, s * stride, layout.INSTRUCTION), dtype=np.int64)
        table[:, :, layout.CODE] = layout.EMPTY
        ops = table[:, depth::stride]
        to_branch = [*range(len(self.points)), *(len(self.points) + self.settles.index(op.settle) for op in self.strokes), layout.EMPTY]
        ops[..., layout.CODE] = np.asarray(to_branch)[self.code]
        ops[..., layout.SLOT] = np.arange(s)
        ops[..., layout.THETA] = self.theta
        ops[..., layout.TABLE] = self.table
        ops[..., layout.WORDS] = self.word
        ops[..., layout.Y0 : layout.X1 + 1] = self.rect
        for region in range(program.family.shape[1]):
            first, last = program.first[:, region], program.last[:, region]
            rows = np.flatnonzero(self.single[:, region])
            self._masks(table, rows, first[rows] * stride + depth, region)
            rows = np.flatnonzero(self.chain[:, region])
            level = self.level[rows, region]
            for code, position in ((layout.SAVE, first[rows] * stride + level), (layout.BLEND, last[rows] * stride + 2 * depth - level)):
                table[rows, position, layout.CODE] = code
                table[rows, position, layout.DEPTH] = level
                table[rows, position, layout.Y0 : layout.X1 + 1] = self.chain_rect[rows, region]
                self._masks(table, rows, position, region)
        return table

    def _masks(self, table: Array, rows: Array, position: Array, region: int) -> None:
        table[rows, position, layout.MASKS] = self.mask_begin[rows, region]
        table[rows, position, layout.COUNT] = self.mask_count[rows, region]

    def launches(self, table: Array) -> tuple[Launch, ...]:
        """Settle, then the reaches and one settle for each depth of two-stroke ops."""
        (b, positions, _), (height, width) = table.shape, self.program.size
        rect = table[..., layout.Y0 : layout.X1 + 1]
        stroke = table[..., layout.CODE] >= len(self.points)
        count = stroke.sum(1)
        deepest = int(count.max(initial=0))
        # where[:, k] is the position of the k-th two-stroke op of each sample, the end beyond the last.
        where = np.full((b, deepest + 2), positions)
        where[:, 0] = 0
        rows, at = np.nonzero(stroke)
        where[rows, np.cumsum(stroke, 1)[rows, at]] = at
        out = []
        frame = np.asarray([0, height, 0, width])
        for k in range(deepest + 1):
            if k > 0:
                rows = np.flatnonzero(count >= k)
                kernel = self.passes[rows, table[rows, where[rows, k], layout.SLOT], 0, 4]
                for which in np.unique(kernel):
                    out += self._reaches(rows[kernel == which], where[:, k], table, int(which))
            rows = np.flatnonzero(count >= k)
            begin, end, leaves = where[rows, k], where[rows, k + 1], (count[rows] == k).astype(np.int64)
            run = (np.arange(positions) >= begin[:, None]) & (np.arange(positions) < end[:, None]) & (table[rows, :, layout.CODE] != layout.EMPTY)
            region = _cover(rect[rows], run)
            region = np.where((leaves == 1)[:, None] | (k == 0), frame, region)
            out.append(self._launch("settle", rows, begin, end, region, LEAVES=leaves, SOURCE=1))
        return tuple(out)

    def _reaches(self, rows: Array, where: Array, table: Array, kernel: int) -> list[Launch]:
        """The passes of one kernel's ops at these samples' positions `where`; all end together."""
        begin, frame = where[rows], (0, self.program.size[0], 0, self.program.size[1])
        slot = table[rows, begin, layout.SLOT]
        passes = self.passes[rows, slot]
        count = (passes[..., 0] >= 0).sum(1)
        grown = _dilate(table[rows, begin, layout.Y0 : layout.X1 + 1], self.radius[rows, slot], *self.program.size)
        region = np.where(self.whole[rows, slot, None], np.asarray(frame), grown)
        out = []
        for ahead in range(int(count.max(initial=0)), 0, -1):
            these = np.flatnonzero(count >= ahead)
            stage = count[these] - ahead
            stroke, source, target, solo, _ = passes[these, stage].T
            tiles = np.where(solo[:, None] == 1, np.asarray([0, 1, 0, 1]), region[these])
            launch = self._launch("reach", rows[these], begin[these], begin[these], tiles, STROKE=stroke, STAGE=stage, SOURCE=source, TARGET=target)
            out.append(replace(launch, kernel=kernel))
        return out

    def _launch(self, kind: str, rows: Array, begin: Array, end: Array, region: Array, **fields: Any) -> Launch:
        top, left = region[:, 0] // TILE_ROWS, region[:, 2] // TILE_COLUMNS
        high = np.maximum(-(-region[:, 1] // TILE_ROWS) - top, 0)
        wide = np.maximum(-(-region[:, 3] // TILE_COLUMNS) - left, 0)
        tiles = high * wide
        first = np.cumsum(tiles) - tiles
        item = np.zeros((len(rows), layout.ITEM), dtype=np.int64)
        item[:, layout.SAMPLE : layout.TILES_WIDE + 1] = np.stack([rows, begin, end, first, top, left, np.maximum(wide, 1)], 1)
        for name, values in fields.items():
            item[:, getattr(layout, name)] = values
        items = self.arena.add(item)
        item_of = self.arena.add(np.repeat(np.arange(len(rows)), tiles))
        return Launch(kind, items, item_of, int(tiles.sum()))


def _intersect(a: Array, b: Array) -> Array:
    """Rectangles (…, 4) that two share; empty ones get no height or width."""
    low, high = np.maximum(a[..., 0::2], b[..., 0::2]), np.minimum(a[..., 1::2], b[..., 1::2])
    high = np.maximum(low, high)
    return np.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], -1)


def _dilate(rect: Array, radius: Array, height: int, width: int) -> Array:
    """Rectangles grown by a radius and limited to the frame; an empty one stays empty."""
    empty = (rect[:, 1] <= rect[:, 0]) | (rect[:, 3] <= rect[:, 2])
    grown = np.stack(
        [
            np.maximum(rect[:, 0] - radius, 0),
            np.minimum(rect[:, 1] + radius, height),
            np.maximum(rect[:, 2] - radius, 0),
            np.minimum(rect[:, 3] + radius, width),
        ],
        1,
    )
    return np.where(empty[:, None], 0, grown)


def _cover(rects: Array, which: Array) -> Array:
    """The smallest rectangle (n, 4) around the marked ones of (n, k, 4)."""
    big = np.iinfo(np.int64).max
    real: Array = which & (rects[..., 1] > rects[..., 0]) & (rects[..., 3] > rects[..., 2])
    low = np.where(np.expand_dims(real, -1), rects[..., 0::2], big).min(1, initial=big)
    high = np.where(np.expand_dims(real, -1), rects[..., 1::2], 0).max(1, initial=0)
    low = np.where(np.expand_dims(real.any(1), 1), low, 0)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], 1)
