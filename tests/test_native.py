"""Building kernels for the CPU: what each kind of operation computes, held against NumPy and torch on small kernels; threads, forks, the cache."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import interpret
import numpy as np
import pytest
import torch

import degrade
from degrade import Pipeline
from degrade.backends import native
from degrade.backends.native import build
from degrade.kernels import rng
from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native

SHAPES = ((16, 32), (2, 4), (1, 64), (64, 1), (8, 2))  # more lanes than a vector holds, fewer, and axes of one
I32, F32, I64 = torch.int32, torch.float32, torch.int64


def run(kernel, *arguments, programs=1, **constants):
    native.launch(kernel, (programs,), arguments, constants)


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def whole(shape, low=-1000, high=1000, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int32)


def real(shape, seed=0):
    return (np.random.default_rng(seed).normal(0, 1, shape) * 100).astype(np.float32)


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array).copy())


# ---- between lanes ---------------------------------------------------------------------------------------------------------


@jit
def _reduce(x, sums, tops, bottoms, totals, R: tl.constexpr, C: tl.constexpr, AXIS: tl.constexpr):
    v = tl.load(x + tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :])
    i = tl.arange(0, C if AXIS == 0 else R)
    tl.store(sums + i, tl.sum(v, AXIS))
    tl.store(tops + i, tl.max(v, AXIS))
    tl.store(bottoms + i, tl.min(v, AXIS))
    tl.store(totals, tl.max(tl.max(v, 1), 0))
    tl.store(totals + 1, tl.sum(tl.sum(v, 0), 0))


@pytest.mark.parametrize("make", [whole, real], ids=["int32", "float32"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reductions(shape, axis, make):
    """A sum of floats adds one after the other, as a running sum does."""
    v = make(shape)
    out = [tensor(np.zeros(shape[1 - axis], v.dtype)) for _ in range(3)]
    totals = tensor(np.zeros(2, v.dtype))
    run(_reduce, tensor(v), *out, totals, R=shape[0], C=shape[1], AXIS=axis)
    running = np.cumsum(v, axis, dtype=v.dtype)
    for got, want in zip(out, (np.take(running, -1, axis), v.max(axis), v.min(axis))):
        np.testing.assert_array_equal(got.numpy(), want)
    columns = np.cumsum(v, 0, dtype=v.dtype)[-1]
    np.testing.assert_array_equal(totals.numpy(), [v.max(), np.cumsum(columns, dtype=v.dtype)[-1]])


@jit
def _scan(x, out, R: tl.constexpr, C: tl.constexpr, AXIS: tl.constexpr):
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    tl.store(out + at, tl.cumsum(tl.load(x + at), AXIS))


@pytest.mark.parametrize("make", [whole, real], ids=["int32", "float32"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_sums(shape, axis, make):
    v = make(shape)
    out = tensor(np.zeros_like(v))
    run(_scan, tensor(v), out, R=shape[0], C=shape[1], AXIS=axis)
    np.testing.assert_array_equal(out.numpy(), np.cumsum(v, axis, dtype=v.dtype))


@jit
def _histogram(x, out, N: tl.constexpr, BINS: tl.constexpr):
    counts = tl.histogram(tl.load(x + tl.arange(0, N)), BINS)
    tl.store(out + tl.arange(0, BINS), counts)


@pytest.mark.parametrize("n, bins", [(512, 64), (4, 256), (64, 2)])
def test_histograms(n, bins):
    v = whole(n, 0, bins)
    out = torch.full((bins,), -1, dtype=I32)
    run(_histogram, tensor(v), out, N=n, BINS=bins)
    np.testing.assert_array_equal(out.numpy(), np.bincount(v, minlength=bins))


@jit
def _shuffle(x, joined, halves, turned, back, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(x + i), tl.load(x + N + i)
    both = tl.join(a, b)
    tl.store(joined + i[:, None] * 2 + tl.arange(0, 2)[None, :], both)
    even, odd = tl.split(tl.reshape(a, (N // 2, 2)))
    half = tl.arange(0, N // 2)
    tl.store(halves + half, even)
    tl.store(halves + N // 2 + half, odd)
    cube = tl.permute(tl.reshape(a, (4, 2, N // 8)), (2, 0, 1))
    flat = tl.reshape(cube, (N,))
    tl.store(turned + i, flat)
    again = tl.permute(tl.reshape(flat, (N // 8, 4, 2)), (1, 2, 0))
    first, second = tl.split(tl.join(tl.reshape(again, (N,)), b))
    tl.store(back + i, first - second)


@pytest.mark.parametrize("n", [8, 16, 256])
def test_joins_splits_and_permutations(n):
    v = whole(2 * n)
    a, b = v[:n], v[n:]
    joined, halves, turned, back = (torch.zeros(size, dtype=I32) for size in (2 * n, n, n, n))
    run(_shuffle, tensor(v), joined, halves, turned, back, N=n)
    np.testing.assert_array_equal(joined.numpy(), np.stack((a, b), 1).ravel())
    np.testing.assert_array_equal(halves.numpy(), np.concatenate((a[::2], a[1::2])))
    np.testing.assert_array_equal(turned.numpy(), a.reshape(4, 2, n // 8).transpose(2, 0, 1).ravel())
    np.testing.assert_array_equal(back.numpy(), a - b)


# ---- memory ----------------------------------------------------------------------------------------------------------------


@jit
def _broadcast(rows, columns, image, out, picked, R: tl.constexpr, C: tl.constexpr):
    i, j = tl.arange(0, R)[:, None], tl.arange(0, C)[None, :]
    a, b = tl.load(rows + i), tl.load(columns + j)
    at = i * C + j
    tl.store(out + at, a * 3 - b + at)
    line = tl.broadcast_to(image + (a & (R - 1)) * C, (R, C))  # pointers, broadcast before what is added to them
    tl.store(picked + at, tl.load(line + (b & (C - 1))))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_pointers_are_broadcast(shape):
    r, c = shape
    rows, columns, image = whole((r, 1)), whole((1, c), seed=1), whole(shape, seed=2)
    out, picked = torch.zeros(shape, dtype=I32), torch.zeros(shape, dtype=I32)
    run(_broadcast, tensor(rows), tensor(columns), tensor(image), out, picked, R=r, C=c)
    np.testing.assert_array_equal(out.numpy(), rows * 3 - columns + np.arange(r * c).reshape(shape))
    np.testing.assert_array_equal(picked.numpy(), image[rows & r - 1, columns & c - 1])


@jit
def _scatter(x, order, limit, stretched, permuted, behind, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i, mask=i < limit, other=-7)
    tl.store(stretched + i * 3, v, mask=v % 2 == 0)
    tl.store(permuted + tl.load(order + i), v)
    tl.store(behind + i, v, mask=(i >= 2) & (i < limit))


@pytest.mark.parametrize("n, limit", [(64, 41), (4, 3), (32, 0), (32, 32), (16, 17)])
def test_masked_loads_and_scattered_stores(n, limit):
    """Nothing is written where a mask is off, and what stands between the addresses stays."""
    x = whole(n)
    order = np.random.default_rng(1).permutation(n).astype(np.int32)
    stretched, permuted, behind = (torch.full((size,), 12345, dtype=I32) for size in (3 * n, n, n))
    run(_scatter, tensor(x), tensor(order), limit, stretched, permuted, behind, N=n)
    v = np.where(np.arange(n) < limit, x, -7)
    want = np.full(3 * n, 12345)
    want[::3] = np.where(v % 2 == 0, v, 12345)
    np.testing.assert_array_equal(stretched.numpy(), want)
    np.testing.assert_array_equal(permuted.numpy()[order], v)
    np.testing.assert_array_equal(behind.numpy(), np.where((np.arange(n) >= 2) & (np.arange(n) < limit), v, 12345))


@jit
def _read_back(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(x + i, tl.load(x + i) + 1)
    tl.debug_barrier()
    tl.store(out + i, tl.load(x + N - 1 - i))  # what other lanes have stored
    first = tl.load(x)
    tl.store(x + i, i * first)
    tl.store(out + N, tl.load(x + 3))


def test_loads_see_the_stores_before_them():
    x, out = tensor(np.arange(5, 69, dtype=np.int32)), torch.zeros(65, dtype=I32)
    run(_read_back, x, out, N=64)
    np.testing.assert_array_equal(out.numpy(), [*range(69, 5, -1), 3 * 6])
    np.testing.assert_array_equal(x.numpy(), np.arange(64) * 6)


@jit
def _count(scalars, bins, tops, x, N: tl.constexpr):
    v = tl.load(x + tl.program_id(0) * N + tl.arange(0, N))
    tl.atomic_add(scalars, tl.sum(v, 0))
    tl.atomic_max(scalars + 1, tl.max(v, 0))
    tl.atomic_min(scalars + 2, tl.min(v, 0))
    tl.atomic_add(bins + (v & 7), 1, mask=v > 0)
    tl.atomic_max(tops + (v & 7), v.to(tl.int64))


@pytest.mark.parametrize("count", [1, 4])
def test_atomics_of_many_programs_on_many_threads(count):
    v = whole((500, 64))
    scalars, bins, tops = torch.tensor([0, -9999, 9999], dtype=I32), torch.zeros(8, dtype=I32), torch.full((8,), -9999, dtype=I64)
    with threads(count):
        run(_count, scalars, bins, tops, tensor(v), programs=500, N=64)
    np.testing.assert_array_equal(scalars.numpy(), [v.sum(), v.max(), v.min()])
    np.testing.assert_array_equal(bins.numpy(), np.bincount(v[v > 0] & 7, minlength=8))
    np.testing.assert_array_equal(tops.numpy(), [v[v & 7 == k].max() for k in range(8)])


# ---- control flow ----------------------------------------------------------------------------------------------------------


@jit
def _swap(x, out, n, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(x + i), tl.load(x + N + i)
    for _ in range(n):
        a, b = b, a
    c, d, e = a, b, a * 2
    for k in range(n):
        c, d, e = d, e - c, c + k  # each reads what another writes
    tl.store(out + i, a)
    tl.store(out + N + i, b)
    tl.store(out + 2 * N + i, c)
    tl.store(out + 3 * N + i, d)
    tl.store(out + 4 * N + i, e)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("size", [4, 64])
def test_loops_that_exchange_what_they_carry(size, n):
    v = whole((2, size))
    out = torch.zeros(5, size, dtype=I32)
    run(_swap, tensor(v), out, n, N=size)
    a, b = (v[1], v[0]) if n % 2 else (v[0], v[1])
    c, d, e = a, b, a * 2
    for k in range(n):
        c, d, e = d, e - c, c + k
    np.testing.assert_array_equal(out.numpy(), [a, b, c, d, e])


@jit
def _accumulate(x, out, n, N: tl.constexpr):
    i = tl.arange(0, N)
    total = tl.zeros((N,), tl.int32)
    before = tl.zeros((N,), tl.int32)
    largest = tl.zeros((N,), tl.int32) - 1000
    peak = 0
    for k in range(n):
        old = total
        total = total + tl.load(x + k * N + i)
        largest = tl.maximum(largest, total)  # the new one, read again
        peak = tl.maximum(peak, tl.max(total, 0))  # and once more, across the lanes
        before += old  # and the old one, after that
        before += tl.sum(old, 0)
    tl.store(out + i, total)
    tl.store(out + N + i, before)
    tl.store(out + 2 * N + i, largest + peak)


@pytest.mark.parametrize("n", [0, 1, 9])
@pytest.mark.parametrize("size", [4, 128])
def test_accumulators_are_read_before_and_after_they_change(size, n):
    v = whole((n, size)) if n else np.zeros((1, size), np.int32)
    out = torch.zeros(3, size, dtype=I32)
    run(_accumulate, tensor(v), out, n, N=size)
    total, before, largest, peak = np.zeros(size, np.int32), np.zeros(size, np.int32), np.full(size, -1000), 0
    for k in range(n):
        old, total = total, total + v[k]
        largest, peak = np.maximum(largest, total), max(peak, total.max())
        before = before + old + old.sum()
    np.testing.assert_array_equal(out.numpy(), [total, before, largest + peak])


@jit
def _column(x, out, n, R: tl.constexpr, C: tl.constexpr):
    i, j = tl.arange(0, R)[:, None], tl.arange(0, C)[None, :]
    column, row = tl.load(x + i), tl.load(x + R + j)
    total = tl.zeros((R, C), tl.int32)
    for k in range(n):
        left, top = tl.broadcast_to(column, (R, C)), tl.broadcast_to(row, (R, C))
        column = column * 2 + k
        row = row - column.shape[0] + tl.sum(column, 0)[None, :]  # before the broadcasts of the old ones are read
        total += left * top
    tl.store(out + i * C + j, total + column + row)


@pytest.mark.parametrize("shape", [(16, 32), (4, 4), (2, 64)], ids=str)
def test_broadcasts_keep_the_value_that_they_were_made_of(shape):
    r, c = shape
    v, out = whole(r + c, -9, 9), torch.zeros(shape, dtype=I32)
    run(_column, tensor(v), out, 3, R=r, C=c)
    column, row, total = v[:r, None], v[None, r:], np.zeros(shape, np.int32)
    for k in range(3):
        total = total + column * row
        column = column * 2 + k
        row = row - r + column.sum(0)
    np.testing.assert_array_equal(out.numpy(), total + column + row)


@jit
def _nest(x, codes, out, steps, n, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    w = v * 2
    hits = 0
    for k in range(n):
        code = tl.load(codes + k)
        if code > 0:
            if code == 1:
                v, w = w, v
            elif code == 2:
                for j in range(k):
                    if j % 2 == 0:
                        v = v + w
                    else:
                        w = w - j
                    hits += 1
            else:
                for j in range(2):
                    for _ in range(code - 2):
                        v = tl.maximum(v, w) - j
            w = w + 1
        elif code < 0:
            v = tl.zeros((N,), tl.int32) + code  # neither carried nor stored before
        tl.store(steps + k * N + i, v)
    tl.store(out + i, v)
    tl.store(out + N + i, w)
    tl.store(out + 2 * N, hits)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [4, 32])
def test_tensors_pass_through_nested_branches_and_loops(size, seed):
    codes = np.random.default_rng(seed).integers(-1, 5, 12).astype(np.int32)
    start = whole(size, seed=seed)
    steps, out = torch.zeros(12, size, dtype=I32), torch.zeros(2 * size + 1, dtype=I32)
    run(_nest, tensor(start), tensor(codes), out, steps, 12, N=size)
    v, w, hits = start.copy(), start * 2, 0
    for k, code in enumerate(codes.tolist()):
        if code > 0:
            if code == 1:
                v, w = w, v
            elif code == 2:
                for j in range(k):
                    v, w = (v + w, w) if j % 2 == 0 else (v, w - j)
                    hits += 1
            else:
                for j in range(2):
                    for _ in range(code - 2):
                        v = np.maximum(v, w) - j
            w = w + 1
        elif code < 0:
            v = np.full(size, code, np.int32)
        np.testing.assert_array_equal(steps[k].numpy(), v, err_msg=f"step {k} of {codes}")
    np.testing.assert_array_equal(out.numpy(), [*v, *w, hits])


@jit
def _truths(x, out, R: tl.constexpr, C: tl.constexpr):
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    v = tl.load(x + at)
    up = v > 0
    many = tl.sum(up.to(tl.int32), 1)[:, None]  # ends the loop over lanes that `up` was made in
    turned = tl.permute(tl.reshape(up & (v < 500), (C, R)), (1, 0))
    for k in range(3):
        if k == many.shape[1]:
            up = up ^ turned
    any_row = tl.max((up & (v > 100)).to(tl.int32), 1) > 0
    tl.store(out + at, tl.where(up & any_row[:, None], many, -1))


@pytest.mark.parametrize("shape", [(16, 32), (4, 4), (2, 64)], ids=str)
def test_truths_are_kept_between_loops(shape):
    v = whole(shape)
    out = torch.zeros(shape, dtype=I32)
    run(_truths, tensor(v), out, R=shape[0], C=shape[1])
    up = v > 0
    many = up.sum(1, keepdims=True)
    flipped = up ^ (up & (v < 500)).reshape(shape[::-1]).T
    any_row = (flipped & (v > 100)).any(1, keepdims=True)
    np.testing.assert_array_equal(out.numpy(), np.where(flipped & any_row, many, -1))


# ---- arithmetic ------------------------------------------------------------------------------------------------------------


@jit
def _integers(x, y, out, N: tl.constexpr, TYPE: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(x + i).to(TYPE, bitcast=True), tl.load(y + i).to(TYPE, bitcast=True)
    c, d = tl.load(x).to(TYPE, bitcast=True), tl.load(y).to(TYPE, bitcast=True)
    s = (b & 31).to(a.dtype)
    tl.store(out + i, a // b)
    tl.store(out + N + i, a % b)
    tl.store(out + 2 * N + i, a >> s)
    tl.store(out + 3 * N + i, a << s)
    tl.store(out + 4 * N + i, tl.minimum(a, b))
    tl.store(out + 5 * N + i, tl.maximum(a, b))
    tl.store(out + 6 * N + i, tl.where(a < b, a ^ b, a | b))
    tl.store(out + 7 * N + i, a * b - ~a)
    tl.store(out + 8 * N + i, c // d + c % d + (c >> 3))  # scalars


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_integers_of_both_signs(dtype):
    """Division goes towards zero and the remainder has the sign of the dividend; unsigned numbers are just that."""
    draw = np.random.default_rng(0)
    a = draw.integers(-(2**31), 2**31, 256).astype(np.int32)
    b = np.where(draw.random(256) < 0.5, draw.integers(1, 50, 256), -draw.integers(2, 2**31, 256)).astype(np.int32)
    a[:4], b[:4] = (-7, 7, -7, 7), (2, -2, -2, 2)
    a, b = a.view(dtype), b.view(dtype)
    out = torch.zeros(9, 256, dtype=I32)
    run(_integers, tensor(a.view(np.int32)), tensor(b.view(np.int32)), out, N=256, TYPE=tl.int32 if dtype == np.int32 else tl.uint32)
    got, s = out.numpy().view(dtype), b & 31
    wide_a, wide_b = a.astype(np.int64), b.astype(np.int64)
    quotient = np.sign(wide_a) * np.sign(wide_b) * (np.abs(wide_a) // np.abs(wide_b))
    remainder = wide_a - quotient * wide_b
    np.testing.assert_array_equal(got[0], quotient.astype(dtype))
    np.testing.assert_array_equal(got[1], remainder.astype(dtype))
    np.testing.assert_array_equal(got[2], a >> s)
    np.testing.assert_array_equal(got[3], a << s)
    np.testing.assert_array_equal(got[4], np.minimum(a, b))
    np.testing.assert_array_equal(got[5], np.maximum(a, b))
    np.testing.assert_array_equal(got[6], np.where(a < b, a ^ b, a | b))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got[7], a * b - ~a)
        np.testing.assert_array_equal(got[8], np.full(256, quotient[0].astype(dtype) + remainder[0].astype(dtype) + (a[0] >> dtype(3))))


@jit
def _high(x, y, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.umulhi(tl.load(x + i).to(tl.uint32, bitcast=True), tl.load(y + i).to(tl.uint32, bitcast=True)))
    tl.store(out + N, tl.umulhi(tl.load(x + 1).to(tl.uint32, bitcast=True), tl.load(y + 1).to(tl.uint32, bitcast=True)))


def test_high_words_of_products():
    a, b = np.random.default_rng(0).integers(0, 2**32, (2, 64), dtype=np.uint32)
    a[1] = b[1] = 0xFFFFFFFF
    out = torch.zeros(65, dtype=I32)
    run(_high, tensor(a.view(np.int32)), tensor(b.view(np.int32)), out, N=64)
    want = (a.astype(np.uint64) * b.astype(np.uint64) >> np.uint64(32)).astype(np.uint32)
    np.testing.assert_array_equal(out.numpy().view(np.uint32), [*want, want[1]])


@jit
def _philox(x, out, key, N: tl.constexpr):
    i = tl.arange(0, N)
    c = tl.load(x + i).to(tl.uint32, bitcast=True)
    w0, w1, w2, w3 = tl.philox(key.to(tl.uint64, bitcast=True), c, c ^ 5, c * 7, c + 11)
    tl.store(out + i, w0)
    tl.store(out + N + i, w1)
    tl.store(out + 2 * N + i, w2)
    tl.store(out + 3 * N + i, w3)


@pytest.mark.parametrize("n", [4, 128])
def test_philox(n):
    c = np.random.default_rng(0).integers(0, 2**32, n, dtype=np.uint32)
    key = 0x9E3779B97F4A7C15
    out = torch.zeros(4, n, dtype=I32)
    run(_philox, tensor(c.view(np.int32)), out, key - 2**64, N=n)  # a word of 64 bits, and so a negative number
    want = rng.philox(key, *((v & np.uint32(rng.MASK)).astype(np.int64) for v in (c, c ^ 5, c * np.uint32(7), c + np.uint32(11))))
    np.testing.assert_array_equal(out.numpy().view(np.uint32), np.stack(want))


@jit
def _floats(x, y, out, whole_numbers, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(x + i), tl.load(y + i)
    tl.store(out + i, tl.floor(a))
    tl.store(out + N + i, tl.ceil(a))
    tl.store(out + 2 * N + i, tl.abs(a))
    tl.store(out + 3 * N + i, tl.minimum(a, b))
    tl.store(out + 4 * N + i, tl.maximum(a, b))
    tl.store(out + 5 * N + i, tl.sqrt_rn(tl.abs(a)))
    tl.store(out + 6 * N + i, tl.div_rn(a, b))
    tl.store(out + 7 * N + i, a * b + a)  # two roundings, never one
    tl.store(out + 8 * N + i, -a - b / 3.0)
    tl.store(out + 9 * N + i, tl.where((a < b) | (a != a), tl.load(y), tl.floor(tl.load(x + 2)) + tl.sqrt_rn(tl.load(x + 3))))
    tl.store(out + 10 * N + i, tl.fma(a, b, a))  # one rounding, never two
    tl.store(whole_numbers + i, a.to(tl.int32))
    tl.store(whole_numbers + N + i, (a.to(tl.int32).to(tl.float32) == tl.floor(a)).to(tl.int32))


@pytest.mark.parametrize("n", [4, 1024])
def test_floats_round_each_operation_once(n):
    a, b = real((2, n))
    a[:4] = (-0.0, 2.5, -2.5, 0.3)
    b[b == 0] = 1
    out, numbers = torch.zeros(11, n), torch.zeros(2, n, dtype=I32)
    run(_floats, tensor(a), tensor(b), out, numbers, N=n)
    third = np.float32(3.0)
    chosen = np.where(a < b, b[0], np.floor(a[2]) + np.sqrt(a[3]))
    want = [np.floor(a), np.ceil(a), np.abs(a), np.minimum(a, b), np.maximum(a, b), np.sqrt(np.abs(a)), a / b, a * b + a, -a - b / third, chosen]
    want.append((a.astype(np.float64) * b + a).astype(np.float32))  # exact but for the last rounding: products of two have 48 bits, and a is near
    np.testing.assert_array_equal(out.numpy().view(np.uint32), np.stack(want).view(np.uint32))
    np.testing.assert_array_equal(numbers.numpy(), [np.trunc(a), np.trunc(a) == np.floor(a)])


@jit
def _copy(x, out, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(out + i, tl.load(x + i).to(out.dtype.element_ty))
    if tl.program_id(0) == 0:
        tl.store(out + 1, tl.load(x + 1).to(out.dtype.element_ty))  # a scalar


def converted(x, dtype):
    out = torch.empty(len(x), dtype=dtype)
    run(_copy, x, out, programs=len(x) // 64, N=64)
    return out


def bits(x):
    return x.view({2: torch.int16, 4: torch.int32}[x.element_size()])


def padded(x):
    """As many as a whole number of programs takes."""
    return torch.cat((x, x[: -len(x) % 64])).contiguous()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_short_float_is_read_and_written(dtype):
    x = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    x = padded(x[torch.isfinite(x)])
    wide = converted(x, F32)
    assert torch.equal(bits(wide), bits(x.to(F32)))
    assert torch.equal(bits(converted(wide, dtype)), bits(x))
    other = torch.bfloat16 if dtype == torch.float16 else torch.float16
    if dtype == torch.float16:
        assert torch.equal(bits(converted(wide, other)), bits(wide.to(other)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_shortening_rounds_to_the_nearest_and_ties_to_even(dtype):
    """The midpoints between neighbours, what lies next to them, and numbers from everywhere, to infinity too."""
    shorts = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    shorts = shorts[torch.isfinite(shorts)].to(F32)
    step = 1 << (13 if dtype == torch.float16 else 16)
    near = torch.cat([bits(shorts) + step // 2 + d for d in (-1, 0, 1)])
    anywhere = torch.from_numpy(np.random.default_rng(0).integers(-(2**31), 2**31, 100_000).astype(np.int32))
    x = torch.cat((near, anywhere)).view(F32)
    x = padded(x[torch.isfinite(x)])
    want = x.to(dtype)
    assert torch.isinf(want).any() and (want == 0).any()
    assert torch.equal(bits(converted(x, dtype)), bits(want))


@pytest.mark.parametrize("to", [torch.uint8, torch.int32, torch.int64, torch.float32], ids=str)
@pytest.mark.parametrize("source", [torch.uint8, torch.uint16, torch.int32], ids=str)
def test_integers_are_converted(source, to):
    x = torch.from_numpy(whole(256, 0, 256)).to(source)
    assert torch.equal(converted(x, to), x.to(to))


# ---- what it does not do ---------------------------------------------------------------------------------------------------


@jit
def _dot(x, out):
    at = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    tl.store(out + at, tl.dot(tl.load(x + at), tl.load(x + at)))


@jit
def _used_atomic(x, out):
    tl.store(out, tl.atomic_add(x, 1.0))


@pytest.mark.parametrize("kernel, named", [(_dot, "tt.dot"), (_used_atomic, "atomic")])
def test_what_is_not_known_is_named(kernel, named):
    from degrade.backends.native.ttir import UnknownOperation

    with pytest.raises(UnknownOperation, match=named):
        run(kernel, torch.zeros(256), torch.zeros(256))


# ---- grids, threads, processes, the cache -----------------------------------------------------------------------------------------


@jit
def _where(out, WIDE: tl.constexpr, HIGH: tl.constexpr):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tl.store(out + (z * HIGH + y) * WIDE + x, (z * 100 + y) * 100 + x)


@pytest.mark.parametrize("grid", [(1, 1, 1), (5,), (3, 4), (1, 5, 3), (4, 1, 6), (3, 2, 5)], ids=str)
def test_programs_of_a_grid(grid):
    wide, high, deep = (*grid, 1, 1)[:3]
    out = torch.full((deep, high, wide), -1, dtype=I32)
    with threads(3):
        native.launch(_where, grid, (out,), {"WIDE": wide, "HIGH": high})
    z, y, x = torch.meshgrid(*map(torch.arange, out.shape), indexing="ij")
    assert torch.equal(out, ((z * 100 + y) * 100 + x).to(I32))


@jit
def _sorted_rows(x, out, N: tl.constexpr):
    """Ranks by counting: the workspace holds what one program must not see of another."""
    i = tl.arange(0, N)
    own = x + tl.program_id(0) * N
    v = tl.load(own + i)
    rank = tl.zeros((N,), tl.int32)
    for k in range(N):
        other = tl.load(own + k)
        rank += ((other < v) | ((other == v) & (k < i))).to(tl.int32)
    total = tl.cumsum(v, 0)
    tl.store(out + tl.program_id(0) * N + rank, v + total - total)


def test_threads_change_nothing():
    v = whole((301, 32))
    for count in (1, 2, 3, 8):
        out = torch.zeros(v.shape, dtype=I32)
        with threads(count):
            run(_sorted_rows, tensor(v), out, programs=301, N=32)
        np.testing.assert_array_equal(out.numpy(), np.sort(v, 1))


def test_threads_change_nothing_of_a_pipeline():
    x = torch.randint(0, 256, (9, 3, 67, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pipe = Pipeline(degrade.Compose(degrade.GaussianBlur(), degrade.Contrast(), degrade.GaussianNoise()), seed=1, backend="triton")
    results = []
    for count in (1, 2, 5):
        with threads(count):
            results.append(pipe(x, ids=range(9)))
    assert all(torch.equal(r, results[0]) for r in results[1:])


def script(code, cache=None):
    """The last line that Python code prints in a process of its own."""
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests")))}
    environment |= {"TRITON_CACHE_DIR": str(cache)} if cache else {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


PIPELINE = """
import torch, degrade
x = torch.arange(12 * 3 * 32 * 64).remainder(251).to(torch.uint8).view(12, 3, 32, 64)
pipe = degrade.Pipeline(degrade.MeanShift(0.1), backend="triton")
"""


def test_a_forked_process_runs_kernels_too():
    """The threads of the parent do not exist in the child."""
    code = """
import multiprocessing
torch.set_num_threads(3)
want = pipe(x, ids=range(12))
def child():
    raise SystemExit(0 if torch.equal(pipe(x, ids=range(12)), want) else 1)
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(30)
code = process.exitcode
if code is None:
    process.kill()
assert torch.equal(pipe(x, ids=range(12)), want)
print(code)
"""
    assert script(PIPELINE + code) == "0"


def test_another_process_finds_the_machine_code(tmp_path, monkeypatch):
    code = """
from degrade.backends.native import build
made, real = [], build._compile
build._compile = lambda *a: made.append(1) or real(*a)
y = pipe(x, ids=range(12))
pipe(x[:, :, :20], ids=range(12))  # another size takes no other kernel
found = len(made), int(y.to(torch.int64).sum())
"""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(build, "_BUILT", {})
    monkeypatch.setattr(build, "_compile", build._compile)  # so that the code's own is taken back
    names = {}
    exec(PIPELINE + code, names)
    first, second = names["found"], json.loads(script(PIPELINE + code + "print(list(found))", cache=tmp_path))
    assert first[0] == 1 and second == [0, first[1]]


@pytest.mark.parametrize("dtype", ["uint8", pytest.param("float32", marks=pytest.mark.heavy)])
def test_the_interpreter_agrees(dtype, tmp_path):
    """An independent reading of the same kernels, bit for bit: every mask family, and ops of each kind."""
    path = tmp_path / "result.npy"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(degrade.__file__).parents[1])}
    done = subprocess.run([sys.executable, interpret.__file__, dtype, path], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"interpreted": True}
    program, x = interpret.batch(dtype)
    fast, slow = (degrade.apply(program, x, backend=b) for b in ("triton", "torch"))
    assert torch.equal(fast, slow)
    np.testing.assert_array_equal(np.load(path), fast.numpy())
