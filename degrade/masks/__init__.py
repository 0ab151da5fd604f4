"""Mask families: each module of this folder is one. Their classes are attributes here, and in `FAMILIES` by name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from degrade.errors import unknown

from .base import Mask

FAMILIES: dict[str, type[Mask]] = {}

for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    if _module == "base" or _module.startswith("_"):
        continue
    for _found in vars(importlib.import_module(f"{__name__}.{_module}")).values():
        if isinstance(_found, type) and issubclass(_found, Mask) and _found.__module__ == f"{__name__}.{_module}":
            FAMILIES[_found.name] = _found
            globals()[_found.__name__] = _found

__all__ = ["FAMILIES", "Mask", *(_family.__name__ for _family in FAMILIES.values())]


def find(name: str) -> type[Mask]:
    """The mask family of this name, snake_case or CamelCase.

    Raises:
        ValueError: for an unknown name, with the nearest valid one.
    """
    found = FAMILIES.get(name) or next((family for family in FAMILIES.values() if family.__name__ == name), None)
    if found is None:
        raise ValueError(unknown("mask", name, FAMILIES))
    return found


def __getattr__(name: str) -> Any:
    """Type checkers learn from this that the families are here; at run time only an unknown name leads to it."""
    raise AttributeError(unknown("mask", name, __all__))
