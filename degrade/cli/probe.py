"""`degrade probe`: how well encoders see degradations that cover a part of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .progress import Progress

if TYPE_CHECKING:
    import torch

NONE = "-"  # in place of a file of weights
NAMED = 5  # of skipped images


def run(
    encoder: Annotated[
        list[str],
        typer.Option(
            help="timm:NAME, torchvision:NAME, module:callable, file.py:callable, statistics; NAME=… to call it so. Repeat it for several.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write; a run that was cut off goes on there.", show_default=False)],
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint for each encoder, in their order; random for random weights, - for the library's own.", show_default=False),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            help="Images, folders, globs, .tar, .parquet, saved data sets. Repeat it for several.", show_default="scikit-image's photographs"
        ),
    ] = None,
    types: Annotated[str, typer.Option(help="KADID-10k's types by name, with commas between.", show_default="all 25")] = "",
    levels: Annotated[str, typer.Option(help="Of the types, 1 to 5.")] = "3,5",
    areas: Annotated[str, typer.Option(help="Fractions of the frame, 0.001 to 1.")] = "0.01,0.02,0.05,0.1,0.25,0.5,1",
    positions: Annotated[str, typer.Option(help="centre, random, grid (3 x 3), or y:x in fractions of the frame.")] = "centre,random",
    size: Annotated[int, typer.Option(min=16, max=2048, help="Images are cut to this height and width; smaller ones are skipped.")] = 224,
    count: Annotated[int, typer.Option(min=4, help="How many images at most.")] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Images rendered and embedded at once.")] = 32,
    feather: Annotated[float, typer.Option(help="Ramp of the masks in √(h·w), 0 for the thinnest.")] = 0.0,
    tolerance: Annotated[float, typer.Option(help="Controls whose error is farther off, as a part of it, are left out.")] = 0.1,
    threshold: Annotated[float, typer.Option(help="The AUC whose area is looked for.")] = 0.75,
    resamples: Annotated[int, typer.Option(min=1, help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Of noise, places and resamples.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, torch or triton.")] = "auto",
) -> None:
    """Measure how an encoder's sensitivity falls with the degraded area, against whole frames of equal error."""
    import degrade
    from degrade.datasets.generate import device_of
    from degrade.probing.encoders import encoder as load

    where = device_of(device)
    chosen = dict(
        types=split(types) or None, levels=numbers("--levels", levels), areas=numbers("--areas", areas), positions=[place(p) for p in split(positions)],
        feather=feather, tolerance=tolerance, threshold=threshold, resamples=resamples, seed=seed, batch=batch,
    )  # fmt: skip
    encoders = [load(spec, file, where) for spec, file in zip(encoder, paired(encoder, weights))]
    x = pictures(images, size, count)
    with Progress(errors=False) as progress:
        found = degrade.probe(encoders, x, out, **chosen, device=where, backend=backend, progress=progress)  # type: ignore[arg-type]
    tell(found.data, out)


def paired(encoders: list[str], weights: list[Path] | None) -> list[Path | None]:
    """The weights of each encoder.

    Raises:
        ValueError: neither none nor one for each.
    """
    if not weights:
        return [None] * len(encoders)
    if len(weights) != len(encoders):
        raise ValueError(f"--weights was given {len(weights)} times for {len(encoders)} encoders; accepted: none, or one for each, {NONE} for none.")
    return [None if str(file) == NONE else file for file in weights]


def pictures(sources: list[str] | None, size: int, count: int) -> torch.Tensor:
    """The images n 3 size size, uint8; those that were skipped are named."""
    if sources is None:
        import torch

        from .demo import photograph

        return torch.stack([torch.from_numpy(photograph(i, size)) for i in range(count)]).permute(0, 3, 1, 2).contiguous()
    from degrade.probing.pictures import read

    found = read(sources, size, count)
    for key, reason in found.skipped[:NAMED]:
        typer.echo(f"skipped   {key}: {reason}")
    if len(found.skipped) > NAMED:
        typer.echo(f"skipped   {len(found.skipped) - NAMED} more")
    return found.images


def split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(option: str, text: str) -> list[float]:
    """Raises: ValueError: what is no list of numbers."""
    try:
        return [float(part) for part in split(text)]
    except ValueError:
        raise ValueError(f"{option} {text!r} is not understood; accepted: numbers with commas between.") from None


def place(text: str) -> Any:
    """A position: a word, or a pair of fractions."""
    y, colon, x = text.partition(":")
    try:
        return (float(y), float(x)) if colon else text
    except ValueError:
        return text  # whose name the probe refuses


def tell(data: dict[str, Any], out: Path) -> None:
    """The result in short."""
    from rich.console import Console
    from rich.table import Table

    from degrade.probing.page import PAGE, area_cell, cell

    table = Table(title="local sensitivity against whole frames of", title_justify="left")
    for name in ("encoder", "equal MSE", "equal 1 - SSIM", f"area at AUC {data['settings']['threshold']:g}"):
        table.add_column(name)
    for name in data["encoders"]:
        own = data["overall"][name]
        table.add_row(name, *(cell(own["sensitivity_local"]["euclidean"][e]) for e in ("mse", "ssim")), area_cell(own["threshold"]["local"]))
    Console(highlight=False).print(table)
    for e, words in (("mse", "equal MSE"), ("ssim", "equal 1 - SSIM")):
        own = data["controls"]["all"][e]
        typer.echo(f"controls  of {words}: {own['matched']} matched, {own['unmatched']} left out")
    for name in data["unchanged"]:
        typer.echo(f"left out  {name}, which changes nothing")
    typer.echo(f"wrote     {out / PAGE}")
