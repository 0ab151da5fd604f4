"""A probe on disk: probe.json, its figures, and one page that holds both."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from degrade.storing import write_whole

FILE, FIGURE, PAGE = "probe.json", "probe.png", "probe.html"
OTHER = re.compile(r"[^A-Za-z0-9._-]+")  # characters that names of files had better not have


def write(data: dict[str, Any], out: Path) -> list[Path]:
    """Write all files into a folder, which is made; each appears whole or not at all."""
    from . import charts

    out.mkdir(parents=True, exist_ok=True)
    pictures = {FIGURE: charts.png(charts.overview(data))}
    of_encoder: dict[str, list[str]] = {}
    for name, stem in zip(data["encoders"], stems(data["encoders"])):
        made = {
            f"{stem}.png": charts.of_encoder(data, name),
            f"{stem}-distance.png": charts.of_types(data, name, "distance"),
            f"{stem}-auc.png": charts.of_types(data, name, "auc"),
        }
        pictures.update({file: charts.png(figure) for file, figure in made.items()})
        of_encoder[name] = list(made)
    files: dict[str, str | bytes] = {FILE: json.dumps(data, indent=1, allow_nan=False) + "\n", **pictures, PAGE: page(data, pictures, of_encoder)}
    for name, content in files.items():
        write_whole(out / name, content)
    return [out / name for name in files]


def stems(names: Sequence[str]) -> list[str]:
    """What the files of encoders are called, each otherwise."""
    out: list[str] = []
    for name in names:
        stem = f"encoder-{OTHER.sub('-', name).strip('-.') or 'unnamed'}"
        while stem.lower() in (other.lower() for other in out):
            stem += "_"
        out.append(stem)
    return out


def page(data: dict[str, Any], pictures: dict[str, bytes], of_encoder: dict[str, list[str]]) -> str:
    """The page, with everything that it shows inside."""
    template = (resources.files(__package__) / "probe.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        head=head(data), overview=_picture(pictures[FIGURE], "all encoders"), table=overall(data), areas=sensitivities(data),
        encoders="".join(_encoder(data, name, [pictures[file] for file in files]) for name, files in of_encoder.items()),
        controls=controls(data),
    )  # fmt: skip


def head(data: dict[str, Any]) -> str:
    """What was probed, in numbers."""
    chosen, (height, width) = data["settings"], data["images"]["size"]
    told = {
        "Encoders": ", ".join(data["encoders"]),
        "Images": f"{data['images']['count']} of {width} × {height}",
        "Types": f"{len(data['types'])} of KADID-10k",
        "Levels": ", ".join(f"{level:g}" for level in chosen["levels"]),
        "Areas": ", ".join(percent(area) for area in chosen["areas"]),
        "Positions": ", ".join(name for name, _ in chosen["positions"]),
        "Changes nothing": "; ".join(data["unchanged"]) or "none",
        "Intervals": f"{chosen['interval']}, {chosen['resamples']} resamples, seed {chosen['seed']}",
        "Release": f"degrade {data['versions']['degrade']}, STREAM {data['versions']['stream']}, torch {data['versions']['torch']}",
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in told.items())


def overall(data: dict[str, Any]) -> str:
    """One line for each encoder."""
    at = f"AUC {data['settings']['threshold']:g}"
    columns = [
        "encoder",
        "local sensitivity, equal MSE",
        "equal 1 − SSIM",
        f"area at {at}, local",
        "equal MSE",
        "equal 1 − SSIM",
        "AUC at the largest area",
    ]
    lines = []
    for name in data["encoders"]:
        own = data["overall"][name]
        lines.append(
            [name, *(cell(own["sensitivity_local"]["euclidean"][e]) for e in ("mse", "ssim")),
             *(area_cell(own["threshold"][kind]) for kind in ("local", "mse", "ssim")), cell(own["auc"]["local"][-1])]
        )  # fmt: skip
    return table(columns, lines)


def sensitivities(data: dict[str, Any]) -> str:
    """Local sensitivity against equal MSE by area."""
    areas = data["settings"]["areas"]
    lines = [[name, *(cell(v) for v in data["overall"][name]["sensitivity"]["euclidean"]["mse"])] for name in data["encoders"]]
    return table(["encoder", *(percent(area) for area in areas)], lines)


def _encoder(data: dict[str, Any], name: str, pictures: Sequence[bytes]) -> str:
    columns = ["type", "local sensitivity, equal MSE", "equal 1 − SSIM", "area at threshold, local", "equal MSE", "equal 1 − SSIM"]
    lines = []
    for kind, found in data["types"].items():
        own = found[name]
        lines.append(
            [kind.replace("_", " "), *(cell(own["sensitivity_local"]["euclidean"][e]) for e in ("mse", "ssim")),
             *(area_cell(own["threshold"][k]) for k in ("local", "mse", "ssim"))]
        )  # fmt: skip
    shown = "".join(_picture(picture, f"{name} {i}") for i, picture in enumerate(pictures))
    return f"<h2>{escape(name)}</h2>{shown}<details><summary>by type</summary>{table(columns, lines)}</details>"


def controls(data: dict[str, Any]) -> str:
    """How many whole frames were matched, and how well."""
    columns = ["type", "equal MSE: matched", "left out", "median mismatch", "equal 1 − SSIM: matched", "left out", "median mismatch"]
    lines = []
    for kind, found in data["controls"].items():
        line = [kind.replace("_", " ")]
        for e in ("mse", "ssim"):
            own = found[e]
            line += [f"{own['matched']:,}", f"{own['unmatched']:,}", "-" if own["mismatch"] is None else f"{100 * own['mismatch']:.2g} %"]
        lines.append(line)
    return table(columns, lines)


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table whose first column are words, and the others numbers."""
    top = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr><td>{escape(line[0])}</td>{''.join(f'<td class=number>{escape(v)}</td>' for v in line[1:])}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def cell(value: Sequence[float | None] | None) -> str:
    """A number with its interval."""
    if value is None:
        return "-"
    return f"{value[0]:.2f} ({' to '.join('-' if v is None else f'{v:.2f}' for v in value[1:])})"


def area_cell(value: dict[str, Any]) -> str:
    """An area with its interval, any of which may be a word."""
    found, low, high = (percent(value[key]) for key in ("area", "low", "high"))
    return found if found == low == high else f"{found} ({low} to {high})"


def percent(value: float | str | None) -> str:
    """A fraction of the frame in words."""
    return value if isinstance(value, str) else "-" if value is None else f"{100 * value:.3g} %"


def _picture(data: bytes, what: str) -> str:
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
