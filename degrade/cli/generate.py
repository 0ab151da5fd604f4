"""`degrade generate`, `rebuild`, `verify` and `apply`: data sets of degraded images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .progress import Progress

if TYPE_CHECKING:
    from degrade import Pipeline
    from degrade.datasets import Summary
    from degrade.masks.base import Mask

SOMETHING_MISSING = 1

Sources = Annotated[
    list[str], typer.Argument(help="Images, folders, globs, .tar and .parquet files, saved Hugging Face data sets.", show_default=False)
]
PipelineFile = Annotated[Path | None, typer.Option(help="A pipeline, as Pipeline.save wrote it (.yaml).", show_default=False)]
BankName = Annotated[str | None, typer.Option(help="A published bank in place of a pipeline.", show_default=False)]
Seed = Annotated[int | None, typer.Option(min=0, max=(1 << 63) - 1, help="Another seed than the pipeline's.", show_default="0, or the file's")]
Format = Annotated[str, typer.Option(help="png, jpg, webp (files), webdataset or parquet (shards of PNG).")]
Workers = Annotated[
    int | None, typer.Option(help="Threads that decode and encode.", show_default="one more than processors; with ray one a processor")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …")]
Color = Annotated[str, typer.Option(help="srgb converts by ICC profiles, raw does not.")]
Alpha = Annotated[str, typer.Option(help="What shows through: white or black paper; drop takes colours without their alpha.")]
MinQuality = Annotated[int, typer.Option(help="Skip JPEG sources of a lower estimated quality.")]
MaxPixels = Annotated[int, typer.Option(help="Refuse larger sources.")]
Strict = Annotated[bool, typer.Option(help="Stop at the first source that cannot be read, in place of listing it.")]


def generate(
    src: Sources,
    out: Annotated[Path, typer.Option(help="The folder to write; a run that was cut off goes on there.", show_default=False)],
    pipeline: PipelineFile = None,
    bank: BankName = None,
    seed: Seed = None,
    per_image: Annotated[int, typer.Option(help="Results of each image, each drawn by itself.")] = 1,
    all_levels: Annotated[bool, typer.Option(help="Of a bank, every type at every level.")] = False,
    shards: Annotated[int | None, typer.Option(help="Parts that are committed one by one.", show_default="one for 256 images")] = None,
    format: Format = "png",
    workers: Workers = None,
    device: Device = "auto",
    color: Color = "srgb",
    alpha: Alpha = "white",
    min_quality: MinQuality = 0,
    max_pixels: MaxPixels = 100_000_000,
    strict: Strict = False,
    mask: Annotated[str | None, typer.Option(help="A family of masks, such as blob: localized variants.", show_default=False)] = None,
    area: Annotated[str, typer.Option(help="Of such masks, as fractions of the frame.")] = "0.05,0.4",
    engine: Annotated[str, typer.Option(help="local, or ray: many workers, here or on a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster that runs.", show_default="one begun here")] = None,
    summary: Annotated[bool, typer.Option(help="Also write summary.html, the data set on one page.")] = True,
) -> int:
    """Write a data set of degraded images, with masks and a manifest from which every file can be made again."""
    from degrade import datasets
    from degrade.datasets.encode import LOSSY

    pipe = chosen(pipeline, bank, seed)
    if format in LOSSY:
        print(f"degrade: --format {format} degrades the results once more; png and webp keep every bit.", file=sys.stderr)
    with Progress() as progress:
        done = datasets.generate(
            src, pipe, out, per_image=per_image, all_levels=all_levels, shards=shards, format=format, workers=workers, device=device,
            color=color, alpha=alpha, min_quality=min_quality, max_pixels=max_pixels, strict=strict, mask=drawn_mask(mask, area),
            engine=engine, address=address, progress=progress,
        )  # fmt: skip
    code = tell(done)
    if summary:
        from degrade.datasets.report import report

        typer.echo(f"summary   {report(out)}")
    return code


def apply(
    images: Sources,
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    pipeline: PipelineFile = None,
    bank: BankName = None,
    seed: Seed = None,
    format: Format = "png",
    device: Device = "auto",
) -> int:
    """Degrade some images, once each: `generate` in one part."""
    return generate(images, out, pipeline, bank, seed, shards=1, format=format, device=device, summary=False)


def rebuild(
    manifest: Annotated[Path, typer.Argument(help="manifest.parquet in the folder that generate wrote, or the folder.", show_default=False)],
    row: Annotated[int, typer.Option(help="Which row, from 0.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write it; by default nowhere: only compared.", show_default=False)] = None,
) -> None:
    """Make one file again from its source, and compare its hash."""
    from degrade import datasets
    from degrade.storing import write_whole

    data = datasets.rebuild(manifest, row)
    if out is not None:
        write_whole(out, data)
    typer.echo(f"row {row}: the same {len(data)} bytes{f', written to {out}' if out else ''}")


def verify(out: Annotated[Path, typer.Argument(help="The folder that generate wrote.", show_default=False)]) -> int:
    """Hash every file of a data set again."""
    from degrade import datasets

    wrong = datasets.verify(out)
    for file, reason in wrong:
        typer.echo(f"{file}: {reason}")
    typer.echo(f"{len(wrong)} wrong" if wrong else "all files are as the manifest says")
    return SOMETHING_MISSING if wrong else 0


def chosen(pipeline: Path | None, bank: str | None, seed: int | None) -> Pipeline:
    """The pipeline of a file, or a bank.

    Raises:
        ValueError: both, neither, an unknown bank, or a file that is no pipeline.
    """
    from degrade import Pipeline, banks, load
    from degrade.errors import unknown

    if (pipeline is None) == (bank is None):
        raise ValueError(f"{'both' if bank else 'neither'} of --pipeline and --bank {'were' if bank else 'was'} given; accepted: one of them.")
    if bank is not None:
        if bank not in banks.__all__:
            raise ValueError(unknown("--bank", bank, banks.__all__))
        made: Pipeline = getattr(banks, bank)(seed=seed or 0)
        return made
    assert pipeline is not None
    loaded = load(pipeline)
    if not isinstance(loaded, Pipeline):
        raise ValueError(f"--pipeline {str(pipeline)!r} is a program; accepted: a pipeline (.yaml).")
    return loaded if seed is None else Pipeline(loaded.recipe, seed=seed)


def drawn_mask(family: str | None, area: str) -> Mask | None:
    """A mask of a family, of an area between two fractions.

    Raises:
        ValueError: an unknown family, or what is no pair of fractions.
    """
    from degrade import masks

    if family is None:
        return None
    try:
        low, high = map(float, area.split(","))
    except ValueError:
        raise ValueError(f"--area {area!r} is not understood; accepted: two fractions of the frame, such as 0.05,0.4.") from None
    return masks.find(family)(area=(low, high))


def tell(summary: Summary) -> int:
    """What came of it; 1 if a source could not be read."""
    typer.echo(f"images    {summary.images}")
    if summary.skipped:
        typer.echo(f"skipped   {summary.skipped}, as asked: errors.parquet says which")
    if summary.errors:
        typer.echo(f"errors    {summary.errors}: errors.parquet says which, and why")
    typer.echo(f"wrote     {summary.out}")
    return SOMETHING_MISSING if summary.errors else 0
