"""What a pipeline does on average, told before any image is degraded: so that a probability the wrong way round is seen at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from .backends.masking import Masks
from .distributions import Array
from .program import Program

BINS = 10  # of the histograms, equally wide from 0 to 1
CHUNK = 1 << 20  # pixels of the images that are drawn for at a time
RENDERED = 2000  # samples whose masks are rendered, which takes nearly all of the time
EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = " ▁▂▃▄▅▆▇█"
WIDTH = 12  # characters of a full bar


@dataclass(frozen=True, eq=False)
class Expectation:
    """Frequencies among samples that a pipeline drew, for its t types. Print it for a table with bars.

    types          tuple[str, …]         the pipeline's vocabulary of ops
    samples        int                   how many were drawn
    size           (int, int)            height and width, in pixels, for which masks were drawn
    probability    (t,) float64          that a sample has the type at least once
    slots          (t,) float64          mean number of slots of the type in a sample
    severity       (t, 10) int64         how many slots of the type have a severity in each tenth of 0…1
    area           (t, 10) int64         the same of the area of their masks, in the first samples alone, and not under a mask that a call gives or makes
    rendered       int                   how many first samples `area` is of
    untouched      float                 share of samples in which all slots are empty or the identity
    """

    types: tuple[str, ...]
    samples: int
    size: tuple[int, int]
    probability: Array
    slots: Array
    severity: Array
    area: Array
    rendered: int
    untouched: float

    def __repr__(self) -> str:
        wide = max(len("type"), *map(len, self.types))
        head = f"{self.samples:,} samples at {self.size[0]}x{self.size[1]}: {self.slots.sum():.2f} slots each, {100 * self.untouched:.1f} % left untouched"
        lines = [head, f"{'type':<{wide}}  {'in samples':<{8 + WIDTH}}  {'slots':>6}  {'severity':<{BINS + 2}}  {'area':<{BINS + 2}}"]
        for i, name in enumerate(self.types):
            share = f"{100 * self.probability[i]:5.1f} % {_bar(self.probability[i])}"
            lines.append(f"{name:<{wide}}  {share}  {self.slots[i]:6.3f}  0{_columns(self.severity[i])}1  0{_columns(self.area[i])}1")
        return "\n".join(lines)


def expect(draw: Callable[[Array, tuple[int, int]], Program], samples: int, size: tuple[int, int]) -> Expectation:
    """Draw samples of ids 0, 1, … and count; see `Pipeline.expected`.

    Args:
        draw: from ids (n,) and (height, width) to their program.
    """
    if not isinstance(samples, (int, np.integer)) or isinstance(samples, bool) or samples < 1:
        raise ValueError(f"samples={samples!r} is not accepted; accepted: a whole number from 1.")
    chunk = max(1, CHUNK // max(1, size[0] * size[1]))
    rendered = min(int(samples), RENDERED)
    types: tuple[str, ...] = ()
    counts: list[tuple[Array, ...]] = []
    for start in range(0, samples, chunk):
        program = draw(np.arange(start, min(start + chunk, samples)), size)
        types = program.ops
        counts.append(_count(program, rendered - start))
    has, slots, severity, area, untouched = (sum(parts) for parts in zip(*counts))
    return Expectation(types, int(samples), (size[0], size[1]), has / samples, slots / samples, severity, area, rendered, float(untouched / samples))


def _count(program: Program, rendered: int) -> tuple[Array, ...]:
    """How many samples have each type, slots of each type, histograms of severity and, of the first samples, area, and how many are untouched."""
    code, types = program.code, len(program.ops)
    has = (code[:, :, None] == np.arange(types)).any(1).sum(0)
    severity = _histogram(code, program.severity, code >= 0, types)
    first = program.select(slice(max(rendered, 0)))
    area = _histogram(first.code, *_areas(first), types)
    return has, severity.sum(1), severity, area, (program.identity() | (code < 0)).all(1).sum()


def _areas(program: Program) -> tuple[Array, Array]:
    """The area of every slot, and whether it is known: not where it hangs on a mask that a call gives or makes. Both (b, s)."""
    waiting = program.waiting()
    if waiting.any():  # such masks are not known; any map may stand for them, for it is not looked at
        numbers = program.numbers.copy()
        numbers[waiting, 0] = 0
        program = replace(program, numbers=numbers, maps=torch.zeros(1, *program.size) if program.maps is None else program.maps)
    slot = np.arange(program.slots)[:, None]
    around = (program.family >= 0)[:, None, :] & (slot >= program.first[:, None, :]) & (slot <= program.last[:, None, :])
    known = (program.code >= 0) & ~(around & waiting[:, None, :]).any(2)
    area = known.astype(np.float32)
    rows, slots = (known & around.any(2)).nonzero()
    if len(rows):
        # The slots of a chain share its masks, which are rendered once.
        masks, which = np.unique(np.column_stack([rows, around[rows, slots]]), axis=0, return_inverse=True)
        weights, strength = Masks(program, None, torch.device("cpu")).weights(masks[:, 0], masks[:, 1:] > 0)
        weights = weights if strength is None else weights * strength
        area[rows, slots] = weights.mean((1, 2), dtype=torch.float64).numpy()[which.reshape(-1)]
    return area, known


def _histogram(code: Array, values: Array, counted: Array, types: int) -> Array:
    """How many values in 0…1 of each type fall into each bin: (t, BINS) int64."""
    bins = np.minimum((values[counted] * BINS).astype(np.int64), BINS - 1)
    return np.bincount(code[counted].astype(np.int64) * BINS + bins, minlength=types * BINS).reshape(types, BINS)


# ---- bars ---------------------------------------------------------------------------------------------------------------


def _bar(share: float) -> str:
    """A share of 1 as a line of blocks, WIDTH characters long when it is full."""
    eighths = round(share * WIDTH * 8)
    if share > 0:
        eighths = max(eighths, 1)  # what is rare still shows
    return ("█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")).ljust(WIDTH)


def _columns(counts: Array) -> str:
    """A histogram as one character a bin, the tallest full."""
    tallest = max(int(counts.max()), 1)
    return "".join(HEIGHTS[-(-8 * int(count) // tallest)] for count in counts)
