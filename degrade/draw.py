"""The one renderer: contact sheets of images, masks, maps and text, as arrays ready to be saved as PNG.

    sheet = draw.degradations(originals, results, labels, title="degrade")
    draw.save("sheet.png", sheet)

Pillow draws, and is imported when something is drawn. Its own font is used, so that a sheet looks the same everywhere.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .labels import Labels
from .masks.combine import expression
from .ops import find
from .pictures import (
    CHIP,
    SMALLEST_CELL,
    Colour,
    Picture,
    Views,
    coverage,
    enlargement,
    palette,
    picture,
    ramp,
    unit,
    where_and_what,
)
from .storing import write_whole

PAPER: Colour = (255, 255, 255)
INK: Colour = (24, 28, 36)
QUIET: Colour = (106, 114, 128)  # secondary text
LINE: Colour = (228, 231, 236)

# What Pillow's font lacks.
SPELLED = str.maketrans({
    "√": "sqrt", "×": "x", "–": "-", "—": "-", "−": "-", "σ": "sigma", "²": "2", "≤": "<=", "µ": "u", "∪": "or", "∩": "and", "¬": "not ",
    "\\": "without",
})  # fmt: skip


@dataclass(frozen=True)
class Note:
    """One entry of a text cell: a numbered chip, a heading with an aside in grey, and smaller lines below."""

    heading: str
    aside: str = ""
    lines: tuple[str, ...] = ()
    chip: str = ""
    colour: Colour | None = None


@dataclass(frozen=True)
class Scale:
    """A column's caption with the colours of `ramp` beside it, from 0 to 1."""

    caption: str


Cell = Picture | Sequence[Note]


# ---- the sheet of a batch --------------------------------------------------------------------------------------------


def degradations(originals: torch.Tensor, results: torch.Tensor, labels: Labels, title: str = "", subtitle: str = "") -> np.ndarray[Any, Any]:
    """One row per sample: original, mask, result, where-and-what map, and what was done in words.

    Args:
        originals, results: b 3 h w uint8.
        labels: of the same batch.
        title, subtitle: head of the sheet.
    """
    kinds = labels.type.tolist()
    shown = [name for i, name in enumerate(labels.types) if any(i in row for row in kinds)]
    colours = palette(shown)
    rows: list[list[Cell]] = []
    for i in range(len(labels)):
        slots = [s for s, code in enumerate(kinds[i]) if code >= 0]
        weights = labels.masks[i, slots]
        confined = weights[(weights < 1.0).flatten(1).any(1)]
        own = [colours[labels.types[kinds[i][s]]] for s in slots]
        rows.append(
            [
                originals[i],
                coverage(confined if len(confined) else weights),
                results[i],
                where_and_what(originals[i], weights, labels.severity[i, slots], own),
                notes(labels, i, slots, own),
            ]
        )
    columns = ("original", "mask", "degraded", "where and what", "what was done, in order")
    return contact_sheet(rows, title=title, subtitle=subtitle, columns=columns, legend=colours, widest=originals.shape[-1])


# ---- the sheet of one image ------------------------------------------------------------------------------------------


def degradation(views: Views, title: str = "", subtitle: str = "") -> np.ndarray[Any, Any]:
    """Original, result, the result with the outline of every mask, the severity everywhere, and what was done in words.

    Args:
        views: of one sample, from `pictures.views`.
        title, subtitle: head of the sheet.
    """
    words = notes(views.labels, 0, views.slots, views.colours, strength=True)
    row: list[Cell] = [views.original, views.result, _numbered(views), ramp(views.severity), words]
    columns = ("original", "degraded", "where", Scale("severity"), "what was done, in order")
    return contact_sheet([row], title=title, subtitle=subtitle, columns=columns)


def _numbered(views: Views) -> np.ndarray[Any, Any]:
    """The outlined picture with a chip on each outline."""
    image_module, _, _ = _pillow()
    canvas, pen = image_module.fromarray(views.outlined), _Pen(views.outlined.shape[1])
    pen.draw = pen.new_draw(canvas)
    side = pen.px(CHIP)
    for number, ((x, y), colour) in enumerate(zip(views.chips, views.colours), start=1):
        pen.chip(x - side // 2, y - side // 2, side, colour, str(number))
    return np.asarray(canvas)


# ---- words -----------------------------------------------------------------------------------------------------------


def notes(labels: Labels, sample: int, slots: Sequence[int], colours: Sequence[Colour], strength: bool = False) -> list[Note]:
    """What is done to a sample: one note per slot.

    Args:
        labels: of a batch.
        sample: which of the batch.
        slots: those that are not empty.
        colours: one per slot.
        strength: also tell the severity, and the level where one was drawn.
    """
    program, told = labels.program, []
    for number, (slot, colour) in enumerate(zip(slots, colours), start=1):
        op = find(labels.types[int(labels.type[sample, slot])])
        regions = zip(program.family[sample], program.fold.tolist(), program.first[sample], program.last[sample])
        around = [(program.families[f].replace("_", " "), fold) for f, fold, first, last in regions if f >= 0 and first <= slot <= last]
        area = float(labels.area[sample, slot])
        aside = f"{expression(around)}, {_percent(area)} of the frame" if around else "whole frame"
        given = op.describe(program.theta[sample, slot])
        parts = [f"{name.replace('_', ' ')} {_value(value, name, op.parameters[name].unit)}" for name, value in given.items()]
        if strength:
            level = float(labels.level[sample, slot])
            parts += [f"severity {float(labels.severity[sample, slot]):.2f}", *([] if np.isnan(level) else [f"level {level:.3g}"])]
        told.append(Note(op.name.replace("_", " "), aside, tuple(parts), str(number), colour))
    return told or [Note("nothing", "this sample is left as it is")]


def _percent(fraction: float) -> str:
    """A fraction as a percentage, of which something small is still seen."""
    return f"{100 * fraction:.0f} %" if fraction >= 0.01 or fraction == 0 else f"{100 * fraction:.1g} %"


def _value(value: Any, name: str, unit: str) -> str:
    """A parameter with its unit, as briefly as can be read."""
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    if unit == "degrees":
        return f"{number}°"
    plain = not unit or isinstance(value, str) or unit.startswith("(") or name in unit  # "passes 2", not "passes 2 passes"
    return number if plain else f"{number} {unit}"


# ---- any sheet -------------------------------------------------------------------------------------------------------


class _Pen:
    """Measures while there is no canvas, draws when there is one."""

    def __init__(self, cell: int) -> None:
        _, image_draw, image_font = _pillow()
        self.unit = unit(cell)
        self.fonts = {size: image_font.load_default(size=round(size * self.unit)) for size in (16, 17, 20, 36)}
        self.new_draw = image_draw.Draw
        self.draw: Any = None

    def px(self, length: float) -> int:
        return round(length * self.unit)

    def width(self, text: str, size: int) -> int:
        return round(self.fonts[size].getlength(text.translate(SPELLED)))

    def text(self, x: float, y: float, text: str, size: int, colour: Colour = INK, bold: bool = False, anchor: str = "ls") -> None:
        """Text at a baseline; the font has one weight, so bold is a thin outline."""
        if self.draw is not None:
            font, stroke = self.fonts[size], 0.35 * self.unit if bold else 0
            self.draw.text((x, y), text.translate(SPELLED), font=font, fill=colour, anchor=anchor, stroke_width=stroke, stroke_fill=colour)

    def chip(self, x: int, y: int, side: int, colour: Colour, text: str = "") -> None:
        """A rounded square of a colour, with a white number in it; x, y is its top left corner."""
        if self.draw is not None:
            self.draw.rounded_rectangle((x, y, x + side - 1, y + side - 1), radius=side // 4, fill=colour)
            self.text(x + side / 2, y + side / 2, text, 16, PAPER, bold=True, anchor="mm")

    def wrap(self, words: Sequence[str], size: int, width: int, joint: str = " ") -> list[str]:
        """Words in lines no wider than `width`."""
        lines: list[str] = []
        for word in words:
            longer = f"{lines[-1]}{joint}{word}" if lines else word
            if lines and self.width(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def notes(self, x: int, y: int, notes: Sequence[Note], width: int) -> int:
        """Write a text cell; returns its height."""
        top, side = y, self.px(CHIP)
        for note in notes:
            if note.colour is not None:
                self.chip(x, y, side, note.colour, note.chip)
            left = x + (self.px(32) if note.colour is not None else 0)
            baseline, room = y + self.px(18), width - (left - x)
            self.text(left, baseline, note.heading, 20, bold=True)
            after = self.width(note.heading, 20) + self.px(12)
            if note.aside and after + self.width(note.aside, 16) <= room:
                self.text(left + after, baseline, note.aside, 16, QUIET)
                lines = []
            else:
                lines = self.wrap(note.aside.split(), 16, room)
            for line in [*lines, *self.wrap(note.lines, 16, room, "  ·  ")]:
                baseline += self.px(20)
                self.text(left, baseline, line, 16, QUIET)
            y = baseline + self.px(13)
        return y - top - self.px(8)

    def scale(self, x: int, y: int, caption: str, width: int) -> None:
        """A caption at a baseline, and the ramp with its ends at the right."""
        self.text(x, y, caption, 16, QUIET)
        right = x + width
        self.text(right, y, "1", 16, QUIET, anchor="rs")
        right -= self.width("1", 16) + self.px(6)
        left = min(x + self.width(caption, 16) + self.px(24) + self.width("0", 16), right)
        self.text(left, y, "0", 16, QUIET, anchor="rs")
        left += self.px(6)
        if self.draw is not None:
            for at in range(left, right):
                colour = tuple(ramp(np.asarray((at - left) / max(right - left - 1, 1))).tolist())
                self.draw.line((at, y - self.px(12), at, y), fill=colour)

    def legend(self, x: int, y: int, legend: Mapping[str, Colour], width: int) -> int:
        """Chips with their names, in as many lines as it takes; returns the height."""
        left, side, top = x, self.px(16), y
        for name, colour in legend.items():
            label = name.replace("_", " ")
            need = side + self.px(8) + self.width(label, 16)
            if left > x and left + need > x + width:
                left, y = x, y + self.px(28)
            self.chip(left, y, side, colour)
            self.text(left + side + self.px(8), y + self.px(13), label, 16)
            left += need + self.px(24)
        return y - top + self.px(28) if legend else 0


def contact_sheet(
    rows: Sequence[Sequence[Cell]],
    title: str = "",
    subtitle: str = "",
    columns: Sequence[str | Scale] = (),
    legend: Mapping[str, Colour] | None = None,
    widest: int | None = None,
    notes_width: int = 400,
) -> np.ndarray[Any, Any]:
    """Rows of pictures and text as one image, H W 3 uint8.

    Args:
        rows: cells, each a picture (see `picture`) or a list of `Note`s; all rows have the same kinds of cells.
        title, subtitle: the head.
        columns: a caption per column, or a `Scale`.
        legend: names and their colours, under the head.
        widest: width of the pictures in pixels; by default that of the widest one. Small ones are enlarged by a whole factor.
        notes_width: width of a text cell when pictures are 256 pixels wide; it scales with them.

    Raises:
        ModuleNotFoundError: if Pillow is not installed, naming the extra that brings it.
    """
    image_module, _, _ = _pillow()
    grid: list[list[Any]] = [[picture(c) if isinstance(c, (torch.Tensor, np.ndarray)) else list(c) for c in row] for row in rows]
    native = widest or max((c.shape[1] for row in grid for c in row if isinstance(c, np.ndarray)), default=SMALLEST_CELL)
    factor = enlargement(native)
    pen = _Pen(native * factor)
    margin, gap = pen.px(36), pen.px(12)
    widths = [pen.px(notes_width) if isinstance(c, list) else native * factor for c in (grid[0] if grid else [])]
    lefts = [margin + sum(widths[:i]) + gap * i + (gap if i and isinstance(grid[0][i], list) else 0) for i in range(len(widths))]
    width = max([lefts[-1] + widths[-1] if widths else 0, pen.px(480)]) + margin

    def lay() -> int:
        """One pass over the sheet, from top to bottom; returns its height."""
        y = margin
        if title:
            pen.text(margin, y + pen.px(30), title, 36, bold=True)
            y += pen.px(46)
        for line in pen.wrap(subtitle.split(), 17, width - 2 * margin) if subtitle else []:
            pen.text(margin, y + pen.px(16), line, 17, QUIET)
            y += pen.px(26)
        y += pen.px(14) if title or subtitle else 0
        if legend:
            y += pen.legend(margin, y, legend, width - 2 * margin) + pen.px(10)
        if columns:
            for left, room, name in zip(lefts, widths, columns):
                if isinstance(name, Scale):
                    pen.scale(left, y + pen.px(15), name.caption, room)
                else:
                    pen.text(left, y + pen.px(15), name, 16, QUIET)
            y += pen.px(26)
        for number, row in enumerate(grid):
            if number and pen.draw is not None:
                pen.draw.line((margin, y - gap / 2, width - margin, y - gap / 2), fill=LINE)
            y += pen.px(6) if number else 0
            tallest = 0
            for left, room, cell in zip(lefts, widths, row):
                if isinstance(cell, list):
                    tallest = max(tallest, pen.notes(left, y, cell, room))
                else:
                    tallest = max(tallest, cell.shape[0] * factor)
                    if pen.draw is not None:
                        large = cell.repeat(factor, 0).repeat(factor, 1)
                        canvas.paste(image_module.fromarray(large), (left, y))
            y += tallest + gap
        return y - gap + margin

    canvas = image_module.new("RGB", (width, lay()), PAPER)
    pen.draw = pen.new_draw(canvas)
    lay()
    return np.asarray(canvas)


def save(path: str | os.PathLike[str], image: np.ndarray[Any, Any]) -> None:
    """Write an image H W 3 uint8 as PNG; the file appears whole or not at all.

    Raises:
        OSError: if it cannot be written, naming the path and the reason.
    """
    image_module, _, _ = _pillow()
    data = io.BytesIO()
    image_module.fromarray(image).save(data, "PNG")
    write_whole(path, data.getvalue())


def _pillow() -> tuple[Any, Any, Any]:
    """Pillow's modules Image, ImageDraw and ImageFont."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ModuleNotFoundError:
        raise ModuleNotFoundError("drawing needs Pillow, which is not installed: pip install 'degrade[demo]'.") from None
    return Image, ImageDraw, ImageFont
