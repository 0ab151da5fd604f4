"""`degrade gallery`: every op at five severities, over the whole frame and under a mask, as pictures and as one page."""

from __future__ import annotations

import base64
import io
import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .demo import photograph, pick_device
from .list import banks_of, matching

if TYPE_CHECKING:
    import torch

    from degrade.op import Op

LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)  # severities
QUALITY = 88  # of the pictures inside the page


def run(
    out: Annotated[Path, typer.Option(help="The folder to write; made if it is not there.")] = Path("degrade-gallery"),
    pattern: Annotated[str, typer.Option(help="A name, a class or a group, as for `degrade list`.")] = "*",
    size: Annotated[int, typer.Option(min=64, max=512, help="Height and width, in pixels.")] = 224,
    photo: Annotated[int, typer.Option(min=0, max=99, help="Which photograph, 0 to 7; from 8 on other crops.")] = 2,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="What noise and positions are drawn from.")] = 0,
    backend: Annotated[str, typer.Option(help="auto, torch or triton.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Draw every degradation: one PNG an op, and index.html with a search and a level slider."""
    import torch
    from rich.progress import track

    from degrade import draw

    ops = sorted(matching(pattern), key=lambda op: (op.group, op.name))
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {str(out)!r} is a file; accepted: the name of a folder.")
    out.mkdir(parents=True, exist_ok=True)
    x = torch.from_numpy(photograph(photo, size)).permute(2, 0, 1).contiguous().to(pick_device(device))
    entries = []
    for op in track(ops, description="drawing"):
        rows = [pictures(op, x, direction, seed, backend) for direction in directions(op)]
        draw.save(out / f"{op.name}.png", sheet(op, x, rows))
        entries.append(entry(op, rows))
    page = out / "index.html"
    page.write_text(filled(entries, data_uri(x.cpu())), encoding="utf-8")
    typer.echo(f"wrote {len(ops)} PNG files and {page}")


def directions(op: type[Op]) -> tuple[str, ...]:
    """Both ways for a signed parameter, else one."""
    return ("down", "up") if isinstance(next(iter(op.parameters.values())).harsh, tuple) else ("up",)


def pictures(op: type[Op], x: torch.Tensor, direction: str, seed: int, backend: str) -> dict[str, Any]:
    """One op at all severities: images over the whole frame, images under a mask, and the first parameter of each."""
    import torch

    from degrade import Local, Pipeline, masks

    first, param = next(iter(op.parameters.items()))
    whole, masked, values = [], [], []
    for severity in LEVELS:
        leaf = op(severity=severity, direction=direction)
        pipe = Pipeline(leaf, seed=seed, backend=backend)
        local = Pipeline(Local(leaf, masks.Ellipse(area=0.35, feather=0.15, aspect=1.3)), seed=seed, backend=backend)
        # The same sample drawn twice: both pictures have the same angle, noise and positions wherever they are drawn alike.
        value = op.describe(pipe.sample([0], (x.shape[1], x.shape[2])).theta[0, 0])[first]
        whole.append(pipe(x, ids=[0]).cpu())
        masked.append(local(x, ids=[0]).cpu())
        values.append(f"{first.replace('_', ' ')} {value:.3g} {param.unit}".rstrip())
    return {"whole": torch.stack(whole), "masked": torch.stack(masked), "values": values}


def sheet(op: type[Op], x: torch.Tensor, rows: list[dict[str, Any]]) -> Any:
    """The PNG of one op."""
    from degrade import draw

    cells: list[Any] = []
    for row in rows:
        for what in ("whole", "masked"):
            cells.append([x.cpu(), *row[what]])
    columns = ("original", *rows[0]["values"]) if len(rows) == 1 else ("original", *(f"severity {s:g}" for s in LEVELS))
    return draw.contact_sheet(cells, title=op.__name__, subtitle=op.caption, columns=columns)


def entry(op: type[Op], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One op as the page holds it."""
    return {
        "name": op.__name__,
        "group": op.group,
        "caption": op.caption,
        "banks": banks_of().get(op.name, []),
        "rows": [{"values": r["values"], "whole": [data_uri(i) for i in r["whole"]], "masked": [data_uri(i) for i in r["masked"]]} for r in rows],
    }


def data_uri(image: torch.Tensor) -> str:
    """An image 3 h w uint8 as a WebP that a page can hold."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(file, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def filled(entries: list[dict[str, Any]], original: str) -> str:
    """The page, with everything that it shows inside."""
    template = (resources.files(__package__) / "gallery.html").read_text(encoding="utf-8")
    data = json.dumps(entries, ensure_ascii=False).replace("</", "<\\/")
    return template.replace("/*OPS*/[]", data).replace('/*ORIGINAL*/""', json.dumps(original))
