"""What a parameter can be: a number, a range, or a distribution. Each turns one uniform in (0, 1) into one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .errors import unknown

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Constant:
    """Always the same number."""

    value: float

    def __post_init__(self) -> None:
        _plain(self)

    def draw(self, u: Array) -> Array:
        return np.full(u.shape, self.value)

    def bounds(self) -> tuple[float, float]:
        return self.value, self.value

    def to_dict(self) -> Any:
        return self.value


@dataclass(frozen=True)
class Uniform:
    """Uniform in [low, high]; a plain (low, high) tuple means the same."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _plain(self)
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"the range ({self.low}, {self.high}) must be two finite numbers, the lower first.")

    def draw(self, u: Array) -> Array:
        return self.low + (self.high - self.low) * u

    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def to_dict(self) -> Any:
        return [self.low, self.high]


@dataclass(frozen=True)
class LogUniform:
    """Uniform in the logarithm over [low, high], both positive."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _plain(self)
        if not (0 < self.low <= self.high < np.inf):
            raise ValueError(f"LogUniform({self.low}, {self.high}) needs 0 < low <= high.")

    def draw(self, u: Array) -> Array:
        log_low, log_high = np.log(self.low), np.log(self.high)
        return np.clip(np.exp(log_low + (log_high - log_low) * u), self.low, self.high)

    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def to_dict(self) -> Any:
        return {"LogUniform": [self.low, self.high]}


@dataclass(frozen=True)
class Normal:
    """Normal with this mean and standard deviation, truncated (not clipped) to [low, high], which default to ±3 std."""

    mean: float
    std: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _plain(self)
        low, high = self.bounds()
        if not (self.std > 0 and low < high):
            raise ValueError(f"Normal(mean={self.mean}, std={self.std}, low={low}, high={high}) needs std > 0 and low < high.")

    def draw(self, u: Array) -> Array:
        low, high = ((end - self.mean) / self.std for end in self.bounds())
        # In the upper tail the distribution function is 1 to the last bit: draw from its mirror image, which is not.
        side = -1.0 if low > 0 else 1.0
        ends = 0.5 * torch.special.erfc(torch.tensor(sorted((side * low, side * high)), dtype=torch.float64) * -(0.5**0.5))
        inside = ends[0] + (ends[1] - ends[0]) * torch.from_numpy(np.ascontiguousarray(u))
        return np.clip(self.mean + self.std * side * torch.special.ndtri(inside).numpy(), *self.bounds())

    def bounds(self) -> tuple[float, float]:
        low = self.mean - 3 * self.std if self.low is None else self.low
        high = self.mean + 3 * self.std if self.high is None else self.high
        return low, high

    def to_dict(self) -> Any:
        return {"Normal": {"mean": self.mean, "std": self.std, "low": self.bounds()[0], "high": self.bounds()[1]}}


@dataclass(frozen=True)
class HalfNormal:
    """low + |a normal of deviation std|, clipped to high: what lies beyond is drawn as exactly `high`."""

    std: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _plain(self)
        if not (self.std > 0 and self.low < self.high):
            raise ValueError(f"HalfNormal(std={self.std}, low={self.low}, high={self.high}) needs std > 0 and low < high.")

    def draw(self, u: Array) -> Array:
        away = torch.special.ndtri(torch.from_numpy(np.ascontiguousarray(0.5 + 0.5 * u))).numpy()
        return np.minimum(self.low + self.std * away, self.high)

    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def to_dict(self) -> Any:
        return {"HalfNormal": {"std": self.std, "low": self.low, "high": self.high}}


@dataclass(frozen=True)
class Choice:
    """One of `values`, with the given (unnormalised) weights, equal by default. Values are numbers, or names of options."""

    values: tuple[Any, ...]
    weights: tuple[float, ...] | None = None

    def __init__(self, values: Sequence[Any], weights: Sequence[float] | None = None) -> None:
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            raise TypeError(f"Choice values={values!r} is not understood; accepted: a list of numbers, or of names.")
        object.__setattr__(self, "values", tuple(_entry(v) for v in values))
        object.__setattr__(self, "weights", None if weights is None else _weights(weights))
        if not self.values:
            raise ValueError("Choice needs at least one value.")
        if self.weights is not None and (
            len(self.weights) != len(self.values) or not all(0 <= w < np.inf for w in self.weights) or sum(self.weights) <= 0
        ):
            raise ValueError(f"Choice weights={self.weights} must be {len(self.values)} non-negative numbers, not all zero.")

    def pick(self, u: Array) -> Array:
        """The index of the chosen value."""
        index: Array = self._edges.searchsorted(u, side="right")
        return index

    @cached_property
    def _edges(self) -> Array:
        """Where each value but the last ends."""
        weights = np.ones(len(self.values)) if self.weights is None else np.asarray(self.weights)
        return (np.cumsum(weights) / weights.sum())[:-1]

    @cached_property
    def _numbers(self) -> Array:
        return np.asarray(self.values, dtype=np.float64)

    def draw(self, u: Array) -> Array:
        return self._numbers[self.pick(u)]

    def bounds(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    def to_dict(self) -> Any:
        return {"Choice": {"values": list(self.values), "weights": None if self.weights is None else list(self.weights)}}


@dataclass(frozen=True)
class Levels:
    """A bank's table: the value at level 1, 2, … Fractional levels interpolate between neighbours."""

    table: tuple[float, ...]

    def __init__(self, *table: float) -> None:
        object.__setattr__(self, "table", tuple(_number("Levels value", v) for v in table))
        if not self.table:
            raise ValueError("Levels needs at least one value.")

    def at(self, level: Array) -> Array:
        return np.interp(level, np.arange(1, len(self.table) + 1), self.table)

    def bounds(self) -> tuple[float, float]:
        return min(self.table), max(self.table)

    def to_dict(self) -> Any:
        return {"Levels": list(self.table)}


def _number(argument: str, value: Any) -> float:
    """A finite number, NumPy's included, as Python's own, which files can hold."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, (bool, complex, np.complexfloating)) or not np.isfinite(value):
        raise ValueError(f"{argument}={value!r} is not a finite number.")
    return float(value)


def _plain(distribution: Any) -> None:
    """Make every field of a frozen distribution a plain finite number."""
    for field in fields(distribution):
        value = getattr(distribution, field.name)
        if value is not None:
            object.__setattr__(distribution, field.name, _number(f"{type(distribution).__name__} {field.name}", value))


def _entry(value: Any) -> Any:
    """One value of a Choice: a whole number stays whole, a name stays a name."""
    if isinstance(value, str):
        return str(value)
    number = _number("Choice value", value)
    return int(value) if isinstance(value, (int, np.integer)) else number


def _weights(weights: Any) -> tuple[float, ...]:
    try:
        return tuple(float(w) for w in weights)
    except (TypeError, ValueError):
        raise TypeError(f"weights={weights!r} is not understood; accepted: one non-negative number for each.") from None


def parse(argument: str, value: Any) -> Any:
    """A distribution from what a user may write: a number, (low, high), or a distribution."""
    if isinstance(value, (Constant, Uniform, LogUniform, Normal, HalfNormal, Choice, Levels)):
        return value
    if isinstance(value, str):
        return Choice((value,))
    try:
        if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
            return Constant(value)  # type: ignore[arg-type]
        if isinstance(value, (tuple, list)) and len(value) == 2 and not any(isinstance(v, str) for v in value):
            return Uniform(value[0], value[1])
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from None
    if isinstance(value, Mapping) and len(value) == 1:
        return _from_dict(argument, value)
    raise TypeError(f"{argument}={value!r} is not understood; accepted: a number, (low, high), LogUniform, Normal, HalfNormal, Choice or Levels.")


def _from_dict(argument: str, value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    kinds: dict[Any, Any] = {"LogUniform": LogUniform, "Levels": Levels, "Normal": Normal, "HalfNormal": HalfNormal, "Choice": Choice}
    if kind not in kinds:
        raise ValueError(f"{argument}: " + unknown("distribution", kind, kinds))
    try:
        return kinds[kind](**content) if isinstance(content, Mapping) else kinds[kind](*content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}: {kind} {content!r} is not understood: {error}") from None
