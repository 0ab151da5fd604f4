"""What a pipeline costs before it runs: launches, tiles, bytes, and the floor that they imply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .backends.plan import Launch, Plan, make_plan
from .backends.stages import Stage, needs_stages, samples_of, stages_of
from .distributions import Array
from .kernels import plan as layout
from .kernels.fetch import TILE_COLUMNS, TILE_ROWS
from .program import Program

DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
H100 = 3.0e12  # bytes per second that a copy moves on an H100, both directions counted


@dataclass(frozen=True)
class Row:
    """One launch: how many tiles it has, of how many samples, and the bytes that its pixels read and write."""

    kind: str  # "settle", or "reach" with its ops
    samples: int
    tiles: int
    read: int
    written: int


@dataclass(frozen=True)
class Explanation:
    """The launches of one batch. Bytes are those of the pixels that a launch works on; what a blur reads beyond them is in the cache."""

    rows: tuple[Row, ...]
    batch: int
    size: tuple[int, int]
    uploaded: int  # bytes of the one arena
    bandwidth: float

    @property
    def bytes(self) -> int:
        return sum(row.read + row.written for row in self.rows)

    @property
    def floor(self) -> float:
        """Seconds that moving the bytes takes at the bandwidth."""
        return self.bytes / self.bandwidth

    def __str__(self) -> str:
        wide = max(len("launch"), *(len(row.kind) for row in self.rows)) if self.rows else 0
        lines = [f"{'launch':<{wide}}{'samples':>9}{'tiles':>9}{'read':>12}{'written':>12}"]
        lines += [f"{row.kind:<{wide}}{row.samples:>9}{row.tiles:>9}{_size(row.read):>12}{_size(row.written):>12}" for row in self.rows]
        total = f"{len(self.rows)} launches, {sum(row.tiles for row in self.rows)} tiles, {_size(self.bytes)}"
        per_second = f"{self.batch / self.floor:,.0f} images/s" if self.bytes else "nothing to do"
        lines.append(f"{total}; {_size(self.uploaded)} uploaded at once")
        lines.append(
            f"floor at {self.bandwidth / 1e12:g} TB/s: {self.floor * 1e3:.3g} ms, {per_second}, for {self.batch} images of {self.size[0]}x{self.size[1]}"
        )
        return "\n".join(lines)


def explain(program: Program, dtype: torch.dtype = torch.uint8, bandwidth: float = H100) -> Explanation:
    """Count what running a program takes on images of this dtype.

    Raises:
        ValueError: an empty program, a dtype that no image has, or a bandwidth that is not positive.
    """
    if not len(program):
        raise ValueError("the batch is empty; accepted: at least one image.")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype} is not one of images; accepted: {', '.join(str(d).removeprefix('torch.') for d in DTYPES)}.")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth={bandwidth} is not positive; accepted: bytes per second.")
    stages = stages_of(program) if needs_stages(program) else [Stage(program, "plain")]
    working = 4 if dtype == torch.float32 else 2
    own = dtype.itemsize if len(stages) == 1 and stages[0].kind != "levels" else working
    rows, uploaded = [], 0
    for stage in stages:
        if stage.kind != "plain":
            pixels = 3 * len(program) * program.size[0] * program.size[1] * own
            rows.append(Row("copy", len(program), 0, pixels, pixels))  # in which the cells' or levels' pixels are then written
        for plan in _plans(stage):
            rows += [_row(plan, launch, number == 0, program.size, own, working) for number, launch in enumerate(plan.launches) if launch.tiles]
            uploaded += plan.arena.nbytes
    return Explanation(tuple(rows), len(program), program.size, uploaded, bandwidth)


def _plans(stage: Stage) -> list[Plan]:
    """What a stage is run by."""
    if stage.kind == "plain":
        return [make_plan(stage.program, stage.program.numbers)]
    return [make_plan(program, program.numbers, origins) for program, origins in samples_of(stage) if len(program)]


def _row(plan: Plan, launch: Launch, door: bool, size: tuple[int, int], own: int, working: int) -> Row:
    item_of = launch.item_of_tiles(plan.arena)
    items = plan.arena[launch.items :][: (int(item_of.max()) + 1) * layout.ITEM].reshape(-1, layout.ITEM)
    values, samples = 3 * _pixels(items[item_of], size), len(np.unique(items[np.unique(item_of), layout.SAMPLE]))
    if launch.kind == "reach":
        stores = items[item_of, layout.TARGET] > 0
        names = sorted({op.name for op in plan.vocabulary.strokes if {s.fn for s in op.strokes} & set(plan.vocabulary.kernels[launch.kernel][0])})
        return Row(f"reach {_few(names)}", samples, launch.tiles, int(values.sum()) * working, int(values[stores].sum()) * working)
    changes, reads = (_meets(items[item_of], rect) for rect in (layout.CHANGES, layout.READS))
    read = int(values.sum()) * (own if door else 2 * working)  # a later settle reads the canvas and the scratch
    return Row("settle", samples, launch.tiles, read, int(values[~changes].sum()) * own + int(values[reads].sum()) * working)


def _corner(items: Array) -> tuple[Array, Array]:
    """Where each tile begins, in pixels; `items` holds the item of every tile."""
    tile = np.arange(len(items)) - items[:, layout.FIRST_TILE]
    top = (items[:, layout.TILE_Y] + tile // items[:, layout.TILES_WIDE]) * TILE_ROWS
    return top, (items[:, layout.TILE_X] + tile % items[:, layout.TILES_WIDE]) * TILE_COLUMNS


def _meets(items: Array, rect: int) -> Array:
    """Which tiles have a part in a rectangle of their item."""
    (top, left), (y0, y1, x0, x1) = _corner(items), items[:, rect : rect + 4].T
    return (top < y1) & (top + TILE_ROWS > y0) & (left < x1) & (left + TILE_COLUMNS > x0)


def _pixels(items: Array, size: tuple[int, int]) -> Array:
    """How many pixels of the frame each tile covers."""
    top, left = _corner(items)
    return np.clip(size[0] - top, 0, TILE_ROWS) * np.clip(size[1] - left, 0, TILE_COLUMNS)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if unit != "B" else f"{count} B"
        count /= 1000  # type: ignore[assignment]
    raise AssertionError
