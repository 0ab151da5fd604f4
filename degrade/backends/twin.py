"""The torch backend: a program run slot by slot with the twins. It is the meaning of a program."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import rng
from degrade.kernels.colour import mix_linear
from degrade.kernels.levels import position, share
from degrade.op import MAX_PARAMETERS, Context, Op
from degrade.ops import find
from degrade.program import PHASES, Program, groups

from .levels import at_level, levelled_slots, levels_of
from .masking import Masks

GROUP_PIXELS = 1 << 18  # samples that run together on the CPU: their temporaries stay in the cache


def to_canvas(x: torch.Tensor) -> torch.Tensor:
    """Images of any accepted dtype as contiguous float32 at the working precision."""
    if x.dtype == torch.float32:
        return x.clone(memory_format=torch.contiguous_format)
    if x.dtype == torch.uint8:
        return x.to(torch.float32, memory_format=torch.contiguous_format).mul_(257.0).mul_(1.0 / 65535.0)
    return round_fixed(x.to(torch.float32)).contiguous()


def from_canvas(canvas: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The canvas in the dtype and memory format of x; a value that did not change leaves exactly as it came."""
    if x.dtype == torch.float32:
        out = canvas
    elif x.dtype == torch.uint8:
        out = (canvas * 255.0).add_(0.5).to(torch.uint8)  # the cast is the floor
    else:
        out = torch.where(canvas == to_canvas(x), x, canvas.to(x.dtype))
    like = torch.empty_like(x)
    return out if like.stride() == out.stride() else like.copy_(out)


def round_fixed(v: torch.Tensor) -> torch.Tensor:
    """Clamp and round to 16-bit fixed point."""
    return v.clamp(0.0, 1.0).mul_(65535.0).add_(0.5).floor_().mul_(1.0 / 65535.0)


def round_float(v: torch.Tensor) -> torch.Tensor:
    """Clamp; float32 is its own precision."""
    return v.clamp(0.0, 1.0)


class Rng:
    """The random numbers of one slot for some samples: what the device draws, to the bit. frame: (n,) which of a clip each is, or one for all."""

    def __init__(self, key: int, ids: Array, slot: int, height: int, width: int, device: torch.device, frame: Array | int = 0) -> None:
        self.key, self.size, self.device = key, (height, width), device
        self.stream = torch.from_numpy(np.broadcast_to(rng.stream_word(slot, np.asarray(frame, dtype=np.int64)), len(ids)).copy()).to(device)
        self.low, self.high = (torch.from_numpy(h).to(device)[:, None, None] for h in rng.halves(ids))

    @functools.cached_property
    def pixel(self) -> torch.Tensor:
        """y << 16 | x of every pixel."""
        y, x = (torch.arange(length, dtype=torch.int64, device=self.device) for length in self.size)
        return y[:, None] << 16 | x

    def uniform4(self, draw: int = 0, pixel: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Four tensors (n, h, w) in (0, 1); `pixel` are other int64 coordinates that broadcast to that shape."""
        pixel = self.pixel if pixel is None else pixel
        if pixel.device.type == "cpu":
            return self._on_host(draw, pixel)
        words = rng.philox(self.key, pixel, (self.stream | draw)[:, None, None], self.low, self.high)
        return tuple(((w >> 9).to(torch.float32) + 0.5) * rng.UNIFORM_STEP for w in words)

    def _on_host(self, draw: int, pixel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shape = np.broadcast_shapes(self.low.shape, pixel.shape)
        own = pixel.expand(shape) if pixel.dim() == 3 and len(pixel) > 1 else pixel.expand(1, *shape[1:])
        low, high = (half.flatten().numpy() for half in (self.low, self.high))
        planes = rng.unit_planes(self.key, own.reshape(len(own), -1).numpy(), (self.stream | draw).numpy(), low, high)
        return tuple(torch.from_numpy(p).view(shape) for p in planes)


def blend(own: torch.Tensor, new: torch.Tensor, weight: torch.Tensor, light: Array, rounded: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """x + m · (f(x) − x), rounded: exactly x where m = 0, even beyond 0..1, and exactly f(x) where m = 1. weight: (n, h, w); light: (n,), for
    which samples this is done in linear light, but where x and f(x) are equal."""
    m = weight[:, None]
    mixed = own + m * (new - own)
    if light.any():
        here = torch.from_numpy(light).to(own.device)[:, None, None, None]
        mixed = torch.where(here & (new != own), mix_linear(own, new, m), mixed)
    return torch.where(m == 0.0, own, rounded(torch.where(m == 1.0, new, mixed)))


def execute(program: Program, x: torch.Tensor, mask: torch.Tensor | None = None, origin: Array | None = None) -> torch.Tensor:
    """Apply a program to images b 3 h w of any accepted dtype. origin: (b, 2), where they lie in their frames, if they are parts of such."""
    if origin is not None:
        return cut(execute(program, embedded(x, program.size, origin)), tuple(x.shape[2:]), origin)
    group = max(1, GROUP_PIXELS // (x.shape[2] * x.shape[3])) if x.device.type == "cpu" else len(x)
    parts = [slice(i, i + group) for i in range(0, len(x), group)]
    with torch.autocast(x.device.type, enabled=False):
        if len(parts) == 1:
            return _Run(program, x, mask).result()
        out = torch.empty_like(x)
        for rows in parts:
            out[rows] = _Run(program[rows], x[rows], None if mask is None else mask[rows]).result()
        return out


def frame_pixels(frame: tuple[int, int], size: tuple[int, ...], origin: Array) -> list[Array]:
    """Which row and which column of a part of it, or of the part's border, stands for each of a frame's: two of (b, length)."""
    return [np.clip(np.arange(length) - at[:, None], 0, own - 1) for length, own, at in zip(frame, size, origin.T)]


def embedded(x: torch.Tensor, frame: tuple[int, int], origin: Array) -> torch.Tensor:
    """Images b 3 h w in frames, at (b, 2); around them their border is repeated."""
    down, across = (torch.from_numpy(pixels)[:, None] for pixels in frame_pixels(frame, tuple(x.shape[2:]), origin))
    sample, channel = torch.arange(len(x))[:, None, None, None], torch.arange(3)[:, None, None]
    return x[sample, channel, down[..., None], across[:, :, None]]


def cut(y: torch.Tensor, size: tuple[int, ...], origin: Array) -> torch.Tensor:
    """The images of this size in frames b 3 h w, at (b, 2)."""
    top, left = origin.T.tolist()
    return torch.stack([image[:, at : at + size[0], to : to + size[1]] for image, at, to in zip(y, top, left)])


class _Run:
    """One execution: the canvas, and what the chains under a mask keep until their blend."""

    def __init__(self, program: Program, x: torch.Tensor, mask: torch.Tensor | None) -> None:
        self.program, self.x = program, x
        self.round = round_float if x.dtype == torch.float32 else round_fixed
        self.masks = Masks(program, mask, x.device)
        self.canvas = to_canvas(x)
        self.kept: dict[int, torch.Tensor] = {}
        self.code = np.where(program.identity(), -1, program.code)
        self.cells, self.levels = program.partition >= 0, levelled_slots(program)
        used = self.masks.leaders == np.arange(len(program.parent))
        self.chains = used & ((program.last > program.first) | self.cells)
        self.parted: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # of each partition the image before it, and what it comes to

    def result(self) -> torch.Tensor:
        first, last = (end_of_slot(self.chains, end, self.program.slots) for end in (self.program.first, self.program.last))
        for slot in range(self.program.slots):
            for region, rows in first[slot]:
                (self.enter if self.cells[region] else self.keep)(region, rows)
            for code in np.unique(self.code[:, slot]).tolist():
                for by_levels in (False, True):
                    rows = np.flatnonzero((self.code[:, slot] == code) & (self.levels[:, slot] == by_levels) & (code >= 0))
                    if len(rows):
                        self.apply(find(self.program.ops[code]), slot, rows, by_levels)
            for region, rows in reversed(last[slot]):
                (self.leave if self.cells[region] else self.close)(region, rows)
        return from_canvas(self.canvas, self.x)

    def index(self, rows: Array) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.canvas.device)

    def apply(self, op: type[Op], slot: int, rows: Array, by_levels: bool) -> None:
        """One op in one slot, for samples that have it there; `by_levels` if a mask is its strength and its parameter cannot follow."""
        at, every = self.index(rows), len(rows) == len(self.canvas)
        own = self.canvas if every else self.canvas[at]
        regions = (self.masks.leaders[rows] >= 0) & (self.program.first[rows] == slot) & (self.program.last[rows] == slot) & ~self.cells
        weight, strength = self.masks.weights(rows, regions) if regions.any() else (None, None)
        if by_levels:
            assert weight is not None and strength is not None
            new = self.levelled(op, slot, rows, own, weight, strength, self.masks.in_linear_light(regions))
        else:
            theta = self.program.theta[rows, slot]
            phase = self.program.phase[rows, slot]
            new = self.shifted(op, slot, rows, own, theta, phase) if phase.any() else self.changed(op, slot, rows, own, theta, strength)
            new = self.round(new) if weight is None else blend(own, new.clamp(0.0, 1.0), weight, self.masks.in_linear_light(regions), self.round)
        if every:
            self.canvas = new
        else:
            self.canvas[at] = new

    def levelled(
        self, op: type[Op], slot: int, rows: Array, own: torch.Tensor, weight: torch.Tensor, strength: torch.Tensor, light: Array
    ) -> torch.Tensor:
        """The op with a strength (n, h, w), by levels of its first parameter: the even ones first, then what the odd ones have a share of."""
        theta = self.program.theta[rows, slot]
        count, hard = levels_of(op, theta[:, 0])
        at = position(strength, torch.from_numpy(count.astype(np.float32)).to(own.device)[:, None, None], hard, getattr(op, "block", 1))
        out = own.clone()
        most = int(count.max(initial=0))
        for level in (*range(2, most + 1, 2), *range(1, most + 1, 2)):
            some = np.flatnonzero(count >= level)
            here = self.index(some)
            part = theta[some]
            part[:, 0] = at_level(op, part[:, 0], level, count[some])
            new = self.changed(op, slot, rows[some], own[here], part, None)
            new = blend(own[here], new.clamp(0.0, 1.0), weight[here], light[some], self.round)
            out[here] = blend(out[here], new, share(at[here], level), np.zeros(len(some), dtype=bool), self.round)
        return out

    def shifted(self, op: type[Op], slot: int, rows: Array, own: torch.Tensor, theta: Array, phase: Array) -> torch.Tensor:
        """f(x) with a block grid that begins elsewhere for some samples: on a larger frame, in which the image lies accordingly."""
        out = torch.empty_like(own)
        by_phase = np.asarray(phase.any(1))
        for some in (np.flatnonzero(~by_phase), np.flatnonzero(by_phase)):
            if len(some):
                at = self.index(some)
                if by_phase[some[0]]:
                    frame = (own.shape[2] + PHASES, own.shape[3] + PHASES)
                    around = embedded(own[at], frame, phase[some])
                    out[at] = cut(self.changed(op, slot, rows[some], around, theta[some], None), tuple(own.shape[2:]), phase[some])
                else:
                    out[at] = self.changed(op, slot, rows[some], own[at], theta[some], None)
        return out

    def changed(self, op: type[Op], slot: int, rows: Array, own: torch.Tensor, theta: Array, strength: torch.Tensor | None) -> torch.Tensor:
        """f(x), before clamp and rounding, at parameters (n, 8); `strength` (n, h, w) takes the first from its neutral value to its own."""
        values = tuple(torch.from_numpy(theta.T.copy()).to(own.device)[:, :, None, None, None])
        if strength is not None and op.modulates:
            neutral, m = next(iter(op.parameters.values())).neutral, strength[:, None]
            values = (torch.where(m == 1.0, values[0], neutral + m * (values[0] - neutral)), *values[1:])
        if own.device.type == "cpu" and not own.requires_grad and cpu_path(op.name):
            return op.cpu(own, values)  # type: ignore[attr-defined, no-any-return]
        key, ids, size = self.program.key, self.program.ids[rows], (own.shape[2], own.shape[3])
        table = torch.from_numpy(op.tables(theta, op.frame(key, ids, slot, *size))).to(own.device)
        draws = Rng(key, ids, slot, *size, own.device, self.program.drawn_frame[rows])
        return op.twin(own, values, Context(draws, table, self.round))

    def keep(self, region: int, rows: Array) -> None:
        """Remember the image before a chain."""
        if region not in self.kept:
            self.kept[region] = torch.empty_like(self.canvas)
        self.kept[region][self.index(rows)] = self.canvas[self.index(rows)]

    def close(self, region: int, rows: Array) -> None:
        """Blend a chain against the image before it."""
        at = self.index(rows)
        own = self.masks.leaders[rows] == region
        weight, _ = self.masks.weights(rows, own)
        self.canvas[at] = blend(self.kept[region][at], self.canvas[at], weight, self.masks.in_linear_light(own), self.round)

    def enter(self, region: int, rows: Array) -> None:
        """Begin the chain of a cell with the image before its partition."""
        partition, slot = self.program.partition[region], self.program.first[rows, region]
        before, merged = self.parted.setdefault(int(partition), (torch.empty_like(self.canvas), torch.empty_like(self.canvas)))
        of = self.chains[rows] & (self.program.partition == partition)
        new = self.index(rows[np.where(of, self.program.first[rows], self.program.slots).min(1) == slot])
        before[new] = merged[new] = self.canvas[new]
        at = self.index(rows)
        self.canvas[at] = before[at]

    def leave(self, region: int, rows: Array) -> None:
        """End it: what the cell holds is its part of what the partition comes to."""
        merged, at = self.parted[int(self.program.partition[region])][1], self.index(rows)
        inside = self.masks.region(region, rows)[:, None] > 0.0
        self.canvas[at] = merged[at] = torch.where(inside, self.canvas[at], merged[at])


def end_of_slot(chains: Array, end: Array, slots: int) -> list[list[tuple[int, Array]]]:
    """Of every slot the regions (b, r) that have this end there, rising, each with its samples."""
    out: list[list[tuple[int, Array]]] = [[] for _ in range(slots)]
    for region in np.flatnonzero(chains.any(0)).tolist():
        own = np.flatnonzero(chains[:, region])
        for slot, at in groups(end[own, region]):
            out[slot].append((region, own[at]))
    return out


@functools.cache
def cpu_path(name: str) -> bool:
    """Whether the op has a faster CPU path that equals its twin; checked once, with one warning if it does not."""
    op = find(name)
    path: Any = getattr(op, "cpu", None)
    if path is None:
        return False
    first = next(iter(op.parameters.values()))
    theta = np.zeros((4, MAX_PARAMETERS), dtype=np.float32)
    theta[:, 0] = np.linspace(first.low, first.high, 4).round()
    for i, param in enumerate(list(op.parameters.values())[1:], start=1):
        theta[:, i] = np.arange(4) % len(param.choices) if param.choices else param.low
    side = torch.arange(4 * 3 * 37 * 50, dtype=torch.int64)
    probe = ((side * side * 2654435761 >> 7) % 256).reshape(4, 3, 37, 50).to(torch.uint8)
    probe = (probe // 4 + (side % 50 * 4).reshape(probe.shape)).clamp(0, 255).to(torch.uint8)
    x = to_canvas(probe)
    values = tuple(torch.from_numpy(theta[:, i].copy())[:, None, None, None] for i in range(MAX_PARAMETERS))
    table = torch.from_numpy(op.tables(theta, op.frame(0, np.arange(4), 0, *x.shape[2:])))
    try:
        equal = torch.equal(path(x, values), op.twin(x, values, Context(None, table, round_fixed)))
    except Exception as error:  # a codec library may be absent or built without what is needed
        equal, reason = False, f": {error}"
    else:
        reason = " (results differ)"
    if not equal:
        warnings.warn(f"{op.name}: the CPU codec of this machine is not used{reason}; the slower torch twin is.", stacklevel=2)
    return equal
