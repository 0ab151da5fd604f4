"""The wavelet transforms of JPEG 2000, 9/7 (irreversible) and 5/3 (reversible), as torch twins and as device functions.

Coefficients are whole numbers from -32768 to 32767, so that 16-bit fixed point holds them exactly: v = (c + 32768) / 65535.
The 9/7 counts in steps of 1/128 of a grey level of 8 bits, the 5/3 in grey levels. Each pass of the 9/7 is a symmetric filter,
rounded once; the low-pass has gain 1 at frequency zero, the high-pass gain 1 at the highest frequency. The 5/3 is two lifting
steps of whole numbers. Borders mirror about the outermost sample. One pass transforms one axis of the upper left part of the
frame, low-pass results first: after each level the part that is left has half the size, rounded up.
Source: ITU-T T.800, annex F.
"""

from __future__ import annotations

import torch

from .fetch import place_in_column, raw3
from .lang import jit, tl

FRACTION = 128.0  # steps per grey level of the 9/7
LOW = (0.6029490182363579, 0.2668641184428723, -0.07822326652898785, -0.01686411844287495, 0.02674875741080976)
HIGH = (0.557543526228497, -0.2956358815571235, -0.02877176311424978, 0.04563588155712474, 0.0)
# What the inverse adds up at even and at odd positions; low-pass and high-pass coefficients alternate.
EVEN = (1.115087052456994, -0.5337282368857446, -0.05754352622849957, 0.0337282368857499, 0.0)
ODD = (1.2058980364727158, 0.591271763114247, -0.1564465330579757, -0.09127176311424948, 0.05349751482161952)
# Synthesis filters from the centre outwards, whose norms weight the bands.
SYNTHESIS = (
    ((EVEN[0], ODD[1], EVEN[2], ODD[3]), (ODD[0], EVEN[1], ODD[2], EVEN[3], ODD[4])),
    ((1.0, 0.5), (0.75, -0.25, -0.125)),
)
BEYOND = 4  # samples that a filter reaches to either side


def whole(v: torch.Tensor) -> torch.Tensor:
    """The nearest whole number that 16 bits hold, in place."""
    return v.add_(0.5).floor_().clamp_(-32768.0, 32767.0)


def forward(c: torch.Tensor, axis: int, reversible: bool) -> torch.Tensor:
    """One level along one axis of (n, 3, h, w): low-pass results, then high-pass ones."""
    low, high = _lines(c, axis, split=False)
    if reversible:
        return torch.cat([_second(low, 0.0, 0.5, 2.0, 0.25), _first(high, 0, 0.0, 0.5)], axis)
    return whole(torch.cat([_filtered(low, LOW), _filtered(high, HIGH)], axis))


def inverse(c: torch.Tensor, axis: int, reversible: bool) -> torch.Tensor:
    """What `forward` was made from."""
    even, odd = _lines(c, axis, split=True)
    out = torch.empty_like(c)
    here, there = (out[:, :, 0::2], out[:, :, 1::2]) if axis == 2 else (out[..., 0::2], out[..., 1::2])
    if reversible:
        here.copy_(_first(even, 0, 2.0, 0.25))
        there.copy_(_second(odd, 2.0, 0.25, 0.0, 0.5))
        return out
    here.copy_(whole(_filtered(even, EVEN)))
    there.copy_(whole(_filtered(odd, ODD)))
    return out


class _Line:
    """The samples at the even or the odd positions of an axis, and their neighbours: called with a distance, they move by it."""

    def __init__(self, halves: tuple[torch.Tensor, torch.Tensor], odd: int, count: int, axis: int) -> None:
        self.halves, self.odd, self.count, self.axis = halves, odd, count, axis

    def __call__(self, distance: int) -> torch.Tensor:
        at = BEYOND + self.odd + distance
        return self.halves[at & 1].narrow(self.axis, at >> 1, self.count)


def _lines(c: torch.Tensor, axis: int, split: bool) -> tuple[_Line, _Line]:
    """An axis with its mirror images on either side, as even and odd positions; `split` says that it holds them so."""
    size = c.shape[axis]
    at = torch.arange(-BEYOND, size + BEYOND, device=c.device).abs()
    for _ in range(2):
        at = torch.where(at > size - 1, 2 * (size - 1) - at, at).abs()
    if split:
        at = (at & 1) * ((size + 1) // 2) + (at >> 1)
    halves = c.index_select(axis, at[0::2]), c.index_select(axis, at[1::2])
    return _Line(halves, 0, (size + 1) // 2, axis), _Line(halves, 1, size // 2, axis)


def _filtered(line: _Line, taps: tuple[float, ...]) -> torch.Tensor:
    out = line(0) * taps[0]
    for distance in range(1, BEYOND + 1):
        if taps[distance]:
            out += (line(-distance) + line(distance)).mul_(taps[distance])
    return out


def _first(line: _Line, distance: int, bias: float, scale: float) -> torch.Tensor:
    """The lifting step that changes every second sample by its neighbours."""
    return line(distance) - (line(distance - 1) + line(distance + 1)).add_(bias).mul_(scale).floor_()


def _second(line: _Line, bias: float, scale: float, then_bias: float, then_scale: float) -> torch.Tensor:
    """The step for the others, by their changed neighbours."""
    sides = _first(line, -1, bias, scale) + _first(line, 1, bias, scale)
    return sides.add_(then_bias).mul_(then_scale).floor_().add_(line(0))


@jit
def counted(values):
    """Three stored values as whole coefficients."""
    r, g, b = values
    if r.dtype == tl.uint16:
        return r.to(tl.float32) - 32768.0, g.to(tl.float32) - 32768.0, b.to(tl.float32) - 32768.0
    else:
        return tl.floor(r * 65535.0 + 0.5) - 32768.0, tl.floor(g * 65535.0 + 0.5) - 32768.0, tl.floor(b * 65535.0 + 0.5) - 32768.0


@jit
def coefficients(image, y, x):
    """The three whole coefficients at (y, x), which lies in the frame."""
    at = place_in_column(image, y, x)
    if len(at.shape) == 2:
        at = tl.max_contiguous(at, (1, 2))  # as in fetch.place
    return counted(raw3(image, at))


@jit
def coefficients_in_column(image, y, x):
    """The same for the program's own x: neighbours in a row are read together."""
    return counted(raw3(image, place_in_column(image, y, x)))


@jit
def stored(r, g, b):
    """Whole coefficients to the values that store them."""
    return (r + 32768.0) * (1.0 / 65535.0), (g + 32768.0) * (1.0 / 65535.0), (b + 32768.0) * (1.0 / 65535.0)


@jit
def kept(part, y, x):
    """The three coefficients at (y, x), in the part, of one that lies in words: their pointer, and how many make a row."""
    words, width = part
    word = tl.load(words + y * width + x)
    low = word.to(tl.int32)
    r, g, b = low & 65535, (low >> 16) & 65535, (word >> 32).to(tl.int32)
    return r.to(tl.float32) - 32768.0, g.to(tl.float32) - 32768.0, b.to(tl.float32) - 32768.0


@jit
def keep(part, y, x, r, g, b, inside):
    """Three whole coefficients to their word, limited as those of an image."""
    words, width = part
    low = (_sixteen(g) << 16) | _sixteen(r)
    tl.store(words + y * width + x, (_sixteen(b).to(tl.int64) << 32) | (low.to(tl.int64) & 0xFFFFFFFF), mask=inside)


@jit
def _sixteen(c):
    return (tl.minimum(tl.maximum(c, -32768.0), 32767.0) + 32768.0).to(tl.int32)


@jit
def analyse(before, y, x, height, width, across, reversible):
    """One pass of the forward transform of the upper left height × width, along x if `across`; the rest is copied."""
    if across:
        r1, g1, b1 = _analysed(coefficients, before, y, x, width, True, reversible)
    else:
        r1, g1, b1 = _analysed(coefficients_in_column, before, y, x, height, False, reversible)
    r, g, b = coefficients_in_column(before, y, x)
    here = (y < height) & (x < width)
    return stored(tl.where(here, r1, r), tl.where(here, g1, g), tl.where(here, b1, b))


@jit
def synthesise(before, y, x, height, width, across, reversible):
    """One pass of the inverse transform."""
    if across:
        r1, g1, b1 = _synthesised(coefficients, before, y, x, width, True, reversible)
    else:
        r1, g1, b1 = _synthesised(coefficients_in_column, before, y, x, height, False, reversible)
    r, g, b = coefficients_in_column(before, y, x)
    here = (y < height) & (x < width)
    return stored(tl.where(here, r1, r), tl.where(here, g1, g), tl.where(here, b1, b))


@jit
def analyse_kept(words, other, sizes, levels, reversible):
    """All passes of the forward transform of a part in words, by one program; `other` has room for it.

    sizes: the rows and, eight further on, the columns that each level works on. Passes across write the other words, those down these.
    """
    stride = tl.load(sizes + 8).to(tl.int32)
    for done in range(0, 2 * levels):
        height, width = tl.load(sizes + done // 2).to(tl.int32), tl.load(sizes + 8 + done // 2).to(tl.int32)
        across = done % 2 == 0
        source, target = tl.where(across, 0, other), tl.where(across, other, 0)
        for first in range(0, height * width, 256):
            y, x, inside = positions(first, height, width)
            r, g, b = _analysed(kept, (words + source, stride), y, x, tl.where(across, width, height), across, reversible)
            keep((words + target, stride), y, x, r, g, b, inside)
        tl.debug_barrier()


@jit
def synthesise_kept(words, other, sizes, levels, reversible):
    """And of the inverse: passes down write the other words, those across these."""
    stride = tl.load(sizes + 8).to(tl.int32)
    for done in range(0, 2 * levels):
        level = levels - 1 - done // 2
        height, width = tl.load(sizes + level).to(tl.int32), tl.load(sizes + 8 + level).to(tl.int32)
        across = done % 2 == 1
        source, target = tl.where(across, other, 0), tl.where(across, 0, other)
        for first in range(0, height * width, 256):
            y, x, inside = positions(first, height, width)
            r, g, b = _synthesised(kept, (words + source, stride), y, x, tl.where(across, width, height), across, reversible)
            keep((words + target, stride), y, x, r, g, b, inside)
        tl.debug_barrier()


@jit
def positions(first, height, width):
    """256 positions of a part, row by row from a first one, and which of them lie in it; the others repeat its last."""
    at = first + tl.arange(0, 256)
    inside = at < height * width
    at = tl.minimum(at, height * width - 1)
    y = at // width
    return y, at - y * width, inside


@jit
def _analysed(read, source, y, x, size, across, reversible):
    """The forward transform along an axis of this size, at each lane's position."""
    low = (size + 1) // 2
    i = x if across else y
    odd = i >= low
    at = tl.where(odd, 2 * (i - low) + 1, 2 * i)
    if reversible:
        r, g, b = _lifted(read, source, y, x, at, odd, size, across, 0.0, 0.5, 2.0, 0.25, False)
    else:
        r, g, b = _filtered_line(
            read, source, y, x, at, size, across,
            tl.where(odd, 0.557543526228497, 0.6029490182363579), tl.where(odd, -0.2956358815571235, 0.2668641184428723),
            tl.where(odd, -0.02877176311424978, -0.07822326652898785), tl.where(odd, 0.04563588155712474, -0.01686411844287495),
            tl.where(odd, 0.0, 0.02674875741080976), False,
        )  # fmt: skip
    return r, g, b


@jit
def _synthesised(read, source, y, x, size, across, reversible):
    at = x if across else y
    odd = (at & 1) == 1
    if reversible:
        r, g, b = _lifted(read, source, y, x, at, (at & 1) == 0, size, across, 2.0, 0.25, 0.0, 0.5, True)
    else:
        r, g, b = _filtered_line(
            read, source, y, x, at, size, across,
            tl.where(odd, 1.2058980364727158, 1.115087052456994), tl.where(odd, 0.591271763114247, -0.5337282368857446),
            tl.where(odd, -0.1564465330579757, -0.05754352622849957), tl.where(odd, -0.09127176311424948, 0.0337282368857499),
            tl.where(odd, 0.05349751482161952, 0.0), True,
        )  # fmt: skip
    return r, g, b


@jit
def _filtered_line(read, source, y, x, at, size, across, t0, t1, t2, t3, t4, SPLIT: tl.constexpr):
    """A symmetric filter along an axis, rounded."""
    r, g, b = _sample(read, source, y, x, at, size, across, SPLIT)
    r, g, b = r * t0, g * t0, b * t0
    for d in tl.static_range(1, 5):
        r0, g0, b0 = _sample(read, source, y, x, at - d, size, across, SPLIT)
        r1, g1, b1 = _sample(read, source, y, x, at + d, size, across, SPLIT)
        if d == 1:
            t = t1
        elif d == 2:
            t = t2
        elif d == 3:
            t = t3
        else:
            t = t4
        r, g, b = r + (r0 + r1) * t, g + (g0 + g1) * t, b + (b0 + b1) * t
    return tl.floor(r + 0.5), tl.floor(g + 0.5), tl.floor(b + 0.5)


@jit
def _lifted(read, source, y, x, at, first, size, across, bias, scale, then_bias, then_scale, SPLIT: tl.constexpr):
    """Two lifting steps along an axis; `first` marks the lanes that the first step changes."""
    r, g, b = _sample(read, source, y, x, at, size, across, SPLIT)
    r1, g1, b1 = _sample(read, source, y, x, at - 1, size, across, SPLIT)
    r2, g2, b2 = _sample(read, source, y, x, at + 1, size, across, SPLIT)
    r0, g0, b0 = _sample(read, source, y, x, at - 2, size, across, SPLIT)
    r3, g3, b3 = _sample(read, source, y, x, at + 2, size, across, SPLIT)
    return (
        _lift(r0, r1, r, r2, r3, first, bias, scale, then_bias, then_scale),
        _lift(g0, g1, g, g2, g3, first, bias, scale, then_bias, then_scale),
        _lift(b0, b1, b, b2, b3, first, bias, scale, then_bias, then_scale),
    )


@jit
def _lift(v0, v1, v2, v3, v4, first, bias, scale, then_bias, then_scale):
    """The middle one of five neighbours after both steps."""
    sides = v1 - tl.floor((v0 + v2 + bias) * scale) + (v3 - tl.floor((v2 + v4 + bias) * scale))
    return tl.where(first, v2 - tl.floor((v1 + v3 + bias) * scale), v2 + tl.floor((sides + then_bias) * then_scale))


@jit
def _sample(read, source, y, x, at, size, across, SPLIT: tl.constexpr):
    """The coefficients at a mirrored position along an axis, which may hold low-pass results first."""
    last = size - 1
    at = tl.abs(last - tl.abs(last - tl.abs(at)))
    at = tl.abs(last - tl.abs(last - at))
    if SPLIT:
        at = (at & 1) * ((size + 1) // 2) + (at >> 1)
    if across:
        r, g, b = read(source, y, at)
    else:
        r, g, b = read(source, at, x)
    return r, g, b
