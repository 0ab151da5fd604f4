"""The Triton backend: one upload, then the launches of the plan. It never waits for the device.

On a GPU Triton builds and launches the kernels; on the CPU `native` does, the same ones.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch

from degrade.distributions import Array
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.reach import reach
from degrade.kernels.settle import settle
from degrade.masks import find as find_mask
from degrade.program import Program

from . import native
from .masking import resolve_maps
from .plan import Launch, Plan, make_plan

REACH_WARPS = 4  # the codec fills exactly 128 threads
PATIENCE = 1.5  # seconds of building after which it is said
SETTLE_REGISTERS = 128  # left to itself the compiler takes fewer and spills a few bytes
SETTLE_WARPS = 8  # two pixels per thread: four spill on sm_100 when a pipeline holds every op


def execute(program: Program, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Apply a program to images b 3 h w of any accepted dtype and any strides."""
    maps, numbers = resolve_maps(program, mask, x.device)
    plan = make_plan(program, numbers)
    with torch.cuda.device_of(x):  # Triton launches on the current device; nothing for images on the CPU
        buffers = Buffers(plan, x, maps)
        with announced(plan, x):
            for number, launch in enumerate(plan.launches):
                if launch.tiles and launch.kind == "settle":
                    run_settle(plan, buffers, launch, door=number == 0)
                elif launch.tiles:
                    run_reach(plan, buffers, launch)
    return buffers.out


_BUILT: set[tuple[object, ...]] = set()


@contextlib.contextmanager
def announced(plan: Plan, x: torch.Tensor) -> Iterator[None]:
    """Say so when the first use of a set of ops keeps the user waiting for its kernels to be built."""
    kind = plan.vocabulary.points, plan.vocabulary.strokes, plan.families, x.dtype, len(plan.launches) > 1
    if kind in _BUILT or (not x.is_cuda and native.interpreted()):
        yield
        return
    count = len(plan.vocabulary.points) + len(plan.vocabulary.strokes)
    message = f"degrade: building the kernels of {count} ops for {str(x.dtype).removeprefix('torch.')} images; they are kept for the next time."
    timer = threading.Timer(PATIENCE, print, (message,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
        _BUILT.add(kind)
    finally:
        timer.cancel()


class Buffers:
    """Device memory of one execution. The caching allocators reuse it, per stream, from batch to batch."""

    def __init__(self, plan: Plan, x: torch.Tensor, maps: torch.Tensor | None) -> None:
        self.out = torch.empty_like(x)
        self.fixed = x.dtype != torch.float32
        self.rounds = x.dtype in (torch.float16, torch.bfloat16)
        working = torch.uint16 if self.fixed else torch.float32
        self.ints = upload(plan.arena, x.device)
        self.floats = self.ints.view(torch.float32)
        offsets = sorted({*plan.sections.values(), *(at for launch in plan.launches for at in (launch.items, launch.item_of))})
        self.sections = dict(zip(offsets, self.ints.tensor_split(offsets)[1:]))  # all in one call: a slice costs the host more than a launch
        shape = (plan.positions, x.shape[0], *x.shape[2:])
        self.settle_shape, self.reach_shape = (*shape, *x.stride(), *self.out.stride()), shape
        self.unit = x.stride(3) == self.out.stride(3) == 1
        # With no two-stroke op every sample goes from source to result in one launch and needs no canvas. What is never read or
        # written may lie anywhere.
        strokes = len(plan.launches) > 1
        self.canvas = torch.empty(x.shape, dtype=working, device=x.device) if strokes else self.ints.view(working)
        self.scratch = torch.empty((plan.buffers, *x.shape), dtype=working, device=x.device) if strokes else self.canvas
        self.keep = torch.empty((plan.depth, *x.shape), dtype=working, device=x.device) if plan.depth else self.canvas
        self.words = torch.zeros(plan.words, dtype=torch.int64, device=x.device) if plan.words else self.ints.view(torch.int64)
        self.maps = self.floats if maps is None else maps.contiguous()
        ids, instructions, regions = (self.sections[plan.sections[name]] for name in ("ids", "instructions", "regions"))
        # The arguments of every launch of a kernel, but for its own items.
        self.settles = x, self.out, self.canvas, self.scratch, self.keep, self.words, self.maps, self.ints, self.floats, ids, instructions, regions
        self.reaches = self.canvas, self.scratch, self.words, self.ints, self.floats, ids, instructions


def upload(arena: Array, device: torch.device) -> torch.Tensor:
    """The arena on the device: one pinned, asynchronous copy. The host allocator holds the pinned block until the copy is done."""
    host = torch.from_numpy(arena)
    return host if device.type == "cpu" else host.pin_memory().to(device, non_blocking=True)


def launch_on(x: torch.Tensor, kernel: Any, tiles: int, arguments: tuple[Any, ...], options: dict[str, Any], **constants: Any) -> None:
    """Run a kernel where the images are; options are for a GPU."""
    if x.is_cuda or native.interpreted():
        kernel[(tiles,)](*arguments, **constants, enable_fp_fusion=False, **options)
    else:
        native.launch(kernel, tiles, arguments, constants)


def run_reach(plan: Plan, buffers: Buffers, launch: Launch) -> None:
    functions, registers = plan.vocabulary.kernels[launch.kernel]
    arguments = *buffers.reaches, buffers.sections[launch.items], buffers.sections[launch.item_of], *buffers.reach_shape
    launch_on(
        buffers.out, reach, launch.tiles, arguments, {"num_warps": REACH_WARPS, **limit(registers)},
        FIXED=buffers.fixed, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS, REACH=functions,
    )  # fmt: skip


def limit(registers: int | None) -> dict[str, int]:
    """The launch option that limits registers; ROCm has none and needs none."""
    return {} if registers is None or torch.version.hip else {"maxnreg": registers}


def run_settle(plan: Plan, buffers: Buffers, launch: Launch, door: bool) -> None:
    arguments = *buffers.settles, buffers.sections[launch.items], buffers.sections[launch.item_of], *buffers.settle_shape
    launch_on(
        buffers.out, settle, launch.tiles, arguments, {"num_warps": SETTLE_WARPS, **limit(SETTLE_REGISTERS)},
        FIXED=buffers.fixed, ROUNDS=buffers.rounds, DOOR=door, UNIT=buffers.unit, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS,
        POINT=plan.vocabulary.functions, SETTLE=() if door else plan.vocabulary.settles, MASKS=tuple(find_mask(f).device for f in plan.families),
    )  # fmt: skip
