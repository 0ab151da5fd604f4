"""What holds for every pipeline, on drawn ones."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from strategies import cases

import degrade
from degrade import Pipeline
from degrade.backends.native import interpreted

common = dict(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def holds(case, backend, device):
    recipe, x, ids = case
    x = x.to(device)
    before = x.clone()
    pipe = Pipeline(recipe, seed=11, backend=backend)
    y, labels = pipe(x, ids=ids, labels=True)
    assert torch.equal(x, before), "the input was changed"
    assert (y.shape, y.dtype, y.device, y.stride()) == (x.shape, x.dtype, x.device, torch.empty_like(x).stride())
    values = y.to(torch.float32)
    assert torch.isfinite(values).all() and values.min() >= 0 and values.max() <= (255 if x.dtype == torch.uint8 else 1)
    untouched = (labels.masks == 0).all(1)[:, None].expand_as(x)
    assert torch.equal(y[untouched.to(device)], x[untouched.to(device)]), "changed outside the masks"
    assert torch.equal(degrade.apply(labels.program, x, backend=backend), y), "a replay differs"
    last = len(ids) - 1
    assert torch.equal(pipe(x[last:], ids=ids[last:])[0], y[last]), "alone differs from in the batch"
    assert torch.equal(pipe(x.flip(0), ids=ids[::-1]).flip(0), y), "order matters"
    drawn = pipe.sample(ids, x.shape[2:])
    assert drawn.waiting().any() or drawn.equals(labels.program)  # where a call makes masks, its program holds them


@settings(max_examples=60, **common)
@given(cases())
def test_every_pipeline(case):
    holds(case, "torch", "cpu")


@pytest.mark.heavy
@settings(max_examples=3000, **common)
@given(cases(largest=97, batch=6))
def test_every_pipeline_at_length(case):
    holds(case, "torch", "cpu")


def agrees(case, device):
    recipe, x, ids = case
    x = x.to(device)
    program = Pipeline(recipe, seed=11).sample(ids, x.shape[2:])
    fast, slow = (degrade.apply(program, x, backend=b).to(torch.float32) for b in ("triton", "torch"))
    if not x.is_cuda and not (interpreted() and x.dtype == torch.bfloat16):  # which the interpreter truncates where a device rounds
        assert torch.equal(fast, slow)
        return
    slack = {torch.uint8: 1.0, torch.float16: 2**-10, torch.bfloat16: 2**-8, torch.float32: 1e-5}[x.dtype]
    # One flipped rounding before a codec or a strong contrast may grow; almost everything must agree.
    assert ((fast - slow).abs() > slack).float().mean() < 0.01


@pytest.mark.device
@settings(max_examples=15, **common)
@given(cases(largest=20, batch=2) if interpreted() else cases(largest=70, batch=4))
def test_every_pipeline_on_the_device(device, case):
    agrees(case, device)
    if not interpreted():
        holds(case, "triton", device)


@pytest.mark.device
@pytest.mark.heavy
@settings(max_examples=300, **common)
@given(cases(largest=20, batch=2))
def test_every_pipeline_on_the_device_at_length(device, case):
    agrees(case, device)
    holds(case, "triton", device)
