"""Philox4x32-10: the twin for NumPy and torch arrays, and the device function.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A counter of four 32-bit words and a 64-bit key
give four random words; nothing is remembered between calls, so a sample draws the same numbers wherever it stands.

The counter layout is frozen (degrade.STREAM):

    word 0   pixel, y << 16 | x in origin coordinates; for parameters, the index of the draw
    word 1   slot << 20 | frame << 4 | draw; slot 0xFFF is reserved for parameters, draw 0xF for an op's tables
    word 2,3 sample id, low and high half
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from .lang import jit, tl

Words = TypeVar("Words")  # a number, or an int64 NumPy array or torch tensor of numbers, below 2³²

MASK = 0xFFFFFFFF
PARAMETER_SLOT = 0xFFF
TABLE_DRAW = 0xF
FRAMES = 1 << 16  # that a counter has room for
UNIFORM_STEP = 2.0**-23
ROUNDS = 10
FACTORS = 0xD2511F53, 0xCD9E8D57
FEW = 8  # counters up to which Python's own numbers are quicker than arrays
PIECE = 12_288  # counters: the six rows of words that `_unit_piece` works on stay in the second-level cache


def philox(key: int, c0: Words, c1: Words, c2: Words, c3: Words) -> tuple[Words, Words, Words, Words]:
    """Four 32-bit words per counter: arrays, which broadcast, or plain numbers. The key is one 64-bit number.

    int64 products wrap, which keeps all 64 bits of the unsigned product; the masked shift then reads its high half.
    """
    for k0, k1 in round_keys(key):
        a, b = c0 * FACTORS[0], c2 * FACTORS[1]  # type: ignore[operator]
        c0, c1, c2, c3 = (b >> 32 & MASK) ^ c1 ^ k0, b & MASK, (a >> 32 & MASK) ^ c3 ^ k1, a & MASK
    return c0, c1, c2, c3


@functools.lru_cache(maxsize=64)
def round_keys(key: int) -> tuple[tuple[int, int], ...]:
    """The two key words of each round."""
    return tuple(((key + k * 0x9E3779B9) & MASK, ((key >> 32) + k * 0xBB67AE85) & MASK) for k in range(ROUNDS))


def word(number: int) -> np.ndarray:
    """A number as NumPy's loops take it quickest: a uint64 array of no dimensions."""
    return np.array(number, dtype=np.uint64)


M0, M1, HALF, LOW = word(FACTORS[0]), word(FACTORS[1]), word(32), word(MASK)


@functools.lru_cache(maxsize=64)
def round_words(key: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """`round_keys` for arrays."""
    return tuple((word(k0), word(k1)) for k0, k1 in round_keys(key))


@functools.lru_cache(maxsize=64)
def fold(key: int, *numbers: int) -> int:
    """A new 64-bit key from a key and up to three non-negative numbers (epoch, view)."""
    low, high, *_ = philox(key, *([int(n) for n in numbers] + [0, 0, 0])[:3], 0x464F4C44)  # the word spells FOLD
    return low | high << 32


def halves(ids: Words) -> tuple[Words, Words]:
    """The low and high 32-bit words of int64 ids."""
    return ids & MASK, ids >> 32 & MASK  # type: ignore[operator, return-value]


def stream_word(slot: Words, frame: Words | int = 0, draw: int = 0) -> Words:
    """Counter word 1, of a slot 12 bits wide, a frame 16, and a draw 4."""
    return slot << 20 | frame << 4 | draw  # type: ignore[operator, return-value]


def uniforms(key: int, ids: np.ndarray, slot: np.ndarray | int, count: int, draw: int = 0) -> np.ndarray:
    """(n, count) float64 uniforms in (0, 1) on the host, for n ids, each in its own slot."""
    return draws(key, ids, slot, np.arange(-(-count // 4)), draw)[:, :count]


def draws(key: int, ids: np.ndarray, slot: np.ndarray | int, counters: np.ndarray, draw: int = 0) -> np.ndarray:
    """(n, 4 · counters) float64 uniforms in (0, 1): four from each of these counters, for n ids, each in its own slot."""
    n, each = len(ids), len(counters)
    low, high = halves(ids.repeat(each))
    stream = np.zeros(n, dtype=np.int64) + (np.asarray(slot, dtype=np.int64) << 20 | draw)
    column = counters[None].repeat(n, axis=0).reshape(-1)
    return quadruples(key, column, stream.repeat(each), low, high).reshape(n, 4 * each)


def quadruples(key: int, c0: np.ndarray, c1: np.ndarray, c2: np.ndarray, c3: np.ndarray) -> np.ndarray:
    """(n, 4) float64 uniforms in (0, 1) from n counters, given as int64 words below 2³²."""
    if len(c0) <= FEW:
        words = np.array([philox(key, *counter) for counter in zip(c0.tolist(), c1.tolist(), c2.tolist(), c3.tolist())], dtype=np.float64)
        return (words.reshape(-1, 4) + 0.5) * 2.0**-32
    even, odd, product = np.empty((3, 2, len(c0)), dtype=np.uint64)
    even[0], even[1], odd[0], odd[1] = c0, c2, c1, c3
    _rounds(even, odd, product, round_words(key))
    out = np.empty((len(c0), 4))
    out[:, 0::2], out[:, 1::2] = even.T, odd.T
    out += 0.5
    out *= 2.0**-32
    return out


def _rounds(even: np.ndarray, odd: np.ndarray, product: np.ndarray, keys: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Rounds of `philox`, in place: words 0 and 2 are the rows of `even`, 1 and 3 those of `odd`; `product` is for what lies between.

    Whatever runs over both rows at once is contiguous, which takes NumPy half as long.
    """
    (first, third), (to_third, to_first) = even, product
    for k0, k1 in keys:
        np.multiply(first, M0, out=to_first)
        np.multiply(third, M1, out=to_third)
        np.right_shift(product, HALF, out=even)
        even ^= odd
        first ^= k0
        third ^= k1
        np.bitwise_and(product, LOW, out=odd)


def unit_planes(key: int, pixel: np.ndarray, stream: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """`uniform4` on the host: four float32 planes (4, n, p) for pixels (1 or n, p), int64, word 1 of each sample (n,), and ids (n,) in halves."""
    n, size = len(low), pixel.shape[1]
    pixel, (stream, low, high) = pixel.view(np.uint64), (v.view(np.uint64)[:, None] for v in (stream, low, high))
    keys = round_words(key)
    out = np.empty((4, n, size), dtype=np.float32)
    samples, pixels = max(1, PIECE // max(1, size)), -(-size // max(1, -(-size // PIECE)))
    for i in range(0, n, samples):
        rows = slice(i, i + samples)
        own = pixel if len(pixel) == 1 else pixel[rows]
        for j in range(0, size, pixels):
            _unit_piece(keys, own[:, j : j + pixels], stream[rows], low[rows], high[rows], out[:, rows, j : j + pixels])
    return out


def _unit_piece(
    keys: Sequence[tuple[np.ndarray, np.ndarray]], pixel: np.ndarray, stream: np.ndarray, low: np.ndarray, high: np.ndarray, out: np.ndarray
) -> None:
    """The rounds of `philox`.

    At first three of the four words are a sample's own, and their products small; all are full after the second round.
    """
    even, odd, product = (np.empty((2, *out.shape[1:]), dtype=np.uint64) for _ in range(3))
    (k0, k1), (k2, k3), *keys_left = keys
    a, b = pixel * M0, low * M1
    np.bitwise_xor(a >> HALF, high ^ k1, out=even[1])
    c0, c1, c3 = b >> HALF ^ stream ^ k0, b & LOW, a & LOW
    product[0], b = c0 * M0, np.multiply(even[1], M1, out=product[1])
    np.bitwise_xor(b >> HALF, c1 ^ k2, out=even[0])
    np.bitwise_xor(c3, product[0] >> HALF ^ k3, out=even[1])
    np.bitwise_and(product[::-1], LOW, out=odd)
    _rounds(even, odd, product, keys_left)
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
