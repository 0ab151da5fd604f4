"""Philox4x32-10: the twin for NumPy and torch arrays, and the device function.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A counter of four 32-bit words and a 64-bit key
give four random words; nothing is remembered between calls, so a sample draws the same numbers wherever it stands.

The counter layout is frozen (degrade.STREAM):

    word 0   pixel, y << 16 | x in origin coordinates; for parameters, the index of the draw
    word 1   slot << 20 | region << 12 | frame << 4 | draw; slot 0xFFF is reserved for parameters, draw 0xF for an op's tables
    word 2,3 sample id, low and high half
"""

from __future__ import annotations

import itertools
from typing import TypeVar

import numpy as np

from .lang import jit, tl

Words = TypeVar("Words")  # a number, or an int64 NumPy array or torch tensor of numbers, below 2³²

MASK = 0xFFFFFFFF
PARAMETER_SLOT = 0xFFF
TABLE_DRAW = 0xF
UNIFORM_STEP = 2.0**-23
ROUNDS = 10
FACTORS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64).reshape(2, 1, 1)
WEYL = np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint64).reshape(2, 1, 1)
FEW = 12  # counters up to which Python's own numbers are quicker than arrays
PIECE = 12_288  # counters: the six rows of words that `_unit_piece` works on stay in the second-level cache


def philox(key: int, c0: Words, c1: Words, c2: Words, c3: Words) -> tuple[Words, Words, Words, Words]:
    """Four 32-bit words per counter: arrays, which broadcast, or plain numbers. The key is one 64-bit number.

    int64 products wrap, which keeps all 64 bits of the unsigned product; the masked shift then reads its high half.
    """
    k0, k1 = key & MASK, key >> 32 & MASK
    for _ in range(ROUNDS):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57  # type: ignore[operator]
        c0, c1, c2, c3 = (b >> 32 & MASK) ^ c1 ^ k0, b & MASK, (a >> 32 & MASK) ^ c3 ^ k1, a & MASK
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return c0, c1, c2, c3


def fold(key: int, *numbers: int) -> int:
    """A new 64-bit key from a key and up to three non-negative numbers (epoch, view)."""
    low, high, *_ = philox(key, *([int(n) for n in numbers] + [0, 0, 0])[:3], 0x464F4C44)  # the word spells FOLD
    return low | high << 32


def halves(ids: Words) -> tuple[Words, Words]:
    """The low and high 32-bit words of int64 ids."""
    return ids & MASK, ids >> 32 & MASK  # type: ignore[operator, return-value]


def stream_word(slot: int, region: int = 0, frame: int = 0, draw: int = 0) -> int:
    """Counter word 1."""
    return slot << 20 | region << 12 | frame << 4 | draw


def uniforms(key: int, ids: np.ndarray, slot: np.ndarray | int, count: int, draw: int = 0) -> np.ndarray:
    """(n, count) float64 uniforms in (0, 1) on the host, for n ids, each in its own slot."""
    low, high = halves(ids)
    stream = np.broadcast_to(np.asarray(slot, dtype=np.int64) << 20 | draw, low.shape)
    columns = np.arange(-(-count // 4), dtype=np.int64)
    if len(low) * len(columns) <= FEW:
        counters = itertools.product(zip(stream.tolist(), low.tolist(), high.tolist()), columns.tolist())
        words = np.array([philox(key, c, *own) for own, c in counters])
    else:
        words = np.stack(philox(key, columns[None, :], stream[:, None], low[:, None], high[:, None]), 2)
    flat: np.ndarray = words.reshape(len(low), 4 * len(columns))[:, :count]
    return (flat + 0.5) * 2.0**-32


def unit_planes(key: int, pixel: np.ndarray, stream: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """`uniform4` on the host: four float32 planes (4, n, p) for pixels (1 or n, p), int64, and ids (n,) in halves."""
    n, size = len(low), pixel.shape[1]
    pixel, low, high = pixel.view(np.uint64), low.view(np.uint64)[:, None], high.view(np.uint64)[:, None]
    steps = np.arange(ROUNDS, dtype=np.uint64).reshape(ROUNDS, 1, 1, 1)
    keys = (np.array([key & MASK, key >> 32 & MASK], dtype=np.uint64).reshape(2, 1, 1) + steps * WEYL) & np.uint64(MASK)
    out = np.empty((4, n, size), dtype=np.float32)
    samples, pixels = max(1, PIECE // max(1, size)), -(-size // max(1, -(-size // PIECE)))
    for i in range(0, n, samples):
        rows = slice(i, i + samples)
        own = pixel if len(pixel) == 1 else pixel[rows]
        for j in range(0, size, pixels):
            _unit_piece(keys, own[:, j : j + pixels], stream, low[rows], high[rows], out[:, rows, j : j + pixels])
    return out


def _unit_piece(keys: np.ndarray, pixel: np.ndarray, stream: int, low: np.ndarray, high: np.ndarray, out: np.ndarray) -> None:
    """The rounds of `philox`, in place: words 0 and 2 are the rows of `even`, 1 and 3 those of `odd`.

    At first three of the four words are a sample's own, and their products small; all are full after the second round.
    """
    even, odd, product = (np.empty((2, *out.shape[1:]), dtype=np.uint64) for _ in range(3))
    mask, (m0, m1) = np.uint64(MASK), FACTORS
    a, b = pixel * m0, low * m1
    np.bitwise_xor(a >> 32, high ^ keys[0, 1], out=even[1])
    c0, c1, c3 = b >> 32 ^ np.uint64(stream) ^ keys[0, 0], b & mask, a & mask
    product[0], b = c0 * m0, np.multiply(even[1], m1, out=product[1])
    np.bitwise_xor(b >> 32, c1 ^ keys[1, 0], out=even[0])
    np.bitwise_xor(c3, product[0] >> 32 ^ keys[1, 1], out=even[1])
    crossed = product[::-1]
    np.bitwise_and(crossed, mask, out=odd)
    for k in keys[2:]:
        np.multiply(even, FACTORS, out=product)
        np.right_shift(crossed, 32, out=even)
        even ^= odd
        even ^= k
        np.bitwise_and(crossed, mask, out=odd)
    # The upper 23 bits k as the fraction of 1 + k · 2⁻²³; what is taken off leaves (k + ½) · 2⁻²³, exactly.
    bits = out.view(np.uint32)
    bits[0::2], bits[1::2] = even, odd
    bits >>= 9
    bits |= 0x3F800000
    out -= np.float32(1.0 - 2.0**-24)


@jit
def words4(rng, pixel, draw):
    """Four random words per pixel. rng is (key, counter word 1, id low, id high), all scalars."""
    key, stream, low, high = rng
    zero = (pixel * 0).to(tl.uint32)
    return tl.philox(key, zero + pixel.to(tl.uint32), zero + (stream + draw).to(tl.uint32), zero + low.to(tl.uint32), zero + high.to(tl.uint32))


@jit
def unit(word):
    """A random word as a float32 in (0, 1): exact, symmetric, never 0 or 1."""
    return ((word >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07


@jit
def uniform4(rng, pixel, draw=0):
    """Four uniforms in (0, 1) per pixel; `draw` 0 to 14 gives others."""
    a, b, c, d = words4(rng, pixel, draw)
    return unit(a), unit(b), unit(c), unit(d)
