"""The generator: published answers, the device's words, uniforms and normals; and the frozen layout of the counter."""

import numpy as np
import pytest
import scipy.special
import torch

from degrade.backends.engine import launch_on
from degrade.backends.twin import Rng
from degrade.kernels import exact, noise, rng
from degrade.kernels.lang import jit, tl

ANSWERS = (  # Random123, kat_vectors, philox4x32 with 10 rounds: counter, key, result
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
)


@pytest.mark.parametrize("counter, key, want", ANSWERS)
@pytest.mark.parametrize("make", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_known_answers(make, counter, key, want):
    words = rng.philox(key[0] | key[1] << 32, *(make([c]) for c in counter))
    assert tuple(int(w[0]) for w in words) == want


@jit
def _words(key_low, key_high, pixels, streams, lows, highs, out, N: tl.constexpr):
    i = tl.arange(0, N)
    key = tl.load(key_low).to(tl.uint32, bitcast=True).to(tl.uint64) | (tl.load(key_high).to(tl.uint32, bitcast=True).to(tl.uint64) << 32)
    for k in range(4):
        state = (key, tl.load(streams + k), tl.load(lows + k).to(tl.uint32, bitcast=True), tl.load(highs + k).to(tl.uint32, bitcast=True))
        a, b, c, d = rng.words4(state, tl.load(pixels + i), 3)
        at = out + (k * N + i) * 4
        tl.store(at, a.to(tl.int64))
        tl.store(at + 1, b.to(tl.int64))
        tl.store(at + 2, c.to(tl.int64))
        tl.store(at + 3, d.to(tl.int64))


@pytest.mark.device
def test_device_words_equal_the_twin(device):
    """tl.philox through the engine's own helper, with 64-bit keys and ids of every sign."""
    key = 0x9E3779B97F4A7C15
    ids = np.array([0, 7, 2**40 + 5, -3])
    low, high = rng.halves(ids)
    pixels = np.array([y << 16 | x for y in (0, 1, 65534, 40000) for x in (0, 1, 65534, 333)])
    streams = np.array([rng.stream_word(s) for s in (0, 1, 17, 0xFFE)])

    def int32(a):
        return torch.from_numpy(np.asarray(a, dtype=np.int64).astype(np.uint32).view(np.int32)).to(device)

    out = torch.zeros(4, 16, 4, dtype=torch.int64, device=device)
    arguments = int32([key & rng.MASK]), int32([key >> 32]), int32(pixels), int32(streams), int32(low), int32(high), out
    launch_on(out, _words, (1,), arguments, {}, N=16)
    for k in range(4):
        want = rng.philox(key, pixels, np.full(1, streams[k] + 3), low[k : k + 1], high[k : k + 1])
        assert np.array_equal(out[k].cpu().numpy(), np.stack(want, 1))


def test_counter_layout_is_frozen():
    """slot 12 bits | frame 16 | draw 4: everything stored depends on it."""
    assert rng.stream_word(0xABC, 0xDEF0, 0x9) == 0xABCDEF09
    assert rng.PARAMETER_SLOT == 0xFFF


def test_folding_separates_epochs_views_and_seeds():
    keys = {rng.fold(seed, epoch, view) for seed in (0, 1, -1 & (1 << 64) - 1) for epoch in range(20) for view in range(5)}
    assert len(keys) == 300
    assert rng.fold(7, 3, 1) == rng.fold(7, 3, 1)


def test_uniforms_are_symmetric_and_never_end():
    words = torch.tensor([0, 511, 512, (1 << 32) - 1])
    u = ((words >> 9).to(torch.float32) + 0.5) * rng.UNIFORM_STEP
    assert u[0] == u[1] > 0 and u[3] < 1 and float(u[0]) == 1 - float(u[3])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 13), (40, 24, 24), (2, 224, 224), (1, 1, 30_000)])
def test_planes_equal_the_words(shape):
    """In place and in pieces, of one sample or of many, as the plain rounds."""
    n, h, w = shape
    ids = np.arange(n) * 7919 - 3
    draws = Rng(0x9E3779B97F4A7C15, ids, 17, h, w, torch.device("cpu"))
    low, high = (half[:, None, None] for half in rng.halves(ids))
    lattice = np.arange(n * h * w).reshape(shape) * 40_503 % (1 << 32)
    for pixel in (None, torch.arange(h)[:, None], torch.from_numpy(lattice)):
        want = rng.philox(
            draws.key, draws.pixel.numpy() if pixel is None else pixel.numpy(), np.full((1, 1, 1), rng.stream_word(17, draw=5)), low, high
        )
        got = draws.uniform4(5, pixel)
        for u, words in zip(got, want):
            assert torch.equal(u, ((torch.from_numpy(words) >> 9).to(torch.float32) + 0.5) * rng.UNIFORM_STEP)


def test_few_uniforms_equal_many():
    """A few are drawn as plain numbers, many as arrays."""
    ids = np.arange(-9, 9)
    slots = np.arange(18) * 7
    many = rng.uniforms(-1 & (1 << 64) - 1, ids, slots, 30, rng.TABLE_DRAW)
    assert len(ids) * 8 > rng.FEW >= 8
    for i in range(len(ids)):
        assert np.array_equal(rng.uniforms(-1 & (1 << 64) - 1, ids[i : i + 1], slots[i : i + 1], 30, rng.TABLE_DRAW)[0], many[i])


@pytest.mark.parametrize("size", [1, 1000, 70_000])
def test_arrays_equal_tensors(size):
    """With a gradient to keep, tensors are used; without one, arrays in pieces."""
    u = ((torch.arange(size) * 7919 % (1 << 23)).to(torch.float32) + 0.5) * rng.UNIFORM_STEP
    values = (u - 0.5) * 300.0
    own, tracked = u * 1e4, (u * 1e4).requires_grad_()
    assert torch.equal(exact.log(own), exact.log(tracked).detach())
    assert torch.equal(exact.sqrt(own), exact.sqrt(tracked).detach())
    assert torch.equal(exact.exp(values), exact.exp(values.clone().requires_grad_()).detach())
    for got, want in zip(exact.turn(u), exact.turn(u.clone().requires_grad_())):
        assert torch.equal(got, want.detach())
    shuffled = (u, u.flip(0), u.roll(3), u.roll(11))
    for got, want in zip(noise.normal3(shuffled), noise.normal3(tuple(v.clone().requires_grad_() for v in shuffled))):
        assert torch.equal(got, want.detach())


def test_log_and_turn_are_accurate():
    """Against float64 library functions, in units of the last place."""
    u = ((torch.arange(0, 1 << 23, 97).to(torch.float32)) + 0.5) * rng.UNIFORM_STEP
    want = np.log(u.numpy().astype(np.float64))
    assert np.abs((exact.log(u).numpy() - want) / np.spacing(np.abs(want).astype(np.float32))).max() < 2.5
    cos, sin = exact.turn(u)
    angle = 2 * np.pi * u.numpy().astype(np.float64)
    assert np.abs(cos.numpy() - np.cos(angle)).max() < 2e-7
    assert np.abs(sin.numpy() - np.sin(angle)).max() < 2e-7


def test_normals_are_normal_and_independent():
    pixel = torch.arange(1 << 19)
    words = rng.philox(12345, pixel, torch.full((1,), rng.stream_word(2)), torch.full((1,), 9), torch.zeros(1, dtype=torch.int64))
    u = tuple(((w >> 9).to(torch.float32) + 0.5) * rng.UNIFORM_STEP for w in words)
    n = torch.stack(noise.normal3(u)).double().numpy()
    count = n.shape[1]
    assert np.abs(n.mean(1)).max() < 4.5 / np.sqrt(count)
    assert np.abs(n.var(1) - 1).max() < 4.5 * np.sqrt(2 / count)
    assert np.abs((n**4).mean(1) - 3).max() < 4.5 * np.sqrt(96 / count)
    assert np.abs(np.corrcoef(n) - np.eye(3)).max() < 4.5 / np.sqrt(count)
    assert np.abs((n[:, 1:] * n[:, :-1]).mean(1)).max() < 4.5 / np.sqrt(count)
    ordered = np.sort(n.ravel())
    gap = np.abs(scipy.special.ndtr(ordered) - (np.arange(len(ordered)) + 0.5) / len(ordered)).max()
    assert gap < 2 / np.sqrt(len(ordered))  # Kolmogorov's distance, p < 1e-3
    assert ordered[-1] > 4.4 and ordered[0] < -4.4  # the tails are there
