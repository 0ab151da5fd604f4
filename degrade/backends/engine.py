"""The Triton backend: one upload, then the launches of the plan. It never waits for the device."""

from __future__ import annotations

import torch

from degrade.distributions import Array
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.reach import reach
from degrade.kernels.settle import settle
from degrade.masks import find as find_mask
from degrade.program import Program

from .masking import resolve_maps
from .plan import Launch, Plan, make_plan

REACH_WARPS = 4  # the codec fills exactly 128 threads
SETTLE_WARPS = 8  # two pixels per thread: four spill on sm_100 when a pipeline holds every op


def execute(program: Program, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Apply a program to images b 3 h w of any accepted dtype and any strides."""
    maps, numbers = resolve_maps(program, mask, x.device)
    plan = make_plan(program, numbers)
    with torch.cuda.device_of(x):  # Triton launches on the current device; nothing for images on the CPU
        buffers = Buffers(plan, x, maps)
        for number, launch in enumerate(plan.launches):
            if launch.tiles and launch.kind == "settle":
                run_settle(plan, buffers, launch, door=number == 0)
            elif launch.tiles:
                run_reach(plan, buffers, launch)
    return buffers.out


class Buffers:
    """Device memory of one execution. The caching allocators reuse it, per stream, from batch to batch."""

    def __init__(self, plan: Plan, x: torch.Tensor, maps: torch.Tensor | None) -> None:
        self.x, self.out = x, torch.empty_like(x)
        self.fixed = x.dtype != torch.float32
        self.rounds = x.dtype in (torch.float16, torch.bfloat16)
        working = torch.uint16 if self.fixed else torch.float32
        self.ints = upload(plan.arena, x.device)
        self.floats = self.ints.view(torch.float32)
        self.unit = x.stride(3) == self.out.stride(3) == 1
        # With no two-stroke op every sample goes from source to result in one launch and needs no canvas.
        whole = x.shape if len(plan.launches) > 1 else (1,)
        self.canvas = torch.empty(whole, dtype=working, device=x.device)
        self.scratch = torch.empty(whole, dtype=working, device=x.device)
        self.keep = torch.empty((plan.depth, *x.shape) if plan.depth else (1,), dtype=working, device=x.device)
        self.words = torch.zeros(plan.words if any(op.whole_frame for op in plan.strokes) else 1, dtype=torch.int64, device=x.device)
        self.maps = self.floats if maps is None else maps.contiguous()

    def section(self, offset: int) -> torch.Tensor:
        return self.ints[offset:]


def upload(arena: Array, device: torch.device) -> torch.Tensor:
    """The arena on the device: one pinned, asynchronous copy. The host allocator holds the pinned block until the copy is done."""
    host = torch.from_numpy(arena)
    return host if device.type == "cpu" else host.pin_memory().to(device, non_blocking=True)


def run_reach(plan: Plan, buffers: Buffers, launch: Launch) -> None:
    height, width = buffers.x.shape[2:]
    reach[(launch.tiles,)](
        buffers.canvas, buffers.scratch, buffers.words, buffers.ints, buffers.floats,
        buffers.section(plan.sections["ids"]), buffers.section(plan.sections["instructions"]),
        buffers.section(launch.items), buffers.section(launch.item_of),
        plan.positions, height, width,
        FIXED=buffers.fixed, POINTS=len(plan.points), ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS,
        REACH=tuple(op.reach for op in plan.strokes),
        num_warps=REACH_WARPS, enable_fp_fusion=False,
    )  # fmt: skip


def run_settle(plan: Plan, buffers: Buffers, launch: Launch, door: bool) -> None:
    height, width = buffers.x.shape[2:]
    settle[(launch.tiles,)](
        buffers.x, buffers.out, buffers.canvas, buffers.scratch, buffers.keep, buffers.words, buffers.maps, buffers.ints, buffers.floats,
        buffers.section(plan.sections["ids"]), buffers.section(plan.sections["instructions"]), buffers.section(plan.sections["regions"]),
        buffers.section(launch.items), buffers.section(launch.item_of),
        plan.positions, len(buffers.x), height, width, *buffers.x.stride(), *buffers.out.stride(),
        FIXED=buffers.fixed, ROUNDS=buffers.rounds, DOOR=door, UNIT=buffers.unit, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS,
        POINT=tuple(op.point for op in plan.points), SETTLE=tuple(op.settle for op in plan.strokes), MASKS=tuple(find_mask(f).device for f in plan.families),
        num_warps=SETTLE_WARPS, enable_fp_fusion=False,
    )  # fmt: skip
