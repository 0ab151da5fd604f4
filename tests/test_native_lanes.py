"""Kernels built for the CPU, between lanes: reductions, running sums, histograms and permutations are NumPy's."""

import numpy as np
import pytest
import torch
from small_kernels import I32, SHAPES, real, run, tensor, whole

from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native


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
