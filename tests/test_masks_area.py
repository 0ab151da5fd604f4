"""Mask families: the area that they promise is what they cover, at any feather and on any frame."""

import numpy as np
import pytest
from mask_weights import ABOUT, DRAWN, family, render, uniforms

from degrade import masks
from degrade.distributions import Choice

FRAMES = [(224, 224), (96, 160), (225, 223), (33, 48), (32, 512), (400, 30)]
AREAS = (0.02, 0.1, 0.4, 0.65, 0.9)
FEATHERS = (0.0, 0.02, 0.1, 0.4, 2.0)


@pytest.mark.parametrize("size", FRAMES, ids=str)
@pytest.mark.parametrize("name", DRAWN)
def test_area(name, size):
    h, w = size
    for area in AREAS:
        for feather in FEATHERS:
            mask = family(name, area=area, feather=feather)
            got = render(mask, mask.draw(uniforms(mask, 8), h, w), h, w).mean((1, 2)).numpy()
            # A peak of 1 takes a whole row: on a small frame that alone can be more than the area.
            slack = max(0.01, 1.0 / min(h, w) - area + 1e-3) if name in ("gradient", "stripes") else ABOUT.get(name, 0.01)
            assert np.abs(got - area).max() <= slack, (area, feather, got)


@pytest.mark.parametrize("name", DRAWN)
def test_area_of_hard_edges_along_the_axes(name):
    given = {"angle": Choice([0.0, 90.0, 180.0, -90.0])} if "angle" in masks.FAMILIES[name].parameters else {}
    for area in (0.05, 0.3, 0.5, 0.8):
        mask = family(name, area=area, feather=(0.0, 0.01), **given)
        got = render(mask, mask.draw(uniforms(mask, 12, seed=2), 96, 160), 96, 160).mean((1, 2)).numpy()
        assert np.abs(got - area).max() <= ABOUT.get(name, 0.01), (area, got)


@pytest.mark.parametrize("name", DRAWN)
def test_area_between_the_pixels(name):
    """The area belongs to the shape, not to the pixel grid: four times as many points see the same."""
    for area in (0.05, 0.3, 0.9):
        for feather in (0.02, 0.3):
            mask = family(name, area=area, feather=feather)
            got = render(mask, mask.draw(uniforms(mask, 4), 96, 160), 96, 160, fine=4).mean((1, 2)).numpy()
            assert np.abs(got - area).max() <= ABOUT.get(name, 0.01), (area, feather, got)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("area", (0.97, 1.0))
def test_nearly_everything(name, area):
    for feather in (0.0, 0.1, 1.0):
        mask = family(name, area=area, feather=feather)
        got = render(mask, mask.draw(uniforms(mask, 8), 96, 160), 96, 160).mean((1, 2)).numpy()
        assert np.abs(got - area).max() <= ABOUT.get(name, 0.01), (feather, got)


@pytest.mark.heavy
@pytest.mark.parametrize("size", FRAMES[:3], ids=str)
@pytest.mark.parametrize("name", DRAWN)
def test_area_of_many(name, size):
    h, w = size
    for seed in range(4):
        for given in ({}, {"area": (0.02, 0.9), "feather": (0.0, 0.5)}):
            mask = family(name, **given)
            u = uniforms(mask, 64, seed)
            wanted = mask.values["area"].draw(u[:, list(mask.values).index("area")])
            assert np.abs(render(mask, mask.draw(u, h, w), h, w).mean((1, 2)).numpy() - wanted).max() <= ABOUT.get(name, 0.01)
