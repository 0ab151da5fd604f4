"""Programs of several batches as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .program import PER_SAMPLE, Program


def concatenate(programs: Sequence[Program]) -> Program:
    """The samples of several programs, one after the other, as one program.

    Args:
        programs: at least one, all drawn by one pipeline for one size, epoch and view. Stored maps must be identical; those of the first
            are shared, not copied.

    Raises:
        ValueError: none, or programs that differ in more than their samples, naming in what.
    """
    if not programs:
        raise ValueError("there is nothing to join; accepted: at least one program or Labels.")
    first = programs[0]
    rest = first.select([])  # what all its samples have in common
    for number, other in enumerate(programs[1:], start=1):
        if not other.select([]).equals(rest):
            raise ValueError(f"number {number} has {_difference(other, first)}; accepted: what one pipeline drew for one size, epoch and view.")
    joined: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in programs]) for name in PER_SAMPLE}
    return replace(first, **joined)


def _difference(other: Program, first: Program) -> str:
    """In what two programs differ, in words."""
    for name, words in (("ops", "types"), ("size", "size"), ("key", "key (of seed, epoch and view)"), ("slots", "slots")):
        a, b = (getattr(program, name) for program in (other, first))
        if a != b:
            return f"{words} {a} and number 0 has {b}"
    return "other masks than number 0"
