"""Kernels built for the CPU, through loops and branches: what they carry, read before and after it changes, is Python's."""

import numpy as np
import pytest
import torch
from small_kernels import I32, run, tensor, whole

from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native


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
