"""Ways to part the frame into cells, for `Partition`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from .distributions import Array, parse
from .errors import unknown
from .masks import _cells
from .masks._cells import BOX, COUNT, FIRST, INDEX, MOST, RUNS, SECOND, Cell
from .masks.base import drawn_value
from .masks.segments import as_runs, labels_given
from .parameter import Param
from .program import CALL_MASK

SEED = 1 << 24  # two whole numbers below it, which float32 holds, seed what is random


class Cells:
    """A way to part the frame."""

    family: ClassVar[type[Cell]]
    draws: ClassVar[int] = 3  # uniforms it takes

    def numbers(self, u: Array, height: int, width: int) -> Array:
        """What stands for all cells of n partitions, (n, columns) float32, from uniforms u: (n, draws)."""
        raise NotImplementedError

    def cells(self, u: Array, height: int, width: int) -> tuple[Array, Array]:
        """The numbers of each cell, (n, MOST, columns), and how many there are, (n,)."""
        shared = self.numbers(u, height, width)
        out = np.repeat(shared[:, None], MOST, axis=1)
        out[:, :, 0], out[:, :, INDEX], out[:, :, BOX] = CALL_MASK, np.arange(MOST), self.family.boxes(shared, height, width)
        return out, shared[:, COUNT].astype(np.int64)

    def most(self) -> int:
        """How many cells there are at most."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The arguments that build it again."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.to_dict().items())})"


class Voronoi(Cells):
    """Each cell is all that is nearer to one of random points than to the others.

    Args:
        count: how many cells: a whole number from 1 to 128, (low, high) or a Choice.

    Raises:
        TypeError, ValueError: a count that is not understood or out of range.
    """

    family = _cells.VoronoiCell

    def __init__(self, count: Any = (6, 16)) -> None:
        self.count = COUNTS.check("count", parse("count", count))

    def numbers(self, u: Array, height: int, width: int) -> Array:
        out = np.zeros((len(u), self.family.columns), dtype=np.float32)
        out[:, COUNT] = drawn_value(COUNTS, self.count, u[:, 0])
        out[:, FIRST], out[:, SECOND] = np.floor(u[:, 1:3].T * SEED)
        return out

    def most(self) -> int:
        return int(self.count.bounds()[1])

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count.to_dict()}


class Grid(Cells):
    """Rectangles in rows and columns, as even as whole pixels allow.

    Args:
        rows, columns: how many: a whole number from 1, (low, high) or a Choice each; at most 128 cells in all.

    Raises:
        TypeError, ValueError: what is not understood or out of range.
    """

    family = _cells.GridCell
    draws = 2

    def __init__(self, rows: Any = 4, columns: Any = 4) -> None:
        self.rows, self.columns = (COUNTS.check(name, parse(name, given)) for name, given in (("rows", rows), ("columns", columns)))
        if self.most() > MOST:
            raise ValueError(f"rows={rows!r} and columns={columns!r} make up to {self.most()} cells; accepted: at most {MOST}.")

    def numbers(self, u: Array, height: int, width: int) -> Array:
        out = np.zeros((len(u), self.family.columns), dtype=np.float32)
        out[:, FIRST], out[:, SECOND] = (drawn_value(COUNTS, how, u[:, i]) for i, how in enumerate((self.rows, self.columns)))
        out[:, COUNT] = out[:, FIRST] * out[:, SECOND]
        return out

    def most(self) -> int:
        return int(self.rows.bounds()[1] * self.columns.bounds()[1])

    def to_dict(self) -> dict[str, Any]:
        return {"rows": self.rows.to_dict(), "columns": self.columns.to_dict()}


class Segments(Cells):
    """The segments that come with the call, `segments=`: each label of a label map, or each of several masks, is one cell.

    Of masks that overlap a pixel belongs to the first that holds half of it. What no accepted label covers stays as it is.

    Args:
        most: how many segments of an image are cells, those of the lowest labels first; from 1 to 128.
        ignore: labels, or numbers of masks, that are no cells.

    Raises:
        TypeError, ValueError: what is not understood or out of range.
    """

    family = _cells.SegmentCell
    draws = 0

    def __init__(self, most: int = 32, ignore: Iterable[int] = ()) -> None:
        if not isinstance(most, (int, np.integer)) or isinstance(most, bool) or not 1 <= most <= MOST:
            raise ValueError(f"most={most!r} is not accepted; accepted: a whole number from 1 to {MOST}.")
        self._most, self.ignore = int(most), labels_given("ignore", ignore)
        self.runs = as_runs(None, self.ignore, RUNS.stop - RUNS.start)

    def numbers(self, u: Array, height: int, width: int) -> Array:
        out = np.zeros((len(u), self.family.columns), dtype=np.float32)
        out[:, COUNT], out[:, RUNS] = self._most, self.runs
        return out

    def most(self) -> int:
        return self._most

    def to_dict(self) -> dict[str, Any]:
        return {"most": self._most, **({"ignore": self.ignore} if self.ignore else {})}


COUNTS = Param(1, MOST, integer=True)
KINDS: dict[str, type[Cells]] = {kind.__name__: kind for kind in (Voronoi, Grid, Segments)}


def from_dict(kind: str, arguments: dict[str, Any]) -> Cells:
    """Cells of this kind from the arguments its `to_dict` gave.

    Raises:
        ValueError, TypeError: an unknown name or argument.
    """
    if kind not in KINDS:
        raise ValueError(unknown("cells", kind, KINDS))
    return KINDS[kind](**arguments)


__all__ = ["Grid", "Segments", "Voronoi"]


def __getattr__(name: str) -> Any:
    raise AttributeError(unknown("cells", name, __all__))
