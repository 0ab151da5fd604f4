"""From work items to launches: the tiles of each item's rectangle, and of every tile its item."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS

from .arena import Arena

BITS = np.array([[side.bit_length() - 1] for side in (TILE_ROWS, TILE_ROWS, TILE_COLUMNS, TILE_COLUMNS)], dtype=np.int32)  # of a tile's sides
SETTLE = -1  # in place of one of the reach kernels
MOST_ITEMS = 65535  # what a grid can be deep


class Launch(NamedTuple):
    """One launch: where its items and its tile-to-item list stand in the arena, and how many tiles it has."""

    kind: str  # "settle" or "reach"
    items: int
    item_of: int
    tiles: int
    kernel: int = 0  # which of the plan's reach kernels
    even: tuple[int, int] | None = None  # if every item covers the frame, how many tiles it has across and down; it then needs no list

    @property
    def grid(self) -> tuple[int, int, int]:
        return (*self.even, self.tiles // (self.even[0] * self.even[1])) if self.even else (self.tiles, 1, 1)

    def item_of_tiles(self, arena: Array) -> Array:
        """Of every tile, which of the launch's items it belongs to."""
        if self.even:
            return np.arange(self.tiles) // (self.even[0] * self.even[1])
        return arena[self.item_of : self.item_of + self.tiles]


class Items(NamedTuple):
    """Work items: as the arena holds them, and beside that the rectangle that their tiles cover and their kernel."""

    rows: Array  # (n, ITEM) int32
    rect: Array  # (4, n) int32
    kernel: Array  # (n,)


def upload(items: Items, turn: Array, arena: Arena, even: Array | None = None) -> tuple[Launch, ...]:
    """Upload items in the order of their turns, a launch for each turn, and for each launch the item of every tile; equal lists once.

    even: of each item, whether it and all others of its turn cover the frame, whose tiles need no list.
    """
    order = turn.astype(np.min_scalar_type(turn.max(initial=0))).argsort(kind="stable")  # of few bits it takes a third of the time
    turn, rows, kernel = turn[order], items.rows.take(order, axis=0), items.kernel[order]
    edges = np.array([0, *((turn[1:] != turn[:-1]).nonzero()[0] + 1).tolist(), len(turn)])
    top, above_end, left, before_end = -items.rect.take(order, axis=1) >> BITS
    wide = np.maximum(-before_end - left, 0)
    tiles = np.maximum(-above_end - top, 0) * wide
    sums = np.zeros(len(turn) + 1, dtype=np.int64)
    tiles.cumsum(out=sums[1:])
    begin, count = sums[edges], edges[1:] - edges[:-1]
    rows[:, layout.FIRST_TILE] = sums[:-1] - begin[:-1].repeat(count)
    rows[:, layout.TILE_Y], rows[:, layout.TILE_X], rows[:, layout.TILES_WIDE] = top, left, np.maximum(wide, 1)
    at, first = arena.add(rows), edges[:-1]
    alike = (count <= MOST_ITEMS) & even[order][first] if even is not None else np.zeros(len(first), dtype=bool)
    across = np.maximum(wide[first], 1)
    grids = [(x, y) if own else None for x, y, own in zip(across.tolist(), (tiles[first] // across).tolist(), alike.tolist())]
    lists = _tile_lists(tiles, edges, ~alike, arena)
    kernel = kernel[first]
    kinds = ["settle" if settle else "reach" for settle in (kernel == SETTLE).tolist()]
    own = (at + edges * layout.ITEM).tolist()
    return tuple(map(Launch, kinds, own, lists, (begin[1:] - begin[:-1]).tolist(), np.maximum(kernel, 0).tolist(), grids))


def _tile_lists(tiles: Array, edges: Array, listed: Array, arena: Arena) -> list[int]:
    """Of each launch that is listed, where the list of its tiles' items stands.

    Where all items of a launch have equally many tiles, its list is the beginning of that of any launch with more such items.
    """
    least, most = (f.reduceat(tiles, edges[:-1]) if len(tiles) else tiles for f in (np.minimum, np.maximum))
    even, begin, end = (values[listed].tolist() for values in (np.where(least == most, least, -1), edges[:-1], edges[1:]))
    longest = dict(sorted((each, last - first) for each, first, last in zip(even, begin, end)))  # of equal keys the last stays
    known: dict[int | bytes, int] = {each: arena.add(_even_list(each, items)) for each, items in longest.items() if each >= 0}
    at = []
    for each, first, last in zip(even, begin, end):
        key: Any = each if each >= 0 else tiles[first:last].tobytes()
        if key not in known:
            known[key] = arena.add(np.arange(last - first, dtype=np.int32).repeat(tiles[first:last]))
        at.append(known[key])
    out = np.zeros(len(listed), dtype=np.int64)
    out[listed] = at
    return out.tolist()


@lru_cache(maxsize=8)
def _even_list(each: int, items: int) -> Array:
    """The item of every tile, when each has equally many."""
    return np.arange(items, dtype=np.int32).repeat(each)
