"""Functional forms with a map of the first parameter, `gaussian_blur(x, sigma=map)`."""

import numpy as np
import pytest
import torch
from test_engine import photo

from degrade import functional
from degrade.ops import REGISTRY

SIZE = (37, 50)
MODULATED = sorted(name for name, op in REGISTRY.items() if op.modulates)


def images(dtype=torch.float32):
    return photo(3, *SIZE, dtype)


def field(low=0.0, high=1.0, seed=0):
    return low + (high - low) * torch.rand(3, 1, *SIZE, generator=torch.Generator().manual_seed(seed))


def test_a_shift_is_what_the_map_says():
    x, shift = images(), field(-0.4, 0.3)
    assert (functional.mean_shift(x, shift) - (x + shift).clamp(0, 1)).abs().max() < 1e-6


@pytest.mark.parametrize("name", MODULATED)
def test_each_pixel_has_its_own_value(name):
    """Of two values a pixel gets the result of its own, as if it were everywhere."""
    op = REGISTRY[name]
    first = next(iter(op.parameters.values()))
    values = (
        [float(first.at(np.array(0.3), np.array(up))) for up in (True, False)]
        if isinstance(first.harsh, tuple)
        else [float(first.at(np.array(s), np.array(True))) for s in (0.2, 0.6)]
    )
    x, pick = images(), field() > 0.5
    y = getattr(functional, name)(x, torch.where(pick, values[0], values[1]))
    each = [getattr(functional, name)(x, value) for value in values]
    assert (y - torch.where(pick, each[0], each[1])).abs().max() < 2e-5, (name, values)


def test_blurs_and_masks():
    x, sigma = images(), field(0.0, 4.0)
    sigma[..., :10], sigma[..., 40:] = 0.0, 4.0
    y = functional.gaussian_blur(x, sigma)
    assert torch.equal(y[..., :10], x[..., :10]) and torch.equal(y[..., 40:], functional.gaussian_blur(x, 4.0)[..., 40:])
    half = torch.full((3, 1, *SIZE), 0.5)
    assert (functional.gaussian_blur(x, sigma, mask=half) - (x + y) / 2).abs().max() < 1e-6
    assert torch.equal(functional.gaussian_blur(x, torch.zeros(3, 1, *SIZE)), x)


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_twin(dtype, device):
    mask = field(seed=1).to(device)
    x = images(dtype).to(device)
    for name, values in (("mean_shift", field(-0.4, 0.3)), ("contrast", field(0.4, 1.8)), ("gaussian_blur", field(0.0, 3.0))):
        got, want = (getattr(functional, name)(x, values.to(device), mask=mask, backend=backend) for backend in ("triton", "torch"))
        assert torch.equal(got, want)


def test_one_map_for_all_and_each_alone():
    x, sigma = images(), field(0.0, 3.0)
    assert torch.equal(functional.gaussian_blur(x, sigma[:1]), functional.gaussian_blur(x, sigma[:1].expand(3, -1, -1, -1)))
    whole = functional.gaussian_noise(x, sigma / 9, ids=[5, 6, 7])
    assert torch.equal(functional.gaussian_noise(x[1], sigma[1:2] / 9, ids=[6]), whole[1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(3, 1, 5, 50), r"sigma is a map \(3, 1, 5, 50\) of torch.float32; accepted: a float map \(3, 1, 37, 50\)"),
        (torch.zeros(3, 3, *SIZE), "accepted: a float map"),
        (torch.zeros(3, 1, *SIZE, dtype=torch.int64), "of torch.int64; accepted: a float map"),
        (torch.full((3, 1, *SIZE), -1.0), "sigma=-1 is out of range; accepted: 0 to 64"),
        (torch.full((3, 1, *SIZE), float("nan")), "sigma=nan is out of range"),
    ],
)
def test_bad_maps(values, message):
    with pytest.raises(ValueError, match=message):
        functional.gaussian_blur(images(), values)


def test_two_sides_of_what_reads_its_neighbours():
    with pytest.raises(ValueError, match="shift holds values above and below 0, which changes nothing; accepted for chromatic_aberration: one side"):
        functional.chromatic_aberration(images(), field(-2.0, 2.0))


def test_a_map_is_a_strength_already():
    with pytest.raises(ValueError, match="blend='modulate' makes the mask the strength of sigma, which is given as a map already"):
        functional.gaussian_blur(images(), field(), mask=field(), blend="modulate")
