"""What is probed: types at levels, under masks of given areas at given places. Arguments are checked here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from degrade.banks.kadid10k import types as kadid_types
from degrade.errors import unknown

AREAS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)  # fractions of the frame
LEVELS = (3.0, 5.0)
POSITIONS = ("centre", "random")
LEAST_AREA = 0.001  # of a mask
GRID = tuple((y / 6, x / 6) for y in (1, 3, 5) for x in (1, 3, 5))  # the middles of 3 x 3 parts of the frame
TYPES = {t.name: t for t in kadid_types()}


class Position(NamedTuple):
    """Where a mask lies: at a centre (y, x) in fractions of the frame, or, with None, at random in each image."""

    name: str
    centre: tuple[float, float] | None


WHOLE = Position("frame", (0.5, 0.5))  # of what covers all


class Condition(NamedTuple):
    """One type at one level under a disc of an area at a position; of area 1 without a mask."""

    type: str
    level: float
    area: float
    position: Position


@dataclass(frozen=True)
class Settings:
    """What is probed and how: all that results depend on beside the images and the encoders."""

    types: tuple[str, ...]
    levels: tuple[float, ...]
    areas: tuple[float, ...]
    positions: tuple[Position, ...]
    feather: float
    seed: int
    tolerance: float

    def of(self, name: str, level: float) -> list[Condition]:
        """The conditions of one type at one level, in order of area, then position."""
        return [Condition(name, level, area, at) for area in self.areas for at in ((WHOLE,) if area == 1.0 else self.positions)]

    def parts(self) -> Iterator[tuple[str, float]]:
        """All types at all levels."""
        return ((name, level) for name in self.types for level in self.levels)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "positions": [[p.name, p.centre] for p in self.positions]}


def settings(types: Sequence[str] | str | None, levels: Any, areas: Any, positions: Any, feather: float, seed: int, tolerance: float) -> Settings:
    """The settings of these arguments.

    Raises:
        ValueError, TypeError: naming the argument, the value and what is accepted.
    """
    names = tuple(TYPES) if types is None else (types,) if isinstance(types, str) else tuple(types)
    for name in names:
        if name not in TYPES:
            raise ValueError(unknown("types", name, TYPES))
    if not 0.0 <= _number("feather", feather, "0 to 2, in √(h·w)") <= 2.0:
        raise ValueError(f"feather={feather} is out of range; accepted: 0 to 2, in √(h·w).")
    if not 0.0 < _number("tolerance", tolerance, "0 to 1, without 0") <= 1.0:
        raise ValueError(f"tolerance={tolerance} is out of range; accepted: above 0, to 1.")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 63:
        raise ValueError(f"seed={seed!r} is not accepted; accepted: a whole number from 0 to 2**63 - 1.")
    return Settings(
        _once("types", names),
        _once("levels", _numbers("levels", levels, 1.0, 5.0)),
        tuple(sorted(_once("areas", _numbers("areas", areas, LEAST_AREA, 1.0)))),
        _once("positions", _positions(positions)),
        float(feather),
        seed,
        float(tolerance),
    )


def _positions(given: Any) -> tuple[Position, ...]:
    given = [given] if isinstance(given, str) else list(given)
    out: list[Position] = []
    for one in given:
        if one == "grid":
            out += [_at(place) for place in GRID]
        elif one == "centre":
            out.append(Position("centre", (0.5, 0.5)))
        elif one == "random":
            out.append(Position("random", None))
        elif isinstance(one, str) or not isinstance(one, Sequence) or len(one) != 2:
            raise ValueError(
                f"positions: {one!r} is not understood; accepted: 'centre', 'random', 'grid', or pairs (y, x) of fractions of the frame."
            )
        else:
            out.append(_at(_numbers("positions", one, 0.0, 1.0)))
    return tuple(out)


def _at(place: Sequence[float]) -> Position:
    y, x = place
    return Position(f"{y:.3g}:{x:.3g}", (float(y), float(x)))


def _numbers(argument: str, given: Any, low: float, high: float) -> tuple[float, ...]:
    given = (given,) if isinstance(given, (int, float)) else given
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise TypeError(f"{argument}={given!r} is not understood; accepted: numbers from {low:g} to {high:g}.")
    out = tuple(_number(argument, value, f"{low:g} to {high:g}") for value in given)
    for value in out:
        if not low <= value <= high:
            raise ValueError(f"{argument}: {value:g} is out of range; accepted: {low:g} to {high:g}.")
    return out


def _number(argument: str, value: Any, accepted: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, (bool, str)):
        raise TypeError(f"{argument}: {value!r} is not a finite number; accepted: {accepted}.")
    return number


def _once(argument: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError(f"{argument} is empty; accepted: at least one.")
    twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
    if twice is not None:
        raise ValueError(f"{argument} holds {getattr(twice, 'name', twice)!r} twice; accepted: each once.")
    return values
