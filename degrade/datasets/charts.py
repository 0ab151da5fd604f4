"""Charts of a page, as inline SVG and plain HTML. Every mark says its number when it is pointed at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 8, 20  # room around the marks
Point = tuple[float, float, float, float]  # x, mean, least, most


def bars(counts: Mapping[str, int]) -> str:
    """Horizontal bars with names and numbers, in the order given."""
    most = max(counts.values(), default=0) or 1
    lines = (
        f'<li><span>{escape(name)}</span><i><b style="width:{100 * count / most:.1f}%"></b></i><em>{count:,}</em></li>'
        for name, count in counts.items()
    )
    return f'<ul class="bars">{"".join(lines)}</ul>'


def histogram(counts: Sequence[int], low: float, high: float, labels: Sequence[str] = ()) -> str:
    """Vertical bars.

    Args:
        counts: of bins of one width.
        low, high: where the first begins and the last ends.
        labels: of each bar, in place of an axis from `low` to `high`.
    """
    most, step = max(counts, default=0) or 1, (WIDTH - LEFT - RIGHT) / max(len(counts), 1)
    room, parts = HEIGHT - TOP - BOTTOM, []
    for i, count in enumerate(counts):
        edges = [low + (high - low) * at / len(counts) for at in (i, i + 1)]
        name = labels[i] if labels else f"{edges[0]:.3g} to {edges[1]:.3g}"
        tall, wide = room * count / most, min(max(step - 2, 1), 40)
        parts.append(
            f'<rect class="bar" x="{LEFT + (i + 0.5) * step - wide / 2:.1f}" y="{TOP + room - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}">'
            f"<title>{escape(name)}: {count:,}</title></rect>"
        )
        if labels:
            parts.append(_text(LEFT + (i + 0.5) * step, HEIGHT - 5, name, "middle"))
    if not labels:
        parts += _ticks(low, high)
    parts += [_line(TOP + room), _text(LEFT - 5, TOP + 10, _short(most), "end"), _text(LEFT - 5, TOP + room, "0", "end")]
    return _svg(parts)


def curve(points: Sequence[Point], dots: Sequence[tuple[float, float]], low: float, high: float, unit: str = "") -> str:
    """A line of means with the range of values around it, and single values as dots; x runs from 0 to 1, y from low to high."""
    room = HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> str:
        return f"{_across(x):.1f},{TOP + room * (1 - (y - low) / (high - low)):.1f}"

    parts = [_line(TOP + room * k / 2) for k in range(3)] + _ticks(0, 1)
    parts += [_text(LEFT - 5, TOP + room * k / 2 + (8, 4, 0)[k], f"{high + (low - high) * k / 2:.3g}", "end") for k in range(3)]
    if len(points) > 1:
        outline = [at(x, most) for x, _, _, most in points] + [at(x, least) for x, _, least, _ in reversed(points)]
        parts.append(f'<polygon class="range" points="{" ".join(outline)}"/>')
        parts.append(f'<polyline class="mean" points="{" ".join(at(x, mean) for x, mean, _, _ in points)}"/>')
    for x, mean, least, most in points:
        said = f"severity {x:.3g}: {mean:.2f}{unit} on average, {least:.2f} to {most:.2f}"
        (left, y), top, bottom = at(x, mean).split(","), at(x, most).split(",")[1], at(x, least).split(",")[1]
        parts.append(f'<line class="whisker" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<circle class="knot" cx="{left}" cy="{y}" r="3"><title>{said}</title></circle>')
    for x, value in dots:
        left, y = at(x, value).split(",")
        parts.append(f'<circle class="dot" cx="{left}" cy="{y}" r="2.5"><title>severity {x:.3g}: {value:.3f}{unit}</title></circle>')
    return _svg(parts)


def span(values: Sequence[float], step: float) -> tuple[float, float]:
    """The least range between whole multiples of a step that holds all values."""
    low, high = math.floor(min(values) / step) * step, math.ceil(max(values) / step) * step
    return low, high if high > low else low + step


def _across(x: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * x


def _ticks(low: float, high: float) -> list[str]:
    return [_text(_across(k / 2), HEIGHT - 5, f"{low + (high - low) * k / 2:.3g}", ("start", "middle", "end")[k]) for k in range(3)]


def _line(y: float) -> str:
    return f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(count: int) -> str:
    """A number in few characters."""
    for size, suffix in ((1_000_000, "M"), (10_000, "k")):
        if count >= size:
            return f"{count / (1000 if suffix == 'k' else size):.3g} {suffix}"
    return str(count)


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
