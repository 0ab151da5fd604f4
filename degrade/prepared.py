"""Programs with their plans: all that the host does for a batch, done where and when there is time for it, such as in the workers that load it."""

from __future__ import annotations

from dataclasses import dataclass

from .backends.plan import Plan, make_plan
from .backends.stages import needs_stages
from .program import Program


@dataclass(frozen=True)
class Prepared:
    """A program, and what the kernels are launched with, which goes to `degrade.apply` in place of it. Pickled, it is plain arrays.

    The program is taken as it is now: what is written to its arrays later counts for the twins alone.
    """

    program: Program
    plan: Plan | None  # None where it cannot be told beforehand

    def __len__(self) -> int:
        return len(self.program)


def prepare(program: Program) -> Prepared:
    """Plan a program before there are images to run it on.

    Programs that run in stages (partitions, phases, levels) or wait for masks of a call are planned when they run, as are those of clips.

    Raises:
        TypeError: what is no program.
    """
    if not isinstance(program, Program):
        raise TypeError(f"program is a {type(program).__name__}; accepted: a Program, from Pipeline.sample or degrade.load.")
    waits = not len(program) or needs_stages(program) or bool(program.waiting().any())
    return Prepared(program, None if waits else make_plan(program, program.numbers))
