"""`degrade demo`: a batch of photographs, each degraded in its own way, as one picture."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    import torch

    from degrade import Labels, Pipeline, Program

# Colour photographs inside scikit-image's wheel, read offline.
PHOTOGRAPHS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "camera.png", "hubble_deep_field.jpg", "ihc.png")
CANDIDATES = 16  # programs drawn per sample shown, to choose from
RUNS = 5
ENOUGH = 4.0  # seconds, after which no further run is started


def run(
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("degrade-demo.png"),
    samples: Annotated[int, typer.Option(min=1, max=32, help="Images in the batch.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=512, help="Height and width, in pixels.")] = 256,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Equal seeds draw equal degradations.")] = 0,
    backend: Annotated[str, typer.Option(help="auto, torch or triton.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Degrade photographs and draw what was done, where, and how it looks."""
    check_out(out)
    import torch

    from degrade import __version__, backends, draw

    where = pick_device(device)
    pipe = recipe(seed, backend)
    ids = choose_ids(pipe.sample(range(samples * CANDIDATES), (size, size)), samples)
    x = torch.stack([torch.from_numpy(photograph(i, size)) for i in range(samples)]).permute(0, 3, 1, 2).contiguous().to(where)
    chosen, why = backends.choose(x, backend)
    y, labels, seconds = timed(pipe, x, ids)
    words = f"{samples} photographs of {size} x {size}, a different program for each, in one call. Seed {seed}, {chosen} backend."
    draw.save(out, draw.degradations(x.cpu(), y.cpu(), labels, title=f"degrade {__version__}", subtitle=words))
    report(labels.program, chosen, why, where, seconds, out)


def check_out(out: Path) -> None:
    """Refuse, before any work, a path that cannot be written.

    Raises:
        ValueError: if it is not a PNG in a folder that exists and can be written.
    """
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out {str(out)!r} is not a PNG; accepted: a name that ends in .png.")
    if out.is_dir():
        raise ValueError(f"--out {str(out)!r} is a folder; accepted: the name of a file, which is replaced if it exists.")
    if not out.parent.is_dir():
        raise ValueError(f"--out {str(out)!r}: there is no folder {str(out.parent)!r}; make it first.")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out {str(out)!r}: the folder {str(out.parent)!r} cannot be written.")


def pick_device(wanted: str) -> str:
    """The torch device that was asked for, if it is here."""
    import torch

    from degrade.errors import unknown

    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(unknown("--device", wanted, ("auto", "cpu", "cuda")))
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("--device cuda: PyTorch sees no CUDA or ROCm GPU here; use --device cpu.")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def recipe(seed: int, backend: str) -> Pipeline:
    """Two to four of ARNIQA's ops, each under its own mask, sometimes with noise over the whole frame."""
    from degrade import REGISTRY, Compose, Local, Pipeline, SomeOf, banks
    from degrade.masks import FAMILIES

    families = [family for name, family in sorted(FAMILIES.items()) if not family.reads_map]
    ops = [
        Local(op(severity=(0.35, 0.95)), families[i % len(families)](area=(0.15, 0.4), feather=(0.05, 0.25)))
        for i, op in enumerate(REGISTRY[name] for name in sorted(banks.arniqa().ops))
    ]
    some = SomeOf(*ops, n=(min(2, len(ops)), min(4, len(ops))))
    return Pipeline(Compose(some, REGISTRY["gaussian_noise"](std=(0.01, 0.04), p=0.25)), seed=seed, backend=backend)


def choose_ids(program: Program, samples: int) -> list[int]:
    """Ids of the samples that together show as many ops as can be, each adding what the ones before it lack."""
    import numpy as np

    shows = (program.code[:, :, None] == np.arange(len(program.ops))).any(1)
    seen = np.zeros(len(program.ops), dtype=np.int64)
    chosen: list[int] = []
    for _ in range(samples):
        # The rarer an op was so far the more it counts: per slot, lest long programs always win.
        worth = (shows * 0.25**seen).sum(1) / np.maximum((program.code >= 0).sum(1), 1)
        worth[chosen] = -1.0
        chosen.append(int(worth.argmax()))
        seen += shows[chosen[-1]]
    return [int(i) for i in program.ids[chosen]]


def photograph(number: int, size: int) -> np.ndarray[Any, Any]:
    """A square photograph, size size 3 uint8. Numbers beyond the last photograph show other crops of the same ones.

    Raises:
        ModuleNotFoundError: if scikit-image or Pillow is not installed, naming the extra that brings it.
    """
    from importlib.util import find_spec

    import numpy as np

    package = find_spec("skimage")
    if package is None or package.origin is None or find_spec("PIL") is None:
        raise ModuleNotFoundError("the demo needs scikit-image's photographs and Pillow, which are not installed: pip install 'degrade[demo]'.")
    from PIL import Image

    folder = Path(package.origin).parent / "data"
    files = [folder / name for name in PHOTOGRAPHS if (folder / name).is_file()]
    if not files:
        raise FileNotFoundError(f"the demo found none of scikit-image's photographs in {folder}; install it anew from its wheel.")
    image = Image.open(files[number % len(files)]).convert("RGB")
    turn = number // len(files)
    side = min(image.size) * 4 // (4 + turn)
    left, top = (image.width - side) // 2, (image.height - side) // (2 if turn == 0 else 3)
    return np.array(image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS))


def timed(pipe: Pipeline, x: torch.Tensor, ids: list[int]) -> tuple[torch.Tensor, Labels, float]:
    """The result, its labels, and the median time of a call in seconds, after one that warms up."""
    import torch

    def once() -> tuple[torch.Tensor, Labels, float]:
        start = time.perf_counter()
        y, labels = pipe(x, ids=ids, labels=True)
        if x.is_cuda:
            torch.cuda.synchronize()
        return y, labels, time.perf_counter() - start

    start = time.perf_counter()
    y, labels, _ = once()
    times = [once()[2]]
    while len(times) < RUNS and time.perf_counter() - start < ENOUGH:
        times.append(once()[2])
    return y, labels, statistics.median(times)


def report(program: Program, backend: str, why: str, device: str, seconds: float, out: Path) -> None:
    """What was run, how fast, and the program in words."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    height, width = program.size
    typer.echo(f"backend   {backend} ({why})")
    typer.echo(f"device    {device} ({name})")
    typer.echo(f"time      {1000 * seconds:.3g} ms for {len(program)} images of {height} x {width}, {len(program) / seconds:.3g} images/s")
    typer.echo(f"ops       {len({c for c in program.code.ravel().tolist() if c >= 0})} of {len(program.ops)} shown")
    typer.echo("program")
    for i in range(len(program)):
        typer.echo(f"  {i + 1}  {program.describe(i)}")
    typer.echo(f"wrote     {out}")
