"""Several soft masks in one image, with a say in how they overlap.

Each mask may be moved: of several candidates, which are compared with the other masks on a coarse lattice of points, the best is kept.
Weights count there as whole numbers from 0 to 255, whose sums have no order: what a sample gets never depends on its batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch

from .distributions import Array, parse
from .errors import unknown
from .masks._lattice import lattice
from .masks.combine import evaluate, parts
from .parameter import Param
from .recipe import Compose, Local
from .sheet import Sheet

POINTS = 32  # the lattice has about this many points squared
REACHES = 5  # of moves: anywhere, half as far, …, a sixteenth
ROUND = 16  # candidates at a time at most: samples that are content need no more
PIECE = 128  # candidates whose weights fit the cache together
WHOLE = 255.0
MOST_TRIES = 4096
KEPT = ("area", "feather")  # what a candidate has as it was drawn


class Kind(NamedTuple):
    """A way to overlap. How far a mask is *off* is 0 where the wish is met and 1 at worst."""

    enough: float  # a candidate off by no more is taken without a look at those after it
    told: float  # what is warned of
    every: bool  # measured against all masks before, or against the last of them alone
    missed: str
    advice: str


DISJOINT = Kind(0.01, 0.05, True, "at worst masks share {0:.2f} of the smaller one", "smaller areas")
NESTED = Kind(0.01, 0.1, False, "at worst {1:.2f} of a mask lies in the one before", "areas that are each smaller than the one before")
TARGET = Kind(0.02, 0.1, False, "at worst the IoU is off by {0:.2f}", "areas that allow it")
NAMED = {"free": None, "disjoint": DISJOINT, "nested": NESTED}


class Together(Compose):
    """All children, in order, with masks that keep to each other. Each child is a `Local`.

    overlap says how, for masks a and a later b with weights in [0, 1]:

        "free"      as they are drawn, which is what `Compose` does
        "disjoint"  the greatest Σ min(a, b) / min(Σ a, Σ b) of all pairs is as small as possible
        "nested"    each mask lies in the one before: Σ min(a, b) / Σ b is as near 1 as possible
        a target    Σ min(a, b) / Σ max(a, b) with the mask before, their soft intersection over union, is as near to it as possible

    Areas and feathers are as drawn, so that their distributions stay as they were asked for; places, angles and shapes are drawn again until
    the wish is met within 0.01 (a target within 0.02), `tries` times at most, and the best is kept, the first of equal ones. A mask that its `p` or
    an op's skips is not there for the others. Masks inside a child, and those around the whole, are as they are.

    Of clips with masks that move, all this is about the first frame.

    `labels.overlap` holds what was reached. A pipeline warns once when a wish is missed: an overlap above 0.05, less than 0.9 of a mask in
    the one before, or a target missed by more than 0.1. More is reached with more tries, and with areas that allow it: smaller ones for
    "disjoint", each smaller than the one before for "nested", similar ones for a target near 1.

    Args:
        *children: `Local`s.
        overlap: "free", "disjoint", "nested", or the target: a number, (low, high) or a distribution in [0, 1], drawn for each further mask.
        tries: how often a mask is drawn at most, from 1 to 4096. Drawing takes time in proportion where they are needed.
        p: probability that the whole is applied.

    Raises:
        TypeError: a child that is no `Local`, or an overlap that is not understood.
        ValueError: an overlap or tries out of range, or, unless overlap is "free", a mask that is given or made at the call.
    """

    def __init__(self, *children: Local, overlap: Any = "free", tries: int = 32, p: float = 1.0) -> None:
        for child in children:
            if not isinstance(child, Local):
                raise TypeError(f"Together child {child!r} is not understood; accepted: Local(op, mask=...), whose masks it arranges.")
        super().__init__(*children, p=p)
        if isinstance(overlap, str):
            if overlap not in NAMED:
                raise ValueError(unknown("overlap", overlap, NAMED))
            self.overlap: Any = overlap
        else:
            self.overlap = Param(0.0, 1.0).check("overlap", parse("overlap", overlap))
        if not isinstance(tries, (int, np.integer)) or isinstance(tries, bool) or not 1 <= tries <= MOST_TRIES:
            raise ValueError(f"tries={tries!r} is not accepted; accepted: a whole number from 1 to {MOST_TRIES}.")
        self.tries = int(tries)
        waiting = sorted({leaf.mask.name for child in children for leaf in child.leaves if leaf.mask.reads_map and leaf.mask.bank is None})
        if self.overlap != "free" and waiting:
            raise ValueError(
                f"overlap={overlap!r} needs masks that are known when they are drawn, and {', '.join(waiting)} waits for the call; "
                "accepted there: overlap='free'."
            )

    @cached_property
    def spare(self) -> int:  # type: ignore[override]
        """For each child a target, then the candidates after the first, all leaves of one together."""
        return 0 if self.overlap == "free" else sum(1 + (self.tries - 1) * child.own for child in self.locals)

    @property
    def locals(self) -> tuple[Local, ...]:
        return self.children  # type: ignore[return-value]

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        super().draw(sheet, rows, slots, at, region)
        if self.spare:
            sheet.afterwards(partial(self._arrange, rows=rows, at=at, region=region))

    def _arrange(self, sheet: Sheet, rows: Array, at: int, region: int) -> None:
        kind = NAMED[self.overlap] if isinstance(self.overlap, str) else TARGET
        assert kind is not None
        masks, further = [], at + self.uniforms - self.spare
        for child, uniform, inside in self.placed:
            assert isinstance(child, Local)
            there = (sheet.family[rows, region + inside] >= 0).nonzero()[0]
            target = self.overlap.draw(sheet.further(rows, further, 1)[:, 0]) if kind is TARGET else np.zeros(len(rows))
            masks.append(Candidates(sheet, child, rows, there, region + inside, at + uniform + 1, further + 1, target))
            further += 1 + (self.tries - 1) * child.own
        off = arrange(masks, kind, self.tries)
        missed = int((off > kind.told).sum())
        if missed and region not in sheet.outline.warned:
            sheet.outline.warned.add(region)
            warnings.warn(
                f"Together(overlap={self.options()['overlap']!r}) is missed in {missed} of {len(sheet.ids)} samples: "
                f"{kind.missed.format(off.max(), 1.0 - off.max())}. Give more tries than {self.tries}, or {kind.advice}.",
                stacklevel=2,
            )

    def options(self) -> dict[str, Any]:
        overlap = self.overlap if isinstance(self.overlap, str) else self.overlap.to_dict()
        tries = {} if self.tries == 32 else {"tries": self.tries}
        return {**({} if overlap == "free" else {"overlap": overlap}), **tries, **super().options()}


class Candidates:
    """The mask of one `Local` for n samples: what each sample has now, and how others are drawn.

    there    which of the samples have the mask
    u        (n, draws) the uniforms it is drawn from
    weights  (n, points) float32, whole numbers from 0 to 255, whose sums are exact
    total    (n,) their sums
    target   (n,) the IoU that is wished for with the mask before
    """

    def __init__(self, sheet: Sheet, child: Local, rows: Array, there: Array, region: int, at: int, further: int, target: Array) -> None:
        """region: the first of its regions. at, further: the first uniform of the mask as drawn, and of the candidates after it."""
        self.sheet, self.child, self.rows, self.there, self.region, self.further, self.target = sheet, child, rows, there, region, further, target
        y, x, _ = lattice(sheet.height, sheet.width, POINTS)
        self.y, self.x = torch.from_numpy(y)[:, None], torch.from_numpy(x)
        self.u = np.zeros((len(rows), child.own))
        self.weights, self.total = torch.zeros((len(rows), len(y) * len(x))), np.zeros(len(rows))
        self.moves = np.concatenate([[name not in KEPT for name in leaf.mask.values] + [True] * leaf.mask.shape_draws for leaf in child.leaves])
        for piece in pieces(there, PIECE):
            self.u[piece] = sheet.further(rows[piece], at, child.own)
            self.weights[torch.from_numpy(piece)] = weights = self.render([own[:, None] for own in self.drawn(self.u[piece])])[:, 0]
            self.total[piece] = sums(weights)

    def others(self, samples: Array, first: int, count: int) -> Array:
        """Uniforms (s, count, draws) of the candidates first…first + count: what there is, moved anywhere, half as far, a quarter, …"""
        own = self.child.own
        u = self.sheet.further(self.rows[samples], self.further + (first - 1) * own, count * own).reshape(-1, count, own)
        reach = 0.5 ** (np.arange(first - 1, first - 1 + count) % REACHES)
        moved = self.u[samples, None] + self.moves * (u - 0.5) * reach[:, None]
        return np.maximum(moved - np.floor(moved), 2.0**-33)

    def drawn(self, u: Array) -> list[Array]:
        """The numbers of each leaf from uniforms (s, draws)."""
        ends = np.cumsum([leaf.mask.draws for leaf in self.child.leaves])[:-1]
        return [leaf.mask.draw(own, self.sheet.height, self.sheet.width) for leaf, own in zip(self.child.leaves, np.split(u, ends, axis=1))]

    def render(self, numbers: list[Array]) -> torch.Tensor:
        """Weights (s, count, points) from each leaf's numbers (s, count, columns)."""
        s, count, _ = numbers[0].shape
        weights = []
        for leaf, own in zip(self.child.leaves, numbers):
            columns = torch.from_numpy(own.reshape(s * count, -1)).T[:, :, None, None]
            weights.append(leaf.mask.weight(self.y, self.x, tuple(columns), leaf.mask.bank))
        return torch.floor(evaluate(weights, parts(self.child.mask)) * WHOLE + 0.5).reshape(s, count, -1)

    def keep(self, samples: Array, u: Array, numbers: list[Array], weights: torch.Tensor) -> None:
        """Take these masks for these samples."""
        self.u[samples], self.weights[torch.from_numpy(samples)], self.total[samples] = u, weights, sums(weights)
        for i, (leaf, own) in enumerate(zip(self.child.leaves, numbers)):
            self.sheet.write(leaf.mask, self.rows[samples], self.region + i, own)


def arrange(masks: list[Candidates], kind: Kind, tries: int) -> Array:
    """Choose among candidates; how far each sample is off in the end. Each mask is tried twice: against those before, then against all."""
    there = np.zeros((len(masks), len(masks[0].rows)), dtype=bool)
    for mask, own in zip(masks, there):
        own[mask.there] = True
    half = (tries + 1) // 2
    for i, mask in enumerate(masks):
        before = there.copy()
        before[i + 1 :] = False
        improve(mask, neighbours(masks, i, before, kind), kind, range(1, half))
    for i, mask in enumerate(masks):
        improve(mask, neighbours(masks, i, there, kind), kind, range(half, tries))
    return np.max([off_now(mask, neighbours(masks, i, there, kind), kind) for i, mask in enumerate(masks)], axis=0)


class Neighbour(NamedTuple):
    """A mask that another is measured against."""

    mask: Candidates
    meets: Array  # (n,) bool, in which samples
    before: bool  # whether it comes first


def neighbours(masks: list[Candidates], i: int, there: Array, kind: Kind) -> list[Neighbour]:
    """What the i-th mask is measured against. there: (masks, n) bool, which count."""
    out = []
    for j, other in enumerate(masks):
        meets = there[i] & there[j] & (j != i)
        if not kind.every:
            meets &= ~there[min(i, j) + 1 : max(i, j)].any(0)
        if meets.any():
            out.append(Neighbour(other, meets, j < i))
    return out


def improve(mask: Candidates, others: list[Neighbour], kind: Kind, candidates: range) -> None:
    """Look through further candidates for the samples that are not content, more at a time the longer it takes."""
    off = off_now(mask, others, kind)
    first = candidates.start
    while first < candidates.stop and mask.moves.any() and len(samples := mask.there[off[mask.there] > kind.enough]):
        count = min(1 + first - candidates.start, ROUND, candidates.stop - first)
        try_some(mask, samples, mask.others(samples, first, count), others, off, kind)
        first += count


def try_some(mask: Candidates, samples: Array, u: Array, others: list[Neighbour], off: Array, kind: Kind) -> None:
    """Keep what is better among candidates drawn from u: (s, count, draws), and note how far it is off."""
    s, count, draws = u.shape
    numbers = [own.reshape(s, count, -1) for own in mask.drawn(u.reshape(s * count, draws))]
    for at in pieces(np.arange(s), max(1, PIECE // count)):
        weights = mask.render([own[at] for own in numbers])
        found = measure(mask, weights, samples[at], others, kind)
        best = found.argmin(1)
        found = found[np.arange(len(at)), best]
        better = (found < off[samples[at]]).nonzero()[0]
        if len(better):
            rows, best = at[better], best[better]
            off[samples[rows]] = found[better]
            kept = weights[torch.from_numpy(better), torch.from_numpy(best)]
            mask.keep(samples[rows], u[rows, best], [own[rows, best] for own in numbers], kept)


def off_now(mask: Candidates, others: list[Neighbour], kind: Kind) -> Array:
    """How far each sample's mask is off as it is: (n,)."""
    off = np.zeros(len(mask.rows))
    for piece in pieces(mask.there, PIECE):
        off[piece] = measure(mask, mask.weights[torch.from_numpy(piece)][:, None], piece, others, kind)[:, 0]
    return off


def measure(mask: Candidates, weights: torch.Tensor, samples: Array, others: list[Neighbour], kind: Kind) -> Array:
    """How far candidates with these weights (s, count, points) are off, at worst of all others: (s, count)."""
    total = sums(weights)
    out = np.zeros(weights.shape[:2])
    for other, meets, before in others:
        if not meets[samples].any():
            continue
        shared = sums(torch.minimum(weights, other.weights[torch.from_numpy(samples)][:, None]))
        beside = other.total[samples, None]
        if kind is DISJOINT:
            off = shared / np.maximum(np.minimum(total, beside), 1.0)
        elif kind is NESTED:
            inner = total if before else beside
            off = np.where(inner > 0.0, 1.0 - shared / np.maximum(inner, 1.0), 0.0)
        else:
            wish = (mask if before else other).target[samples, None]
            off = np.abs(shared / np.maximum(total + beside - shared, 1.0) - wish)
        np.maximum(out, np.where(meets[samples, None], off, 0.0), out=out)
    return out


def pieces(samples: Array, size: int) -> Iterator[Array]:
    """Parts of at most this size."""
    return (samples[start : start + size] for start in range(0, len(samples), size))


def sums(weights: torch.Tensor) -> Array:
    """Sums over points, exact."""
    total: Array = weights.sum(-1).numpy().astype(np.float64)
    return total
