"""Gradients of parameters, of which some come through tables that are made on the host."""

import pytest
import torch
from derivative import agree, dot, harsh, photo, random

from degrade import functional as F
from degrade.ops import REGISTRY

LEARNABLE = [(name, parameter) for name, op in REGISTRY.items() for parameter in op.learnable()]


@pytest.mark.parametrize("name, parameter", LEARNABLE, ids=lambda v: v)
def test_the_gradient_of_a_parameter_is_its_derivative(name, parameter):
    op, x, weight = REGISTRY[name], photo(seed=2), random(1, 3, 13, 17, seed=9)
    param, first = op.parameters[parameter], next(iter(op.parameters))
    given = {} if parameter == first else {first: harsh(op)}
    # Where no tap comes or goes within a hundredth, which is a jump.
    at = (
        harsh(op, 0.47)
        if parameter == first
        else {"sigma": 3.2, "angle": 24.0}.get(parameter, 1.02 * param.usual() + 0.013 * (param.high - param.low))
    )
    at = {("elastic_transform", "sigma"): 0.23, ("chromatic_aberration", "sigma"): 0.9, ("frost", "keep"): 0.9, ("fog", "decay"): 2.0}.get(
        (name, parameter), at
    )
    ends = [torch.tensor(at * (1 + way)) for way in (-0.004, 0.004)]
    agree(lambda t: getattr(F, name)(x, **given, **{parameter: t}, seed=3, backend="torch"), *ends, weight, 16, 0.05)


def test_each_sample_has_its_own_parameter():
    x, t = photo(3), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = F.gaussian_blur(x, sigma=t)
    for i in range(3):
        (own,) = torch.autograd.grad(y[i].square().sum(), t, retain_graph=True)
        (alone,) = torch.autograd.grad(F.gaussian_blur(x[i], sigma=(one := t[i].detach().requires_grad_())).square().sum(), one)
        assert own[i] == pytest.approx(float(alone), rel=1e-5) and own.count_nonzero() == 1


@pytest.mark.parametrize(
    "name", [name for name, parameter in LEARNABLE if parameter == next(iter(REGISTRY[name].parameters)) and name != "sinc_filter"]
)
def test_at_its_neutral_value_a_parameter_has_a_gradient(name):
    """There the op is left out; the image comes back as it is, and so does its gradient."""
    op, x = REGISTRY[name], photo(seed=2).requires_grad_()
    t = torch.tensor(next(iter(op.parameters.values())).neutral, requires_grad=True)
    y = getattr(F, name)(x, t, seed=1, backend="torch")
    by_x, by_t = torch.autograd.grad(y.sum(), (x, t))
    assert (
        by_x.isfinite().all()
        and by_t.isfinite()
        and torch.equal(y.detach(), getattr(F, name)(x.detach(), float(t.detach()), seed=1, backend="torch"))
    )
    if torch.equal(y, x):
        torch.testing.assert_close(by_x, torch.ones_like(x))
    if name in ("mean_shift", "box_blur", "motion_blur"):
        aside = 0.02
        change = dot(getattr(F, name)(x, float(t.detach()) + aside, backend="torch") - y, torch.ones(1)) / aside
        assert float(by_t) == pytest.approx(change, rel=0.05, abs=2e-2)


def test_a_parameter_is_found_by_descent():
    x, sigma = photo(1, 32, 32), torch.tensor(0.8, requires_grad=True)
    want, descent = F.gaussian_blur(x, sigma=2.2), torch.optim.Adam([sigma], 0.05)
    for _ in range(120):
        descent.zero_grad()
        (F.gaussian_blur(x, sigma=sigma) - want).square().mean().backward()
        descent.step()
    assert float(sigma.detach()) == pytest.approx(2.2, abs=0.02)


def test_a_map_of_a_parameter():
    x, weight = photo(), random(1, 3, 13, 17, seed=4)
    low, high = 0.1 * random(1, 1, 13, 17), 0.1 * random(1, 1, 13, 17, seed=1) + 0.05
    agree(lambda v: F.mean_shift(x, amount=v, backend="torch"), low, high, weight, 8, 1e-4)
    agree(lambda v: F.gaussian_noise(x, std=v, backend="torch"), low, high, weight, 8, 1e-3)
