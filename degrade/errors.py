"""One clear sentence for every bad input: which argument, which value, what is accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, valid: Iterable[str]) -> str:
    """The message for a name that is not in `valid`, with the nearest valid name."""
    names = sorted(valid)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? A" if near else "a"
    return f"{kind} {name!r} is unknown; {hint}ccepted: {', '.join(names)}."


def outside(argument: str, value: object, low: float, high: float, unit: str = "") -> str:
    """The message for a number outside its range."""
    return f"{argument}={value} is out of range; accepted: {low:g} to {high:g}{' ' + unit if unit else ''}."
