"""The Triton backend: one upload, then the launches of the plan. It never waits for the device.

On a GPU Triton builds and launches the kernels; on the CPU `native` does, the same ones.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.reach import reach
from degrade.kernels.settle import settle
from degrade.masks import find as find_mask
from degrade.op import Op
from degrade.program import Program

from . import native
from .beside import run_beside
from .masking import resolve_maps
from .plan import Launch, Plan, make_plan
from .stages import needs_stages, run_stages
from .upload import upload
from .windows import Origins

PATIENCE = 1.5  # seconds of building after which it is said
FEW_OPS = 2  # in a settle of eight pixels a thread
SETTLE_REGISTERS = 96  # a thread; with more of them the card holds fewer programs, which wait for their loads
ALIGNMENT = 16  # bytes that Triton asks of pointers, and elements that a sample, a channel and a row must be multiples of


def execute(
    program: Program, x: torch.Tensor, mask: torch.Tensor | None = None, origin: Array | None = None, plan: Plan | None = None
) -> torch.Tensor:
    """Apply a program to images b 3 h w of any accepted dtype and any strides. origin: (b, 2), where they lie in their frames, if they are
    parts of such; plan: that of the program, if there is one already."""
    if origin is not None:
        parts = Origins(np.arange(len(x)), np.zeros(len(x), dtype=np.int64), parts=np.concatenate([origin, origin + x.shape[2:]], 1)[:, [0, 2, 1, 3]])
        return run_plan(make_plan(program, program.numbers, parts), x, torch.empty_like(x), program.maps, program.size)
    if plan is not None:
        return run_plan(plan, x, torch.empty_like(x), resolve_maps(program, mask, x.device)[0], program.size)
    if needs_stages(program):
        return run_stages(program, x, mask, run_program, run_samples)
    return run_program(program, x, mask)


def run_program(program: Program, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """The same for a program of one stage."""
    maps, numbers = resolve_maps(program, mask, x.device)
    return run_plan(make_plan(program, numbers), x, torch.empty_like(x), maps, program.size)


def run_samples(program: Program, origins: Origins, x: torch.Tensor, out: torch.Tensor, mask: torch.Tensor | None) -> None:
    """Apply a program whose samples are others than the images x, such as cells of them, to where they lie in `out`."""
    if len(program):
        maps, numbers = resolve_maps(program, None if mask is None else mask[upload(origins.parents.astype(np.int32), x.device).long()], x.device)
        run_plan(make_plan(program, numbers, origins), x, out, maps, program.size)


def run_plan(plan: Plan, x: torch.Tensor, out: torch.Tensor, maps: torch.Tensor | None, frame: tuple[int, int]) -> torch.Tensor:
    """Run a plan from the images x to the images out."""
    if not any(launch.tiles for launch in plan.launches):
        return out  # cells and levels that have no pixel
    with torch.cuda.device_of(x):  # Triton launches on the current device; nothing for images on the CPU
        buffers = Buffers(plan, x, out, maps, frame)
        with announced(plan, x):
            kernels = Kernels(plan, buffers)
            door, *launches = (launch for launch in plan.launches if launch.tiles)
            kernels.run(door, door=True)
            for kind, group in groupby(launches, attrgetter("kind")):
                if kind == "reach":
                    run_reaches(kernels, list(group), buffers.out)
                    continue
                for launch in group:
                    kernels.run(launch)
    return buffers.out


def run_reaches(kernels: Kernels, launches: list[Launch], out: torch.Tensor) -> None:
    """The strokes between two settles. Those of ops with kernels of their own are short and of few programs, which one after another
    would leave a GPU idle, so each kernel's go on beside the others'; they work on different samples."""

    def run_all(own: list[Launch], stream: torch.cuda.Stream | None = None) -> None:
        for launch in own:
            kernels.run(launch, stream)

    tasks = [partial(run_all, list(own)) for _, own in groupby(launches, attrgetter("kernel"))] if out.is_cuda else []
    if len(tasks) > 1:
        run_beside(tasks, out.device)
    else:
        run_all(launches)


_BUILT: set[tuple[object, ...]] = set()


@contextlib.contextmanager
def announced(plan: Plan, x: torch.Tensor) -> Iterator[None]:
    """Say so when the first use of a set of ops keeps the user waiting for its kernels to be built."""
    kind = plan.vocabulary.points, plan.vocabulary.strokes, *plan.settles, x.dtype, len(plan.launches) > 1
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

    def __init__(self, plan: Plan, x: torch.Tensor, out: torch.Tensor, maps: torch.Tensor | None, frame: tuple[int, int]) -> None:
        self.x, self.out = x, out
        self.fixed = x.dtype != torch.float32
        self.rounds = x.dtype in (torch.float16, torch.bfloat16)
        working = torch.uint16 if self.fixed else torch.float32
        self.ints = upload(plan.arena, x.device)
        floats = self.ints.view(torch.float32)
        shape = (plan.positions, x.shape[0], *frame)
        strides = (*x.stride(), *self.out.stride())
        self.numbers = {"settle": (*shape, *strides), "reach": shape}
        self.unit = x.stride(3) == self.out.stride(3) == 1
        aligned = x.data_ptr() % ALIGNMENT == 0
        self.wide = not plan.windowed and x.shape[3] % TILE_COLUMNS == 0
        self.whole = self.wide and self.unit and aligned and not any(s % ALIGNMENT for s in strides if s != 1)
        # With no two-stroke op every sample goes from source to result in one launch and needs no canvas. What is never read or
        # written may lie anywhere.
        strokes = len(plan.launches) > 1
        canvas, scratch = (
            torch.empty(k * plan.stored, dtype=working, device=x.device) if strokes else self.ints.view(working) for k in (1, plan.buffers)
        )
        keep = torch.empty(plan.depth * plan.stored, dtype=working, device=x.device) if plan.depth else canvas
        words = torch.zeros(plan.words, dtype=torch.int64, device=x.device) if plan.words else self.ints.view(torch.int64)
        maps = floats if maps is None else maps.contiguous()
        ids, instructions, regions = (plan.sections[name] for name in ("ids", "instructions", "regions"))
        self.windows = plan.sections["windows"]
        # The pointers of every launch of a kernel, but for its own items: tensors, then places in the arena.
        self.tensors = {
            "settle": (x, self.out, canvas, scratch, keep, words, maps, self.ints, floats),
            "reach": (canvas, scratch, words, self.ints, floats),
        }
        self.places = {"settle": (ids, instructions, regions), "reach": (ids, instructions)}
        # What Triton builds other binaries for: pointers it cannot know to be aligned, as of a slice, and numbers beyond 32 bits.
        self.kind = x.device.index, x.dtype, self.unit, self.whole, aligned, maps.data_ptr() % ALIGNMENT == 0, max(strides) < 2**31

    @cached_property
    def stream(self) -> torch.cuda.Stream | None:
        return torch.cuda.current_stream(self.x.device) if self.x.is_cuda else None

    @cached_property
    def sections(self) -> Callable[[int], torch.Tensor]:
        return cache(lambda at: self.ints[at:])

    def arguments(self, launch: Launch) -> tuple[torch.Tensor | int, ...]:
        """What a kernel takes before its constants."""
        places = *self.places[launch.kind], launch.items, launch.item_of, self.windows
        return *self.tensors[launch.kind], *(self.sections(at) for at in places), *self.numbers[launch.kind]

    @cached_property
    def addresses(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """The same with an address for each pointer, of which the host makes much less: what comes before a launch's own places, and after."""
        arena = self.ints.data_ptr()
        before = {kind: (*(t.data_ptr() for t in self.tensors[kind]), *(arena + 4 * at for at in self.places[kind])) for kind in self.tensors}
        return {kind: (before[kind], (arena + 4 * self.windows, *self.numbers[kind])) for kind in before}


class Kernel(NamedTuple):
    """What kernel a launch takes, and how it is specialised beside the plan."""

    kind: str
    number: int = 0  # of the reach kernels
    even: bool = False
    door: bool = False  # whether it is the first launch, which reads the source


class Kernels(dict[Kernel, "Ready | None"]):
    """The kernels of one execution, ready to be launched where there are binaries of them, which are kept with the vocabulary."""

    def __init__(self, plan: Plan, buffers: Buffers) -> None:
        self.plan, self.buffers, self.binaries = plan, buffers, plan.vocabulary.binaries

    def run(self, launch: Launch, stream: torch.cuda.Stream | None = None, door: bool = False) -> None:
        """Launch a kernel, on the current stream if none is given."""
        kernel = Kernel(launch.kind, launch.kernel, launch.even is not None, door)
        stream = stream or self.buffers.stream
        if ready := self[kernel]:
            ready.launch(launch, stream)
            return
        function, constants, options = (reach_kernel if launch.kind == "reach" else settle_kernel)(self.plan, self.buffers, kernel)
        with torch.cuda.stream(stream):
            built = launch_on(self.buffers.out, function, launch.grid, self.buffers.arguments(launch), options, **constants)
        if built:
            self.binaries[self._key(kernel)] = Binary(built, tuple(constants.values()))
            del self[kernel]

    def __missing__(self, kernel: Kernel) -> Ready | None:
        binary = self.binaries.get(self._key(kernel))
        self[kernel] = ready = Ready(binary, self.buffers, kernel.kind) if binary else None
        return ready

    def _key(self, kernel: Kernel) -> tuple[object, ...]:
        own = (self.buffers.wide, self.plan.windowed) if kernel.kind == "reach" else self.plan.settles
        return kernel, own, self.buffers.kind


Built = tuple[Any, dict[str, Any], dict[str, Any]]  # the function, its constants, and the options of its launch


def reach_kernel(plan: Plan, buffers: Buffers, kernel: Kernel) -> Built:
    functions, registers, warps, words = plan.vocabulary.kernels[kernel.number]
    constants = {
        "FIXED": buffers.fixed, "WHOLE": buffers.wide and words, "EVEN": kernel.even, "WINDOWED": plan.windowed, "ROWS": TILE_ROWS, "COLUMNS": TILE_COLUMNS,
        "REACH": functions,
    }  # fmt: skip
    return reach, constants, {"num_warps": warps, **limit(registers)}


def settle_kernel(plan: Plan, buffers: Buffers, kernel: Kernel) -> Built:
    door, points = kernel.door, (1 << len(plan.vocabulary.points)) - 1  # the first launch finishes no stroke
    constants = {
        "FIXED": buffers.fixed, "ROUNDS": buffers.rounds, "DOOR": door, "UNIT": buffers.unit, "WHOLE": buffers.whole, "EVEN": kernel.even, "STROKES": bool(plan.vocabulary.strokes), "FOLDS": plan.folds, "MOVES": plan.moves, "WINDOWED": plan.windowed, "LEVELLED": plan.levelled, "MODULATES": plan.modulates & points if door else plan.modulates, "LINEAR": plan.linear, "ROWS": TILE_ROWS, "COLUMNS": TILE_COLUMNS,
        "POINT": plan.vocabulary.functions, "SETTLE": () if door else plan.vocabulary.settles, "MASKS": tuple(find_mask(f).device for f in plan.families),
    }  # fmt: skip
    elaborate = plan.folds or plan.moves or plan.windowed
    warps = settle_warps(plan.vocabulary.points if door else plan.vocabulary.ops, plan.families, elaborate)
    return settle, constants, {"num_warps": warps, **limit(SETTLE_REGISTERS)}


def settle_warps(ops: Sequence[type[Op]], families: Sequence[str], elaborate: bool) -> int:
    """Of a settle that may run these ops under masks of these families, which may be more than plain ones."""
    few = len(ops) <= FEW_OPS and len(families) <= 1 and not elaborate
    return max([Op.settle_warps if few else 4, *(op.settle_warps for op in ops)])


def limit(registers: int | None) -> dict[str, int]:
    """The launch option that limits registers; ROCm has none and needs none."""
    return {} if registers is None or torch.version.hip else {"maxnreg": registers}


def launch_on(x: torch.Tensor, kernel: Any, grid: tuple[int, ...], arguments: tuple[Any, ...], options: dict[str, Any], **constants: Any) -> Any:
    """Run a kernel where the images are; return what Triton built, if it did. Options are for a GPU."""
    if x.is_cuda or native.interpreted():
        return kernel[grid](*arguments, **constants, enable_fp_fusion=False, **options)
    native.launch(kernel, grid, arguments, constants)
    return None


class Binary:
    """A kernel built by Triton. Triton's own way to it, over the types and values of all arguments, takes the host longer than most kernels run."""

    def __init__(self, built: Any, constants: tuple[Any, ...]) -> None:
        self.run, self.function, self.metadata, self.constants = built.run, built.function, built.packed_metadata, constants

    def launch(self, grid: tuple[int, int, int], stream: torch.cuda.Stream | None, arguments: tuple[Any, ...]) -> None:
        """What Triton does in the end, for arguments in the order of the kernel's; hooks that others have set are not called."""
        self.run(*grid, stream.cuda_stream if stream else 0, self.function, self.metadata, None, None, None, *arguments, *self.constants)


class Ready:
    """A binary with all arguments but what is a launch's own."""

    def __init__(self, binary: Binary, buffers: Buffers, kind: str) -> None:
        self.binary, self.arena = binary, buffers.ints.data_ptr()
        self.before, self.after = buffers.addresses[kind]

    def launch(self, launch: Launch, stream: torch.cuda.Stream | None) -> None:
        own = self.arena + 4 * launch.items, self.arena + 4 * launch.item_of
        self.binary.launch(launch.grid, stream, (*self.before, *own, *self.after))
