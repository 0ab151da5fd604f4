"""Samples and batches as loaders give them: tuples, lists and dicts in each other. A path is the keys that lead to one entry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[Any, ...]


def walk(sample: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path, in the order of the containers."""
    if isinstance(sample, Mapping):
        for key, value in sample.items():
            yield from walk(value, (*path, key))
    elif isinstance(sample, (list, tuple)):
        for i, value in enumerate(sample):
            yield from walk(value, (*path, i))
    else:
        yield path, sample


def mapped(sample: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """The same containers with every leaf changed; named tuples and other kinds of dict stay what they are."""
    if isinstance(sample, Mapping):
        entries = {key: mapped(value, change, (*path, key)) for key, value in sample.items()}
        if type(sample) is dict or not hasattr(sample, "update"):
            return entries
        clone: Any = copy.copy(sample)
        clone.update(entries)
        return clone
    if isinstance(sample, (list, tuple)):
        parts = [mapped(value, change, (*path, i)) for i, value in enumerate(sample)]
        return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)
    return change(path, sample)


def at(sample: Any, path: Path, argument: str) -> Any:
    """The entry at a path.

    Raises:
        ValueError: where there is none, naming the argument that told the path.
    """
    for key in path:
        try:
            sample = sample[key]
        except (KeyError, IndexError, TypeError):
            there = (
                f"keys {', '.join(map(repr, sample))}"
                if isinstance(sample, Mapping)
                else f"a {type(sample).__name__}" + (f" of {len(sample)}" if isinstance(sample, (list, tuple)) else "")
            )
            raise ValueError(
                f"{argument}={key!r} is not in the sample, which has {there}; accepted: a key, a position, or a tuple of them."
            ) from None
    return sample


def paths_of(key: Any) -> list[Path]:
    """Paths from one key or position, a tuple of them that leads further in, or a list of several."""
    return [own if isinstance(own, tuple) else (own,) for own in (key if isinstance(key, list) else [key])]
