"""Single types of banks: levels, whole and fractional, and the parameters that they give."""

import numpy as np
import pytest
import skimage.data
import torch
from bank_programs import WITH_TYPES, equally_likely, make, names

import degrade
from degrade import banks
from degrade import functional as F
from degrade.ops import find


@pytest.mark.parametrize("name", WITH_TYPES)
def test_an_unknown_type_gives_the_nearest(name):
    bank = make(name)
    known = next(iter(bank.types))
    with pytest.raises(ValueError, match=rf"{name} type '{known}x' is unknown; did you mean '{known}'\? Accepted: "):
        bank.single(known + "x")


@pytest.mark.parametrize("level", [0, 0.99, 5.01, 6, -1, float("nan")])
def test_a_level_outside_the_table_is_refused(level):
    with pytest.raises(ValueError, match=r"jpeg level=.* is out of range; accepted: 1 to 5\."):
        banks.kadid10k().single("jpeg", level)


def test_a_level_is_a_number_or_a_distribution():
    bank = banks.kadid10k()
    assert equally_likely(bank.single("jpeg").sample(range(4000), (8, 8)).level[:, 0], 5)
    drawn = bank.single("gaussian_blur", (2, 3)).sample(range(400), (8, 8))
    np.testing.assert_allclose(drawn.theta[:, 0, 0], np.interp(drawn.level[:, 0], (2, 3), (0.5, 1)), rtol=1e-6)
    assert set(bank.single("jpeg", degrade.Choice([1, 4])).sample(range(40), (8, 8)).theta[:, 0, 0]) == {43, 7}
    with pytest.raises(ValueError, match="accepted: 1 to 5"):
        bank.single("jpeg", (1, 6))


def test_fractional_levels_interpolate_and_whole_numbers_round():
    bank = banks.kadid10k()

    def first(name, level):
        return float(bank.single(name, level).sample([0], (8, 8)).theta[0, 0, 0])

    assert first("jpeg", 2.5) == 30 and first("jpeg", 1.5) == 40 and first("jpeg", 4.75) == 5
    assert first("gaussian_blur", 2.5) == 0.75 and first("mean_shift", 3.5) == pytest.approx(-0.04)
    x = torch.from_numpy(skimage.data.astronaut()[:40, :48].transpose(2, 0, 1).copy())[None]
    assert torch.equal(bank.single("jpeg", 2.5)(x), F.jpeg(x, quality=30))


@pytest.mark.parametrize("name", WITH_TYPES)
def test_whole_numbered_parameters_are_whole_at_every_level(name):
    bank = make(name)
    for t in bank.types:
        program = bank.single(t, (1, 5)).sample(range(50), (96, 96))
        for slot, op in enumerate(names(program)[0]):
            for i, q in enumerate(find(op).parameters.values()):
                if q.integer or q.choices:
                    assert (program.theta[:, slot, i] == np.floor(program.theta[:, slot, i])).all()


def test_single_takes_a_pipelines_options():
    x = torch.full((1, 3, 16, 16), 0.5)
    one, two = (banks.kadid10k().single("white_noise", 5, seed=s)(x, ids=[0]) for s in (1, 2))
    assert not torch.equal(one, two)
