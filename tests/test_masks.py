"""Mask families: the area they promise, the pixels they touch, and equal bits on every path."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from degrade import masks
from degrade.backends.engine import launch_on
from degrade.backends.native import interpreted
from degrade.distributions import Choice, LogUniform
from degrade.kernels.exact import sqrt
from degrade.kernels.lang import jit, tl
from degrade.masks.base import Mask

FRAMES = [(224, 224), (96, 160), (225, 223), (33, 48), (32, 512), (400, 30)]
ODD_FRAMES = [(1, 1), (7, 13), (33, 48), (225, 223)]
AREAS = (0.02, 0.1, 0.4, 0.65, 0.9)
FEATHERS = (0.0, 0.02, 0.1, 0.4, 2.0)
DRAWN = sorted(name for name, cls in masks.FAMILIES.items() if not cls.reads_map)
ALL = [*DRAWN, "from_tensor"]  # those that a call makes have tests of their own
ABOUT = {"clouds": 0.015, "voronoi": 0.02}  # areas found from a lattice of points, where the shapes are finest


def family(name, size=(96, 160), **given):
    """A family with the widest shapes it accepts; from_tensor gets smooth random scores of the frame's size."""
    cls = masks.FAMILIES[name]
    if name == "from_tensor":
        return cls(tensor=scores(5, *size), **{"area": (0.05, 0.4), **given})
    wide = {"aspect": LogUniform(0.1, 10.0), "roughness": (0.0, 1.0), "angle": (-360.0, 360.0)}
    wide |= {"irregularity": (0.0, 1.0), "vertices": (3, 16), "spread": 1.0, "inward": 0.5, "stretch": 10.0, "count": (1, 6)}
    wide |= {"segments": (1, 16), "turn": 180.0, "cells": (2, 32), "scale": (0.15, 1.0)}
    if name == "clouds":
        wide["roughness"] = (0.0, 0.7)
    if name == "ellipses":
        wide |= {"count": (1, 8), "aspect": LogUniform(0.2, 5.0)}
    if "centre" in given:
        del wide["spread"]  # of centres, which it settles
    return cls(**{**{k: v for k, v in wide.items() if k in cls.parameters}, **given})


def scores(k, h, w, seed=3):
    coarse = torch.rand((k, 1, 6, 6), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(h, w), mode="bilinear")[:, 0].clamp(0, 1)


def uniforms(mask, n, seed=0):
    return np.random.default_rng(seed).random((n, mask.draws))


def render(mask, numbers, h, w, fine=1):
    """The twin's weights, (n, h, w), or on a grid `fine` times as dense."""
    columns = tuple(torch.from_numpy(numbers[:, i].copy()).reshape(-1, 1, 1) for i in range(numbers.shape[1]))
    y = (torch.arange(h * fine, dtype=torch.float32) + 0.5) / fine
    x = (torch.arange(w * fine, dtype=torch.float32) + 0.5) / fine
    return mask.weight(y[:, None], x, columns, mask.bank)


def test_families_are_found():
    assert {"rectangle", "ellipse", "gradient", "blob", "polygon", "stripes", "from_tensor"} <= set(masks.FAMILIES)
    for name, cls in masks.FAMILIES.items():
        assert issubclass(cls, Mask) and getattr(masks, cls.__name__) is cls and cls.name == name
        assert cls.caption.endswith(".") and "\n" not in cls.caption


# ---- area ---------------------------------------------------------------------------------------------------------------


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


# ---- range, peak, support, feather --------------------------------------------------------------------------------------


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


def test_blob_outline_stays_off_its_centre():
    mask = masks.Blob(area=0.3, feather=0.0, roughness=1.0)
    numbers = mask.draw(np.where(np.arange(mask.draws) >= mask.draws - 8, 0.999999, uniforms(mask, 64)), 224, 224)
    amplitude = np.hypot(numbers[:, 4:8], numbers[:, 8:12]).sum(1)
    assert amplitude.max() <= 0.8501


# ---- equal bits ---------------------------------------------------------------------------------------------------------


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


@jit
def _render(out, numbers, bank, count, height, width, SHAPE):
    high_tiles, wide_tiles = (height + 15) // 16, (width + 31) // 32
    sample, tile = tl.program_id(0) // (high_tiles * wide_tiles), tl.program_id(0) % (high_tiles * wide_tiles)
    p = numbers + sample * count
    low = (tl.load(p), tl.load(p + 1), tl.load(p + 2), tl.load(p + 3), tl.load(p + 4), tl.load(p + 5), tl.load(p + 6), tl.load(p + 7))
    high = (tl.load(p + 8), tl.load(p + 9), tl.load(p + 10), tl.load(p + 11), tl.load(p + 12), tl.load(p + 13), tl.load(p + 14), tl.load(p + 15))
    rows = tile // wide_tiles * 16 + tl.arange(0, 16)[:, None]
    columns = tile % wide_tiles * 32 + tl.arange(0, 32)[None, :]
    y, x = tl.minimum(rows, height - 1).to(tl.float32) + 0.5, tl.minimum(columns, width - 1).to(tl.float32) + 0.5
    weight = SHAPE[0](y, x, low + high, p, (bank, height, width))
    at = sample * height * width + rows * width + columns
    tl.store(out + at, weight, mask=(rows < height) & (columns < width))


@pytest.mark.device
@pytest.mark.parametrize("size", ((33, 48), (7, 13), (1, 1), *([] if interpreted() else [(225, 223)])), ids=str)
@pytest.mark.parametrize("name", ALL)
def test_device_equals_twin(name, size, device):
    h, w = size
    for given in ({}, {"area": (0.5, 1.0), "feather": (0.0, 1.0)}):
        mask = family(name, size, **given)
        numbers = mask.draw(uniforms(mask, 6, seed=5), h, w)
        out = torch.full((6, h, w), -1.0, device=device)
        bank = (mask.bank if mask.bank is not None else torch.zeros(1)).to(device)
        tiles = -(-w // 32) * -(-h // 16) * 6
        launch_on(out, _render, (tiles,), (out, torch.from_numpy(numbers).to(device), bank, mask.columns, h, w), {}, SHAPE=(type(mask).device,))
        assert torch.equal(out.cpu(), render(mask, numbers, h, w))


@pytest.mark.device
def test_device_reads_plain_maps(device):
    mask = masks.FromTensor(scores(3, 20, 40))
    numbers = mask.draw(uniforms(mask, 6), 20, 40)
    out = torch.full((6, 20, 40), -1.0, device=device)
    arguments = out, torch.from_numpy(numbers).to(device), mask.bank.to(device), mask.columns, 20, 40
    launch_on(out, _render, (2 * 2 * 6,), arguments, {}, SHAPE=(masks.FromTensor.device,))
    assert torch.equal(out.cpu(), mask.bank[numbers[:, 0].astype(int)])


# ---- shapes that are given -----------------------------------------------------------------------------------------------

STAR = [[0.1, 0.1], [0.5, 0.3], [0.15, 0.8], [0.9, 0.9], [0.6, 0.55], [0.95, 0.2]]


def ramp(depth):
    """The weight at some depth over the width of the ramp."""
    t = np.clip(depth, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@pytest.mark.parametrize("points", (STAR, [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [[0.2, 0.2], [0.2, 0.8], [0.8, 0.8], [0.8, 0.2]]), ids=len)
def test_polygon_of_points_is_a_signed_distance(points):
    cv2 = pytest.importorskip("cv2")
    h, w = 96, 160
    mask = masks.Polygon(points=points, feather=0.1)
    weight = render(mask, mask.draw(uniforms(mask, 2), h, w), h, w)
    ring = (np.asarray(points)[:, ::-1] * (w, h)).astype(np.float32)
    depth = np.array([[cv2.pointPolygonTest(ring, (x + 0.5, y + 0.5), True) for x in range(w)] for y in range(h)])
    assert np.abs(weight[0].numpy() - ramp(depth / (0.1 * (h * w) ** 0.5))).max() < 1e-4
    assert torch.equal(weight[0], weight[1]) and mask.draws == 1


def test_the_ramp_of_points_is_capped_at_their_depth():
    mask = masks.Polygon(points=STAR, feather=2.0)
    assert float(render(mask, mask.draw(uniforms(mask, 1), 96, 160), 96, 160).max()) == 1.0
    hard = masks.Polygon(points=[[0.25, 0.25], [0.25, 0.75], [0.75, 0.75], [0.75, 0.25]], feather=0.0)
    square = torch.zeros(40, 80)
    square[10:30, 20:60] = 1.0
    assert torch.equal(render(hard, hard.draw(uniforms(hard, 1), 40, 80), 40, 80)[0], square)


def test_repeated_and_collinear_points_change_nothing():
    plain, odd = (
        masks.Polygon(points=[[0, 0], [1, 0], [1, 1]], feather=0.2),
        masks.Polygon(points=[[0, 0], [0, 0], [0.5, 0], [1, 0], [1, 1], [1, 1]], feather=0.2),
    )
    one, two = (render(m, m.draw(uniforms(m, 1), 33, 48), 33, 48) for m in (plain, odd))
    assert float((one - two).abs().max()) < 1e-4


def test_boxes_that_are_given():
    h, w, boxes = 40, 80, [[0.1, 0.1, 0.6, 0.3], [0.25, 0.2, 1.0, 0.75]]
    hard, soft = masks.Boxes(boxes=boxes, feather=0.0), masks.Boxes(boxes=boxes, feather=0.1)
    y, x = np.arange(h)[:, None] + 0.5, np.arange(w) + 0.5
    inside, weight = np.zeros((h, w)), np.zeros((h, w))
    for y0, x0, y1, x1 in np.asarray(boxes) * (h, w, h, w):
        depth = np.minimum(np.minimum(y - y0, y1 - y), np.minimum(x - x0, x1 - x))
        inside = np.maximum(inside, depth > 0)
        weight = np.maximum(weight, ramp(depth / (0.1 * (h * w) ** 0.5)))
    assert np.array_equal(render(hard, hard.draw(uniforms(hard, 1), h, w), h, w)[0].numpy(), inside)
    assert np.abs(render(soft, soft.draw(uniforms(soft, 1), h, w), h, w)[0].numpy() - weight).max() < 1e-5


@pytest.mark.device
@pytest.mark.parametrize(
    "given", ({"points": STAR}, {"points": [[0, 0], [0, 0], [1, 0], [1, 1]]}, {"boxes": [[0.1, 0.1, 0.6, 0.3], [0.2, 0.2, 1, 1]]}), ids=str
)
def test_device_equals_twin_on_given_shapes(given, device):
    mask = (masks.Polygon if "points" in given else masks.Boxes)(**given)
    numbers = mask.draw(uniforms(mask, 3), 33, 48)
    out = torch.full((3, 33, 48), -1.0, device=device)
    arguments = out, torch.from_numpy(numbers).to(device), torch.zeros(1, device=device), mask.columns, 33, 48
    launch_on(out, _render, (3 * 2 * 3,), arguments, {}, SHAPE=(type(mask).device,))
    assert torch.equal(out.cpu(), render(mask, numbers, 33, 48))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: masks.Polygon(points=[[0, 0], [1, 1]]), ValueError, ("points", "2 x 2", "3 to 32 rows of 2 numbers (y, x) from 0 to 1")),
        (lambda: masks.Polygon(points=np.zeros((33, 2))), ValueError, ("points", "33 x 2", "accepted")),
        (lambda: masks.Polygon(points=[[0, 0], [1, 1], [1, 2]]), ValueError, ("points holds 2", "from 0 to 1")),
        (lambda: masks.Polygon(points=[[0, 0], [1, 1], [1, float("nan")]]), ValueError, ("points holds nan",)),
        (lambda: masks.Polygon(points=5), ValueError, ("points", "one number", "accepted")),
        (lambda: masks.Polygon(points="abc"), TypeError, ("points='abc'", "accepted")),
        (lambda: masks.Polygon(points=STAR, area=0.2), ValueError, ("area=0.2", "points=", "leave one of them out")),
        (lambda: masks.Polygon(points=STAR, vertices=5), ValueError, ("vertices=5", "points=")),
        (lambda: masks.Polygon(vertices=2), ValueError, ("vertices=2", "3 to 16")),
        (lambda: masks.Polygon(vertices=4.5), ValueError, ("vertices=4.5", "whole")),
        (lambda: masks.Polygon(corners=5), TypeError, ("'corners'", "accepted")),
        (lambda: masks.Boxes(boxes=[[0, 0, 1]]), ValueError, ("boxes", "1 x 3", "(y0, x0, y1, x1)")),
        (lambda: masks.Boxes(boxes=[[0.5, 0, 0.5, 1]]), ValueError, ("boxes holds (0.5, 0, 0.5, 1), which is empty", "y0 < y1")),
        (lambda: masks.Boxes(boxes=[[0, 0, 1, 1]], count=2), ValueError, ("count=2", "boxes=")),
        (lambda: masks.Boxes(count=9), ValueError, ("count=9", "1 to 6 boxes")),
        (lambda: masks.Ellipses(count=9), ValueError, ("count=9", "1 to 8 ellipses")),
        (lambda: masks.Ellipses(aspect=8), ValueError, ("aspect=8", "0.2 to 5")),
        (lambda: masks.Voronoi(cells=1), ValueError, ("cells=1", "2 to 32 cells")),
    ],
)
def test_bad_shapes_are_named(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


@pytest.mark.parametrize("mask", (masks.Polygon(points=STAR, feather=(0.0, 0.1)), masks.Boxes(boxes=[[0, 0, 0.5, 1]])), ids=("polygon", "boxes"))
def test_given_shapes_are_saved(mask):
    import json

    again = type(mask)(**json.loads(json.dumps(mask.to_dict())))
    u = uniforms(mask, 5)
    assert np.array_equal(mask.draw(u, 96, 160), again.draw(u, 96, 160)) and len(repr(mask)) < 100


# ---- what is special to a family -------------------------------------------------------------------------------------------


def test_stripes_are_their_formula():
    h, w = 96, 160
    mask = masks.Stripes(area=0.3, feather=0.03, period=0.25, angle=30.0)
    numbers = mask.draw(uniforms(mask, 4), h, w)
    side, (ny, nx) = (h * w) ** 0.5, (-np.sin(np.pi / 6), np.cos(np.pi / 6))
    for weight, (cy, cx, _, _, period, half, *_) in zip(render(mask, numbers, h, w), numbers.astype(np.float64)):
        assert abs(period - 0.25 * side) < 1e-4
        along = (np.arange(h)[:, None] + 0.5 - cy) * ny + (np.arange(w) + 0.5 - cx) * nx
        away = np.abs((along + period / 2) % period - period / 2)
        assert np.abs(weight.numpy() - ramp((half - away) / (0.03 * side))).max() < 1e-4
        assert abs((2 * half - 0.03 * side) / period - 0.3) < 0.08  # the frame's borders move it away from the mean's


def test_checker_is_even_at_half():
    mask = masks.Checker(area=0.5, feather=0.0, cell=0.1, angle=0.0)
    numbers = mask.draw(uniforms(mask, 16), 200, 200)
    weight = render(mask, numbers, 200, 200)
    assert torch.allclose(weight[:, :-20, :-20], weight[:, 20:, 20:], atol=1e-3)  # one cell down and across is the same colour
    assert float((weight[:, :-20] + weight[:, 20:] - 1.0).abs().mean()) < 0.1  # one cell down is the other


def test_radial_rises_or_falls():
    for inward in (0.0, 1.0):
        mask = masks.Radial(area=0.3, inward=inward, spread=0.0)
        weight = render(mask, mask.draw(uniforms(mask, 8), 97, 161), 97, 161)
        outwards = weight[:, 48, 80:] if inward else weight[:, 48, 80:].flip(1)
        assert bool((outwards.diff(dim=1) <= 0.0).all())
        assert float(weight[:, 48, 80].max() if not inward else weight[:, 0, 0].max()) == 0.0
    one, other = (masks.Radial(area=0.3, feather=0.2, inward=i) for i in (0.0, 1.0))
    u = uniforms(one, 8)
    assert not torch.equal(render(one, one.draw(u, 33, 48), 33, 48), render(other, other.draw(u, 33, 48), 33, 48))


def test_polygons_have_as_many_corners_as_drawn():
    mask = masks.Polygon(vertices=(3, 5))
    assert np.array_equal(np.unique(mask.draw(uniforms(mask, 64), 96, 160)[:, 2]), [3, 4, 5])


def test_ellipses_are_their_formula():
    """A pixel's weight is the greatest of those of ellipses by themselves, turned and stretched as drawn."""
    h, w = 96, 160
    mask = masks.Ellipses(area=0.3, feather=0.1, count=(2, 8), aspect=3.0, angle=30.0)
    numbers = mask.draw(uniforms(mask, 16), h, w)
    y, x = np.arange(h)[:, None] + 0.5, np.arange(w) + 0.5
    for weight, (count, f, *rest) in zip(render(mask, numbers, h, w).numpy(), numbers.astype(np.float64)):
        best, sizes = np.zeros((h, w)), []
        for cy, cx, py, px, *_ in np.reshape(rest[6 : 6 + 6 * int(count)], (-1, 6)):
            long = 1.0 / np.hypot(py, px)
            sizes.append(long)
            up, right = cy - y, x - cx
            c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
            rho = np.hypot(right * c + up * s, 3.0 * (up * c - right * s)) / long
            best = np.maximum(best, ramp((1.0 - rho) / f))
        assert np.abs(weight - best).max() < 1e-4
        assert max(sizes) <= 2.001 * min(sizes)
        assert f == 1.0 or abs(f * max(sizes) - 0.1 * (h * w * 3.0) ** 0.5) < 1e-3  # the largest's mean semi-axis is its longer one by √3


def test_one_of_ellipses_is_an_ellipse():
    one, plain = (cls(area=0.1, feather=0.05, aspect=2.0, angle=40.0, centre=(0.4, 0.6)) for cls in (masks.Ellipses, masks.Ellipse))
    u = uniforms(one, 4)
    u[:, list(one.values).index("count")] = 0.0
    got, wanted = (render(m, m.draw(v, 96, 160), 96, 160) for m, v in ((one, u), (plain, uniforms(plain, 4))))
    assert float((got - wanted).abs().max()) < 0.03  # areas as the lattice sees them


@pytest.mark.parametrize("count", (1, 3, 8, (1, 8), Choice([2, 7])), ids=str)
def test_small_ellipses_are_as_many_as_drawn(count):
    """Parts that do not touch, as scipy counts them: fewer than drawn where two overlap, and never more."""
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = masks.Ellipses(area=0.004, feather=0.0, count=count)
    u = uniforms(mask, 96)
    numbers = mask.draw(u, 256, 256)
    wanted = np.floor(mask.values["count"].draw(u[:, list(mask.values).index("count")]))
    if isinstance(count, tuple):
        wanted = 1 + np.floor(8 * u[:, list(mask.values).index("count")])
        assert np.bincount(wanted.astype(int), minlength=9)[1:].min() >= 3
    assert np.array_equal(numbers[:, 0], wanted)
    parts = np.array([ndimage.label(weight > 0.5)[1] for weight in render(mask, numbers, 256, 256).numpy()])
    assert (parts <= wanted).all() and (parts == wanted).mean() > 0.8 and (parts >= wanted - 2).all()


@pytest.mark.parametrize("angle", (0.0, 90.0, (0.0, 180.0)), ids=str)
@pytest.mark.parametrize("size", ((96, 160), (33, 48), (32, 512), pytest.param((224, 224), marks=pytest.mark.heavy)), ids=str)
def test_area_of_many_thin_ellipses(size, angle):
    """All alike and side by side, as the lattice sees them worst."""
    for area in (0.02, 0.1, 0.3, 0.6, 0.9):
        mask = masks.Ellipses(area=area, feather=0.0, count=8, aspect=5.0, angle=angle)
        got = render(mask, mask.draw(uniforms(mask, 24), *size), *size).mean((1, 2)).numpy()
        assert np.abs(got - area).max() <= 0.01, (area, got)


def test_thin_ellipses_are_rounder_where_pixels_are_few():
    mask = masks.Ellipses(area=0.02, feather=0.0, count=8, aspect=5.0, angle=0.0)
    ratios = []
    for size in ((32, 32), (224, 224)):
        numbers = mask.draw(uniforms(mask, 32), *size)
        axes = numbers[:, 8:].reshape(32, 8, 6).astype(np.float64)
        ratios.append(np.hypot(axes[..., 4], axes[..., 5]) / np.hypot(axes[..., 2], axes[..., 3]))
    assert np.allclose(ratios[0], 1.0, atol=1e-5) and 1.0 <= ratios[1].min() < 2.0 < ratios[1].max() < 5.0001
    large = masks.Ellipses(area=0.4, count=8, aspect=5.0).draw(uniforms(mask, 32), 224, 224)[:, 8:].reshape(32, 8, 6)
    assert np.allclose(np.hypot(large[..., 4], large[..., 5]) / np.hypot(large[..., 2], large[..., 3]), 5.0, rtol=1e-4)


def test_brush_is_the_distance_from_its_walk():
    h, w = 96, 160
    mask = masks.Brush(area=0.15, feather=0.03)
    numbers = mask.draw(uniforms(mask, 4), h, w)
    y, x = np.arange(h)[:, None] + 0.5, np.arange(w) + 0.5
    for weight, (count, half, f, *rest) in zip(render(mask, numbers, h, w), numbers.astype(np.float64)):
        walk = np.asarray(rest[5 : 5 + 2 * int(count) + 2]).reshape(-1, 2)
        assert (walk >= 0).all() and (walk <= (h, w)).all()
        dense = np.concatenate([a + np.linspace(0, 1, 400)[:, None] * (b - a) for a, b in pairwise(walk)])
        distance = np.min([np.hypot(y - py, x - px) for py, px in dense], 0)
        assert np.abs(weight.numpy() - ramp((half - distance) / f)).max() < 0.01


def test_voronoi_borders_are_those_of_the_nearest_point():
    h, w = 96, 160
    mask = masks.Voronoi(area=0.4, feather=0.0, cells=12)
    numbers = mask.draw(uniforms(mask, 8), h, w)
    y, x = np.arange(h)[:, None] + 0.5, np.arange(w) + 0.5
    for weight, (count, inside, *rest) in zip(render(mask, numbers, h, w), numbers):
        points = np.asarray(rest[6 : 6 + 2 * int(count)]).reshape(-1, 2)
        nearest = np.argmin([np.hypot(y - py, x - px) for py, px in points], 0)
        assert ((weight.numpy() > 0.5) != (nearest < inside)).mean() < 0.05  # the shift moves the borders a little


def test_counts_beyond_what_there_is_are_cut():
    """A damaged program must not read beyond its numbers."""
    for name, column in (("polygon", 2), ("polygon", 3), ("boxes", 0), ("ellipses", 0), ("brush", 0), ("voronoi", 0)):
        mask = family(name)
        numbers = mask.draw(uniforms(mask, 2), 33, 48)
        numbers[:, column] = 1e9
        render(mask, numbers, 33, 48)


def test_a_recipe_has_the_columns_of_its_largest_family(tmp_path):
    import degrade
    from degrade import Compose, Local, Pipeline

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


# ---- maps that you bring ------------------------------------------------------------------------------------------------


def test_from_tensor_values_are_weights():
    maps = scores(4, 20, 30)
    mask = masks.FromTensor(maps)
    numbers = mask.draw(uniforms(mask, 64), 20, 30)
    rows = numbers[:, 0].astype(int)
    assert set(rows) == {0, 1, 2, 3}
    assert torch.equal(render(mask, numbers, 20, 30), maps[rows])
    assert mask.draws == 1


@pytest.mark.parametrize("area", (0.02, 0.3, 0.5, 0.9, 1.0))
@pytest.mark.parametrize("feather", (0.0, 0.1, 2.0))
def test_from_tensor_area(area, feather):
    mask = masks.FromTensor(scores(4, 48, 50) ** 3 * 0.2, area=area, feather=feather)
    weight = render(mask, mask.draw(uniforms(mask, 8), 48, 50), 48, 50)
    assert np.abs(weight.mean((1, 2)).numpy() - area).max() <= 0.005
    assert bool((weight.amax((1, 2)) == 1.0).all())


def test_from_tensor_shares_ranks_between_equal_values():
    mask = masks.FromTensor(torch.tensor([[0.0, 0.5], [0.5, 1.0]]), area=0.5)
    assert torch.equal(mask.bank, torch.tensor([[[0.125, 0.5], [0.5, 0.875]]]))


def test_from_tensor_takes_a_plateau_whole():
    segment = torch.zeros(40, 40)
    segment[:20] = 1.0
    mask = masks.FromTensor(segment, area=0.1)
    assert torch.equal(render(mask, mask.draw(uniforms(mask, 4), 40, 40), 40, 40), segment.expand(4, -1, -1))


def test_from_tensor_accepts_bytes_bools_and_single_channels():
    assert torch.equal(masks.FromTensor(torch.full((2, 1, 3, 4), 255, dtype=torch.uint8)).bank, torch.ones(2, 3, 4))
    assert torch.equal(masks.FromTensor(np.eye(3, dtype=bool)).bank, torch.eye(3)[None])
    assert masks.FromTensor(torch.zeros(3, 4, dtype=torch.float16)).bank.dtype == torch.float32


def test_from_tensor_keeps_its_own_copy():
    given = torch.zeros(3, 4)
    mask = masks.FromTensor(given)
    given += 1
    assert float(mask.bank.max()) == 0.0


def test_from_tensor_without_a_tensor_reads_the_batch():
    mask = masks.FromTensor()
    numbers = mask.draw(uniforms(mask, 3), 20, 30)
    assert mask.bank is None and numbers[:, 0].tolist() == [0, 0, 0]
    numbers[:, 0] = [2, 0, 1]
    maps = scores(3, 20, 30)
    columns = tuple(torch.from_numpy(numbers[:, i].copy()).reshape(-1, 1, 1) for i in range(numbers.shape[1]))
    y, x = torch.arange(20)[:, None] + 0.5, torch.arange(30) + 0.5
    assert torch.equal(mask.weight(y, x, columns, maps), maps[[2, 0, 1]])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"tensor": torch.zeros(2, 3, 4, 4)}, ValueError, ('"2 3 4 4"', '"h w", "k h w" or "k 1 h w"')),
        ({"tensor": torch.zeros(4)}, ValueError, ('"4"', "accepted")),
        ({"tensor": torch.zeros(0, 4, 4)}, ValueError, ('"0 4 4"', "accepted")),
        ({"tensor": torch.full((2, 2), 1.5)}, ValueError, ("tensor", "1.5", "from 0 to 1")),
        ({"tensor": torch.full((2, 2), -0.25)}, ValueError, ("-0.25", "from 0 to 1")),
        ({"tensor": torch.full((2, 2), float("nan"))}, ValueError, ("tensor", "NaN", "from 0 to 1")),
        ({"tensor": torch.zeros(2, 2, dtype=torch.int64)}, TypeError, ("int64", "uint8 or bool")),
        ({"tensor": "mask.png"}, TypeError, ("tensor=", "str", "accepted")),
        ({"tensor": {"shape": [2, 2]}}, ValueError, ("shape", "float32_zlib_base64")),
        ({"area": 0.2}, ValueError, ("area=0.2", "tensor=")),
        ({"tensor": torch.zeros(2, 2), "feather": 0.2}, ValueError, ("feather=0.2", "area=")),
        ({"tensor": torch.zeros(2, 2), "area": 1.2}, ValueError, ("area=1.2", "0.001 to 1")),
        ({"tensors": torch.zeros(2, 2)}, TypeError, ("'tensors'", "did you mean 'tensor'")),
    ],
    ids=str,
)
def test_from_tensor_refuses(given, error, words):
    with pytest.raises(error) as caught:
        masks.FromTensor(**given)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_from_tensor_refuses_another_frame():
    with pytest.raises(ValueError, match="3x4 pixels and the images have 5x6"):
        masks.FromTensor(torch.zeros(3, 4)).draw(np.full((1, 1), 0.5), 5, 6)


# ---- ramps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, feather", [("rectangle", 0.12), ("gradient", 0.12), ("brush", 0.03), ("polygon", 0.01)])
def test_ramps_are_signed_distances(name, feather):
    """By OpenCV's distance transform of what has a weight of at least a half; off at corners and where the frame cuts a shape alone."""
    size = (300, 360)
    mask = family(name, size, area=0.25, feather=feather)
    for m in render(mask, mask.draw(uniforms(mask, 8), *size), *size).numpy().astype(np.float64):
        t = 0.5 - np.sin(np.arcsin(1 - 2 * m) / 3)  # the inverse of smoothstep
        inside = (m >= 0.5).astype(np.uint8)
        distance = [cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5 for side in (inside, 1 - inside)]
        away = np.where(inside, distance[0], -distance[1])  # from the border between two pixels
        ramp = (m > 0.02) & (m < 0.98)
        off = np.abs((t - 0.5) * feather * np.sqrt(size[0] * size[1]) - away)[ramp]
        assert np.quantile(off, 0.85) < 0.8, (name, np.quantile(off, (0.5, 0.85, 1.0)))


# ---- arguments ----------------------------------------------------------------------------------------------------------


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
    import json

    mask = family(name)
    again = type(mask)(**json.loads(json.dumps(mask.to_dict())))
    u = uniforms(mask, 5)
    assert np.array_equal(mask.draw(u, 96, 160), again.draw(u, 96, 160))
    assert mask.bank is None or torch.equal(mask.bank, again.bank)
    assert repr(mask).startswith(type(mask).__name__ + "(") and len(repr(mask)) < 300
