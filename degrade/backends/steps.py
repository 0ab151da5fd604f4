"""The ops of a batch that change something: who they are, what passes they take, and their tables."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from degrade.distributions import Array
from degrade.kernels.rng import TABLE_DRAW
from degrade.op import MAX_PARAMETERS, Frame, Op
from degrade.program import Program, uniforms_of

from .arena import Arena, padded
from .vocabulary import Vocabulary

ROW = np.dtype((np.void, 4 * MAX_PARAMETERS))  # the parameters of one op, as bytes
FEW = 8  # different parameters of an op in one batch, up to which they are likely to come again
MOST_ROWS = 1024  # of tables that are kept for one vocabulary


class Steps:
    """The ops that change something, of all samples: an entry for each occupied slot, op by op."""

    def __init__(self, program: Program, vocabulary: Vocabulary, theta: int, slots: Array | None = None) -> None:
        """slots: (b,) from which slot on those of each sample count, for its random numbers; None for 0."""
        self.program, self.vocabulary = program, vocabulary
        self.frame = np.array([0, program.size[0], 0, program.size[1]], dtype=np.int32)
        codes = program.code.reshape(-1)
        place = (codes >= 0).nonzero()[0]  # among the slots of all samples
        code = codes[place]
        if len(vocabulary.ops) > 1:
            order = code.argsort(kind="stable")
            place, code = place[order], code[order]
        self._hold(place, code)
        if not (real := ~self._identity()).all():
            self._hold(place[real], code[real])
        self.row, self.slot = np.divmod(self.place, program.slots)
        self.draws = self.slot if slots is None else self.slot + slots[self.row]
        self.stream = self.draws << 16 | program.drawn_frame[self.row]
        self.parameters = theta + self.place * MAX_PARAMETERS  # where they stand in the arena
        self.branch, self.beyond, self.whole, self.words, self.first, self.passes = vocabulary.facts.take(self.code, axis=1)
        self._schedule()

    def _hold(self, place: Array, code: Array) -> None:
        self.place, self.code = place, code
        self.theta = self.program.theta.reshape(-1, MAX_PARAMETERS).take(place, axis=0)
        edges = code.searchsorted(self.vocabulary.codes).tolist()
        self.spans = {i: slice(begin, end) for i, (begin, end) in enumerate(pairwise(edges)) if begin < end}

    def of(self, ops: tuple[int, ...]) -> list[tuple[int, type[Op], slice]]:
        """Those of these ops that stand anywhere, with their entries."""
        return [(i, self.vocabulary.ops[i], self.spans[i]) for i in ops if i in self.spans]

    def _identity(self) -> Array:
        """Which entries change nothing, or are of no op that has device functions."""
        same = self.theta[:, 0] == self.vocabulary.neutral[self.code]
        for _, op, span in self.of(self.vocabulary.with_identity):
            same[span] = op.identity(self.theta[span])
        return same | (self.vocabulary.facts[0].take(self.code) < 0)

    @cached_property
    def frames(self) -> dict[int, Frame]:
        """What the tables of each op may depend on. The uniforms of all ops come from one Philox call."""
        without = Frame(*self.program.size, np.empty((0, 0)))  # of an op that draws nothing
        frames = dict.fromkeys(self.spans, without)
        drawing = [(i, span, op.needs(self.theta[span])) for i, op, span in self.of(self.vocabulary.with_tables) if op.uniforms]
        if drawing:
            ids = self.program.ids[np.concatenate([self.row[span] for _, span, _ in drawing])]
            stream = np.concatenate([self.draws[span] for _, span, _ in drawing]) << 20 | TABLE_DRAW
            parts = uniforms_of(self.program.key, ids, stream, [(span.stop - span.start, 0, -(-count // 4)) for _, span, count in drawing])
            for (i, _, count), part in zip(drawing, parts):
                frames[i] = frames[i]._replace(u=part[:, :count])
        return frames

    def _schedule(self) -> None:
        """The passes: in one row the strokes of all steps, where a step's begin there, and how far down and to the right each works."""
        frame, own = np.array(self.program.size)[:, None], []
        for i, op, span in self.of(self.vocabulary.with_schedule):
            schedule = op.schedule(self.theta[span], self.frames[i])  # type: ignore[attr-defined]
            real = schedule >= 0
            self.passes[span] = real.sum(1)
            some = i in self.vocabulary.with_extents
            extents = op.extents(self.theta[span], self.frames[i], schedule.shape[1])[real].T if some else frame  # type: ignore[attr-defined]
            own.append((span, schedule[real], extents))
        self.begin = self.passes.cumsum() - self.passes
        of = np.arange(len(self.passes)).repeat(self.passes)
        self.strokes = (self.first - self.begin)[of] + np.arange(len(of))
        self.extent = np.empty((2, len(of)), dtype=np.int32)
        self.extent[:] = frame
        for span, strokes, extents in own:
            at = slice(self.begin[span.start], self.begin[span.start] + len(strokes))
            self.strokes[at] = self.first[span.start] + strokes
            self.extent[:, at] = extents

    def key(self) -> bytes:
        """What a layout without masks depends on."""
        program = self.program
        sizes = np.array([*program.size, *program.code.shape])
        return b"".join(part.tobytes() for part in (sizes, self.place, self.code, self.stream, self.passes, self.strokes, self.extent))

    def radius(self) -> Array:
        """What each reads around a pixel, in pixels."""
        radius = np.zeros(len(self.row), dtype=np.int32)
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
            at = dict(zip(different, arena.add_each(self._kept(op, different, frame))))
        return [at[row] for row in rows]

    def _kept(self, op: type[Op], rows: Iterable[bytes], frame: Frame) -> list[Array]:
        """The table of each of a few parameters, padded: that of earlier batches, or a new one."""
        known, size = self.vocabulary.rows, self.program.size
        tables = {row: known.get((op, size, row)) for row in rows}
        if missing := [row for row, table in tables.items() if table is None]:
            new = dict(zip(missing, map(padded, op.tables(_theta(missing), frame))))
            if len(known) >= MOST_ROWS:
                known.clear()
            known.update(((op, size, row), table) for row, table in new.items())
            tables.update(new)
        return [*tables.values()]  # type: ignore[list-item]


def _theta(rows: Iterable[bytes]) -> Array:
    """Parameters from their bytes."""
    return np.array([*rows], dtype=ROW).view(np.float32).reshape(-1, MAX_PARAMETERS)
