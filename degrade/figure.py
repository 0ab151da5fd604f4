"""Figures: one sample of a program as a matplotlib Figure, for notebooks and papers. Imported when one is asked for.

Figures are built without pyplot: no window opens, no backend is chosen, and nothing has to be closed.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .draw import INK, QUIET, Note, notes
from .pictures import RAMP, Colour, Views, views
from .program import Program

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure
except ModuleNotFoundError:
    raise ModuleNotFoundError("a figure needs matplotlib, which is not installed: pip install 'degrade[demo]'.") from None

WIDTH = 13.0  # inches
MARGIN, GAP, BAR, TITLE = 0.15, 0.12, 0.12, 0.3  # inches
TALLEST = 6.0  # inches that a panel takes at most
LINE, PARAGRAPH = 0.19, 0.09  # inches from line to line, and more from slot to slot
COLUMNS = ((0.25, 24), (2.4, 42), (5.7, 84))  # of the text: inches from the left, and characters that fit: op, mask, parameters


class Shown(Figure):
    """A Figure that a notebook displays also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def figure(program: Program, x: torch.Tensor, sample: int = 0, mask: torch.Tensor | None = None) -> Figure:
    """Original, result, the result with outlined masks, the severity everywhere, and below them the program in words.

    An outline is where a mask is 0.5; the thin one around it, where it is 0.05. Its colour and number are those of its slot in
    the text. Severity is 1 − Π(1 − severity · mask). Images smaller than 192 pixels are enlarged by a whole factor, and of those
    larger than 1024 blocks are averaged, after the program was applied.

    In a notebook the figure is displayed as the last value of a cell, or by display(figure), whether pyplot was imported or not.
    In a script: figure.savefig("what.png"), or any other suffix that matplotlib writes.

    Args:
        program: any number of samples.
        x: the image of the sample, 3 h w, or of all samples, b 3 h w; uint8 or float in 0…1. One grey channel is accepted too.
        sample: which of the program's, from 0.
        mask: h w, or b 1 h w for all samples: what `masks.FromTensor()` without a tensor reads. Of `masks.Segments()` only a program that
            knows them can be shown: `labels.program.show(x)`.

    Raises:
        ValueError, TypeError: bad input, naming the argument, the value and what is accepted.
        ModuleNotFoundError: if matplotlib is not installed, naming the extra that brings it.
    """
    seen = views(program, x, sample, mask)
    height, width = seen.original.shape[:2]
    across = (WIDTH - 2 * MARGIN - 4 * GAP - BAR - 0.3) / 4
    tall = min(across * height / width, TALLEST)
    rows = [_wrapped(note) for note in notes(seen.labels, 0, seen.slots, seen.colours, strength=True)]
    text = sum(LINE * max(map(len, row)) + PARAGRAPH for row in rows)
    total = 2 * MARGIN + TITLE + tall + 2 * GAP + text
    made = Shown(figsize=(WIDTH, total), dpi=100, facecolor="white")
    FigureCanvasAgg(made)

    def box(left: float, top: float, wide: float, high: float) -> tuple[float, float, float, float]:
        """A rectangle in inches from the top left, as matplotlib wants it."""
        return left / WIDTH, 1.0 - (top + high) / total, wide / WIDTH, high / total

    top = MARGIN + TITLE
    panels = (("original", seen.original), ("degraded", seen.result), ("where", seen.outlined), ("severity", seen.severity))
    for i, (title, array) in enumerate(panels):
        axes = made.add_axes(box(MARGIN + i * (across + GAP), top, across, tall), label=title)
        axes.set_axis_off()
        axes.set_title(title, loc="left", fontsize=10, color=_rgb(QUIET), pad=4)
        axes.imshow(array, cmap=_colours(), norm=Normalize(0.0, 1.0))
        if title == "where":
            _number(axes, seen)
    bar = made.add_axes(box(MARGIN + 4 * across + 4 * GAP, top, BAR, tall), label="scale")
    made.colorbar(ScalarMappable(Normalize(0.0, 1.0), _colours()), cax=bar, ticks=[0, 0.5, 1]).ax.tick_params(labelsize=8, length=2)
    _write(made, rows, seen.colours, lambda x, y: box(x + MARGIN, y + top + tall + 2 * GAP, 0.0, 0.0)[:2])
    return made


def _number(axes: Any, seen: Views) -> None:
    for number, ((x, y), colour) in enumerate(zip(seen.chips, seen.colours), start=1):
        axes.text(x, y, str(number), **_chip(colour, 9))


def _write(made: Figure, rows: Sequence[tuple[list[str], ...]], colours: Sequence[Colour], at: Any) -> None:
    """The program in words: one row of three columns per slot."""
    y = 0.0
    for number, row in enumerate(rows, start=1):
        if colours:
            x, top = at(0.08, y + 0.1)
            made.text(x, top, str(number), **_chip(colours[number - 1], 8))
        for (left, _), lines, colour, weight in zip(COLUMNS, row, (INK, QUIET, QUIET), ("bold", "normal", "normal")):
            for i, line in enumerate(lines):
                x, top = at(left, y + 0.1 + i * LINE)
                made.text(x, top, line, fontsize=10, color=_rgb(colour), fontweight=weight, va="center_baseline", parse_math=False)
        y += LINE * max(map(len, row)) + PARAGRAPH


def _wrapped(note: Note) -> tuple[list[str], ...]:
    """A note as lines of three columns."""
    heading, aside = (textwrap.wrap(text, width) for text, (_, width) in zip((note.heading, note.aside), COLUMNS))
    lines: list[str] = []
    for part in note.lines:
        if lines and len(lines[-1]) + len(part) + 5 <= COLUMNS[2][1]:
            lines[-1] += f"  ·  {part}"
        else:
            lines.append(part)
    return heading, aside, lines


def _chip(colour: Colour, size: int) -> dict[str, Any]:
    box = {"boxstyle": "round,pad=0.3", "facecolor": _rgb(colour), "edgecolor": "none"}
    return {"color": "white", "fontsize": size, "fontweight": "bold", "ha": "center", "va": "center_baseline", "bbox": box}


def _colours() -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("severity", np.asarray(RAMP) / 255.0)


def _rgb(colour: Colour) -> tuple[float, float, float]:
    r, g, b = colour
    return r / 255.0, g / 255.0, b / 255.0
