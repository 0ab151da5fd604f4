"""Shapes that a user brings as numbers: what they may be, and what they exclude."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from degrade.distributions import Array


def table(argument: str, given: Any, least: int, most: int, names: tuple[str, ...]) -> Array:
    """(k, len(names)) float64 in fractions of the frame, checked."""
    shape = f"{least} to {most} rows of {len(names)} numbers ({', '.join(names)}) from 0 to 1"
    try:
        rows = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}={given!r} is not understood; accepted: {shape}.") from None
    if rows.ndim != 2 or rows.shape[1] != len(names) or not least <= len(rows) <= most:
        raise ValueError(f"{argument} has shape {' x '.join(map(str, rows.shape)) or 'of one number'}; accepted: {shape}.")
    wrong = rows[~((rows >= 0.0) & (rows <= 1.0))]
    if len(wrong):
        raise ValueError(f"{argument} holds {wrong[0]:g}; accepted: {shape}.")
    return rows


def refuse(argument: str, given: Mapping[str, Any], names: Iterable[str]) -> None:
    """Say so where something is to be drawn that the given shape settles."""
    for name in names:
        if given.get(name) is not None:
            raise ValueError(f"{name}={given[name]!r} does not go with {argument}=, which settles it; leave one of them out.")
