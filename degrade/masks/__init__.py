"""Mask families: each module of this folder is one. Their classes are attributes here, and in `FAMILIES` by name. `combine` makes masks of masks."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from degrade.errors import unknown

from ._cells import GridCell, SegmentCell, VoronoiCell
from .base import Mask
from .combine import COMBINATIONS, Combined

FAMILIES: dict[str, type[Mask]] = {}

for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    if _module == "base" or _module.startswith("_"):
        continue
    for _found in vars(importlib.import_module(f"{__name__}.{_module}")).values():
        if isinstance(_found, type) and issubclass(_found, Mask) and _found.__module__ == f"{__name__}.{_module}":
            FAMILIES[_found.name] = _found
            globals()[_found.__name__] = _found

CELLS: dict[str, type[Mask]] = {cell.name: cell for cell in (GridCell, SegmentCell, VoronoiCell)}  # drawn by a Partition alone
globals().update(COMBINATIONS)

__all__ = ["FAMILIES", "Mask", *(_family.__name__ for _family in FAMILIES.values()), *COMBINATIONS]


def find(name: str) -> type[Mask]:
    """The mask family of this name, snake_case or CamelCase.

    Raises:
        ValueError: for an unknown name, with the nearest valid one.
    """
    found = FAMILIES.get(name) or CELLS.get(name) or next((family for family in FAMILIES.values() if family.__name__ == name), None)
    if found is None:
        raise ValueError(unknown("mask", name, FAMILIES))
    return found


def from_dict(kind: str, arguments: dict[str, Any]) -> Mask | Combined:
    """A mask of this kind, a family or a combination, from the arguments its `to_dict` gave.

    Raises:
        ValueError, TypeError: an unknown name or argument.
    """
    if kind not in COMBINATIONS:
        return find(kind)(**arguments)
    accepted = ("masks", *COMBINATIONS[kind].names)
    for key in arguments:
        if key not in accepted:
            raise ValueError(unknown(f"{kind} key", key, accepted))
    entries = arguments.get("masks")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and len(entry) == 1 for entry in entries):
        raise ValueError(f"{kind} masks={entries!r} is not understood; accepted: a list of masks, each one name with its arguments.")
    others = {name: value for name, value in arguments.items() if name != "masks"}
    return COMBINATIONS[kind](*(from_dict(name, given or {}) for entry in entries for name, given in entry.items()), **others)


def __getattr__(name: str) -> Any:
    """Type checkers learn from this that the families are here; at run time only an unknown name leads to it."""
    raise AttributeError(unknown("mask", name, __all__))
