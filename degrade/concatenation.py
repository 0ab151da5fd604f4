"""Programs of several batches as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .distributions import Array
from .program import PER_SAMPLE, Program


def concatenate(programs: Sequence[Program]) -> Program:
    """The samples of several programs, one after the other, as one program.

    Args:
        programs: at least one, all drawn by one pipeline for one size, epoch and view. The stored maps with which all begin are shared, not
            copied; those that each call made are joined, on the device of the first.

    Raises:
        ValueError: none, or programs that differ in more than their samples, naming in what.
    """
    if not programs:
        raise ValueError("there is nothing to join; accepted: at least one program or Labels.")
    first = programs[0]
    rest = common(first)
    for number, other in enumerate(programs[1:], start=1):
        if not common(other).equals(rest):
            raise ValueError(f"number {number} has {_difference(other, first)}; accepted: what one pipeline drew for one size, epoch and view.")
    joined: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in programs]) for name in PER_SAMPLE if name != "numbers"}
    maps, numbers = join_maps(programs)
    return replace(first, **joined, numbers=np.concatenate(numbers), maps=maps)


def common(program: Program) -> Program:
    """What all samples of one pipeline have in common."""
    return replace(program.select([]), maps=None)


def join_maps(programs: Sequence[Program]) -> tuple[torch.Tensor | None, list[Array]]:
    """The stored maps of all programs, and each one's numbers with the rows they have there."""
    first = programs[0].maps
    shared = min(equal_maps(first, program.maps) for program in programs)
    joined = [] if first is None else [first]
    at, numbers = 0 if first is None else len(first), [programs[0].numbers]
    for program in programs[1:]:
        own = program.numbers
        if program.maps is not None and len(program.maps) > shared:
            rows = own[..., 0]
            own = own.copy()
            own[..., 0] = np.where(program.reads_map() & (rows >= shared), rows + np.float32(at - shared), rows)
            joined.append(program.maps[shared:].to(joined[0].device if joined else program.maps.device))
            at += len(joined[-1])
        numbers.append(own)
    return (torch.cat(joined) if len(joined) > 1 else joined[0] if joined else None), numbers


def equal_maps(a: torch.Tensor | None, b: torch.Tensor | None) -> int:
    """With how many equal maps two programs begin."""
    if a is None or b is None:
        return 0
    if a is b:
        return len(a)
    count = min(len(a), len(b))
    same = (a[:count].cpu() == b[:count].cpu()).flatten(1).all(1)
    return int(same.cumprod(0).sum())


def _difference(other: Program, first: Program) -> str:
    """In what two programs differ, in words."""
    for name, words in (("ops", "types"), ("size", "size"), ("noise", "noise"), ("key", "key (of seed, epoch and view)"), ("slots", "slots")):
        a, b = (getattr(program, name) for program in (other, first))
        if a != b:
            return f"{words} {a} and number 0 has {b}"
    return "other masks than number 0"
