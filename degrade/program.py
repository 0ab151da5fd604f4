"""Programs: what a pipeline drew for one batch, as plain arrays. Saved, replayed, compared, printed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .distributions import Array
from .kernels import rng
from .masks.base import MAX_NUMBERS
from .masks.combine import expression, modulates
from .op import Op
from .ops import find
from .storing import write_whole
from .stream import STREAM

CALL_MASK = -1  # in place of a map's row: what the call gives or makes for the sample


PER_SAMPLE = (
    "ids",
    "code",
    "theta",
    "severity",
    "level",
    "family",
    "numbers",
    "first",
    "last",
    "velocity",
    "frame",
    "phase",
)  # fields with a row for each sample
NOISES = ("fresh", "frozen")
PHASES = 16  # pixels by which a block grid may be shifted, down and to the right


@dataclass(frozen=True, eq=False)
class Program:
    """What is done to each of b samples, in s slots, with r regions (one per mask of the recipe).

    A region spans the slots first…last of a sample: its chain runs, then is blended once under the mask against the
    image before it. Regions of equal span, one directly inside the other, are blended as one: their weights multiply, or are
    combined as their folds say (`degrade.masks.combine`).

    The cells of a partition are regions whose weights, 0 or 1, do not overlap. The chain of each starts from the image before them all.

    A sample may also be a clip, or one frame of it: number `frame` of it, for which its masks have moved by as many velocities.
    """

    ops: tuple[str, ...]  # vocabulary of `code`
    families: tuple[str, ...]  # vocabulary of `family`
    size: tuple[int, int]  # height, width the masks were drawn for, in pixels
    key: int  # 64-bit Philox key, with seed, epoch and view folded in
    ids: Array  # (b,) int64 sample ids
    code: Array  # (b, s) int16, -1 where the slot is empty
    theta: Array  # (b, s, MAX_PARAMETERS) float32 parameters
    severity: Array  # (b, s) float32 in 0..1
    level: Array  # (b, s) float32, NaN where no level was drawn
    family: Array  # (b, r) int16, -1 where the region is not used
    numbers: Array  # (b, r, columns_of(families)) float32, what the mask family drew
    first: Array  # (b, r) int16
    last: Array  # (b, r) int16
    parent: Array  # (r,) int16, the region directly around each region, -1 for none
    fold: Array  # (r,) int32, what becomes of each region's weight; a mask by itself multiplies
    partition: Array  # (r,) int16, of which partition each region is a cell, -1 for none
    velocity: Array  # (b, r, 2) float32, how far each mask moves down and to the right from frame to frame of a clip, in pixels
    phase: Array  # (b, s, 2) int16, how far down and to the right the block grid of each op begins, 0 to 15 pixels
    frame: Array  # (b,) int32, which frame each sample is, or a clip begins with; 0 for images
    maps: torch.Tensor | None = None  # (k, h, w) float32 stored masks
    noise: str = "fresh"  # whether random numbers of pixels differ between the frames of a clip, or are those of frame 0: "frozen"

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def slots(self) -> int:
        return self.code.shape[1]

    def identity(self) -> Array:
        """Which slots hold parameters that change nothing: (b, s) bool."""
        same = np.zeros(self.code.shape, dtype=bool)
        for op, rows, slots in self.taken():
            same[rows, slots] = op.identity(self.theta[rows, slots])
        return same

    def taken(self) -> Iterator[tuple[type[Op], Array, Array]]:
        """Each op that stands in some slot, with the samples and the slots where it stands."""
        rows, slots = (self.code >= 0).nonzero()
        for code, own in groups(self.code[rows, slots]):
            yield find(self.ops[code]), rows[own], slots[own]

    def waiting(self) -> Array:
        """Which regions read a mask that a call gives or makes: (b, r) bool."""
        reads = self.reads_map()
        return reads & (self.numbers[..., 0] == CALL_MASK) if reads.any() else reads

    def reads_map(self) -> Array:
        """Which regions read a stored map, or one of a call: (b, r) bool."""
        from .masks import find as find_mask

        reading = [i for i, name in enumerate(self.families) if find_mask(name).reads_map]
        return np.isin(self.family, reading) if reading else np.zeros(self.family.shape, dtype=bool)

    def leaders(self) -> Array:
        """The outermost region of equal span around each region, (b, r) int; their masks multiply. -1 where unused."""
        leader = np.empty(self.family.shape, dtype=np.int64)
        leader[:] = np.arange(len(self.parent))
        for region in (self.parent >= 0).nonzero()[0].tolist():
            parent = self.parent[region]
            if self.partition[parent] >= 0:
                continue  # a cell is more than a mask
            equal = (self.first[:, parent] == self.first[:, region]) & (self.last[:, parent] == self.last[:, region])
            leader[:, region] = np.where(equal, leader[:, parent], leader[:, region])
        return np.where(self.family >= 0, leader, -1)

    @property
    def shift(self) -> Array:
        """How far each mask has moved down and to the right, in pixels: (b, r, 2) float32."""
        return self.velocity * self.frame.astype(np.float32)[:, None, None]

    @property
    def drawn_frame(self) -> Array:
        """The frame whose random numbers each sample has: (b,)."""
        return self.frame * (self.noise == "fresh")

    def from_frame(self, frame: int) -> Program:
        """The same for clips, or images, that begin with a later frame.

        Args:
            frame: how many frames later, from 0.

        Raises:
            ValueError: what is no number of a frame.
        """
        most = rng.FRAMES - 1 - int(self.frame.max(initial=0))
        if not isinstance(frame, (int, np.integer)) or isinstance(frame, bool) or not 0 <= frame <= most:
            raise ValueError(f"frame={frame!r} is not accepted; accepted: a whole number from 0 to {most}.")
        return replace(self, frame=self.frame + np.int32(frame))

    def by_frame(self, count: int) -> Program:
        """The program of clips of so many frames as that of all frames, one after the other.

        Raises:
            ValueError: longer clips than random numbers tell apart.
        """
        most = rng.FRAMES - int(self.frame.max(initial=0))
        if count > most:
            raise ValueError(
                f"x has clips of {count} frames; accepted: at most {most}, since a frame's number has 16 bits of a random number's counter."
            )
        frames = self.select(np.arange(len(self)).repeat(count))
        return replace(frames, frame=frames.frame + np.tile(np.arange(count, dtype=np.int32), len(self)))

    def select(self, rows: Any) -> Program:
        """The program of some samples: a slice, an index, a list or an array of indices."""
        rows = np.arange(len(self))[rows]
        rows = np.atleast_1d(rows)
        return replace(self, **{name: getattr(self, name)[rows] for name in PER_SAMPLE})

    __getitem__ = select

    def between(self, begin: Array, end: Array) -> Program:
        """The program with all slots emptied but those from `begin` to before `end` of each sample, (b,) each, in the form in which it would
        have been drawn: regions end at their last occupied slot, and those of no occupied slot are gone."""
        slot = np.arange(self.slots)
        code = np.where((slot >= begin[:, None]) & (slot < end[:, None]), self.code, np.int16(-1))
        empty = code < 0
        first, last, gone = occupied(code, self.first, self.last)
        return replace(
            self,
            code=code,
            theta=np.where(empty[:, :, None], np.float32(0), self.theta),
            severity=np.where(empty, np.float32(0), self.severity),
            level=np.where(empty, np.float32(np.nan), self.level),
            family=np.where(gone, np.int16(-1), self.family),
            numbers=np.where(gone[:, :, None], np.float32(0), self.numbers),
            velocity=np.where(gone[:, :, None], np.float32(0), self.velocity),
            phase=np.where(empty[:, :, None], np.int16(0), self.phase),
            first=first,
            last=last,
        )

    def to(self, device: str | torch.device) -> Program:
        """The program with its stored masks on a device; all else is drawn and planned on the host."""
        return self if self.maps is None else replace(self, maps=self.maps.to(device))

    def equals(self, other: object) -> bool:
        """Whether two programs are the same to the bit."""
        return isinstance(other, Program) and all(_same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    # ---- for people ------------------------------------------------------------------------------------------------------

    def describe(self, sample: int) -> str:
        """One sample in one line, e.g. `gaussian_blur(sigma=2.1) in ellipse, then jpeg(quality=12)`."""
        parts = []
        for slot in range(self.slots):
            if self.code[sample, slot] < 0:
                continue
            name = self.ops[self.code[sample, slot]]
            given = ", ".join(
                f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in find(name).describe(self.theta[sample, slot]).items()
            )
            around = (self.family[sample] >= 0) & (self.first[sample] <= slot) & (slot <= self.last[sample])
            masks = [(self.families[self.family[sample, r]], int(self.fold[r])) for r in np.flatnonzero(around).tolist()]
            how = "by" if modulates(self.fold[around]) else "in"
            shifted = " at ({}, {})".format(*self.phase[sample, slot]) if self.phase[sample, slot].any() else ""
            parts.append(f"{name}({given}){shifted}" + (f" {how} {expression(masks)}" if masks else ""))
        return ", then ".join(parts) or "nothing"

    def __repr__(self) -> str:
        head = f"Program of {len(self)} samples, {self.slots} slots, drawn for {self.size[0]}x{self.size[1]}, stream {STREAM}"
        lines = [f"  id {self.ids[i]}: {self.describe(i)}" for i in range(min(len(self), 8))]
        return "\n".join([head, *lines, *(["  …"] if len(self) > 8 else [])])

    def show(self, x: torch.Tensor, sample: int = 0, mask: torch.Tensor | None = None) -> Any:
        """One sample as a matplotlib Figure, which a notebook displays: original, result, outlined masks, severity, and the program in words.

        See `degrade.figure.figure` for the arguments and what is raised. No window opens, and pyplot is not imported.
        """
        # By name, for drawing lies above programs: only who asks for a figure reaches up there.
        return import_module("degrade.figure").figure(self, x, sample, mask)

    # ---- files -----------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain data, exact: floats are written so that they read back to the same bits."""
        from .program_data import to_data

        return to_data(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Program:
        """The inverse of `to_dict`.

        Raises:
            ValueError: if it is not a program, is of another STREAM, or names an unknown op or mask.
        """
        from .program_data import from_data

        return from_data(data)

    def check(self) -> None:
        """Refuse what no pipeline draws.

        Raises:
            ValueError: naming what is wrong.
        """
        from .program_data import check

        check(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON; the file appears whole or not at all."""
        write_whole(path, json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Program:
        """Read what `save` wrote.

        Raises:
            ValueError: as `from_dict`. OSError: if the file cannot be read.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"path={str(path)!r} is not a degrade program: {error}.") from None
        return cls.from_dict(data)


def columns_of(families: tuple[str, ...]) -> int:
    """How many numbers the largest of these mask families stores, and at least those that device functions get as values."""
    from .masks import find as find_mask

    return max((find_mask(name).columns for name in families), default=MAX_NUMBERS)


def uniforms_of(key: int, ids: Array, stream: Any, blocks: list[tuple[int, int, int]]) -> list[Array]:
    """Uniforms for many at once, since a Philox call costs about the same for one sample as for hundreds.

    Args:
        ids: those of all samples, one block after the other.
        stream: word 1 of their counters, one for all or one for each.
        blocks: of each how many samples it has, their first counter, and how many counters.

    Returns:
        (samples, 4 · counters) float64 in (0, 1) for each block.
    """
    n, first, counters = np.array(blocks).T
    each = counters.repeat(n)
    column = np.arange(int(n @ counters)) + (first.repeat(n) - each.cumsum() + each).repeat(each)
    low, high = rng.halves(ids.repeat(each))
    u = rng.quadruples(key, column, (np.zeros(len(ids), dtype=np.int64) + stream).repeat(each), low, high)
    ends = (n * counters).cumsum().tolist()
    return [u[end - k * c : end].reshape(k, 4 * c) for end, (k, _, c) in zip(ends, blocks)]


def occupied(code: Array, first: Array, last: Array) -> tuple[Array, Array, Array]:
    """The first and the last occupied slot of each region (b, r) that spans the slots first…last, -1 where it has none; and which have none."""
    if not first.size or not code.size:
        return first, last, np.ones(first.shape, dtype=bool)
    slot, used, row = np.arange(code.shape[1]), code >= 0, np.arange(len(code))[:, None]
    following = np.minimum.accumulate(np.where(used, slot, len(slot))[:, ::-1], axis=1)[:, ::-1]  # the first occupied one from each slot on
    before = np.maximum.accumulate(np.where(used, slot, -1), axis=1)  # the last one up to each slot
    begin, end = following[row, first], before[row, last]
    empty: Array = (first < 0) | (begin > end)
    return np.where(empty, -1, begin).astype(np.int16), np.where(empty, -1, end).astype(np.int16), empty


def groups(codes: Array) -> Iterator[tuple[int, Array]]:
    """Each value of a 1-D array of numbers from 0, rising, with the positions where it stands, rising too."""
    order, begin = codes.argsort(kind="stable"), 0
    for code, count in enumerate(np.bincount(codes).tolist()):
        if count:
            yield code, order[begin : begin + count]
            begin += count


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a.cpu(), b.cpu())
    return bool(a == b)
