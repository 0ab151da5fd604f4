"""Kernels built for the CPU, at arithmetic: integers of both signs, high words, Philox, and floats that are rounded once."""

import numpy as np
import pytest
import torch
from small_kernels import I32, real, run, tensor

from degrade.kernels import rng
from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native


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
