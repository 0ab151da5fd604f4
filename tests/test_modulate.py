"""blend="modulate": the mask is the strength of an op, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_engine import photo

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Local, MeanShift, OneOf, Pipeline, Relative, SomeOf, UnsharpMask, masks
from degrade.kernels.plan import PRODUCT
from degrade.ops import REGISTRY

SIZE, IDS = (18, 33), (4, 9, 2)
MODULATED = sorted(name for name, op in REGISTRY.items() if op.modulates)


def strength(seed=0):
    """0 on the left, 1 on the right, anything between."""
    m = torch.rand(len(IDS), 1, *SIZE, generator=torch.Generator().manual_seed(seed))
    m[..., :9], m[..., 22:] = 0.0, 1.0
    return m


def options(op):
    """Every option of an op by itself."""
    return [{}] + [{name: choice} for name, param in op.parameters.items() if param.choices for choice in param.choices]


def modulated(op, seed=1, **given):
    return Pipeline(Local(op(**given), masks.FromTensor(), blend="modulate"), seed=seed)


def everywhere(program, first=None):
    """The same program with its ops over the whole frame, at another first parameter."""
    theta = program.theta.copy()
    if first is not None:
        theta[..., 0] = first
    return replace(program, theta=theta, fold=np.array([PRODUCT], dtype=np.int32)), torch.ones(len(IDS), 1, *SIZE)


@pytest.mark.parametrize("name", MODULATED)
def test_each_pixel_has_the_parameter_of_its_strength(name):
    op = REGISTRY[name]
    x, m = photo(len(IDS), *SIZE, torch.float32), strength()
    first = np.float32(next(iter(op.parameters.values())).neutral)
    for i, given in enumerate(options(op)):
        program = modulated(op, seed=i, **given).sample(IDS, SIZE)
        y = degrade.apply(program, x, mask=m)
        full, ones = everywhere(program)
        strong = degrade.apply(full, x, mask=ones)
        assert torch.equal(y[..., :9], x[..., :9]), given
        assert torch.equal(y[..., 22:], strong[..., 22:]), given
        # Where the strength is everywhere one value the op is that at the parameter between.
        for c in (0.25, 0.83):
            part, ones = everywhere(program, first + np.float32(c) * (program.theta[..., 0] - first))
            assert torch.equal(degrade.apply(program, x, mask=torch.full_like(m, c)), degrade.apply(part, x, mask=ones)), (given, c)


@pytest.mark.parametrize("name", MODULATED)
def test_a_pixel_does_not_know_its_neighbours_strength(name):
    """At a pixel only its own strength counts: the result is that of its strength everywhere."""
    op = REGISTRY[name]
    x = photo(len(IDS), *SIZE, torch.uint8)
    m = (torch.arange(SIZE[1]) % 3 / 2.0).expand(len(IDS), 1, *SIZE)
    program = modulated(op).sample(IDS, SIZE)
    y = degrade.apply(program, x, mask=m)
    for column, c in enumerate((0.0, 0.5, 1.0)):
        assert torch.equal(y[..., column::3], degrade.apply(program, x, mask=torch.full_like(m, c))[..., column::3])


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
@pytest.mark.parametrize("group", sorted({REGISTRY[name].group for name in MODULATED}))
def test_kernels_equal_the_twin(group, dtype, device):
    """All ops of a group in one set of kernels, modulated and not, masks drawn and given, one within the other."""
    ops = [REGISTRY[name] for name in MODULATED if REGISTRY[name].group == group]
    each = [
        *(Local(op(), masks.Ellipse(area=0.5, feather=0.4), blend="modulate") for op in ops),
        *(Local(Local(op(), masks.FromTensor(), blend="modulate"), masks.Union(masks.Boxes(), masks.Ellipse())) for op in ops),
        *(Local(op(), masks.Ellipse(area=0.4)) for op in ops),
        *(op() for op in ops),
    ]
    ids = np.arange(4 * len(each))
    x, m = photo(len(ids), *SIZE, dtype).to(device), torch.rand(len(ids), 1, *SIZE, generator=torch.Generator().manual_seed(3))
    program = Pipeline(OneOf(*each), seed=2).sample(ids, SIZE)
    assert len(np.unique(program.code)) == len(ops)
    got, want = (degrade.apply(program, x, mask=m.to(device), backend=backend) for backend in ("triton", "torch"))
    tolerance = 0.0 if device == "cpu" else max(op.tolerance for op in ops) + (1.0 if dtype == torch.uint8 else 0.0)
    assert float((got.float() - want.float()).abs().max()) <= tolerance


def test_shift_and_noise_by_hand():
    x = torch.full((1, 3, 16, 64), 0.5)
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 16, 64)
    torch.testing.assert_close(degrade.functional.mean_shift(x, 0.25, mask=ramp, blend="modulate"), (x + 0.25 * ramp), atol=2e-7, rtol=0)
    noisy = degrade.functional.gaussian_noise(x.expand(1, 3, 16, 64), 0.1, mask=ramp, blend="modulate") - x
    plain = degrade.functional.gaussian_noise(x, 0.1) - x
    torch.testing.assert_close(noisy, plain * ramp, atol=2e-7, rtol=0)
    grown = degrade.functional.gamma(x, 3.0, mask=ramp, blend="modulate")
    torch.testing.assert_close(grown, x ** (1 + 2 * ramp), atol=1e-5, rtol=0)


def test_alpha_around_modulate():
    x, m, outer = photo(len(IDS), *SIZE, torch.float32), strength(), torch.rand(len(IDS), 1, *SIZE)
    inner = Local(MeanShift(0.3), masks.FromTensor(m[0, 0]), blend="modulate")
    y = Pipeline(Local(inner, masks.FromTensor(outer[0, 0])), seed=1)(x, ids=IDS)
    f = (x + 0.3 * m[:1]).clamp(0, 1)
    want = x + outer[:1] * (f - x)
    torch.testing.assert_close(y, torch.where(m[:1] == 0, x, want.clamp(0, 1)), atol=1e-6, rtol=0)


def test_labels_hold_the_strength():
    x, m = photo(len(IDS), *SIZE), strength()
    _, labels = modulated(GaussianNoise)(x, ids=IDS, mask=m, labels=True)
    assert torch.equal(labels.masks[:, 0], m[:, 0])
    torch.testing.assert_close(labels.area[:, 0], m.mean((1, 2, 3)))
    torch.testing.assert_close(labels.composite_severity, m[:, 0] * labels.severity[..., None])


def test_half_precision_and_layouts():
    m = strength()
    for dtype in (torch.float16, torch.bfloat16, torch.uint8):
        x = photo(len(IDS), *SIZE, dtype)
        pipe = modulated(UnsharpMask)
        y = pipe(x, ids=IDS, mask=m)
        assert y.dtype == dtype and torch.equal(y[..., :9], x[..., :9])
        assert torch.equal(pipe(x.to(memory_format=torch.channels_last), ids=IDS, mask=m), y)
        assert torch.equal(pipe(x[1:2], ids=IDS[1:2], mask=m[1:2]), y[1:2])


def test_gradients_reach_the_strength():
    x, m = torch.full((1, 3, 8, 8), 0.5), torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
    (got,) = torch.autograd.grad(degrade.functional.mean_shift(x, 0.2, mask=m, blend="modulate").sum(), m)
    torch.testing.assert_close(got, torch.full_like(m, 0.6))


def test_files(tmp_path):
    child = OneOf(MeanShift(0.2), Relative(UnsharpMask(), reference_size=64))
    pipe = Pipeline(Compose(Local(child, masks.Ellipse(), blend="modulate", p=0.7), GaussianBlur(1.0)), seed=4)
    pipe.save(tmp_path / "p.yaml")
    again = degrade.load(tmp_path / "p.yaml")
    program = pipe.sample(range(8), SIZE)
    assert repr(again) == repr(pipe) and again.sample(range(8), SIZE).equals(program)
    program.save(tmp_path / "p.json")
    assert degrade.load(tmp_path / "p.json").equals(program)
    assert "by ellipse" in program.describe(int(np.flatnonzero(program.code[:, 0] >= 0)[0]))


def test_what_is_refused():
    for child in (Compose(MeanShift()), SomeOf(MeanShift()), Local(MeanShift(), masks.Ellipse())):
        with pytest.raises(ValueError, match=f"blend='modulate' of {type(child).__name__}"):
            Local(child, masks.Ellipse(), blend="modulate")
    with pytest.raises(ValueError, match="did you mean 'modulate'"):
        Local(MeanShift(), masks.Ellipse(), blend="modulated")
    with pytest.raises(ValueError, match="needs mask="):
        degrade.functional.mean_shift(torch.zeros(1, 3, 4, 4), 0.1, blend="modulate")


def test_modulated_ops_leave_the_last_parameter_free():
    for name in MODULATED:
        op = REGISTRY[name]
        first = next(iter(op.parameters.values()))
        assert len(op.parameters) < degrade.op.MAX_PARAMETERS and not first.integer and not first.choices, name
