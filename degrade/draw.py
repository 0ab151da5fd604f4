"""The one renderer: contact sheets of images, masks, maps and text, as arrays ready to be saved as PNG.

    sheet = draw.degradations(originals, results, labels, title="degrade")
    draw.save("sheet.png", sheet)

Pillow draws, and is imported when something is drawn. Its own font is used, so that a sheet looks the same everywhere.
"""

from __future__ import annotations

import colorsys
import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .labels import Labels
from .ops import find

Colour = tuple[int, int, int]
Picture = torch.Tensor | np.ndarray[Any, Any]

PAPER: Colour = (255, 255, 255)
INK: Colour = (24, 28, 36)
QUIET: Colour = (106, 114, 128)  # secondary text
LINE: Colour = (228, 231, 236)

# Distinct on white and over grey photographs, also to most colour-blind eyes when neighbours are compared.
COLOURS: tuple[Colour, ...] = (
    (37, 99, 235), (234, 88, 12), (22, 163, 74), (219, 39, 119), (124, 58, 237), (202, 138, 4),
    (8, 145, 178), (220, 38, 38), (101, 163, 13), (147, 51, 234), (13, 148, 136), (180, 83, 9),
)  # fmt: skip

FAINTEST = 0.25  # a mild degradation still shows on the map
SMALLEST_CELL = 192  # smaller pictures are enlarged by a whole factor

# What Pillow's font lacks.
SPELLED = str.maketrans({"√": "sqrt", "×": "x", "–": "-", "—": "-", "−": "-", "σ": "sigma", "²": "2", "≤": "<=", "µ": "u"})


@dataclass(frozen=True)
class Note:
    """One entry of a text cell: a numbered chip, a heading with an aside in grey, and smaller lines below."""

    heading: str
    aside: str = ""
    lines: tuple[str, ...] = ()
    chip: str = ""
    colour: Colour | None = None


Cell = Picture | Sequence[Note]


# ---- pictures --------------------------------------------------------------------------------------------------------


def picture(x: Picture) -> np.ndarray[Any, Any]:
    """An image as h w 3 uint8. Takes uint8 3 h w, a mask h w of floats in 0…1, or an array h w 3 uint8 as it is."""
    if isinstance(x, np.ndarray) and x.ndim == 3:
        return x
    values = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
    if values.ndim == 3:
        return np.ascontiguousarray(values.transpose(1, 2, 0))
    grey = np.floor(values * 255.0 + 0.5).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def where_and_what(original: Picture, weights: torch.Tensor, severity: torch.Tensor, colours: Sequence[Colour]) -> np.ndarray[Any, Any]:
    """A map of what happens where: every slot's colour over the dimmed grey original.

    Args:
        original: 3 h w uint8.
        weights: (s, h, w), the mask each slot was applied with.
        severity: (s,) in 0…1; colours are as opaque as weight × severity, at least a quarter of the weight.
        colours: one per slot.
    """
    grey = picture(original).astype(np.float32) @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
    out = np.repeat((70.0 + 0.45 * grey)[:, :, None], 3, axis=2)
    for weight, strength, colour in zip(weights.cpu().numpy(), severity.tolist(), colours):
        alpha = weight[:, :, None] * max(strength, FAINTEST)
        out += alpha * (np.asarray(colour, dtype=np.float32) - out)
    return np.floor(out + 0.5).astype(np.uint8)


def coverage(weights: torch.Tensor) -> torch.Tensor:
    """Masks (s, h, w) as one (h, w): 1 − Π(1 − m), what none of them leaves alone."""
    return 1.0 - torch.prod(1.0 - weights, 0)


def palette(names: Sequence[str]) -> dict[str, Colour]:
    """A colour for each name, by its place: twelve chosen ones, then further hues a golden angle apart."""
    made = []
    for i in range(max(0, len(names) - len(COLOURS))):
        r, g, b = colorsys.hls_to_rgb((0.07 + i * 0.6180339887) % 1.0, (0.36, 0.5, 0.62)[i % 3], 0.62)
        made.append((round(255 * r), round(255 * g), round(255 * b)))
    return dict(zip(names, (*COLOURS, *made)))


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
                _notes(labels, i, slots, own),
            ]
        )
    columns = ("original", "mask", "degraded", "where and what", "what was done, in order")
    return contact_sheet(rows, title=title, subtitle=subtitle, columns=columns, legend=colours, widest=originals.shape[-1])


def _notes(labels: Labels, sample: int, slots: Sequence[int], colours: Sequence[Colour]) -> list[Note]:
    program, notes = labels.program, []
    for number, (slot, colour) in enumerate(zip(slots, colours), start=1):
        op = find(labels.types[int(labels.type[sample, slot])])
        regions = zip(program.family[sample], program.first[sample], program.last[sample])
        around = [program.families[f].replace("_", " ") for f, first, last in regions if f >= 0 and first <= slot <= last]
        area = float(labels.area[sample, slot])
        aside = f"{' x '.join(around)}, {100 * area:.0f} % of the frame" if around else "whole frame"
        given = op.describe(program.theta[sample, slot])
        parts = [f"{name.replace('_', ' ')} {_value(value, op.parameters[name].unit)}" for name, value in given.items()]
        notes.append(Note(op.name.replace("_", " "), aside, tuple(parts), str(number), colour))
    return notes or [Note("nothing", "this sample is left as it is")]


def _value(value: Any, unit: str) -> str:
    """A parameter with its unit, as briefly as can be read."""
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    if unit == "degrees":
        return f"{number}°"
    return f"{number} {unit}" if unit in ("px", "pixels") or unit.startswith("of ") else number


# ---- any sheet -------------------------------------------------------------------------------------------------------


class _Pen:
    """Measures while there is no canvas, draws when there is one."""

    def __init__(self, cell: int) -> None:
        _, image_draw, image_font = _pillow()
        self.unit = max(cell, 224) / 256
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
        top, side = y, self.px(22)
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
    columns: Sequence[str] = (),
    legend: Mapping[str, Colour] | None = None,
    widest: int | None = None,
    notes_width: int = 400,
) -> np.ndarray[Any, Any]:
    """Rows of pictures and text as one image, H W 3 uint8.

    Args:
        rows: cells, each a picture (see `picture`) or a list of `Note`s; all rows have the same kinds of cells.
        title, subtitle: the head.
        columns: a caption per column.
        legend: names and their colours, under the head.
        widest: width of the pictures in pixels; by default that of the widest one. Small ones are enlarged by a whole factor.
        notes_width: width of a text cell when pictures are 256 pixels wide; it scales with them.

    Raises:
        ModuleNotFoundError: if Pillow is not installed, naming the extra that brings it.
    """
    image_module, _, _ = _pillow()
    grid: list[list[Any]] = [[picture(c) if isinstance(c, (torch.Tensor, np.ndarray)) else list(c) for c in row] for row in rows]
    native = widest or max((c.shape[1] for row in grid for c in row if isinstance(c, np.ndarray)), default=SMALLEST_CELL)
    factor = -(-SMALLEST_CELL // native)
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
            for left, name in zip(lefts, columns):
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
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(data.getvalue())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise OSError(f"path={str(path)!r} cannot be written: {error.strerror}.") from error


def _pillow() -> tuple[Any, Any, Any]:
    """Pillow's modules Image, ImageDraw and ImageFont."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ModuleNotFoundError:
        raise ModuleNotFoundError("drawing needs Pillow, which is not installed: pip install 'degrade[demo]'.") from None
    return Image, ImageDraw, ImageFont
