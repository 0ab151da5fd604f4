"""What a bank is: a published set of types with levels and a rule by which they are drawn, as a ready pipeline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from degrade import perceptual
from degrade.distributions import Choice, Levels
from degrade.errors import outside, unknown
from degrade.op import Op
from degrade.pipeline import Pipeline
from degrade.recipe import Compose, Node, OneOf, Relative, walk

CONFORMANCES = ("bit-equal", "tolerance", "statistical", "reconstruction")
PROFILES = ("fixed", "faithful")
SEVERITIES = ("published", "perceptual")


@dataclass(frozen=True)
class Type:
    """One type of a bank.

    name         the bank's own name, in snake_case; what `single` takes
    op           the op that does it
    arguments    its arguments; those given as `Levels` are the bank's levels
    conformance  how far the result is the published one's: "bit-equal"; "tolerance", equal within one that a test states;
                 "statistical", random but of the same distribution; "reconstruction", what is known of it or a surrogate
    note         in a few words, what differs, or which level is the identity
    group        the bank's group
    before, after  ops without levels that belong to the type, such as rounding to 8 bits
    variants     sets of further arguments, one of which is drawn
    """

    name: str
    op: type[Op]
    arguments: Mapping[str, Any]
    conformance: str
    note: str = ""
    group: str = ""
    before: tuple[Op, ...] = ()
    after: tuple[Op, ...] = ()
    variants: tuple[Mapping[str, Any], ...] = ()

    def at(self, level: Any = None) -> Node:
        """The type at one level, or at a level drawn from a distribution; by default all levels are equally likely."""
        given = Choice(range(1, self.levels + 1)) if level is None else level
        ops = [self.op(level=given, **self.arguments, **more) for more in self.variants or ({},)]
        node = OneOf(*ops) if len(ops) > 1 else ops[0]
        return Compose(*self.before, node, *self.after) if self.before or self.after else node

    @property
    def levels(self) -> int:
        return next(len(v.table) for v in self.arguments.values() if isinstance(v, Levels))


@dataclass(frozen=True)
class Fault:
    """What the published code does in place of what a type means: for the faithful profile.

    cause        in one line
    arguments    those that differ
    op, conformance, before, after  where they differ from the type's
    """

    cause: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    op: type[Op] | None = None
    conformance: str = ""
    before: tuple[Op, ...] = ()
    after: tuple[Op, ...] = ()

    def of(self, t: Type) -> Type:
        """The type with this fault."""
        arguments = dict(self.arguments) if self.op else {**t.arguments, **self.arguments}
        conformance, before, after = self.conformance or t.conformance, self.before or t.before, self.after or t.after
        return replace(t, op=self.op or t.op, arguments=arguments, conformance=conformance, note=self.cause, before=before, after=after)


def with_faults(types: Sequence[Type], faults: Mapping[str, Fault]) -> tuple[Type, ...]:
    """The types as the published code has them."""
    return tuple(faults[t.name].of(t) if t.name in faults else t for t in types)


class Bank(Pipeline):
    """A bank as a ready pipeline.

    Args:
        name: the bank's name.
        types: its types.
        recipe: how they are drawn; by default one type per image at one level, all equally likely.
        citation: BibTeX of the publications.
        reference_size: the short side, in pixels, for which lengths in pixels hold; on another image they are scaled with its
            short side. None leaves them as published.
        seed, backend, check: as for `Pipeline`.
    """

    def __init__(
        self, name: str, types: Sequence[Type], recipe: Node | None = None, citation: str = "", reference_size: int | None = None, **options: Any
    ) -> None:
        drawn = OneOf(*(t.at() for t in types)) if recipe is None else recipe
        super().__init__(relative(drawn, reference_size), **options)
        self.bank_name, self.citation, self.reference_size = name, citation, reference_size
        self.types = {t.name: t for t in types}

    @property
    def groups(self) -> dict[str, list[str]]:
        """The names of the types in each group."""
        out: dict[str, list[str]] = {}
        for t in self.types.values():
            out.setdefault(t.group, []).append(t.name)
        return out

    def single(self, name: str, level: Any = None, **options: Any) -> Pipeline:
        """One type of the bank at one level.

        Args:
            name: the type's name, e.g. "jpeg".
            level: a number from 1 (fractional levels interpolate) or a distribution; by default all are equally likely.
            **options: as for `Pipeline`.

        Raises:
            ValueError: an unknown type or a level outside the table.
        """
        if name not in self.types:
            raise ValueError(unknown(f"{self.bank_name} type", name, self.types))
        found = self.types[name]
        if isinstance(level, (int, float)) and not 1 <= level <= found.levels:
            raise ValueError(outside(f"{name} level", level, 1, found.levels))
        return Pipeline(relative(found.at(level), self.reference_size), **options)

    def cite(self) -> str:
        """BibTeX of the publications that the bank comes from. Printed, it can be pasted."""
        return self.citation

    @property
    def ops(self) -> set[str]:
        """The names of all ops that the bank has."""
        return {node.name for node in walk(self.recipe) if isinstance(node, Op)} | {t.op.name for t in self.types.values()}


def roots(*variances: float) -> Levels:
    """Levels of standard deviations, published as variances."""
    return Levels(*(math.sqrt(v) for v in variances))


def kadis_scale(*strengths: float) -> Levels:
    """KADIS's pixelation: the part of the size that is kept, 0.95 − s^0.6."""
    return Levels(*(0.95 - s**0.6 for s in strengths))


def relative(recipe: Node, reference_size: int | None) -> Node:
    return recipe if reference_size is None else Relative(recipe, reference_size=reference_size)


def by_severity(types: Sequence[Type], severity: str) -> tuple[Type, ...]:
    """The types with their published levels, or with levels that mean the same visible change for all.

    Raises:
        ValueError: an unknown kind of severity.
    """
    if severity not in SEVERITIES:
        raise ValueError(unknown("severity", severity, SEVERITIES))
    return tuple(types) if severity == "published" else tuple(_perceptual(t) for t in types)


def _perceptual(t: Type) -> Type:
    first = next(iter(t.op.parameters))
    given = t.arguments.get(first)
    if not isinstance(given, Levels) or "target" in t.arguments:  # the levels are another parameter's, such as a target PSNR
        return t
    return replace(t, arguments={**t.arguments, first: perceptual.levels(t.op, given)}, conformance="reconstruction", note="perceptual levels")


def up_to(most: int, groups: Sequence[Node]) -> tuple[int, int]:
    """1 to `most` of the groups, as `SomeOf` takes it."""
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= len(groups):
        raise ValueError(f"max_distortions={most!r} is out of range; accepted: whole numbers from 1 to {len(groups)}, the number of groups.")
    return 1, most


def check_profile(profile: str) -> str:
    """The profile, if there is one of this name."""
    if profile not in PROFILES:
        raise ValueError(unknown("profile", profile, PROFILES))
    return profile
