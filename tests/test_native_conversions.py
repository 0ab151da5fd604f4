"""Kernels built for the CPU, between types: every short float is read and written, rounded as torch does."""

import numpy as np
import pytest
import torch
from small_kernels import F32, run, whole

from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native


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
