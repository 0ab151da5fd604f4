"""`degrade calibrate`: measure how strongly each op changes an image to the eye, and how far a bank's levels lie apart."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .demo import PHOTOGRAPHS, photograph
from .list import matching

if TYPE_CHECKING:
    import torch

    from degrade.banks.base import Bank
    from degrade.perceptual import Metric

WITH_LEVELS = ("arniqa", "imagenet_c", "kadid10k", "reiqa", "shamisa", "tid2013", "xdistortion")


def run(
    bank: Annotated[str, typer.Option(help="Print the spread of this bank's types, level by level, published and perceptual; write nothing.")] = "",
    out: Annotated[Path, typer.Option(help="The JSON file to write.")] = Path("perceptual.json"),
    pattern: Annotated[str, typer.Option(help="Which ops to measure: a name, a class or a group, as for `degrade list`.")] = "*",
    metric: Annotated[str, typer.Option(help="module:function of (original, degraded), batches in 0 to 1, that gives (b,) numbers.")] = "",
    photographs: Annotated[int, typer.Option(min=1, max=64, help="How many photographs.")] = 8,
    size: Annotated[int, typer.Option(min=176, max=1024, help="Height and width, in pixels.")] = 224,
) -> None:
    """Measure the median visible change of each op at severities from 0 to 1, for `severity="perceptual"`."""
    import torch

    measured_by, name = load_metric(metric)
    images = torch.stack([torch.from_numpy(photograph(i, size)) for i in range(photographs)]).permute(0, 3, 1, 2).contiguous()
    if bank:
        show_spread(bank, images, measured_by)
    else:
        write_table(out, pattern, images, measured_by, name)


def load_metric(text: str) -> tuple[Metric, str]:
    """The metric of this name, and what to call it in the table.

    Raises:
        ValueError: if there is none.
    """
    from degrade.perceptual import ms_ssim_change

    if not text:
        return ms_ssim_change, "1 - MS-SSIM"
    module, _, function = text.partition(":")
    try:
        return getattr(importlib.import_module(module), function), text
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--metric {text!r} cannot be loaded: {error}; accepted: module:function.") from None


def write_table(out: Path, pattern: str, images: torch.Tensor, metric: Metric, name: str) -> None:
    """Measure, and write the table whole or not at all."""
    from rich.progress import track

    from degrade import perceptual
    from degrade.storing import write_whole

    ops = sorted(matching(pattern), key=lambda op: op.name)
    rows = {op.name: perceptual.measure(op, images, metric) for op in track(ops, description="measuring")}
    head = {"metric": name, "photographs": [PHOTOGRAPHS[i % len(PHOTOGRAPHS)] for i in range(len(images))], "size": images.shape[-1]}
    data: dict[str, Any] = {**head, "severities": list(perceptual.SEVERITIES), "ops": rows}
    lines = json.dumps(data, indent=1).replace("\n    ", " ").replace("\n   ]", "]")
    write_whole(out, lines + "\n")
    typer.echo(f"measured {len(ops)} ops on {len(images)} photographs and wrote {out}")


def show_spread(name: str, images: torch.Tensor, metric: Metric) -> None:
    """The median change of every type at every level, with published and with perceptual levels, and how far types lie apart."""
    from rich.console import Console
    from rich.table import Table

    from degrade import banks
    from degrade.errors import unknown

    if name not in WITH_LEVELS:
        raise ValueError(unknown("--bank", name, WITH_LEVELS))
    make = getattr(banks, name)
    console = Console(highlight=False)
    for severity in ("published", "perceptual"):
        changes = spread(make(severity=severity), images, metric)
        levels = range(1, 1 + len(next(iter(changes.values()))))
        table = Table(title=f"{name}, {severity} levels: median change", title_justify="left")
        table.add_column("type")
        for level in levels:
            table.add_column(str(level), justify="right")
        for kind, row in changes.items():
            table.add_row(kind, *(f"{v:.3f}" for v in row))
        table.add_section()
        for title, of in (("10th to 90th percentile", _decades), ("smallest to largest", _ends)):
            table.add_row(title, *("{:.3f} to {:.3f}".format(*of(sorted(row[i - 1] for row in changes.values()))) for i in levels))
        console.print(table)


def spread(bank: Bank, images: torch.Tensor, metric: Metric) -> dict[str, list[float]]:
    """The median change of every type of a bank at its levels."""
    out = {}
    for name, kind in bank.types.items():
        row = []
        for level in range(1, kind.levels + 1):
            y = bank.single(name, level, check="never")(images, ids=range(len(images)))
            row.append(float(metric(images / 255, y / 255).median()))
        out[name] = row
    return out


def _decades(values: list[float]) -> tuple[float, float]:
    import numpy as np

    return float(np.quantile(values, 0.1)), float(np.quantile(values, 0.9))


def _ends(values: list[float]) -> tuple[float, float]:
    return values[0], values[-1]
