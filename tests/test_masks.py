"""Mask families: the pixels they touch, equal bits on every path, and their arguments."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from mask_weights import ALL, DRAWN, family, render, render_by_kernel, uniforms

import degrade
from degrade import Compose, Local, Pipeline, masks
from degrade.backends.native import interpreted
from degrade.kernels.exact import sqrt
from degrade.masks.base import Mask

ODD_FRAMES = [(1, 1), (7, 13), (33, 48), (225, 223)]


def test_families_are_found():
    assert {"rectangle", "ellipse", "gradient", "blob", "polygon", "stripes", "from_tensor"} <= set(masks.FAMILIES)
    for name, cls in masks.FAMILIES.items():
        assert issubclass(cls, Mask) and getattr(masks, cls.__name__) is cls and cls.name == name
        assert cls.caption.endswith(".") and "\n" not in cls.caption


# ---- range, peak, support, feather ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ODD_FRAMES, ids=str)
@pytest.mark.parametrize("name", ALL)
def test_range_peak_and_support(name, size):
    h, w = size
    for area in (0.02, 0.3, 0.75, 1.0):
        for feather in (0.0, 0.2, 2.0):
            mask = family(name, size, area=area, feather=feather)
            numbers = mask.draw(uniforms(mask, 8, seed=1), h, w)
            weight = render(mask, numbers, h, w)
            assert weight.shape == (8, h, w) and weight.dtype == torch.float32
            assert bool(torch.isfinite(weight).all()) and float(weight.min()) >= 0.0 and float(weight.max()) <= 1.0
            if min(h, w) >= 33:
                assert bool((weight.amax((1, 2)) == 1.0).all()), (area, feather)
            for row, (y0, y1, x0, x1) in zip(weight, mask.support(numbers, h, w)):
                assert 0 <= y0 <= y1 <= h and 0 <= x0 <= x1 <= w
                outside = row.clone()
                outside[y0:y1, x0:x1] = 0.0
                assert float(outside.max()) == 0.0


@pytest.mark.parametrize("name", ("rectangle", "ellipse", "blob", "polygon"))
def test_support_is_tight(name):
    mask = family(name, area=0.05, feather=0.05)
    numbers = mask.draw(uniforms(mask, 16), 224, 224)
    for row, (y0, y1, x0, x1) in zip(render(mask, numbers, 224, 224), mask.support(numbers, 224, 224)):
        ys, xs = np.nonzero(row.numpy().any(1))[0], np.nonzero(row.numpy().any(0))[0]
        gaps = (ys[0] - y0, y1 - 1 - ys[-1], xs[0] - x0, x1 - 1 - xs[-1])
        assert max(gaps) <= 3, gaps


# Shapes so large that the ramp does not soon fill all that it may.
ROOMY = {
    "stripes": {"period": 2.0},
    "checker": {"cell": 0.5},
    "boxes": {"count": 1, "stretch": 1.0},
    "clouds": {"scale": 1.0, "roughness": 0.0},
}


@pytest.mark.parametrize("name", ALL)
def test_feather_widens_the_ramp(name):
    soft = []
    for feather in (0.0, 0.05, 0.15, 0.4):
        mask = family(name, area=0.3, feather=feather, **ROOMY.get(name, {}))
        weight = render(mask, mask.draw(uniforms(mask, 8), 96, 160), 96, 160)
        soft.append(((weight > 0) & (weight < 1)).float().mean((1, 2)))
    for thinner, wider in pairwise(soft):
        assert bool((wider > thinner).all())


@pytest.mark.parametrize("name", ("rectangle", "ellipse", "blob", "polygon"))
def test_positions_vary_and_fit(name):
    mask = masks.FAMILIES[name](area=0.05, feather=0.1)
    numbers = mask.draw(uniforms(mask, 256), 96, 160)
    assert np.ptp(numbers[:, 0]) > 40 and np.ptp(numbers[:, 1]) > 80
    box = mask.support(numbers, 96, 160)
    weight = render(mask, numbers, 96, 160)
    assert float(weight[:, [0, -1]].max()) < 0.2 and float(weight[:, :, [0, -1]].max()) < 0.2  # at most the foot of the ramp
    assert len(np.unique(box, axis=0)) > 200


# ---- equal bits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("area", ((0.02, 0.4), (0.3, 1.0)), ids=str)
@pytest.mark.parametrize("name", ALL)
def test_rows_are_independent(name, area):
    h, w = 96, 160
    mask = family(name, area=area)
    u = uniforms(mask, 37, seed=4)
    numbers = mask.draw(u, h, w)
    assert numbers.shape == (37, mask.columns) and numbers.dtype == np.float32
    weight, box = render(mask, numbers, h, w), mask.support(numbers, h, w)
    for i in range(0, 37, 5):
        alone = mask.draw(u[i : i + 1], h, w)
        assert np.array_equal(alone[0], numbers[i]), i
        assert np.array_equal(mask.support(alone, h, w)[0], box[i])
        assert torch.equal(render(mask, alone, h, w)[0], weight[i])
    order = np.random.default_rng(0).permutation(37)
    assert np.array_equal(mask.draw(u[order], h, w), numbers[order])


def test_the_twins_root_is_rounded_correctly():
    x = torch.rand(10_007, generator=torch.Generator().manual_seed(0)) * 1000
    assert np.array_equal(sqrt(x).numpy(), np.sqrt(x.numpy().astype(np.float64)).astype(np.float32))


@pytest.mark.device
@pytest.mark.parametrize("size", ((33, 48), (7, 13), (1, 1), *([] if interpreted() else [(225, 223)])), ids=str)
@pytest.mark.parametrize("name", ALL)
def test_device_equals_twin(name, size, device):
    h, w = size
    for given in ({}, {"area": (0.5, 1.0), "feather": (0.0, 1.0)}):
        mask = family(name, size, **given)
        numbers = mask.draw(uniforms(mask, 6, seed=5), h, w)
        assert torch.equal(render_by_kernel(mask, numbers, h, w, device), render(mask, numbers, h, w))


# ---- programs ---------------------------------------------------------------------------------------------------------------


def test_counts_beyond_what_there_is_are_cut():
    """A damaged program must not read beyond its numbers."""
    for name, column in (("polygon", 2), ("polygon", 3), ("boxes", 0), ("ellipses", 0), ("brush", 0), ("voronoi", 0)):
        mask = family(name)
        numbers = mask.draw(uniforms(mask, 2), 33, 48)
        numbers[:, column] = 1e9
        render(mask, numbers, 33, 48)


def test_a_recipe_has_the_columns_of_its_largest_family(tmp_path):
    narrow = Pipeline(Local(degrade.MeanShift(0.2), masks.Ellipse()))
    wide = Pipeline(
        Compose(Local(degrade.MeanShift(0.2), masks.Ellipse()), Local(degrade.Contrast(0.4), masks.Polygon()), degrade.MeanShift(0.1)), seed=1
    )
    assert narrow.sample([1], (33, 48)).numbers.shape == (1, 1, 16)
    program = wide.sample(range(5), (33, 48))
    assert program.numbers.shape == (5, 2, masks.Polygon.columns)
    program.save(tmp_path / "p.json")
    assert degrade.load(tmp_path / "p.json").equals(program)
    wide.save(tmp_path / "p.yaml")
    assert degrade.load(tmp_path / "p.yaml").sample(range(5), (33, 48)).equals(program)


# ---- arguments --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_bad_arguments_are_named(name):
    cls = masks.FAMILIES[name]
    with pytest.raises(ValueError, match=r"area=1\.5 is out of range; accepted: 0\.001 to 1 of the frame"):
        cls(area=(0.1, 1.5))
    with pytest.raises(ValueError, match=r"feather=-0\.1 is out of range"):
        cls(feather=-0.1)
    with pytest.raises(TypeError, match="'fether' is unknown; did you mean 'feather'"):
        cls(fether=0.1)


@pytest.mark.parametrize("name", ALL)
def test_to_dict_builds_the_same_mask(name):

    mask = family(name)
    again = type(mask)(**json.loads(json.dumps(mask.to_dict())))
    u = uniforms(mask, 5)
    assert np.array_equal(mask.draw(u, 96, 160), again.draw(u, 96, 160))
    assert mask.bank is None or torch.equal(mask.bank, again.bank)
    assert repr(mask).startswith(type(mask).__name__ + "(") and len(repr(mask)) < 300
