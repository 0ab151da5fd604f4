"""Sheets: how a whole batch is drawn from a recipe.

A batch is drawn in two steps: first what decides which ops a sample takes and where, then the parameters of those it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, count, groupby
from typing import Any, NamedTuple

import numpy as np
import torch

from .distributions import Array
from .kernels import rng
from .masks.base import Mask
from .op import LEVEL, MAX_PARAMETERS, SEVERITY, Op
from .program import CALL_MASK, columns_of, occupied, uniforms_of
from .recipe import Node, fill, masks_of, slots_of, walk

TOGETHER = 4096  # about so many samples are drawn at once, where the same is drawn in many places: a mask may need some kilobytes for each


class Outline:
    """What of a program depends on the recipe alone."""

    def __init__(self, root: Node) -> None:
        nodes = walk(root)
        found = masks_of(root)
        self.masks, self.fold = [leaf.mask for leaf in found], np.array([leaf.fold for leaf in found], dtype=np.int32)  # of each region
        self.root, self.slots, self.regions = root, slots_of(root), len(self.masks)
        self.ops = tuple(sorted({n.name for n in nodes if isinstance(n, Op)}))
        self.index = {name: i for i, name in enumerate(self.ops)}
        self.families = tuple(sorted({mask.name for mask in self.masks}))
        self.columns = columns_of(self.families)
        self.parent = np.array(_parents(root, -1, 0), dtype=np.int16)
        self.partition = np.array(_partitions(root, -1, count()), dtype=np.int16)
        self.bank_rows = _bank_rows(self.masks)
        decisions = _decisions(root, 0)
        self.counters = np.array(sorted({at // 4 for at in decisions}), dtype=np.int64)
        first = {int(counter): 4 * i for i, counter in enumerate(self.counters)}
        self.law = _laws([*(n for n in nodes if isinstance(n, Op)), *self.masks])
        self.warned: set[int] = set()  # the first region of each node that has warned already
        self.column = {at: first[at // 4] + at % 4 for at in decisions}  # of each uniform, among those of all these counters


def _laws(drawn: list[Any]) -> dict[Any, int]:
    """Of each op and mask a number that those have in common which draw alike from equal uniforms."""
    numbers: dict[Any, int] = {}
    own = {what: what if getattr(what, "bank", None) is not None else (type(what), repr(what.to_dict())) for what in drawn}
    return {of: numbers.setdefault(law, len(numbers)) for of, law in own.items()}


def _parents(node: Node, around: int, region: int) -> list[int]:
    """The region directly around each of a node's regions; -1 for none."""
    if isinstance(node, Op):
        return []
    # The masks of one Local count as one inside the other.
    own = [around, *range(region, region + node.masked - 1)] if node.masked else []
    inner = region + node.masked - 1 if node.masked else around
    return own + [p for child, _, inside in node.placed for p in _parents(child, inner, region + inside)]


def _partitions(node: Node, around: int, numbers: Iterator[int]) -> list[int]:
    """The partition of which each of a node's regions is a cell; -1 for none."""
    if isinstance(node, Op):
        return []
    inner = next(numbers) if node.parallel else -1
    return [around] * node.masked + [p for child, _, _ in node.placed for p in _partitions(child, inner, numbers)]


def _decisions(node: Node, at: int) -> list[int]:
    """The uniforms that decide which ops a sample takes and where."""
    out = [at] if node.p < 1.0 else []
    if isinstance(node, Op):
        return out
    out += range(at + 1, at + 1 + node.own) if node.decides else ()
    return out + [i for child, uniform, _ in node.placed for i in _decisions(child, at + uniform)]


class Wanted(NamedTuple):
    """Something to be drawn for some samples, when all is decided."""

    what: Any  # an op or a mask
    ids: Array  # of all samples, those it is drawn with
    rows: Array
    place: Any  # the slots of an op, the region of a mask
    at: int  # the first of its uniforms
    draws: int
    scale: float = 1.0  # of lengths in pixels


class Sheet:
    """The arrays of a program while it is being drawn. b samples, s slots, r regions (one per mask of the recipe)."""

    def __init__(self, outline: Outline, key: int, ids: Array, mask_ids: Array, height: int, width: int) -> None:
        b, s, r = len(ids), outline.slots, outline.regions
        self.outline, self.key, self.ids, self.mask_ids, self.height, self.width = outline, key, ids, mask_ids, height, width
        self.theta = np.zeros((b, s, MAX_PARAMETERS), dtype=np.float32)
        self.severity, self.level = np.zeros((b, s), dtype=np.float32), np.empty((b, s), dtype=np.float32)
        self.phase = np.zeros((b, s, 2), dtype=np.int16)
        self.numbers, self.velocity = np.zeros((b, r, outline.columns), dtype=np.float32), np.zeros((b, r, 2), dtype=np.float32)
        self.code, self.family, self.first, self.last = (np.empty((b, k), dtype=np.int16) for k in (s, r, r, r))
        self.level.fill(np.nan)
        for empty in (self.code, self.family, self.first, self.last):
            empty.fill(-1)
        self.scale = 1.0  # of lengths in pixels
        self._decided = rng.draws(key, ids, rng.PARAMETER_SLOT, outline.counters) if len(outline.counters) else np.empty((b, 0))
        self._ops: list[Wanted] = []
        self._masks: list[Wanted] = []
        self._steps: list[Callable[[Sheet], None]] = []
        fill(outline.root, self, np.arange(b), np.zeros(b, dtype=np.int64), 0, 0)
        drawn = self._uniforms(self._ops + self._masks)
        self._write_ops(drawn[: len(self._ops)])
        self._write_masks(drawn[len(self._ops) :])

    def decision(self, rows: Array, at: int, draws: int = 0) -> Array:
        """One uniform of each row, or (n, draws) in sequence."""
        column = self.outline.column[at]
        return self._decided[rows, column : column + draws] if draws else self._decided[rows, column]

    def put(self, op: Op, rows: Array, slots: Array, at: int) -> None:
        """An op in the given slots."""
        self._ops.append(Wanted(op, self.ids, rows, slots, at + op.reads.start, len(op.reads), self.scale))

    def confine(self, mask: Mask, rows: Array, first: Array, last: Array, at: int, region: int) -> None:
        """A mask over a span of slots."""
        self._span(mask.name, rows, first, last, region)
        self._masks.append(Wanted(mask, self.mask_ids, rows, region, at, mask.draws))

    def confine_to(self, cell: type[Mask], numbers: Array, rows: Array, first: Array, last: Array, regions: Array) -> None:
        """Masks that are drawn already, with numbers (n, columns), each over a span of slots."""
        self._span(cell.name, rows, first, last, regions)
        self.numbers[rows, regions, : numbers.shape[1]] = numbers

    def _span(self, name: str, rows: Array, first: Array, last: Array, region: int | Array) -> None:
        self.family[rows, region] = self.outline.families.index(name)
        self.first[rows, region], self.last[rows, region] = first, last

    def afterwards(self, step: Callable[[Sheet], None]) -> None:
        """Something to be done when all ops and masks are drawn."""
        self._steps.append(step)

    def further(self, rows: Array, at: int, draws: int) -> Array:
        """Uniforms (n, draws) of each row in sequence, for such a step, which is about masks."""
        return self._uniforms([Wanted(None, self.mask_ids, rows, None, at, draws)])[0]

    def write(self, mask: Mask, rows: Array, region: int | Array, numbers: Array) -> None:
        """The numbers (n, columns) that a mask family drew, for one region or for one of each row."""
        if mask.reads_map:
            numbers = numbers.copy()
            numbers[:, 0] = CALL_MASK if mask.bank is None else numbers[:, 0] + self.outline.bank_rows[region]
        self.numbers[rows, region, : numbers.shape[1]] = numbers

    def _uniforms(self, wanted: list[Wanted]) -> list[Array]:
        """What each one is drawn from, (n, count) float64 in (0, 1), all from one Philox call."""
        if not wanted:
            return []
        blocks = [(len(w.rows), w.at // 4, (w.at + w.draws + 3) // 4 - w.at // 4 if w.draws else 0) for w in wanted]
        parts = uniforms_of(self.key, joined([w.ids[w.rows] for w in wanted]), rng.PARAMETER_SLOT << 20, blocks)
        return [part[:, w.at % 4 : w.at % 4 + w.draws] for w, part in zip(wanted, parts)]

    def _alike(self, wanted: list[Wanted], uniforms: list[Array]) -> Iterator[tuple[list[Wanted], Array]]:
        """What is drawn at once, since a draw costs about the same for one sample as for hundreds: equal ops or masks at one scale of lengths,
        as in the cells of a partition, with their uniforms."""
        found: dict[tuple[int, float], list[int]] = {}
        for i, w in enumerate(wanted):
            found.setdefault((self.outline.law[w.what], w.scale), []).append(i)
        for which in found.values():
            if len(which) == 1:
                yield [wanted[which[0]]], uniforms[which[0]]
                continue
            ends = accumulate(len(uniforms[i]) for i in which)
            for _, part in groupby(zip(ends, which), lambda part: part[0] // TOGETHER):
                same = [i for _, i in part]
                yield [wanted[i] for i in same], joined([uniforms[i] for i in same])

    def _write_ops(self, uniforms: list[Array]) -> None:
        alike = [*self._alike(self._ops, uniforms)]
        if not alike:
            return
        wanted = [w for same, _ in alike for w in same]
        rows, slots = joined([w.rows for w in wanted]), joined([w.place for w in wanted])
        code = np.array([self.outline.index[w.what.name] for w in wanted]).repeat([len(w.rows) for w in wanted])
        drawn, at, idle = np.empty((len(rows), MAX_PARAMETERS + 2), dtype=np.float32), 0, []
        for (first, *_), u in alike:
            own = drawn[at : at + len(u)]
            active = first.what.draw(u, own)
            if first.scale != 1.0:
                real = slice(None) if active is None else active
                own[real, :MAX_PARAMETERS] = first.what.scaled(own[real, :MAX_PARAMETERS], first.scale)
            if active is not None and not active.all():
                idle.append(at + (~active).nonzero()[0])
            at += len(u)
        if idle:
            drawn, rows, slots, code = (np.delete(part, joined(idle), axis=0) for part in (drawn, rows, slots, code))
        self.theta[rows, slots], self.code[rows, slots] = drawn[:, :MAX_PARAMETERS], code
        self.severity[rows, slots], self.level[rows, slots] = drawn[:, SEVERITY], drawn[:, LEVEL]

    def _write_masks(self, uniforms: list[Array]) -> None:
        for same, u in self._alike(self._masks, uniforms):
            numbers = same[0].what.draw(u, self.height, self.width)
            regions = np.array([w.place for w in same]).repeat([len(w.rows) for w in same])
            self.write(same[0].what, joined([w.rows for w in same]), regions, numbers)
        if self.outline.regions:
            self._trim()
        for step in self._steps:
            step(self)

    def _trim(self) -> None:
        """Shrink every region to its occupied slots and drop the empty ones, so that a program has one form only."""
        self.first, self.last, empty = occupied(self.code, self.first, self.last)
        empty &= self.family >= 0  # the others hold nothing
        self.family[empty] = -1
        self.numbers[empty] = 0


def joined(parts: list[Array]) -> Array:
    """Arrays one after the other."""
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _bank_rows(masks: list[Mask]) -> Array:
    """The first row of each region's stored maps when the banks of a recipe are stacked; 0 where there are none."""
    rows: dict[int, int] = {}
    at = 0
    for mask in masks:
        if mask.bank is not None and id(mask) not in rows:
            rows[id(mask)] = at
            at += len(mask.bank)
    return np.array([rows.get(id(mask), 0) for mask in masks], dtype=np.float32)


def stacked_banks(root: Node) -> torch.Tensor | None:
    """All stored maps of a recipe as one (k, h, w) tensor, or None."""
    banks = {id(mask): mask.bank for mask, _ in masks_of(root) if mask.bank is not None}
    shapes = {tuple(bank.shape[1:]) for bank in banks.values()}
    if len(shapes) > 1:
        raise ValueError(
            f"the masks.FromTensor of one recipe hold maps of {' and '.join(f'{h}x{w}' for h, w in sorted(shapes))} pixels; accepted: one size."
        )
    return torch.cat(list(banks.values())) if banks else None


def reads_call_mask(root: Node) -> bool:
    """Whether some `Local` waits for the mask given at the call."""
    return any(mask.name == "from_tensor" and mask.bank is None for mask, _ in masks_of(root))
