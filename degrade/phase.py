"""Phase: a block grid that begins anywhere."""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np

from .distributions import Array
from .op import Op
from .program import PHASES
from .recipe import Combinator, Node, OneOf, Relative, fill, slots_of, walk
from .sheet import Sheet


class Phase(Combinator):
    """A block grid that begins anywhere, as that of a picture cut out of another: 0 to 15 pixels down and to the right, drawn for each sample.

    The child works on the image extended by 16 pixels, its border repeated, and the extension is cut off again. So the blocks at the edges
    are parts of blocks.

    Args:
        child: an op with a block grid (`op.on_grid`), such as Jpeg(), or OneOf several.
        p: probability that the child is applied.

    A Phase stands by itself or alone in a Local: not in a chain under a mask, nor in a Partition.

    Raises:
        ValueError: a child without a block grid, naming it.
    """

    own = 2
    alone = one_slot = True

    def __init__(self, child: Node, p: float = 1.0) -> None:
        super().__init__((child,), p)
        for node in walk(child):
            if not (isinstance(node, (OneOf, Relative)) or (isinstance(node, Op) and node.on_grid)):
                raise ValueError(
                    f"Phase of {type(node).__name__} is not accepted; accepted: an op with a block grid, such as Jpeg(), or OneOf several."
                )

    @cached_property
    def slots(self) -> int:
        return slots_of(self.children[0])

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        sheet.afterwards(partial(self._begin, rows=rows, slots=slots, at=at))
        ((child, uniform, inside),) = self.placed
        fill(child, sheet, rows, slots, at + uniform, region + inside)

    def _begin(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        """Write where the grids of the ops that are there begin."""
        real = sheet.code[rows, slots] >= 0
        sheet.phase[rows[real], slots[real]] = np.floor(sheet.decision(rows[real], at + 1, self.own) * PHASES)
