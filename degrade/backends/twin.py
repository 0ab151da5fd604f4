"""The torch backend: a program run slot by slot with the twins. It is the meaning of a program."""

from __future__ import annotations

import functools

import numpy as np
import torch

from degrade.distributions import Array
from degrade.gradients import EXACT, Gradients, beside_neutral, check_learnable, kept, tables
from degrade.kernels import rng
from degrade.kernels.gradient import carried, limited
from degrade.kernels.levels import position, share
from degrade.op import Context, Op, Theta
from degrade.ops import find
from degrade.program import PHASES, Program, groups

from .canvas import blend, from_canvas, round_fixed, round_float, to_canvas
from .cpu_path import cpu_path
from .levels import at_level, levelled_slots, levels_of
from .masking import Masks

GROUP_PIXELS = 1 << 18  # samples that run together on the CPU: their temporaries stay in the cache


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


def execute(
    program: Program, x: torch.Tensor, mask: torch.Tensor | None = None, origin: Array | None = None, gradients: Gradients = EXACT
) -> torch.Tensor:
    """Apply a program to images b 3 h w of any accepted dtype. origin: (b, 2), where they lie in their frames, if they are parts of such."""
    if origin is not None:
        return cut(execute(program, embedded(x, program.size, origin), gradients=gradients), tuple(x.shape[2:]), origin)
    group = max(1, GROUP_PIXELS // (x.shape[2] * x.shape[3])) if x.device.type == "cpu" else len(x)
    parts = [slice(i, i + group) for i in range(0, len(x), group)]
    with torch.autocast(x.device.type, enabled=False):
        if len(parts) == 1:
            return _Run(program, x, mask, gradients).result()
        out = torch.empty_like(x)
        for rows in parts:
            out[rows] = _Run(program[rows], x[rows], None if mask is None else mask[rows], gradients.select(rows)).result()
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

    def __init__(self, program: Program, x: torch.Tensor, mask: torch.Tensor | None, gradients: Gradients) -> None:
        self.program, self.x, self.gradients = program, x, gradients
        self.round = round_float if x.dtype == torch.float32 else round_fixed
        self.masks = Masks(program, mask, x.device)
        self.canvas = to_canvas(x)
        self.kept: dict[int, torch.Tensor] = {}
        self.same = program.identity()
        self.code = np.where(self.same & (gradients.theta is None), -1, program.code)  # at its neutral value a parameter has a gradient too
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
            if (same := self.same[rows, slot]).any():
                new = carried(torch.where(per_sample(same, own), own, new), new)
            new = self.round(new) if weight is None else blend(own, limited(new), weight, self.masks.in_linear_light(regions), self.round)
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
        if hard and kept(strength):
            raise TypeError(
                f"the mask requires gradients and is the strength of {op.name}, which takes whole steps of it; accepted: mask.detach(), or blend='alpha'."
            )
        at = position(strength, torch.from_numpy(count.astype(np.float32)).to(own.device)[:, None, None], hard, getattr(op, "block", 1))
        out = own.clone()
        most = int(count.max(initial=0))
        for level in (*range(2, most + 1, 2), *range(1, most + 1, 2)):
            some = np.flatnonzero(count >= level)
            here = self.index(some)
            part = theta[some]
            part[:, 0] = at_level(op, part[:, 0], level, count[some])
            new = self.changed(op, slot, rows[some], own[here], part, None)
            if (same := op.identity(part)).any():  # as an amount of less than half a pixel
                new = carried(torch.where(per_sample(same, own), own[here], new), new)
            new = blend(own[here], limited(new), weight[here], light[some], self.round)
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
        source = self.source(op, slot, rows, theta)
        if source is not None:
            theta[self.same[rows, slot], 0] = beside_neutral(op)
        values = torch.from_numpy(theta.copy()).to(own.device)
        values = values if source is None else carried(values, source)
        columns = tuple(values.T[:, :, None, None, None])
        if strength is not None and op.modulates:
            neutral, m = next(iter(op.parameters.values())).neutral, strength[:, None]
            mixed = neutral + m * (columns[0] - neutral)
            columns = (carried(torch.where(m == 1.0, columns[0], mixed), mixed), *columns[1:])
            if kept(strength):
                check_learnable(op, next(iter(op.parameters)))
        if source is not None:
            # Nothing is done at the neutral value: the image's gradient passes, and the parameter's is what it is next to that value.
            still = per_sample(self.same[rows, slot], own)
            new = self.ran(op, slot, rows, torch.where(still, own.detach(), own), theta, columns, source)
            smooth = torch.where(still, own + new, new) + source[:, :1, None, None] * 0.0  # a graph, where a table has none at these values
            return carried(torch.where(still, own, new), smooth)
        if op.gradient == "exact" or not kept(own):
            new = self.ran(op, slot, rows, own, theta, columns, source)
            if kept(own) and not new.requires_grad:
                raise TypeError(f"the twin of {op.name} passes no gradient, though the op says gradient='exact'; accepted: 'straight-through'.")
            return new
        if not self.gradients.straight:
            raise TypeError(
                f"{op.name} is a step function of the image, whose gradient is 0 almost everywhere; accepted: gradient='straight-through', or detached images."
            )
        plain = self.ran(op, slot, rows, own.detach(), theta, columns, None)
        return carried(plain, op.smooth(own, columns))

    def ran(self, op: type[Op], slot: int, rows: Array, own: torch.Tensor, theta: Array, columns: Theta, source: torch.Tensor | None) -> torch.Tensor:
        """What the twin, or what replaces it on this CPU, makes of its parameters as columns (n, 1, 1, 1); `source` (n, 8) has their gradients."""
        if any(kept(column) for column in columns) and not kept(own):
            own = own.detach().requires_grad_()  # twins look at the image alone to tell whether gradients are kept
        if own.device.type == "cpu" and not own.requires_grad and cpu_path(op.name):
            return op.cpu(own, columns)  # type: ignore[attr-defined, no-any-return]
        key, ids, size = self.program.key, self.program.ids[rows], (own.shape[2], own.shape[3])
        frame = op.frame(key, ids, slot, *size)
        table = torch.from_numpy(op.tables(theta, frame)).to(own.device) if source is None else tables(op, theta, frame, source, self.gradients.which)
        draws = Rng(key, ids, slot, *size, own.device, self.program.drawn_frame[rows])
        return op.twin(own, columns, Context(draws, table, self.round))

    def source(self, op: type[Op], slot: int, rows: Array, theta: Array) -> torch.Tensor | None:
        """Where these parameters (n, 8), of which the first may be at a level, have their gradients: (n, 8), or None."""
        if self.gradients.theta is None:
            return None
        full, own = self.gradients.theta[torch.from_numpy(rows), slot].to(self.canvas.device), self.program.theta[rows, slot]
        neutral = next(iter(op.parameters.values())).neutral
        away = own[:, :1] - neutral
        part = np.where(away == 0, np.float32(1), (theta[:, :1] - neutral) / np.where(away == 0, np.float32(1), away))
        return torch.cat([neutral + torch.from_numpy(part).to(full.device) * (full[:, :1] - neutral), full[:, 1:]], 1)

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


def per_sample(which: Array, x: torch.Tensor) -> torch.Tensor:
    """Which samples (n,) bool, for images n 3 h w."""
    return torch.from_numpy(which).to(x.device)[:, None, None, None]


def end_of_slot(chains: Array, end: Array, slots: int) -> list[list[tuple[int, Array]]]:
    """Of every slot the regions (b, r) that have this end there, rising, each with its samples."""
    out: list[list[tuple[int, Array]]] = [[] for _ in range(slots)]
    for region in np.flatnonzero(chains.any(0)).tolist():
        own = np.flatnonzero(chains[:, region])
        for slot, at in groups(end[own, region]):
            out[slot].append((region, own[at]))
    return out
