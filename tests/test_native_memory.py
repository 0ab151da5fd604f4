"""Kernels built for the CPU, in memory: broadcast pointers, masks, stores before loads, and atomics of many threads."""

import numpy as np
import pytest
import torch
from small_kernels import I32, I64, SHAPES, run, tensor, threads, whole

from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native


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
