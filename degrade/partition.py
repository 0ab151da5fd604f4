"""Partition: every cell of the frame gets degradations of its own."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .cells import Cells
from .distributions import Array
from .kernels.plan import PRODUCT
from .masks.combine import Leaf, then
from .program import groups
from .recipe import Combinator, Node, fill, refuse_alone, slots_of
from .sheet import Sheet


class Partition(Combinator):
    """Part the frame into cells, and degrade each as if it were alone.

    Each cell draws from the child anew, by its own chance: a child with p=0.3 degrades three cells in ten. Each cell's chain reads the image as
    it was before the Partition, also beyond the cell's edge, and changes the pixels of its cell alone; cells do not overlap. So what a blur
    brings across an edge is the original, whatever the neighbour gets.

    Args:
        child: an op or combinator, drawn for every cell.
        cells: how the frame is parted: `cells.Voronoi(count=(6, 16))`, `cells.Grid(rows=4, columns=4)` or `cells.Segments()`.
        p: probability that the whole is applied.

    A Partition stands in Compose, OneOf or SomeOf; what is local to a cell stands inside it.

    Raises:
        TypeError: cells that are none, a child that is none. ValueError: a Partition inside another, or inside a Local.
    """

    parallel = alone = True
    decides = False

    def __init__(self, child: Node, cells: Cells, p: float = 1.0) -> None:
        if not isinstance(cells, Cells):
            raise TypeError(f"cells={cells!r} is not understood; accepted: cells.Voronoi(), cells.Grid() or cells.Segments(), from degrade.cells.")
        super().__init__(tuple(InCell(child, cells) for _ in range(cells.most())), p)
        refuse_alone(self.child, "Partition")
        self.cells = cells

    @property
    def child(self) -> Node:
        return self.children[0].children[0]  # type: ignore[union-attr]

    @cached_property
    def own(self) -> int:  # type: ignore[override]
        return self.cells.draws

    @cached_property
    def slots(self) -> int:
        return sum(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        numbers, count = self.cells.cells(sheet.further(rows, at + 1, self.own), sheet.height, sheet.width)
        cells, of = (np.arange(len(self.placed))[:, None] < count).nonzero()
        each = slots_of(self.children[0])
        rows, first, regions = rows[of], slots[of] + each * cells, region + np.array([inside for _, _, inside in self.placed])[cells]
        sheet.confine_to(self.cells.family, numbers[of, cells], rows, first, first + each - 1, regions)
        for i, own in groups(cells):
            cell, uniform, inside = self.placed[i]
            fill(cell, sheet, rows[own], first[own], at + uniform, region + inside)

    def __repr__(self) -> str:
        inside = [repr(self.child), f"cells={self.cells!r}"] + [f"{k}={v}" for k, v in self.options().items()]
        return f"Partition({', '.join(inside)})"


class InCell(Combinator):
    """The child of a Partition in one of its cells."""

    masked = 1

    def __init__(self, child: Node, cells: Cells) -> None:
        super().__init__((child,), 1.0)
        self.leaves = (Leaf(cells.family(), then(0, PRODUCT)),)

    @cached_property
    def slots(self) -> int:
        return slots_of(self.children[0])

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        ((child, uniform, inside),) = self.placed
        fill(child, sheet, rows, slots, at + uniform, region + inside)
