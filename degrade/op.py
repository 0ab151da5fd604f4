"""What a degradation is: typed parameters, a torch twin, and device functions. Each op is one file in `degrade/ops`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from .distributions import Array, Choice, Constant, Levels, Uniform, parse
from .errors import outside, unknown
from .kernels import rng
from .kernels.fetch import fetch_column
from .kernels.lang import jit
from .parameter import Param

MAX_PARAMETERS = 8
SEVERITY, LEVEL = MAX_PARAMETERS, MAX_PARAMETERS + 1  # columns of what an op drew, after its parameters
RESERVED = (
    "p",
    "severity",
    "level",
    "direction",
    "x",
    "mask",
    "blend",
    "blend_space",
    "seed",
    "ids",
    "backend",
    "check",
    "noise",
    "gradient",
)  # arguments that every op or functional form has

Theta = tuple[torch.Tensor, ...]  # one tensor (n, 1, 1, 1) per parameter, float32

COMMON = """    severity: a number or distribution in [0, 1] in place of the first parameter; 0 is the identity.
    level: a number or distribution of levels, from 1, for parameters given as `Levels`.
    direction: "up", "down" or "both", which way `severity` moves a signed parameter.
    p: probability that the op is applied, else its slot stays empty.

Each parameter takes a number, (low, high), LogUniform, Normal, Choice, or Levels."""


class Frame(NamedTuple):
    """What an op's tables may depend on beside its parameters, for n samples."""

    height: int  # of the images, in pixels
    width: int
    u: Array  # (n, op.uniforms) float64 in (0, 1), a sample's own; or the first of them, as many as `needs` says


class Stroke(NamedTuple):
    """One pass over the image before the settle, as a device function; see `TwoStrokeOp`."""

    fn: Any
    stores: bool = True  # what it returns goes to the scratch; else it only adds to the words
    solo: bool = False  # one tile per sample, which works on the words alone and stores nothing


class Context(NamedTuple):
    """What a twin may use beside the image and the parameters."""

    rng: Any  # .uniform4(draw) -> four tensors (n, h, w) in (0, 1), the numbers the device draws
    table: torch.Tensor  # (n, length) float32: the rows of `tables(theta, frame)`, on the image's device
    round: Callable[[torch.Tensor], torch.Tensor]  # clamp and round to the working precision, at a pass boundary


class Op:
    """A degradation, and a leaf of a recipe.

    An instance holds how each parameter is drawn; the class holds what the op is. The first parameter is the one that
    `severity` moves.

    Args:
        p: probability that the op is applied, else its slot stays empty.
        severity: a number or distribution in [0, 1] in place of the first parameter; 0 is the identity.
        level: a number or distribution of levels, from 1, for parameters given as `Levels`.
        direction: "up", "down" or "both", which way `severity` moves a signed parameter.
        **parameters: a number, (low, high), or a distribution for each parameter.

    Raises:
        ValueError, TypeError: an unknown name or a value outside its range, naming what is accepted.
    """

    name: ClassVar[str]
    group: ClassVar[str]
    caption: ClassVar[str]
    parameters: ClassVar[dict[str, Param]]
    twin: ClassVar[Callable[[torch.Tensor, Theta, Context], torch.Tensor]]
    kind: ClassVar[str]
    tolerance: ClassVar[float] = 0.0  # largest difference between device and twin on the 0..1 scale
    uniforms: ClassVar[int] = 0  # random numbers per sample that `tables` takes: positions, angles, colours
    # Whether the first parameter may differ from pixel to pixel: only `point` or `settle` reads it, by arithmetic and no branch, and no
    # table depends on it. The last of the eight parameters must be free.
    modulates: ClassVar[bool] = False
    on_grid: ClassVar[bool] = False  # works on blocks whose grid begins in a corner of the image
    # What a gradient is: "exact", that of the twin, or "straight-through" for steps, whose own is 0 almost everywhere: that of `smooth`, on request.
    gradient: ClassVar[str] = "exact"
    steps: ClassVar[tuple[str, ...]] = ()  # parameters that are rounded, or tell positions, so that no gradient reaches them
    settle_warps: ClassVar[int] = 2  # threads by 32, of eight pixels each; more for a settle that holds too much for that
    strengths: ClassVar[int] = 12  # of other ops, at how many parameters it runs where a mask is its strength (`degrade.kernels.levels`)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.parameters = {k: v for k, v in vars(cls).items() if isinstance(v, Param)}
        if not cls.parameters:
            return  # an abstract kind
        if len(cls.parameters) > MAX_PARAMETERS:
            raise TypeError(f"{cls.__name__} has {len(cls.parameters)} parameters; accepted: at most {MAX_PARAMETERS}.")
        for name in cls.parameters:
            if name in RESERVED:
                raise TypeError(f"{cls.__name__} calls a parameter {name!r}, which every op has already; accepted: another name.")
            delattr(cls, name)  # so that a parameter may be called as a hook is, such as `radius`
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.group = (["", *cls.__module__.split(".")])[-2] or "other"  # the folder
        cls.caption = (inspect.getmodule(cls).__doc__ or cls.__doc__ or "").strip().split("\n")[0]  # type: ignore[union-attr]
        cls.__signature__ = _signature(cls.parameters)  # type: ignore[attr-defined]
        cls.__doc__ = "\n".join(
            [f"{cls.__doc__ or cls.caption}\n", "Args:", *(f"    {n}: {q.describe()}" for n, q in cls.parameters.items()), COMMON]
        )

    def __init__(self, *first: Any, p: float = 1.0, severity: Any = None, level: Any = None, direction: str = "both", **given: Any) -> None:
        names = list(self.parameters)
        if len(first) > 1:
            raise TypeError(f"{type(self).__name__} takes one positional argument, {names[0]}; {len(first)} were given.")
        if first:
            if names[0] in given:
                raise TypeError(f"{names[0]} was given twice.")
            given[names[0]] = first[0]
        for name in given:
            if name not in names:
                raise TypeError(unknown(f"{type(self).__name__} parameter", name, [*names, "p", "severity", "level", "direction"]))
        if severity is not None and names[0] in given:
            raise TypeError(f"{type(self).__name__}: give {names[0]}= or severity=, not both.")
        main = self.parameters[names[0]]
        if severity is None and names[0] not in given and main.default is None and isinstance(main.harsh, tuple):
            severity = (0.0, 1.0)  # each way half of the time, however far the one way goes beyond the other
        self.p = probability("p", p)
        self.values = {n: q.check(n, parse(n, given[n]) if n in given else q.spread(), levels=True) for n, q in self.parameters.items()}
        self.severity = None if severity is None else Param(0.0, 1.0).check("severity", parse("severity", severity))
        self.level = self._level(level)
        if direction not in ("up", "down", "both"):
            raise ValueError(unknown("direction", direction, ("up", "down", "both")))
        if direction != "both" and self.severity is None:
            raise TypeError(f"direction={direction!r} says which way severity= goes; give severity= too.")
        self.direction = direction

    def _level(self, level: Any) -> Any:
        tables = [len(v.table) for v in self.values.values() if isinstance(v, Levels)]
        if not tables:
            if level is not None:
                raise ValueError(
                    f"level={level!r} needs a table of levels; give a parameter as Levels(...), or take the op from a bank: "
                    f"degrade.banks.kadid10k().single({self.name!r}, level={level!r})."
                )
            return None
        return Param(1.0, float(min(tables))).check("level", parse("level", level) if level is not None else Choice(range(1, min(tables) + 1)))

    @property
    def draws(self) -> int:
        """How many uniforms are the op's own: severity, direction, level, then one per parameter."""
        return 3 + len(self.parameters)

    @cached_property
    def reads(self) -> range:
        """Those of its own uniforms that a draw takes: a span from the first to the last that it needs."""
        read = [0, 1] * (self.severity is not None) + [2] * (self.level is not None)
        read += [3 + i for i, _, how in self._drawn if not isinstance(how, Levels)]
        return range(min(read), max(read) + 1) if read else range(0)

    def draw(self, u: Array, out: Array) -> Array | None:
        """What n samples get, from uniforms u (n, reads), and which of them it is applied to, None for all.

        A row of `out` then holds MAX_PARAMETERS float32 parameters, unused ones 0, then the severity and the level, NaN where no level was asked for.
        """
        start = self.reads.start
        if isinstance(self.level, Choice):
            level = None
            self._usual.take(self.level.pick(u[:, 2 - start]), axis=0, out=out, mode="clip")
        else:
            level = None if self.level is None else self.level.draw(u[:, 2 - start])
            out[:] = self._usual
        if level is not None:
            out[:, LEVEL] = level
        for i, param, how in self._drawn:
            if isinstance(how, Levels):
                value = how.at(level)  # type: ignore[arg-type]
            elif param.choices is not None:
                value = np.asarray([param.choices.index(v) for v in how.values])[how.pick(u[:, 3 + i - start])]
            elif param.integer and isinstance(how, Uniform):  # each whole number as likely as any other
                low, high = np.ceil(how.low), np.floor(how.high)
                value = np.minimum(low + np.floor((high - low + 1) * u[:, 3 + i - start]), high)
            else:
                value = how.draw(u[:, 3 + i - start])
            out[:, i] = param.stored(value)
        if self.severity is not None:
            out[:, SEVERITY] = severity = self.severity.draw(u[:, 0])
            up = u[:, 1] < 0.5 if self.direction == "both" else np.full(len(u), self.direction == "up")
            out[:, 0] = self._first.stored(self._first.at(severity, up))
            active: Array = severity > 0
            return active
        if self._drawn and self._drawn[0][0] == 0:
            out[:, SEVERITY] = self._first.severity(out[:, 0])
        return None

    @property
    def _first(self) -> Param:
        """The parameter that `severity` moves."""
        return next(iter(self.parameters.values()))

    @cached_property
    def _usual(self) -> Array:
        """What does not differ between samples, once for each level where one is chosen from a few."""
        level = np.asarray(self.level.values, dtype=np.float64) if isinstance(self.level, Choice) else np.full(1, np.nan)
        out = np.zeros((len(level), MAX_PARAMETERS + 2), dtype=np.float32)
        drawn = [i for i, _, _ in self._drawn]
        for i, (name, param) in enumerate(self.parameters.items()):
            how = self.values[name]
            if i in drawn or (i == 0 and self.severity is not None):
                continue
            value = how.at(level) if isinstance(how, Levels) else param.choices.index(how.values[0]) if param.choices else how.bounds()[0]
            out[:, i] = param.stored(value)
        out[:, SEVERITY], out[:, LEVEL] = self._first.severity(out[:, 0]), level
        return out

    @cached_property
    def _drawn(self) -> tuple[tuple[int, Param, Any], ...]:
        """The parameters that differ between samples, beside what `severity` and a chosen level say: index, what it is, how it is drawn."""

        def differs(how: Any) -> bool:
            few = isinstance(how, Constant) or (isinstance(how, Choice) and len(how.values) == 1)
            return not few and not (isinstance(how, Levels) and isinstance(self.level, Choice))

        every = enumerate(self.parameters.items())
        return tuple((i, q, self.values[n]) for i, (n, q) in every if differs(self.values[n]) and not (i == 0 and self.severity is not None))

    def to_dict(self) -> dict[str, Any]:
        """The arguments that build this op again."""
        first = next(iter(self.parameters))
        out: dict[str, Any] = {n: v.to_dict() for n, v in self.values.items() if not (n == first and self.severity is not None)}
        for name, value in (("severity", self.severity), ("level", self.level)):
            if value is not None:
                out[name] = value.to_dict()
        if self.direction != "both":
            out["direction"] = self.direction
        if self.p != 1.0:
            out["p"] = self.p
        return out

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.to_dict().items())})"

    # ---- hooks, vectorised over n samples; theta is (n, MAX_PARAMETERS) float32 on the host ------------------------------

    @classmethod
    def identity(cls, theta: Array) -> Array:
        """Which parameters leave every image as it is: (n,) bool."""
        first = next(iter(cls.parameters.values()))
        return theta[:, 0] == np.float32(first.neutral)

    @classmethod
    def scaled(cls, theta: Array, scale: float) -> Array:
        """Parameters whose lengths in pixels are multiplied.

        Raises:
            ValueError: if a length then lies outside its range.
        """
        lengths = np.asarray([p.unit == "px" for p in cls.parameters.values()])
        out = theta.copy()
        out[:, : len(lengths)] *= np.where(lengths, np.float32(scale), np.float32(1.0))
        whole = np.flatnonzero([p.unit == "px" and p.integer for p in cls.parameters.values()])
        out[:, whole] = np.floor(out[:, whole] + 0.5)
        cls.check(out)
        return out

    @classmethod
    def check(cls, theta: Array) -> None:
        """Refuse parameters out of range.

        Raises:
            ValueError: naming the parameter and what is accepted.
        """
        for i, (name, param) in enumerate(cls.parameters.items()):
            low, high = (0, len(param.choices) - 1) if param.choices else (param.low, param.high)
            values = theta[:, i].astype(np.float64)
            wrong = values[~((values >= low - 1e-6 * abs(low)) & (values <= high + 1e-6 * abs(high)))]
            if len(wrong):
                raise ValueError(outside(f"{cls.name} {name}", f"{wrong[0]:g}", low, high, param.unit))
            if (param.choices or param.integer) and (values != np.floor(values)).any():
                raise ValueError(f"{cls.name} {name} is not a whole number.")

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """A row of float32 numbers per sample (tap lists, quantisation tables, boxes) that twin and device share."""
        return np.zeros((len(theta), 0), dtype=np.float32)

    @classmethod
    def frame(cls, key: int, ids: Array, slots: Array | int, height: int, width: int) -> Frame:
        """What the tables of n samples may depend on, each in its own slot."""
        u = rng.uniforms(key, ids, slots, cls.uniforms, rng.TABLE_DRAW) if cls.uniforms else np.empty((len(ids), 0))
        return Frame(height, width, u)

    @classmethod
    def needs(cls, theta: Array) -> int:
        """How many of the `uniforms` the tables of these samples take at most: a frame may hold no more."""
        return cls.uniforms

    @classmethod
    def learnable(cls) -> tuple[str, ...]:
        """The parameters that gradients reach."""
        real = [n for n, q in cls.parameters.items() if q.choices is None and not q.integer and n not in cls.steps]
        return tuple(real) if cls.gradient == "exact" else ()

    @classmethod
    def gradients(cls) -> str:
        """What gradient it has, and which parameters get one, in words."""
        return f"{cls.gradient}, also to {', '.join(cls.learnable())}" if cls.learnable() else cls.gradient

    @classmethod
    def smooth(cls, x: torch.Tensor, theta: Theta) -> torch.Tensor:
        """What a straight-through op approximates, whose gradient it has: by default the image itself."""
        return x

    @classmethod
    def describe(cls, theta: Array) -> dict[str, Any]:
        """One sample's parameters by name, options as names, for people to read. Further ones at their usual value are left out."""
        out: dict[str, Any] = {}
        for i, (value, (name, param)) in enumerate(zip(theta, cls.parameters.items())):
            read = param.choices[int(value)] if param.choices else int(value) if param.integer else float(value)
            usual = np.float32(param.default) if isinstance(param.default, (int, float)) else param.default
            if i == 0 or read != usual:
                out[name] = read
        return out


class PointOp(Op):
    """An op whose output at a pixel depends on that pixel, and where it lies, alone.

    `point(r, g, b, theta, table, rng, pixel)` takes and returns the three channels; theta is a tuple of scalars, and pixel
    is y << 16 | x.
    """

    kind = "point"
    point: ClassVar[Any]


class CodecOp(Op):
    """An op that only a library on the host can do: a real codec.

    It has a twin and no device functions, so a program that holds one runs on the torch backend, and on a GPU its images go
    to the host and back. Its bits are those of the installed library.
    """

    kind = "codec"


class TwoStrokeOp(Op):
    """An op that reads neighbours or the whole image.

    `reach(image, before, y, x, theta, table, words, rng, stage, inside)` reads the image anywhere and returns three channels
    for the scratch, where they are rounded to the working precision; `settle(scratch, y, x, r, g, b, theta, table, words,
    rng)` reads the scratch anywhere and the image's own pixel (r, g, b), and returns the result, by default the scratch.

    An op that needs more passes lists them as `strokes` in place of `reach`. Each reads the image, and in `before` what the
    last pass that stored anything left (at first the image); settle reads what the last of them left. `schedule` may repeat
    or skip strokes; `stage` counts the passes from 0. `words` points to the sample's int64 words, zero at first.
    """

    kind = "two-stroke"
    reach: ClassVar[Any]
    strokes: ClassVar[tuple[Stroke, ...]] = ()
    words: ClassVar[int] = 0  # int64 words per sample; they hold statistics, which need the whole frame
    whole_frame: ClassVar[bool] = False  # reads anywhere: a statistic of the image, or a far displacement
    # Of its strokes: a limit, where the compiler's own choice spills, and threads by 32. A kernel of several ops takes the most that any asks for.
    registers: ClassVar[int | None] = None
    warps: ClassVar[int] = 4
    # Each pixel is read from a place of its own. Its passes, if it takes several, then store pixel by pixel: lanes that lie for whole words would
    # have Triton move every address from one thread to another.
    scattered: ClassVar[bool] = False
    several: ClassVar[bool]  # whether it may take more than one pass, and so has a reach kernel of its own
    block: ClassVar[int] = 1  # side of the aligned squares that it can only compute whole; at most a tile

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.strokes and hasattr(cls, "reach"):
            cls.strokes = (Stroke(cls.reach),)
        # In the class body a static method is still wrapped.
        cls.strokes = tuple(s._replace(fn=s.fn.__func__ if isinstance(s.fn, staticmethod) else s.fn) for s in cls.strokes)
        cls.several = len(cls.strokes) > 1 or cls.schedule.__func__ is not TwoStrokeOp.schedule.__func__  # type: ignore[attr-defined]

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):  # type: ignore[no-untyped-def]
        """The scratch as it is: for ops that the strokes finish. All of them share its code in a kernel."""
        return fetch_column(scratch, y, x)

    @classmethod
    def radius(cls, theta: Array) -> Array:
        """How far from a pixel its output reads in all strokes together, in pixels: (n,) int."""
        return np.zeros(len(theta), dtype=np.int64)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        """The stroke of each pass, as an index into `strokes`: (n, passes) int, -1 after a sample's last."""
        return np.tile(np.arange(len(cls.strokes)), (len(theta), 1))

    @classmethod
    def extents(cls, theta: Array, frame: Frame, passes: int) -> Array:
        """How many rows and columns from the origin each pass writes: (n, passes, 2) int, for an op that reads the whole frame.

        Two passes that follow each other and write the same part give it back to the buffer that they took it from; the rest of that
        buffer is as it was before both.
        """
        return np.broadcast_to(np.array([frame.height, frame.width]), (len(theta), passes, 2))


def ordered_sum(rows: Array) -> Array:
    """The sum of each row (n, k) as (n, 1), added from left to right.

    NumPy's own sum groups by length, so zeros that pad a row to its batch's longest would change the last bit.
    """
    return rows.cumsum(axis=1, dtype=np.float64)[:, -1:] if rows.shape[1] else np.zeros((len(rows), 1))


def probability(argument: str, value: float) -> float:
    """The value, if it is a probability."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{argument}={value!r} is not a probability; accepted: a number from 0 to 1.")
    return float(value)


def _signature(parameters: dict[str, Param]) -> inspect.Signature:
    """What `help` and editors show."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD if i == 0 else keyword, default=None) for i, n in enumerate(parameters)]
    common = {"severity": None, "level": None, "direction": "both", "p": 1.0}
    return inspect.Signature([*own, *(inspect.Parameter(n, keyword, default=v) for n, v in common.items())])
