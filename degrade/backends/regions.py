"""The masks of a batch: which multiply, which lie around which, and where each op must be right for what they show."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.masks import find as find_mask
from degrade.masks.combine import combines, mask_numbers, operations
from degrade.program import Program, groups

from .arena import Arena
from .rectangles import cover, dilate, intersect, outwards, repeated, shared
from .steps import Steps


class Regions:
    """The masks, those that multiply side by side. The first of them leads; some leaders blend one op, others a chain of ops."""

    def __init__(
        self, program: Program, numbers: Array, steps: Steps, arena: Arena, masked: tuple[int, int] | None = None, phases: Array | None = None
    ) -> None:
        """masked: the frame that masks are drawn for, if it is not the program's; phases: (b, 2) where it begins in that."""
        self.masked, self.phases = masked or program.size, phases
        self.program, self.steps, self.radius = program, steps, steps.radius()
        self.leader = program.leaders()
        self._upload(numbers, arena)
        leads, one = self.leader == np.arange(len(program.parent)), program.first == program.last
        chains = leads & ~one
        self.single, self.chain = (leads & one).nonzero(), chains.nonzero()
        self.level = self._levels(chains)
        self.depth = int(self.level[self.chain].max(initial=-1)) + 1
        self.rect = self._supports(numbers)  # (4, r, b), of each leader
        self._dilate_chains()
        self.rects = self._rectangles(leads)  # (4, steps), what each must be right on
        # What it reads for that, and if it computes whole blocks, what those that begin there read.
        reach = np.array((self.radius, self.radius + steps.beyond))
        self.read, self.blocks = self._grown(self.rects, reach, steps.whole).swapaxes(0, 1)

    def _upload(self, numbers: Array, arena: Arena) -> None:
        """Each sample's masks beside each other, leader by leader; those that are not used come last."""
        b, r = self.leader.shape
        first = np.arange(b)[:, None] * (r + 1)
        place = (first + np.where(self.leader < 0, r, self.leader)).reshape(-1)
        order = place.argsort(kind="stable")
        fold = self.program.fold
        table = np.empty((b, r, layout.REGION), dtype=np.int32)
        table[:, :, layout.FAMILY] = self.program.family
        table[:, :, layout.NUMBERS] = arena.add(numbers) + np.arange(0, numbers.size, numbers.shape[2]).reshape(b, r)
        table[:, :, layout.FOLD], table[:, :, layout.OPERATIONS] = fold, [len(operations(f)) for f in fold.tolist()]
        table[:, :, layout.DOWN : layout.RIGHT + 1] = self.program.shift.view(np.int32)
        self.table = arena.add(table.reshape(b * r, layout.REGION).take(order, axis=0))
        count = np.bincount(place, minlength=b * (r + 1)).reshape(b, r + 1)
        self.begin, self.count = count.cumsum().reshape(count.shape) - count, count  # of the masks of each leader

    def _supports(self, numbers: Array) -> Array:
        """Where each mask is not 0. A leader's is that of all that are blended with it."""
        program, leader, moved = self.program, self.leader, self.program.shift
        support = self.steps.frame.repeat(leader.size).reshape(4, *leader.shape[::-1])
        rows, regions = (program.family >= 0).nonzero()
        for family, own in groups(program.family[rows, regions]):
            row, region = rows[own], regions[own]
            mask, shift = find_mask(program.families[family]), moved[row, region]
            rect = mask.support(numbers[row, region], *self.masked)
            rect = mask.moved(rect, shift, *self.masked) if shift.any() else rect
            support[:, region, row] = outwards(rect if self.phases is None else rect + self.phases[row][:, [0, 0, 1, 1]])
        if combines(program.fold):
            return self._combined(support)
        for inner in (program.parent >= 0).nonzero()[0][::-1].tolist():
            outer = program.parent[inner]
            joined = (leader[:, inner] == leader[:, outer]) & (leader[:, inner] >= 0)
            np.copyto(support[:, outer], intersect(support[:, outer], support[:, inner]), where=joined)
        return support

    def _combined(self, support: Array) -> Array:
        """The same where masks are combined: what their folds do to weights is done to supports."""
        out, number = support.copy(), mask_numbers(self.program.fold.tolist())
        for own in (np.flatnonzero(np.equal(number, n)) for n in range(number[-1] + 1)):
            held: list[Array] = []
            for region in own.tolist():
                held.append(support[:, region])
                for operation in operations(int(self.program.fold[region])):
                    if operation == layout.INVERT:
                        held[-1] = repeated(self.steps.frame, held[-1].shape[1])
                    elif len(held) > 1:
                        top, under = held.pop(), held.pop()
                        held.append(
                            under if operation == layout.DIFFERENCE else cover(under, top) if operation == layout.UNION else intersect(under, top)
                        )
            mask = held.pop()  # what the last product leaves on the stack
            rows = self.leader[:, own[0]]
            for leader in np.unique(rows[rows >= 0]).tolist():
                here = rows == leader
                first = own[0] == leader
                out[:, leader, here] = mask[:, here] if first else intersect(out[:, leader, here], mask[:, here])
        return out

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

        An op that computes whole blocks reads, from a pixel, its radius and the rest of the block at the end of it. Outside the chain around it there is
        nothing for a chain to blend.
        """
        rows, regions = self.chain
        if not len(rows):
            return
        program, steps = self.program, self.steps
        read = np.zeros((2, len(program), program.slots + 1), dtype=np.int32)
        read[0, steps.row, steps.slot + 1], read[1, steps.row, steps.slot + 1] = self.radius + steps.beyond, steps.whole
        read = read.cumsum(2, dtype=np.int32)
        reach, whole = read[:, rows, program.last[self.chain] + 1] - read[:, rows, program.first[self.chain]]
        self.rect[:, regions, rows] = self._grown(self.rect[:, regions, rows], reach[None], whole)[:, 0]
        if self.depth > 1:
            for region in np.unique(regions[program.parent[regions] >= 0]).tolist():  # rising, so that the chain around it is done
                inner = rows[regions == region]
                outer = self.leader[inner, program.parent[region]]
                inner, outer = inner[outer >= 0], outer[outer >= 0]
                self.rect[:, region, inner] = intersect(self.rect[:, region, inner], self.rect[:, outer, inner])

    def _rectangles(self, leads: Array) -> Array:
        """What all regions around a step share."""
        row, slot, program = self.steps.row, self.steps.slot, self.program
        first = np.where(leads, program.first, program.slots).T
        around = (first.take(row, axis=1) <= slot) & (slot <= program.last.T.take(row, axis=1))
        return shared(np.where(around, self.rect.take(row, axis=2), self.steps.frame[:, None, None]))

    def _grown(self, rect: Array, by: Array, whole: Array) -> Array:
        """Rectangles (4, n) grown by each row of pixels (k, n), or the whole frame: (4, k, n)."""
        frame = self.steps.frame[:, None, None]
        grown = dilate(rect[:, None], by, frame)
        np.copyto(grown, frame, where=whole > 0)
        return grown
