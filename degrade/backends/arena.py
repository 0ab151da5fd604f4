"""The one buffer of int32 that is uploaded, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from degrade.distributions import Array

INT, FLOAT = np.dtype(np.int32), np.dtype(np.float32)
UNIT = 4  # elements


class Arena:
    """One growing int32 buffer, or a part of one that begins at some offset; `add` returns the offset of what it takes.

    Every part starts at a multiple of 16 bytes: Triton builds another binary for each pointer whose alignment differs.
    """

    PADDING = np.zeros(UNIT, INT)

    def __init__(self, at: int = 0) -> None:
        self.parts: list[Array] = []
        self.size = at

    def add(self, values: Array) -> int:
        """Floats are taken as their bits."""
        flat = ints(values)
        at, padding = self.size, -len(flat) % UNIT
        self.parts += [flat, self.PADDING[:padding]] if padding else [flat]
        self.size += len(flat) + padding
        return at

    def add_each(self, parts: Sequence[Array]) -> list[int]:
        """The offset of each of some parts that are `padded` already."""
        *at, self.size = accumulate(map(len, parts), initial=self.size)
        self.parts += parts
        return at

    def add_rows(self, values: Array) -> Array:
        """The offset of each row."""
        return self.add(values) + np.arange(len(values)) * values.shape[1]

    def join(self) -> Array:
        return np.concatenate(self.parts)


def ints(values: Array) -> Array:
    """Values in a row as int32, floats as their bits."""
    flat = values.reshape(-1)
    if flat.dtype == INT:
        return flat
    return flat.view(INT) if flat.dtype == FLOAT else flat.astype(INT)


def padded(values: Array) -> Array:
    """The same with zeros after them, as a whole part of an arena."""
    flat = ints(values)
    return np.concatenate((flat, Arena.PADDING[: -len(flat) % UNIT]))
