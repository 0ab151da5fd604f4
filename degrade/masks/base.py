"""What a mask family is: a shape drawn per sample as a few numbers, and the weight they give a pixel."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch

from degrade.distributions import Array, Uniform, parse
from degrade.errors import unknown
from degrade.parameter import Param

MAX_NUMBERS = 16  # what a device function gets as values; a family that stores more reads the others from memory

Numbers = tuple[torch.Tensor, ...]  # as many tensors (n, 1, 1), float32, as the program has columns of numbers


class Mask:
    """A family of soft masks with weights in [0, 1].

    Args:
        area: Σ weight / (h · w), as a fraction of the frame: a number, (low, high) or a distribution in [0.001, 1].
        feather: full width of the soft ramp, from weight 0 to weight 1, as a fraction of √(h · w); it is capped where the
            region is too small for it, so that the peak stays 1.
        **shape: the family's own parameters.

    Raises:
        ValueError, TypeError: an unknown name or a value outside its range, naming what is accepted.
    """

    name: ClassVar[str]
    caption: ClassVar[str]
    parameters: ClassVar[dict[str, Param]]
    bank: torch.Tensor | None = None  # stored maps (k, h, w), for families that read a tensor; numbers[:, 0] is the row
    others: ClassVar[tuple[str, ...]] = ()  # arguments beside its parameters
    shape_draws: ClassVar[int] = 0  # uniforms the family takes beside one per parameter
    columns: ClassVar[int] = MAX_NUMBERS  # numbers that it stores
    reads_map: ClassVar[bool] = False  # whether numbers[:, 0] is the row of a stored map
    bounded: ClassVar[bool] = False  # whether `support` is a box around a shape, of which the frame cuts off what lies outside
    made_of: ClassVar[str | None] = None  # what a call makes that map of: "image" or "segments"
    weight: ClassVar[Callable[..., torch.Tensor]]
    device: ClassVar[Any]

    area = Param(0.001, 1.0, unit="of the frame", default=(0.05, 0.4))
    feather = Param(0.0, 2.0, unit="of √(h·w)", default=(0.02, 0.2))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        common = {"area": Mask.area, "feather": Mask.feather}
        cls.parameters = {**common, **{k: v for c in reversed(cls.__mro__) for k, v in vars(c).items() if isinstance(v, Param)}}
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.caption = (inspect.getmodule(cls).__doc__ or "").strip().split("\n")[0]  # type: ignore[union-attr]

    def __init__(self, **given: Any) -> None:
        for name in given:
            if name not in self.parameters:
                raise TypeError(unknown(f"{type(self).__name__} parameter", name, (*self.parameters, *self.others)))
        self.values = {n: q.check(n, parse(n, given[n]) if n in given else q.spread()) for n, q in self.parameters.items()}

    @property
    def draws(self) -> int:
        """How many uniforms one draw takes."""
        return len(self.values) + self.shape_draws

    def draw(self, u: Array, height: int, width: int) -> Array:
        """The numbers of n masks, (n, columns) float32, from uniforms u: (n, draws)."""
        drawn = {name: drawn_value(self.parameters[name], how, u[:, i]) for i, (name, how) in enumerate(self.values.items())}
        numbers = np.zeros((len(u), self.columns), dtype=np.float32)
        solved = self.solve(u[:, len(self.values) :], height, width, **drawn)
        numbers[:, : solved.shape[1]] = solved
        return numbers

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        """Numbers (n, k ≤ columns) whose mask has the drawn area: in closed form or by a table, never by rendering."""
        raise NotImplementedError

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        """Rectangles (n, 4) int64, y0 y1 x0 x1 with open ends, outside which the weight is exactly 0."""
        return np.tile(np.asarray([0, height, 0, width], dtype=np.int64), (len(numbers), 1))

    @classmethod
    def moved(cls, support: Array, shift: Array, height: int, width: int) -> Array:
        """Supports (n, 4) of masks that have moved by (n, 2) pixels down and to the right, within the frame."""
        frame, out = np.asarray([0, height, 0, width], dtype=np.int64), support
        if cls.bounded:
            y0, y1, x0, x1 = (support + shift.astype(np.float64)[:, [0, 0, 1, 1]] + [-0.01, 0.01, -0.01, 0.01]).T  # for coordinates are rounded
            out = box(y0, y1, x0, x1, height, width)
        unknown_beyond = (support == frame) | (not cls.bounded)  # what the frame cut off may come in
        return np.where(shift.any(1, keepdims=True), np.where(unknown_beyond, frame, out), support)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that build this mask again."""
        return {n: v.to_dict() for n, v in self.values.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.to_dict().items())})"


# A family also has, as static methods,
#
#   weight(y, x, numbers, maps)        the twin. y: (h, 1), x: (w,) float32 pixel centres (first pixel 0.5), or for masks that have moved
#                                      (n, h, 1) and (n, 1, w), also beyond the frame; numbers: a tuple of at least `columns` tensors
#                                      (n, 1, 1); maps: (k, h, w) float32 or None. Returns (n, h, w).
#   device(y, x, numbers, row, maps)   the device function. y: [rows, 1], x: [1, columns]; numbers: a tuple of the first
#                                      MAX_NUMBERS scalars; row: a pointer to the first of all; maps: an image tuple (pointer,
#                                      height, width) of float32 planes. Returns [rows, columns].
#
# Both use single additions, multiplications, div_rn and sqrt_rn only, so that areas agree bit for bit across backends.


def drawn_value(param: Param, how: Any, u: Array) -> Array:
    """What a distribution draws; every whole number of a range is as likely as any other."""
    if param.integer and isinstance(how, Uniform):
        low, high = np.ceil(how.low), np.floor(how.high)
        return np.minimum(low + np.floor((high - low + 1) * u), high)
    drawn: Array = how.draw(u)
    return np.floor(drawn + 0.5) if param.integer else drawn


# ---- what the families share; each function works row by row, so that a sample never depends on its batch ---------------

# The thinnest ramp, in pixels. At this width (tan πF = πF) the sum over pixel centres no longer depends on where between
# two centres the edge lies, so the area of a hard-edged region is right on the grid: this is its anti-aliasing.
EDGE = 1.43


# Gauss's rule for a mean over a ramp's levels, of density 6t(1 − t): the inner points and weights of Lobatto's.
_P6 = np.polynomial.Legendre.basis(6)
_INNER: Array = np.real(_P6.deriv().roots())
_WEIGHTS = (1.0 - _INNER**2) / _P6(_INNER) ** 2
LEVELS, SHARES = (0.5 + 0.5 * _INNER).astype(np.float32), (_WEIGHTS / _WEIGHTS.sum()).astype(np.float32)


def root(function: Callable[[Array], Array], target: Array, low: Array, high: Array, steps: int = 10) -> Array:
    """Where an increasing function reaches its target between low and high, or the nearer end.

    Secants alternate with halvings: the first converge fast, the second always. The number of steps is fixed, so that a
    row's result does not depend on the others.
    """
    below, above = function(low) - target, function(high) - target
    at = low
    for step in range(steps):
        if step % 2:
            at = 0.5 * (low + high)
        else:
            at = _secant(low, high, below, above)
        value = function(at) - target
        left = value < 0.0
        low, below = np.where(left, at, low), np.where(left, value, below)
        high, above = np.where(left, high, at), np.where(left, above, value)
    return _secant(low, high, below, above)


def _secant(low: Array, high: Array, below: Array, above: Array) -> Array:
    span = above - below
    return low + (high - low) * np.clip(-below / np.where(span > 0.0, span, 1.0), 0.0, 1.0)


def once(z: Array) -> Array:
    """The antiderivative of smoothstep, limited to [0, 1], from 0."""
    t = np.clip(z, 0.0, 1.0)
    return t * t * t * (1.0 - 0.5 * t) + np.maximum(z - 1.0, 0.0)


def twice(z: Array) -> Array:
    """The antiderivative of `once`, from 0."""
    t, beyond = np.clip(z, 0.0, 1.0), np.maximum(z - 1.0, 0.0)
    square = t * t
    return square * square * (0.25 - 0.1 * t) + beyond * (0.5 + 0.5 * beyond)


def box(y0: Array, y1: Array, x0: Array, x1: Array, height: int, width: int) -> Array:
    """Integer rectangles that cover real-valued ones, limited to the frame."""
    out = np.empty((len(y0), 4))
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = np.floor(y0), np.ceil(y1), np.floor(x0), np.ceil(x1)
    return out.clip(0, (height, height, width, width)).astype(np.int64)
