"""Masks whose shape is given: polygons of points and boxes are signed distances, checked, saved, and equal on the device."""

import json

import numpy as np
import pytest
import torch
from mask_weights import ramp, render, render_by_kernel, uniforms

from degrade import masks

STAR = [[0.1, 0.1], [0.5, 0.3], [0.15, 0.8], [0.9, 0.9], [0.6, 0.55], [0.95, 0.2]]


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
    assert torch.equal(render_by_kernel(mask, numbers, 33, 48, device), render(mask, numbers, 33, 48))


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

    again = type(mask)(**json.loads(json.dumps(mask.to_dict())))
    u = uniforms(mask, 5)
    assert np.array_equal(mask.draw(u, 96, 160), again.draw(u, 96, 160)) and len(repr(mask)) < 100
