"""What a bank is: a published set of types with levels, each a ready op."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from degrade.distributions import Choice
from degrade.errors import outside, unknown
from degrade.op import Op
from degrade.pipeline import Pipeline
from degrade.recipe import OneOf


@dataclass(frozen=True)
class Type:
    """One type of a bank: the published number and name, the op, and the arguments that hold its levels.

    conformance says how far the op is the published one: "tolerance", "bit-equal", "statistical" or "reconstruction".
    """

    number: int
    title: str
    op: type[Op]
    arguments: dict[str, Any]
    conformance: str
    note: str = ""

    def at(self, level: Any = None) -> Op:
        """The op at one level, or at a level drawn from a distribution; by default all levels are equally likely."""
        levels = Choice(range(1, self.levels + 1)) if level is None else level
        return self.op(level=levels, **self.arguments)

    @property
    def levels(self) -> int:
        return next(len(v.table) for v in self.arguments.values() if hasattr(v, "table"))


class Bank(Pipeline):
    """A bank as a ready pipeline: one type per image, one level, both equally likely.

    Args:
        name: the bank's name.
        types: its types.
        seed, backend, check: as for `Pipeline`.
    """

    def __init__(self, name: str, types: tuple[Type, ...], **options: Any) -> None:
        super().__init__(OneOf(*(t.at() for t in types)), **options)
        self.bank_name, self.types = name, {t.op.name: t for t in types}

    def single(self, name: str, level: Any = None, **options: Any) -> Pipeline:
        """One type of the bank at one level.

        Args:
            name: the op's name, e.g. "jpeg".
            level: a number from 1 (fractional levels interpolate) or a distribution; by default all are equally likely.
            **options: as for `Pipeline`.

        Raises:
            ValueError: an unknown type or a level outside the table.
        """
        if name not in self.types:
            raise ValueError(unknown(f"{self.bank_name} type", name, self.types))
        found = self.types[name]
        if isinstance(level, (int, float)) and not 1 <= level <= found.levels:
            raise ValueError(outside("level", level, 1, found.levels))
        return Pipeline(found.at(level), **options)
