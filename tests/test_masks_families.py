"""Mask families one by one: each is its formula, with as many parts as drawn, and its ramps are distances from its edge."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from mask_weights import family, ramp, render, uniforms

from degrade import masks
from degrade.distributions import Choice


def test_blob_outline_stays_off_its_centre():
    mask = masks.Blob(area=0.3, feather=0.0, roughness=1.0)
    numbers = mask.draw(np.where(np.arange(mask.draws) >= mask.draws - 8, 0.999999, uniforms(mask, 64)), 224, 224)
    amplitude = np.hypot(numbers[:, 4:8], numbers[:, 8:12]).sum(1)
    assert amplitude.max() <= 0.8501


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
