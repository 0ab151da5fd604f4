"""The registry of degradations: every module in a group folder is one op. There is no second list."""

from __future__ import annotations

import importlib
import pkgutil

from degrade.errors import unknown
from degrade.op import CodecOp, Op, PointOp, TwoStrokeOp

REGISTRY: dict[str, type[Op]] = {}


def register(op: type[Op]) -> type[Op]:
    """Add an op class to the registry, so that recipes, files, labels and commands know its name. Usable as a decorator.

    Raises:
        TypeError: if it is not a complete op. ValueError: if its name is taken.
    """
    needed = {PointOp: ("twin", "point"), TwoStrokeOp: ("twin", "strokes"), CodecOp: ("twin",)}
    kind = next((k for k in needed if isinstance(op, type) and issubclass(op, k)), None)
    if kind is None or not getattr(op, "parameters", None):
        raise TypeError(f"op={op!r} is not a degradation; accepted: a subclass of PointOp, TwoStrokeOp or CodecOp with at least one Param.")
    missing = [name for name in needed[kind] if not getattr(op, name, None)]
    if missing:
        raise TypeError(f"op {op.__name__} in {op.__module__} lacks {', '.join(missing)}.")
    if REGISTRY.get(op.name, op).__module__ != op.__module__:
        raise ValueError(f"op name {op.name!r} is taken by {REGISTRY[op.name].__module__}.")
    REGISTRY[op.name] = op
    return op


def find(name: str) -> type[Op]:
    """The op class of this name, snake_case or CamelCase.

    Raises:
        ValueError: for an unknown name, with the nearest valid one.
    """
    found = REGISTRY.get(name) or next((op for op in REGISTRY.values() if op.__name__ == name), None)
    if found is not None:
        return found
    raise ValueError(unknown("op", name, REGISTRY))


def _discover() -> None:
    for group in pkgutil.iter_modules(__path__):
        folder = importlib.import_module(f"{__name__}.{group.name}")
        for module in pkgutil.iter_modules(folder.__path__):
            if module.name.startswith("_"):  # what several ops of a folder share
                continue
            loaded = importlib.import_module(f"{folder.__name__}.{module.name}")
            for value in vars(loaded).values():
                if isinstance(value, type) and issubclass(value, Op) and value.__module__ == loaded.__name__:
                    register(value)


_discover()
