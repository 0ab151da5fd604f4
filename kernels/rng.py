"""Philox4x32-10: the twin for NumPy and torch arrays, and the device function.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A counter of four 32-bit words and a 64-bit key
give four random words; nothing is remembered between calls, so a sample draws the same numbers wherever it stands.

The counter layout is frozen (degrade.STREAM):

    word 0   pixel, y << 16 | x in origin coordinates; for parameters, the index of the draw
    word 1   slot << 20 | region << 12 | frame << 4 | draw; slot 0xFFF is reserved for parameters
    word 2,3 sample id, low and high half
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from .lang import jit, tl

Words = TypeVar("Words")  # an int64 NumPy array or torch tensor holding 32-bit words

MASK = 0xFFFFFFFF
PARAMETER_SLOT = 0xFFF
UNIFORM_STEP = 2.0**-23


def philox(key: int, c0: Words, c1: Words, c2: Words, c3: Words) -> tuple[Words, Words, Words, Words]:
    """Four 32-bit words per counter, as int64 arrays. The counters broadcast; the key is one 64-bit number.

    int64 products wrap, which keeps all 64 bits of the unsigned product; the masked shift then reads its high half.
    """
    k0, k1 = key & MASK, key >> 32 & MASK
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57  # type: ignore[operator]
        c0, c1, c2, c3 = (b >> 32 & MASK) ^ c1 ^ k0, b & MASK, (a >> 32 & MASK) ^ c3 ^ k1, a & MASK
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return c0, c1, c2, c3


def fold(key: int, *numbers: int) -> int:
    """A new 64-bit key from a key and up to three non-negative numbers (epoch, view)."""
    counter = [np.asarray([n], dtype=np.int64) for n in (*numbers, 0, 0, 0)[:3]]
    low, high, *_ = philox(key, *counter, np.asarray([0x464F4C44]))  # the word spells FOLD
    return int(low[0]) | int(high[0]) << 32


def halves(ids: Words) -> tuple[Words, Words]:
    """The low and high 32-bit words of int64 ids."""
    return ids & MASK, ids >> 32 & MASK  # type: ignore[operator, return-value]


def stream_word(slot: int, region: int = 0, frame: int = 0, draw: int = 0) -> int:
    """Counter word 1."""
    return slot << 20 | region << 12 | frame << 4 | draw


@jit
def words4(rng, pixel, DRAW: tl.constexpr):
    """Four random words per pixel. rng is (key, counter word 1, id low, id high), all scalars."""
    key, stream, low, high = rng
    zero = (pixel * 0).to(tl.uint32)
    return tl.philox(key, zero + pixel.to(tl.uint32), zero + (stream + DRAW).to(tl.uint32), zero + low.to(tl.uint32), zero + high.to(tl.uint32))


@jit
def unit(word):
    """A random word as a float32 in (0, 1): exact, symmetric, never 0 or 1."""
    return ((word >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07


@jit
def uniform4(rng, pixel, DRAW: tl.constexpr = 0):
    """Four uniforms in (0, 1) per pixel."""
    a, b, c, d = words4(rng, pixel, DRAW)
    return unit(a), unit(b), unit(c), unit(d)
