"""Masks with a place: anywhere in the frame, or where a centre is asked for."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from degrade.distributions import Array, parse
from degrade.parameter import Param

from .base import Mask

FRACTION = Param(0.0, 1.0, unit="of the frame")


class Placed(Mask):
    """A family whose shapes have a place.

    Args:
        centre: where the middle of a shape's bounding box shall lie: a pair (y, x) of fractions of the frame from 0 to 1, each a
            number, (low, high) or a distribution. It lies as near to that as the shape fits in the frame, to the pixel,
            and in the frame's middle where it does not fit. None: uniform over the positions where the shape fits.
        **shape: as of `Mask`.

    Raises:
        ValueError, TypeError: an unknown name or a value outside its range, naming what is accepted.
    """

    others: ClassVar[tuple[str, ...]] = ("centre",)
    bounded = True

    def __init__(self, *, centre: Any = None, **given: Any) -> None:
        super().__init__(**given)
        self.centre = None if centre is None else pair("centre", centre, FRACTION, "fractions of the frame")

    def place(self, u: Array, axis: int, before: Array, after: Array, size: int) -> tuple[Array, Array]:
        """Pixel centres, one drawn from each u, that leave `before` and `after` on their two sides within a frame axis, and whether they do.

        Uniform over those that fit, or the nearest of them to the centre asked for: a region's peak then falls on a pixel. Where none fits
        the region overhangs both ends evenly.
        """
        first, last = np.ceil(before - 0.5), np.floor(size - after - 0.5)
        fits = last >= first
        middle = np.minimum(np.maximum((before + size - after) * 0.5, 0.5), size - 0.5)
        if self.centre is None:
            at = np.minimum(first + np.floor(u * (last - first + 1.0)), last)
        else:
            at = np.clip(np.floor(self.centre[axis].draw(u) * size - 0.5 * (after - before)), first, last)
        return np.where(fits, at + 0.5, middle), fits

    def anywhere(self, u: Array, axis: int, size: int) -> Array:
        """Pixel centres, one drawn from each u, whatever lies around them: uniform over the frame axis, or the nearest to the centre asked for."""
        drawn = u if self.centre is None else self.centre[axis].draw(u)
        out: Array = np.minimum(np.floor(drawn * size), size - 1.0) + 0.5
        return out

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **({} if self.centre is None else {"centre": [how.to_dict() for how in self.centre]})}


def pair(argument: str, given: Any, param: Param, what: str) -> tuple[Any, Any]:
    """The distributions along y and x of an argument, checked."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"{argument}={given!r} is not understood; accepted: a pair (y, x) of {what}, each a number, (low, high) or a distribution.")
    y, x = (param.check(name, parse(name, value)) for name, value in zip((f"{argument} y", f"{argument} x"), given))
    return y, x
