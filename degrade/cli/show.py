"""`degrade show`: one image, what a pipeline or a program does to it, and where, as one picture."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .demo import check_out, photograph, recipe

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from degrade import Program

PHOTOGRAPH = 2  # a face in fur: every kind of degradation shows on it
SIZE = 256  # of the photograph


def run(
    image: Annotated[Path | None, typer.Argument(help="An image file; by default a photograph.", show_default=False)] = None,
    pipeline: Annotated[Path | None, typer.Option(help="A pipeline, as Pipeline.save wrote it (.yaml).", show_default=False)] = None,
    bank: Annotated[
        str | None, typer.Option(help="A published bank; by default the recipe of `degrade demo`, under masks.", show_default=False)
    ] = None,
    program: Annotated[Path | None, typer.Option(help="A program, as Program.save wrote it (.json).", show_default=False)] = None,
    id: Annotated[int | None, typer.Option(help="Which sample id to draw.", show_default="0")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=(1 << 63) - 1, help="Another seed than the pipeline's.", show_default="0, or the file's")
    ] = None,
    sample: Annotated[int | None, typer.Option(help="Which of a program's samples, from 0.", show_default=False)] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Take the middle square and resize it to this height and width, in pixels.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("degrade-show.png"),
) -> None:
    """Draw what is done to one image: original, result, outlined masks, severity, and the program in words."""
    check_out(out)
    check_source(pipeline, bank, program, id, seed, sample)
    from degrade import draw
    from degrade.pictures import reduction, views

    x = load_image(image, size)
    height, width = x.shape[1:]
    if program is not None:
        drawn, source = load_program(program, sample)
    else:
        drawn, source = draw_program(pipeline, bank, id or 0, seed, (height, width))
    if drawn.size != (height, width):
        raise ValueError(
            f"--program {str(program)!r} was drawn for {_by(drawn.size)} pixels and the image has {_by((height, width))}; accepted: equal sizes{_square(drawn.size)}."
        )
    check_masks(drawn)
    seen = views(drawn, x)
    name = textwrap.shorten(image.name, 60, placeholder="...") if image else "photograph"
    by = reduction(height, width)
    words = f"{height} x {width} pixels{f', shown at 1/{by}' if by > 1 else ''}. {source}."
    draw.save(out, draw.degradation(seen, title=name, subtitle=words))
    typer.echo(f"image     {image or 'photograph'}, {height} x {width}")
    typer.echo(f"drawn     {source}")
    typer.echo("program")
    for number, line in enumerate(drawn.describe(0).split(", then "), start=1):
        typer.echo(f"  {number}  {line}")
    typer.echo(f"wrote     {out}")


def check_source(pipeline: Path | None, bank: str | None, program: Path | None, id: int | None, seed: int | None, sample: int | None) -> None:
    """Refuse options that contradict each other.

    Raises:
        ValueError: naming them.
    """
    given = [name for name, value in (("--pipeline", pipeline), ("--bank", bank), ("--program", program)) if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} were given; accepted: one of them.")
    for name, value in (("--id", id), ("--seed", seed)):
        if program is not None and value is not None:
            raise ValueError(f"{name} {value} was given with --program, which is drawn already; accepted: --sample says which of its samples.")
    if program is None and sample is not None:
        raise ValueError(f"--sample {sample} was given without --program; accepted: --id says which sample a pipeline draws.")


def load_image(path: Path | None, size: int | None) -> torch.Tensor:
    """An image as 3 h w uint8, upright and in RGB; a photograph where no path is given.

    Raises:
        ValueError: if it cannot be read. ModuleNotFoundError: if Pillow or the photographs are not installed, naming the extra.
    """
    import numpy as np
    import torch

    if path is None:
        return torch.from_numpy(photograph(PHOTOGRAPH, size or SIZE)).permute(2, 0, 1).contiguous()
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise ModuleNotFoundError("reading an image needs Pillow, which is not installed: pip install 'degrade[demo]'.") from None
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I;16"):  # grey of 16 bits: as the nearest of 8
                image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise ValueError("its values have no known range")
            image = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or ("Pillow knows no such format" if "identify" in str(error) else str(error))
        raise ValueError(f"IMAGE {str(path)!r} cannot be read: {reason.rstrip('.')}; accepted: a file that holds an image.") from None
    if size is not None:
        image = square(image).resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def square(image: Image.Image) -> Image.Image:
    """The middle square of an image."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def draw_program(pipeline: Path | None, bank: str | None, id: int, seed: int | None, size: tuple[int, int]) -> tuple[Program, str]:
    """The program of one sample id, and where it comes from in words.

    Raises:
        ValueError: an unknown bank, or a file that is no pipeline. OSError: if it cannot be read.
    """
    from degrade import Pipeline, banks, load
    from degrade.errors import unknown

    if pipeline is None and bank is None:
        pipe, source = recipe(seed or 0, "auto"), "Recipe of degrade demo"
    elif pipeline is None:
        if bank not in banks.__all__:
            raise ValueError(unknown("--bank", bank, banks.__all__))
        pipe, source = getattr(banks, bank)(seed=seed or 0), f"Bank {bank}"
    else:
        loaded = load(pipeline)
        if not isinstance(loaded, Pipeline):
            raise ValueError(f"--pipeline {str(pipeline)!r} is a program; accepted: a pipeline (.yaml), or --program {str(pipeline)!r}.")
        pipe, source = loaded if seed is None else Pipeline(loaded.recipe, seed=seed), pipeline.name
    return pipe.sample([id], size), f"{source}, seed {pipe.seed}, id {id}"


def load_program(path: Path, sample: int | None) -> tuple[Program, str]:
    """One sample of a program, and where it comes from in words.

    Raises:
        ValueError: a file that is no program, or a sample that it does not hold. OSError: if it cannot be read.
    """
    from degrade import Program, load

    loaded = load(path)
    if not isinstance(loaded, Program):
        raise ValueError(f"--program {str(path)!r} is a pipeline; accepted: a program (.json), or --pipeline {str(path)!r}.")
    count = len(loaded)
    if not count:
        raise ValueError(f"--program {str(path)!r} holds no sample; accepted: at least one.")
    if sample is None and count > 1:
        raise ValueError(f"--program {str(path)!r} holds {count} samples; say which to show: --sample 0 to {count - 1}.")
    if sample is not None and not 0 <= sample < count:
        raise ValueError(f"--sample {sample} is not in {str(path)!r}; accepted: 0 to {count - 1}.")
    return loaded.select([sample or 0]), f"{path.name}, sample {sample or 0}, id {loaded.ids[sample or 0]}"


def check_masks(program: Program) -> None:
    """Refuse a program that reads what only a call in Python can give.

    Raises:
        ValueError: saying what to do.
    """
    waiting = {program.families[family] for family in program.family[program.waiting()]}
    if "segments" in waiting:
        raise ValueError(
            "the program holds masks.Segments(), which waits for segments= at the call; accepted here: masks that need the image alone. In Python: labels.program.show(x)."
        )
    if "from_tensor" in waiting:
        raise ValueError(
            "the program holds masks.FromTensor() without a tensor, which waits for mask= at the call; accepted here: masks that are drawn or stored. In Python: program.show(x, mask=mask)."
        )


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _square(size: tuple[int, int]) -> str:
    return f", for which --size {size[0]} cuts a square" if size[0] == size[1] else ""
