"""What one parameter of an op or a mask accepts, what is drawn when nothing is given, and what it is at each severity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .distributions import Array, Choice, Constant, Levels, Uniform, parse
from .errors import outside, unknown


@dataclass(frozen=True)
class Param:
    """One parameter of an op.

    low, high   the accepted range
    neutral     the value at severity 0
    harsh       the value at severity 1; a pair (down, up) for a signed parameter
    unit        what the number counts
    default     what is drawn when nothing is given; by default the span from neutral to harsh
    integer     drawn values are rounded
    choices     names, for a parameter that is an option; its number is the index
    """

    low: float = 0.0
    high: float = 0.0
    neutral: float = 0.0
    harsh: float | tuple[float, float] = 0.0
    unit: str = ""
    default: Any = None
    integer: bool = False
    choices: tuple[str, ...] | None = None

    def check(self, argument: str, distribution: Any, levels: bool = False) -> Any:
        """The distribution, if all it can draw is accepted; `levels` says whether a table of levels is."""
        if self.choices is not None:
            values = distribution.values if isinstance(distribution, Choice) else (distribution,)
            for value in values:
                if not isinstance(value, str) or value not in self.choices:
                    raise ValueError(unknown(f"{argument} value", value, self.choices))
            return distribution
        if isinstance(distribution, Levels) and not levels:
            raise TypeError(f"{argument}={distribution} is not accepted here; accepted: a number, (low, high) or a distribution.")
        if isinstance(distribution, Choice) and any(isinstance(v, str) for v in distribution.values):
            raise TypeError(f"{argument}={distribution.values!r} must be numbers; accepted: {self.low:g} to {self.high:g} {self.unit}.")
        for bound in distribution.bounds():
            if not self.low <= bound <= self.high:
                raise ValueError(outside(argument, f"{bound:g}", self.low, self.high, self.unit))
        if self.integer and isinstance(distribution, Uniform) and np.ceil(distribution.low) > np.floor(distribution.high):
            raise ValueError(f"{argument}=({distribution.low:g}, {distribution.high:g}) holds no whole number; accepted: a range that does.")
        if self.integer and isinstance(distribution, (Constant, Choice)):
            for value in distribution.values if isinstance(distribution, Choice) else (distribution.value,):
                if value != int(value):
                    raise ValueError(f"{argument}={value:g} is not a whole number; accepted: whole numbers from {self.low:g} to {self.high:g}.")
        return distribution

    def at(self, severity: Array, up: Array) -> Array:
        """The value at a severity in [0, 1]; `up` says which way a signed parameter goes."""
        down, rise = self.harsh if isinstance(self.harsh, tuple) else (self.harsh, self.harsh)
        return self.neutral + severity * (np.where(up, rise, down) - self.neutral)

    def stored(self, value: Any) -> Any:
        """A value as theta holds it."""
        return np.floor(value + 0.5) if self.integer else value

    def severity(self, value: Array) -> Array:
        """The inverse of `at`, limited to [0, 1]."""
        down, up = self.harsh if isinstance(self.harsh, tuple) else (self.harsh, self.harsh)
        away = value - self.neutral
        span: Any = np.float64(up - self.neutral)
        if up != down:
            span = np.where(away * (up - self.neutral) >= 0, up - self.neutral, down - self.neutral)
        share: Array = away / span
        return share.clip(0.0, 1.0)

    def describe(self) -> str:
        """What is accepted, and what is drawn when nothing is given."""
        if self.choices is not None:
            return f"{', '.join(repr(c) for c in self.choices)}; by default {self.default!r}."
        low, high = self.spread().bounds()
        ways = ", each way half of the time" if isinstance(self.harsh, tuple) and self.default is None else ""
        return f"{self.low:g} to {self.high:g} {self.unit}{', whole' if self.integer else ''}; by default drawn from {low:g} to {high:g}{ways}."

    def usual(self) -> Any:
        """One ordinary value: what is drawn by default if that is one value, else its middle, and 0 for an angle that may be 0."""
        if self.choices is not None:
            return self.default
        low, high = self.spread().bounds()
        middle = 0.0 if self.unit == "degrees" and low <= 0.0 <= high else 0.5 * (low + high)
        return float(np.floor(middle + 0.5)) if self.integer else float(middle)

    def spread(self) -> Any:
        """What is drawn when the user gives nothing."""
        if self.default is not None:
            return parse("default", self.default)
        ends = self.harsh if isinstance(self.harsh, tuple) else (self.harsh, self.neutral)
        return Uniform(float(min(ends)), float(max(ends)))
