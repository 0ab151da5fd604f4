"""The lossy half of JPEG in integers, as libjpeg and libjpeg-turbo do it: nothing here is approximate.

Samples are int32 in 0..255. Colour conversion has 16 fractional bits; the cosine transform is the "islow" one, with
13-bit constants and two rounding shifts. Entropy coding loses nothing and is left out.

Functions called `..._twin` are torch; the others are for the device. Those that are plain arithmetic serve both: their
Python source, `.fn` of the jitted function, runs on torch tensors as it stands.

Sources: ITU-T T.81 (tables of Annex K, quantiser of A.3.4); JFIF 1.02 (colour); Loeffler, Ligtenberg and Moschytz 1989
(the 11-multiplication transform); the Independent JPEG Group's rule from a quality to a table.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from .lang import jit, tl

# T.81 Annex K, tables K.1 and K.2: the steps of quality 50 for luma and chroma, rows of vertical frequency.
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)


def quantisation_tables(quality: np.ndarray) -> np.ndarray:
    """(n, 128) float32: the 64 luma steps, then the 64 chroma steps, of each quality from 1 to 100. They are integers 1 to 255."""
    return _every_table().take(np.asarray(quality).astype(np.int64) - 1, axis=0)


@functools.cache
def _every_table() -> np.ndarray:
    quality = np.arange(1, 101)[:, None]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    steps = np.array((LUMA_STEPS, CHROMA_STEPS)).reshape(1, 128)
    return np.clip((steps * percent + 50) // 100, 1, 255).astype(np.float32)


def source(function: Any) -> Any:
    """The Python function under a jitted one, to run on torch tensors."""
    return getattr(function, "fn", function)


# ---- colour: coefficients times 2^16, rounded; chroma is centred on 128 and rounds halves down --------------------------


@jit
def luma_from_rgb(r, g, b):
    return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16


@jit
def chroma_from_rgb(r, g, b):
    """Cb and Cr."""
    middle = (128 << 16) + 32767
    return (-11059 * r - 21709 * g + 32768 * b + middle) >> 16, (32768 * r - 27439 * g - 5329 * b + middle) >> 16


@jit
def rgb_from_ycc(y, cb, cr):
    """Red, green and blue, not yet limited to 0..255."""
    cb = cb - 128
    cr = cr - 128
    r = y + ((91881 * cr + 32768) >> 16)
    g = y + ((-22554 * cb - 46802 * cr + 32768) >> 16)
    b = y + ((116130 * cb + 32768) >> 16)
    return r, g, b


@jit
def to_byte(v):
    """0..1 to 0..255, rounding halves up."""
    return tl.floor(v * 255.0 + 0.5).to(tl.int32)


def to_byte_twin(v: torch.Tensor) -> torch.Tensor:
    return (v * 255.0).add_(0.5).to(torch.int32)


@jit
def from_byte(k):
    """0..255 to 0..1, the float32 that reading stored 8-bit values gives."""
    return (k * 257).to(tl.float32) * (1.0 / 65535.0)


def from_byte_twin(k: torch.Tensor) -> torch.Tensor:
    return k.to(torch.float32).mul_(257.0).mul_(1.0 / 65535.0)


@jit
def limit(k):
    return tl.minimum(tl.maximum(k, 0), 255)


# ---- the cosine transform of eight values. Constants times 2^13: 4433 is 0.541196100, 6270 0.765366865, 15137 1.847759065,
# ---- 9633 1.175875602, 2446 0.298631336, 16819 2.053119869, 25172 3.072711026, 12299 1.501321110, 7373 0.899976223,
# ---- 20995 2.562915447, 16069 1.961570560, 3196 0.390180644


@jit
def forward8(v0, v1, v2, v3, v4, v5, v6, v7, FIRST: tl.constexpr):
    """Along rows (FIRST) the result keeps two fractional bits; along columns they are dropped. Both leave a factor sqrt 8."""
    sum07, sum16, sum25, sum34 = v0 + v7, v1 + v6, v2 + v5, v3 + v4
    dif07, dif16, dif25, dif34 = v0 - v7, v1 - v6, v2 - v5, v3 - v4

    outer, inner = sum07 + sum34, sum16 + sum25
    outer_dif, inner_dif = sum07 - sum34, sum16 - sum25
    if FIRST:
        shift = 11
        f0 = (outer + inner) << 2
        f4 = (outer - inner) << 2
    else:
        shift = 15
        f0 = (outer + inner + 2) >> 2
        f4 = (outer - inner + 2) >> 2
    half = 1 << (shift - 1)
    turn = (outer_dif + inner_dif) * 4433 + half
    f2 = (turn + outer_dif * 6270) >> shift
    f6 = (turn - inner_dif * 15137) >> shift

    shared = (dif34 + dif16 + dif25 + dif07) * 9633 + half
    near = (dif34 + dif07) * -7373
    far = (dif25 + dif16) * -20995
    odd = (dif34 + dif16) * -16069 + shared
    even = (dif25 + dif07) * -3196 + shared
    f7 = (dif34 * 2446 + near + odd) >> shift
    f5 = (dif25 * 16819 + far + even) >> shift
    f3 = (dif16 * 25172 + far + odd) >> shift
    f1 = (dif07 * 12299 + near + even) >> shift
    return f0, f1, f2, f3, f4, f5, f6, f7


@jit
def inverse8(f0, f1, f2, f3, f4, f5, f6, f7, shift: tl.constexpr):
    """The transpose. Along columns, done first, shift is 11 and keeps two fractional bits; along rows it is 18."""
    half = 1 << (shift - 1)
    turn = (f2 + f6) * 4433
    outer_dif = turn + f2 * 6270
    inner_dif = turn - f6 * 15137
    outer = ((f0 + f4) << 13) + half
    inner = ((f0 - f4) << 13) + half
    even0, even3 = outer + outer_dif, outer - outer_dif
    even1, even2 = inner + inner_dif, inner - inner_dif

    shared = (f7 + f3 + f5 + f1) * 9633
    near = (f7 + f1) * -7373
    far = (f5 + f3) * -20995
    odd = (f7 + f3) * -16069 + shared
    even = (f5 + f1) * -3196 + shared
    odd3 = f7 * 2446 + near + odd
    odd2 = f5 * 16819 + far + even
    odd1 = f3 * 25172 + far + odd
    odd0 = f1 * 12299 + near + even
    return (
        (even0 + odd0) >> shift,
        (even1 + odd1) >> shift,
        (even2 + odd2) >> shift,
        (even3 + odd3) >> shift,
        (even3 - odd3) >> shift,
        (even2 - odd2) >> shift,
        (even1 - odd1) >> shift,
        (even0 - odd0) >> shift,
    )


# ---- the quantiser: sign(c) * ((|c| + 4q) // 8q) * q, where 8 is the transform's own scale --------------------------------


@jit
def requantise(c, step):
    """Quantise and scale back, without a division per value; `step` is float32.

    c / 8q is rounded to nearest by adding 1.5 * 2^23, whose last bit counts ones. The factor 1 + 2^-15 settles ties away
    from zero: it moves c / 8q by less than the 1 / 8q between neighbours (|c| < 2^14), and by more than float32's error.
    """
    level = c.to(tl.float32) * ((1.0 + 1.0 / 32768.0) / 8.0 / step)
    level = (level + 12582912.0).to(tl.int32, bitcast=True) - 0x4B400000
    return level * step.to(tl.int32)


def requantise_twin(c: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    level = torch.div(c.abs().add_(4 * step), 8 * step, rounding_mode="trunc")
    return level.mul_(step).mul_(c.sign())


# ---- blocks of 8x8 samples -----------------------------------------------------------------------------------------------


@jit
def split8(v, N: tl.constexpr):
    """[N, 8] to its eight columns. On the device the eight values of a row are registers of one thread."""
    even, odd = tl.split(tl.reshape(v, (N, 4, 2)))
    v04, v26 = tl.split(tl.reshape(even, (N, 2, 2)))
    v15, v37 = tl.split(tl.reshape(odd, (N, 2, 2)))
    v0, v4 = tl.split(v04)
    v2, v6 = tl.split(v26)
    v1, v5 = tl.split(v15)
    v3, v7 = tl.split(v37)
    return v0, v1, v2, v3, v4, v5, v6, v7


@jit
def join8(v0, v1, v2, v3, v4, v5, v6, v7, N: tl.constexpr):
    """The inverse of `split8`."""
    even = tl.reshape(tl.join(tl.join(v0, v4), tl.join(v2, v6)), (N, 4))
    odd = tl.reshape(tl.join(tl.join(v1, v5), tl.join(v3, v7)), (N, 4))
    return tl.reshape(tl.join(even, odd), (N, 8))


@jit
def transpose8(v, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows of blocks become columns of blocks, and back: [ROWS * COLUMNS / 8, 8] each time."""
    v = tl.permute(tl.reshape(v, (ROWS // 8, 8, COLUMNS // 8, 8)), (0, 3, 2, 1))
    return tl.reshape(v, (ROWS * COLUMNS // 8, 8))


@jit
def code_blocks(samples, table, tables_at, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Encode and decode [ROWS, COLUMNS] samples of 0..255. `tables_at` says where in the table each line of eight finds its steps."""
    N: tl.constexpr = ROWS * COLUMNS // 8
    v0, v1, v2, v3, v4, v5, v6, v7 = split8(tl.reshape(samples - 128, (N, 8)), N)
    v0, v1, v2, v3, v4, v5, v6, v7 = forward8(v0, v1, v2, v3, v4, v5, v6, v7, True)
    v = transpose8(join8(v0, v1, v2, v3, v4, v5, v6, v7, N), ROWS, COLUMNS)
    v0, v1, v2, v3, v4, v5, v6, v7 = split8(v, N)
    v0, v1, v2, v3, v4, v5, v6, v7 = forward8(v0, v1, v2, v3, v4, v5, v6, v7, False)

    # Now a line of eight is a column of a block: its horizontal frequency is fixed, its vertical one counts 0 to 7.
    step = table + tables_at + (tl.arange(0, N) // (COLUMNS // 8)) % 8
    v0 = requantise(v0, tl.load(step))
    v1 = requantise(v1, tl.load(step + 8))
    v2 = requantise(v2, tl.load(step + 16))
    v3 = requantise(v3, tl.load(step + 24))
    v4 = requantise(v4, tl.load(step + 32))
    v5 = requantise(v5, tl.load(step + 40))
    v6 = requantise(v6, tl.load(step + 48))
    v7 = requantise(v7, tl.load(step + 56))

    v0, v1, v2, v3, v4, v5, v6, v7 = inverse8(v0, v1, v2, v3, v4, v5, v6, v7, 11)
    v = transpose8(join8(v0, v1, v2, v3, v4, v5, v6, v7, N), ROWS, COLUMNS)
    v0, v1, v2, v3, v4, v5, v6, v7 = split8(v, N)
    v0, v1, v2, v3, v4, v5, v6, v7 = inverse8(v0, v1, v2, v3, v4, v5, v6, v7, 18)
    return limit(tl.reshape(join8(v0, v1, v2, v3, v4, v5, v6, v7, N), (ROWS, COLUMNS)) + 128)


@jit
def code_pair(first, second, table, first_at, second_at, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Encode and decode two planes [ROWS, COLUMNS] at once, each with the 64 steps at its offset in the table."""
    pair = tl.reshape(tl.permute(tl.join(first, second), (2, 0, 1)), (2 * ROWS, COLUMNS))
    is_second = tl.arange(0, 2 * ROWS * COLUMNS // 8) // (ROWS * COLUMNS // 8)
    pair = code_blocks(pair, table, first_at + is_second * (second_at - first_at), 2 * ROWS, COLUMNS)
    return tl.split(tl.permute(tl.reshape(pair, (2, ROWS, COLUMNS)), (1, 2, 0)))


def code_blocks_twin(samples: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Encode and decode (n, h, w) samples, h and w multiples of 8, with (n, 8, 8) int32 steps."""
    n, h, w = samples.shape
    forward, inverse = source(forward8), source(inverse8)
    # The place in the block leads, so that every operation below runs over contiguous memory.
    v = samples.reshape(n, h // 8, 8, w // 8, 8).permute(2, 4, 0, 1, 3).contiguous() - 128
    v = torch.stack(forward(*v.unbind(1), True), 1)
    v = torch.stack(forward(*v.unbind(0), False), 0)
    v = requantise_twin(v, steps.permute(1, 2, 0)[:, :, :, None, None])
    v = torch.stack(inverse(*v.unbind(0), 11), 0)
    v = torch.stack(inverse(*v.unbind(1), 18), 1)
    v = v.add_(128).clamp_(0, 255)
    return v.permute(2, 3, 0, 4, 1).reshape(n, h, w)


# ---- chroma at half resolution -------------------------------------------------------------------------------------------


def grow_twin(plane: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Repeat the last row and column of (n, h, w) until h and w are multiples of `rows` and `columns`."""
    for axis, unit in ((1, rows), (2, columns)):
        size = plane.shape[axis]
        if size % unit:
            index = torch.arange(-(-size // unit) * unit, device=plane.device).clamp_(max=size - 1)
            plane = plane.index_select(axis, index)
    return plane


@jit
def shrink(plane, FY: tl.constexpr, FX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Means over FY x FX samples of [ROWS, COLUMNS], FX = 2. Rounding alternates from column to column, so that it has no drift."""
    total = tl.sum(tl.sum(tl.reshape(plane, (ROWS // FY, FY, COLUMNS // FX, FX)), 3), 1)
    odd = (tl.arange(0, COLUMNS // FX) % 2)[None, :]
    return (total + (FY - 1) + odd) >> FY


def shrink_twin(plane: torch.Tensor, fy: int, fx: int) -> torch.Tensor:
    if fx == 1:
        return plane
    total = plane[:, :, 0::2] + plane[:, :, 1::2]
    if fy == 2:
        total = total[:, 0::2] + total[:, 1::2]
    odd = torch.arange(total.shape[2], dtype=torch.int32, device=plane.device) % 2
    return (total + ((fy - 1) + odd)) >> fy


def stretch_twin(plane: torch.Tensor, fy: int, fx: int, height: int, width: int) -> torch.Tensor:
    """Chroma samples (n, ceil(h / fy), ceil(w / fx)) at every pixel: 3/4 of the nearest and 1/4 of the next, along each axis.

    The neighbour of an outermost sample is itself. libjpeg repeats samples where there are only one or two columns.
    """
    if fx == 1:
        return plane
    if plane.shape[2] <= 2:
        return plane.repeat_interleave(fy, 1).repeat_interleave(fx, 2)[:, :height, :width]
    if fy == 2:
        y = torch.arange(height, device=plane.device)
        near, next_ = y // 2, (y // 2 + y % 2 * 2 - 1).clamp_(0, plane.shape[1] - 1)
        plane = 3 * plane.index_select(1, near) + plane.index_select(1, next_)
        even_half, odd_half, shift = 8, 7, 4
    else:
        even_half, odd_half, shift = 1, 2, 2
    left = torch.cat((plane[:, :, :1], plane[:, :, :-1]), 2)
    right = torch.cat((plane[:, :, 1:], plane[:, :, -1:]), 2)
    plane = 3 * plane
    pair = torch.stack(((plane + left + even_half) >> shift, (plane + right + odd_half) >> shift), 3)
    return pair.flatten(2)[:, :, :width]
