"""Curves of a probe as matplotlib figures: built without pyplot, so that no window opens and nothing has to be closed."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
except ModuleNotFoundError:
    raise ModuleNotFoundError("the curves of a probe need matplotlib, which is not installed: pip install 'degrade[probe]'.") from None

KINDS = {"local": ("local", "#2563eb"), "mse": ("whole frame, equal MSE", "#ea580c"), "ssim": ("whole frame, equal SSIM", "#16a34a")}
COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea", "#0891b2", "#be123c", "#a16207")
NULL_COLOUR = "#7b8494"
QUIET, LINE = "#5f6877", "#e4e7ec"
DPI = 130
COLUMNS = 5  # of the small figures, one for each type
LABELLED = 0.6  # of log₂, by which the labels of areas must lie apart

Values = Sequence[Any]  # [estimate, low, high] or None for each area


def overview(data: dict[str, Any]) -> Figure:
    """All encoders, over all types: local sensitivity against both controls, and detection, along the area.

    Those whose names differ in a number at the end alone, such as trainings with several seeds, have one colour and one line in the legend.
    """
    figure = _figure(12.6, 4.1)
    panels = figure.subplots(1, 3)
    kinds = list(dict.fromkeys(kind_of(name) for name in data["encoders"]))
    told: set[str] = set()
    for name in data["encoders"]:
        own, kind = data["overall"][name], kind_of(name)
        colour, dashed = (NULL_COLOUR, True) if name == data["null"] else (COLOURS[kinds.index(kind) % len(COLOURS)], False)
        alone = sum(kind_of(other) == kind for other in data["encoders"]) == 1
        label = name if alone else "_" if kind in told else kind  # a legend leaves out what begins with _
        told.add(kind)
        for axis, values in zip(panels, (own["sensitivity"]["euclidean"]["mse"], own["sensitivity"]["euclidean"]["ssim"], own["auc"]["local"])):
            curve(axis, own["areas"], values, label, colour, dashed)
    for axis, against in zip(panels, ("MSE", "1 − SSIM")):
        _dress(axis, data, f"Local sensitivity, against equal {against}", 1.0)
        axis.set_ylim(bottom=0.0)
    _dress(panels[2], data, "Detection of local conditions, AUC", data["settings"]["threshold"])
    panels[2].set_ylim(0.4, 1.02)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def kind_of(name: str) -> str:
    """A name without a number that stands apart at its end."""
    return re.sub(r"[ _#-]+\d+$", "", name) or name


def of_encoder(data: dict[str, Any], name: str) -> Figure:
    """One encoder, over all types: distance and detection of local conditions and both controls, along the area."""
    figure = _figure(9.2, 4.1)
    panels = figure.subplots(1, 2)
    for axis, what, title, line in zip(
        panels, ("distance", "auc"), ("Distance to the clean embedding", "Detection, AUC"), (None, data["settings"]["threshold"])
    ):
        _three(axis, data["overall"][name], what)
        _dress(axis, data, title, line)
    panels[0].set_ylim(bottom=0.0)
    panels[1].set_ylim(0.4, 1.02)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(name, fontsize=11)
    return figure


def of_types(data: dict[str, Any], name: str, what: str) -> Figure:
    """One encoder, a small figure for each type.

    Args:
        what: "distance" or "auc".
    """
    types = list(data["types"])
    columns = min(COLUMNS, len(types))
    lines = math.ceil(len(types) / columns)
    figure = _figure(2.55 * columns + 0.3, 1.95 * lines + 0.8)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=what == "auc").ravel()
    for axis, kind in zip(panels, types):
        _three(axis, data["types"][kind][name], what)
        _dress(axis, data, kind.replace("_", " "), data["settings"]["threshold"] if what == "auc" else None, small=True)
        axis.set_ylim(*((0.3, 1.03) if what == "auc" else (0.0, None)))
    for axis in panels[len(types) :]:
        axis.set_axis_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(f"{name}: {'detection, AUC' if what == 'auc' else 'distance to the clean embedding'}", fontsize=11)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes, the same for the same numbers."""
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    return file.getvalue()


def curve(axis: Any, areas: Sequence[float], values: Values, label: str, colour: str, dashed: bool = False) -> None:
    """A line of estimates in the band of their intervals; what there is not leaves a gap."""
    there = [(area, v) for area, v in zip(areas, values) if v is not None]
    if not there:
        axis.plot([], [], color=colour, label=label)
        return
    x = [area for area, _ in there]
    axis.plot(x, [v[0] for _, v in there], color=colour, label=label, marker="o", markersize=3, linewidth=1.5, linestyle="--" if dashed else "-")
    bounded = [(area, v[1], v[2]) for area, v in there if v[1] is not None and v[2] is not None]
    if bounded:
        axis.fill_between(*zip(*bounded), color=colour, alpha=0.15, linewidth=0)


def _three(axis: Any, own: dict[str, Any], what: str) -> None:
    values = own[what]["euclidean"] if what == "distance" else own[what]
    for kind, (label, colour) in KINDS.items():
        curve(axis, own["areas"], values[kind], label, colour)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _dress(axis: Any, data: dict[str, Any], title: str, line: float | None, small: bool = False) -> None:
    """Title, axes, and a line for a value that means something."""
    axis.set_title(title, fontsize=8 if small else 10)
    axis.set_xscale("log")
    ticks = [area for area in data["settings"]["areas"]]
    labelled: list[float] = []
    for area in sorted(ticks, reverse=True):
        if not labelled or math.log2(labelled[-1] / area) >= LABELLED * (3 if small else 1):
            labelled.append(area)
    axis.xaxis.set_major_locator(FixedLocator(labelled))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g} %"))
    axis.tick_params(labelsize=7 if small else 8, colors=QUIET)
    axis.grid(color=LINE, linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(LINE)
    if line is not None:
        axis.axhline(line, color=QUIET, linewidth=0.8, linestyle=":")
    if not small:
        axis.set_xlabel("degraded area of the frame", fontsize=8, color=QUIET)
