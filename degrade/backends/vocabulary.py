"""What of a plan depends on the ops alone that a program may hold, and what is kept for them from batch to batch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from degrade.distributions import Array
from degrade.op import Op, PointOp, TwoStrokeOp

KERNEL = tuple[tuple[Any, ...], int | None, int, bool]


class Vocabulary:
    """The functions that kernels are built from, and facts about each op as columns of int32 to look them up for a whole batch."""

    def __init__(self, ops: tuple[type[Op], ...]) -> None:
        self.ops, self.codes = ops, np.arange(len(ops) + 1, dtype=np.int16)
        self.points = tuple(op for op in ops if issubclass(op, PointOp))
        self.strokes = tuple(op for op in ops if issubclass(op, TwoStrokeOp))
        self.functions = tuple(op.point for op in self.points)
        self.settles = tuple(dict.fromkeys(op.settle for op in self.strokes))  # what several ops share is built once
        shared = [op for op in self.strokes if not op.several]
        own = [op for op in self.strokes if op.several]
        # Of each reach kernel, its device functions, its limit of registers, its warps, and whether it stores whole words.
        limit = max((op.registers for op in shared if op.registers), default=None)
        self.kernels: tuple[KERNEL, ...] = (
            (tuple(op.strokes[0].fn for op in shared), limit, max((op.warps for op in shared), default=TwoStrokeOp.warps), True),
            *((tuple(s.fn for s in op.strokes), op.registers, op.warps, not op.scattered) for op in own),
        )
        # All strokes of all ops in one row: where an op's begin; of each its kernel, its place there, whether it stores, whether it is solo.
        begin: dict[type[Op], int] = {}
        strokes: list[tuple[int, int, bool, bool]] = []
        for op, kernel, first in (*((op, 0, i) for i, op in enumerate(shared)), *((op, i, 0) for i, op in enumerate(own, start=1))):
            begin[op] = len(strokes)
            strokes += [(kernel, first + i, s.stores and not s.solo, s.solo) for i, s in enumerate(op.strokes)]
        self.stroke_facts = _columns(strokes, 4)
        # Of each op, its branch of the settle kernel, how far its block goes on beyond a pixel, whether it reads the whole frame, its words,
        # where its strokes begin, and how many passes it usually takes.
        facts: dict[type[Op], tuple[int, ...]] = {op: (i, 0, 0, 0, 0, 0) for i, op in enumerate(self.points)}
        for stroke in self.strokes:
            branch = len(self.points) + self.settles.index(stroke.settle)
            facts[stroke] = branch, stroke.block - 1, int(stroke.whole_frame), stroke.words, begin[stroke], len(stroke.strokes)
        self.facts = _columns([facts.get(op, (-1,) * 6) for op in ops], 6)
        # The ops that have a hook of their own; the identity of the others.
        self.with_identity, self.with_tables = _with_own(ops, Op, "identity"), _with_own(ops, Op, "tables")
        self.with_radius = _with_own(ops, TwoStrokeOp, "radius")
        self.with_schedule, self.with_extents = _with_own(ops, TwoStrokeOp, "schedule", "extents"), _with_own(ops, TwoStrokeOp, "extents")
        # Of each reach kernel, whether every pass of its ops works on the whole frame, where no mask says less.
        partly = {ops[i] for i in self.with_extents} | {op for op in self.strokes if any(s.solo for s in op.strokes)}
        self.over_frame = np.array([partly.isdisjoint(served) for served in (shared, *([op] for op in own))])
        self.neutral = np.array([next(iter(op.parameters.values())).neutral for op in ops], dtype=np.float32)
        self.neutral[list(self.with_identity)] = np.nan
        # The branches of settle, as bits, of ops whose first parameter may differ from pixel to pixel.
        branches = {facts[op][0] for op in (*self.points, *self.strokes) if op.modulates}
        self.modulates = sum(1 << branch for branch in branches)
        # What is kept.
        self.rows: dict[tuple[type[Op], tuple[int, int], bytes], Array] = {}  # of tables
        self.layouts: dict[bytes, Any] = {}  # of batches without masks
        self.binaries: dict[tuple[object, ...], Any] = {}  # kernels built for it, by kind of launch and of images

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return vocabulary_of, (self.ops,)  # another process has its own, with what it keeps


def _columns(rows: list[Any], count: int) -> Array:
    return np.ascontiguousarray(np.array(rows, dtype=np.int32).reshape(-1, count).T)


def _with_own(ops: tuple[type[Op], ...], base: type[Op], *hooks: str) -> tuple[int, ...]:
    """Which ops of a kind define one of these hooks themselves."""
    own = (i for i, op in enumerate(ops) if issubclass(op, base))
    return tuple(i for i in own if any(getattr(ops[i], hook).__func__ is not getattr(base, hook).__func__ for hook in hooks))


@lru_cache(maxsize=64)
def vocabulary_of(ops: tuple[type[Op], ...]) -> Vocabulary:
    """That of some ops, by the classes: another op may come to be found by the same name."""
    return Vocabulary(ops)
