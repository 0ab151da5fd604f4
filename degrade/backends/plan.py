"""The planner: a program as launches of the two-stroke engine. NumPy only, vectorised over the batch.

Launches per batch = 2 · (deepest chain of two-stroke ops in any sample) + 1. A reach runs on the region of its op dilated by
the op's radius, a settle on the region itself; only the first settle (which reads the source) and each sample's last (which
writes the result) cover the frame, and there the tiles outside the region do nothing but copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.rng import halves
from degrade.masks import find as find_mask
from degrade.op import PointOp, TwoStrokeOp
from degrade.ops import find
from degrade.program import Program


@dataclass(frozen=True)
class Launch:
    """One launch: where its items and its tile-to-item list stand in the arena, and how many tiles it has."""

    kind: str  # "settle" or "reach"
    items: int
    item_of: int
    tiles: int


@dataclass(frozen=True)
class Plan:
    """Everything the engine uploads and launches."""

    arena: Array  # int32; floats are stored as their bits
    sections: dict[str, int]  # offset of ids, instructions, regions in the arena
    launches: tuple[Launch, ...]
    positions: int  # instructions per sample
    depth: int  # nesting depth of chains that keep their input
    words: int  # int64 sums per batch
    points: tuple[type[PointOp], ...]
    strokes: tuple[type[TwoStrokeOp], ...]
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
        to_code = np.asarray([self.points.index(c) if issubclass(c, PointOp) else len(self.points) + self.strokes.index(c) for c in classes] + [-1])  # type: ignore[arg-type]
        self.code = np.where(program.identity(), -1, to_code[program.code])
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
            self.arena.join(), sections, launches, table.shape[1], self.depth, self.program.code.size * 4, self.points, self.strokes, self.program.families
        )  # fmt: skip

    def parameters(self) -> None:
        """Upload parameters and tables; note each op's radius and whether it needs the whole frame."""
        program, shape = self.program, self.program.code.shape
        start = self.arena.add(program.theta)
        self.theta = start + np.arange(program.code.size).reshape(shape) * program.theta.shape[2]
        self.table = np.zeros(shape, dtype=np.int64)
        self.radius = np.zeros(shape, dtype=np.int64)
        self.grain = np.zeros(shape, dtype=np.int64)
        self.whole = np.zeros(shape, dtype=bool)
        for code, op in enumerate((*self.points, *self.strokes)):
            here = self.code == code
            if not here.any():
                continue
            if "tables" in vars(op):
                rows, which = np.unique(program.theta[here], axis=0, return_inverse=True)
                tables = op.tables(rows)
                self.table[here] = self.arena.add(tables) + which.reshape(-1) * tables.shape[1]
            if issubclass(op, TwoStrokeOp):
                self.radius[here] = op.radius(program.theta[here])
                self.grain[here] = op.block - 1
                self.whole[here] = op.whole_frame

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
        ops[..., layout.CODE] = self.code
        ops[..., layout.SLOT] = np.arange(s)
        ops[..., layout.THETA] = self.theta
        ops[..., layout.TABLE] = self.table
        ops[..., layout.WORDS] = np.arange(b * s).reshape(b, s) * 4
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
        """Settle, then reach and settle once for each depth of two-stroke ops."""
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
                begin = where[rows, k]
                code = table[rows, begin, layout.CODE] - len(self.points)
                radius = self.radius[rows, table[rows, begin, layout.SLOT]]
                whole = np.asarray([op.whole_frame for op in self.strokes])[code]
                grown = _dilate(rect[rows, begin], radius, height, width)
                out.append(self._launch("reach", rows, begin, begin, np.where(whole[:, None], frame, grown), np.zeros(len(rows), np.int64)))
            rows = np.flatnonzero(count >= k)
            begin, end, leaves = where[rows, k], where[rows, k + 1], (count[rows] == k).astype(np.int64)
            run = (np.arange(positions) >= begin[:, None]) & (np.arange(positions) < end[:, None]) & (table[rows, :, layout.CODE] != layout.EMPTY)
            region = _cover(rect[rows], run)
            region = np.where((leaves == 1)[:, None] | (k == 0), frame, region)
            out.append(self._launch("settle", rows, begin, end, region, leaves))
        return tuple(out)

    def _launch(self, kind: str, rows: Array, begin: Array, end: Array, region: Array, leaves: Array) -> Launch:
        top, left = region[:, 0] // TILE_ROWS, region[:, 2] // TILE_COLUMNS
        high = np.maximum(-(-region[:, 1] // TILE_ROWS) - top, 0)
        wide = np.maximum(-(-region[:, 3] // TILE_COLUMNS) - left, 0)
        tiles = high * wide
        first = np.cumsum(tiles) - tiles
        items = self.arena.add(np.stack([rows, begin, end, first, top, left, np.maximum(wide, 1), leaves], 1))
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
