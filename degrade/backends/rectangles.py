"""Rectangles, many at once: int32 arrays whose first axis tells how far each goes out, -y0 y1 -x0 x1, with open ends.

To grow one is then an addition, to cover several a maximum, to intersect them a minimum; and every call of NumPy runs along the batch.
One is empty if it has no height or no width. That of a frame is 0 h 0 w.
"""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array

BEFORE, AFTER = slice(0, None, 2), slice(1, None, 2)  # up and left; down and right
NOWHERE = -(1 << 30)
SIGN = np.array([-1, 1, -1, 1], dtype=np.int32)


def outwards(bounds: Array) -> Array:
    """Rectangles of bounds y0 y1 x0 x1, which are on the last axis."""
    return (bounds * SIGN).T


def bounds(rect: Array) -> Array:
    """The bounds y0 y1 x0 x1 of rectangles (4, n): (n, 4)."""
    return rect.T * SIGN


def repeated(rect: Array, count: int) -> Array:
    """A rectangle (4,) as many."""
    return rect.repeat(count).reshape(4, count)


def intersect(a: Array, b: Array) -> Array:
    """What two share."""
    return _closed(np.minimum(a, b))


def cover(a: Array, b: Array) -> Array:
    """The smallest around two; around one, where the other is empty."""
    return np.where(real(b), np.where(real(a), np.maximum(a, b), b), a)


def shared(rects: Array) -> Array:
    """What all along the second axis share."""
    return _closed(np.minimum.reduce(rects, axis=1))


def _closed(rect: Array) -> Array:
    """An empty one is all 0: with no width, but inside a tile, it would still be taken to meet that."""
    rect *= real(rect)
    return rect


def real(rect: Array) -> Array:
    """Which are not empty."""
    height, width = rect[BEFORE] + rect[AFTER] > 0
    return height & width  # type: ignore[no-any-return]


def dilate(rect: Array, radius: Array, frame: Array) -> Array:
    """Rectangles grown by a radius and limited to the frame; an empty one stays empty, all 0. Shapes broadcast."""
    out: Array = rect + radius
    np.minimum(out, frame, out=out)
    out *= real(rect)
    return out


def cover_from(rects: Array) -> Array:
    """The smallest around those from each place on, along the second axis, which gets one longer; all 0 where there is none."""
    count = rects.shape[1]
    out = np.empty((4, count + 1, *rects.shape[2:]), dtype=np.int32)
    out[:, :count], out[:, count] = np.where(real(rects), rects, NOWHERE), NOWHERE
    for i in reversed(range(count)):
        np.maximum(out[:, i], out[:, i + 1], out=out[:, i])
    np.copyto(out, 0, where=out == NOWHERE)
    return out
