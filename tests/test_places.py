"""centre=: shapes lie where they are asked to, as near as they fit, and keep their area."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mask_weights import ABOUT, family, render, render_by_kernel, uniforms

import degrade
from degrade import Choice, Compose, Local, LogUniform, MeanShift, Normal, Pipeline, Together, masks
from degrade.distributions import HalfNormal

PLACED = ("rectangle", "ellipse", "blob", "polygon", "boxes", "ellipses", "brush", "radial")
FITTING = ("rectangle", "ellipse", "blob", "polygon")  # these stay inside the frame where they can
SMALL = {"boxes": {"count": 1}, "ellipses": {"count": 1}, "brush": {"segments": 3, "length": 0.03}, "radial": {"inward": 1.0}}
CENTRES = [
    (0.0, 0.0),
    (0.5, 0.5),
    (1.0, 0.3),
    ((0.0, 0.3), 0.5),
    (Normal(0.5, 0.1), Choice([0.1, 0.9])),
    (HalfNormal(0.2, 0.1, 1.0), LogUniform(0.1, 1.0)),
]


def small(name, centre, area=0.01):
    return masks.FAMILIES[name](area=area, feather=0.02, centre=centre, **SMALL.get(name, {}))


def middles(mask, n, size=(96, 160), seed=0):
    """The middles of the boxes around all pixels of weight, (n, 2) in fractions of the frame."""
    weight = render(mask, mask.draw(uniforms(mask, n, seed), *size), *size).numpy() > 0.0
    out = []
    for covered in (weight.any(2), weight.any(1)):
        first, last = covered.argmax(1), covered.shape[1] - covered[:, ::-1].argmax(1)
        out.append(0.5 * (first + last) / covered.shape[1])
    return np.stack(out, 1)


# ---- where shapes lie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLACED)
def test_middles_follow_their_distributions(name):
    """Sorted, what is measured is what the distributions' quantiles say."""
    n = 800
    for y, x in (((0.2, 0.8), Normal(0.5, 0.08)), (Choice([0.25, 0.75], weights=[1, 3]), LogUniform(0.2, 0.8)), (0.4, (0.5, 0.8))):
        found = middles(small(name, (y, x)), n)
        quantiles = (np.arange(n) + 0.5) / n
        for values, how, pixel in zip(found.T, (y, x), (1 / 96, 1 / 160)):
            wanted = degrade.distributions.parse("", how).draw(quantiles)
            error = np.abs(np.sort(values) - wanted)
            if isinstance(how, Choice):
                error = np.sort(error)[: int(0.95 * n)]  # where the values change
            assert error.max() < 0.04 + pixel and error.mean() < 0.01 + pixel, (how, error.max(), error.mean())


@pytest.mark.parametrize("name", ("rectangle", "ellipse"))
def test_centroids_of_symmetric_shapes_are_their_middles(name):
    y, x = np.arange(97) + 0.5, np.arange(161) + 0.5
    for cy, cx in ((0.5, 0.5), (0.3, 0.7)):
        mask = masks.FAMILIES[name](area=0.04, feather=0.1, centre=(cy, cx))
        weight = render(mask, mask.draw(uniforms(mask, 16), 97, 161), 97, 161).numpy()
        total = weight.sum((1, 2))
        assert np.abs(weight.sum(2) @ y / total - cy * 97).max() < 0.55 and np.abs(weight.sum(1) @ x / total - cx * 161).max() < 0.55


@pytest.mark.parametrize("centre", ((0.0, 1.0), (0.15, 0.5), (0.9, 0.05), (0.5, 0.5)), ids=str)
@pytest.mark.parametrize("name", FITTING)
def test_shapes_come_as_near_as_they_fit(name, centre):
    """A middle off the wish by more than a pixel belongs to a shape that touches the border on the wish's side."""
    h, w = size = (96, 160)
    mask = masks.FAMILIES[name](area=(0.02, 0.15), feather=(0.0, 0.1), centre=centre)
    numbers = mask.draw(uniforms(mask, 64), h, w)
    got, boxes = middles(mask, 64), mask.support(numbers, h, w)
    moved = 0
    for (y0, y1, x0, x1), middle in zip(boxes, got):
        for at, wish, n, low, high in zip(middle, centre, size, (y0, x0), (y1, x1)):
            off = (wish - at) * n
            moved += abs(off) > 1.5
            assert abs(off) <= 1.5 or (low <= 1 if off < 0 else high >= n - 1), (at, wish, low, high)
    assert moved == 0 if centre == (0.5, 0.5) else moved > 20
    weight = render(mask, numbers, h, w)
    assert float(weight[:, [0, -1]].max()) < 0.3 and float(weight[:, :, [0, -1]].max()) < 0.3 and bool((weight.amax((1, 2)) == 1.0).all())


def test_a_brush_is_not_folded_where_its_walk_fits():
    mask = masks.Brush(area=0.03, segments=4, length=0.1, turn=60.0, centre=(0.5, 0.5))
    numbers = mask.draw(uniforms(mask, 64), 96, 160)
    walk = numbers[:, 8 : 8 + 10].reshape(64, 5, 2)
    middle = 0.5 * (walk.min(1) + walk.max(1))
    assert np.abs(middle - (48.0, 80.0)).max() <= 0.51
    step = np.hypot(*np.diff(walk, axis=1).transpose(2, 0, 1))
    assert step.min() > 0.049 * (96 * 160) ** 0.5  # a folded step is shorter


def test_each_box_has_a_centre_of_its_own():
    mask = masks.Boxes(area=0.1, count=6, centre=((0.1, 0.4), 0.5))
    numbers = mask.draw(uniforms(mask, 32), 100, 200)
    cy, cx = numbers[:, 8:38:5], numbers[:, 9:38:5]
    assert cy.min() >= 10 and cy.max() <= 40.5 and np.ptp(cy, axis=1).min() > 3 and (cx == 100.5).all()


def test_each_ellipse_has_a_centre_of_its_own():
    mask = masks.Ellipses(area=0.1, feather=0.02, count=8, centre=((0.1, 0.4), 0.5))
    numbers = mask.draw(uniforms(mask, 32), 100, 200)
    cy, cx = numbers[:, 8::6], numbers[:, 9::6]
    assert cy.min() >= 10 and cy.max() <= 40.5 and np.ptp(cy, axis=1).min() > 3 and (cx == 100.5).all()


@pytest.mark.parametrize("centre", (None, (0.0, 1.0)), ids=str)
def test_ellipses_apart_lie_within_the_frame(centre):
    """Even in a corner: at most the foot of a ramp is cut off, where none overlap and so none grow."""
    mask = masks.Ellipses(area=0.05, feather=0.05, count=1 if centre else (1, 3), centre=centre)
    weight = render(mask, mask.draw(uniforms(mask, 64), 96, 160), 96, 160)
    border = torch.maximum(weight[:, [0, -1]].amax((1, 2)), weight[:, :, [0, -1]].amax((1, 2)))
    assert float(border.median()) < 0.05 and float((border < 0.3).float().mean()) > 0.9
    assert not centre or bool((weight[:, 0].amax(1) + weight[:, 1].amax(1) > 0.0).all())


def test_rings_lie_about_their_centre():
    mask = masks.Radial(area=0.3, feather=0.2, centre=(0.25, 0.75))
    weight = render(mask, mask.draw(uniforms(mask, 8), 96, 160), 96, 160)
    assert bool((weight[:, 24, 120] == 0.0).all()) and bool((weight[:, -1, 0] == 1.0).all())


# ---- what stays as it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 160), (33, 48), (32, 256), pytest.param((225, 223), marks=pytest.mark.heavy)], ids=str)
@pytest.mark.parametrize("name", PLACED)
def test_areas_are_kept(name, size):
    for centre in CENTRES:
        for area in (0.02, 0.1, 0.4, 0.65, 0.9, 1.0):
            for feather in (0.0, 0.2):
                mask = family(name, area=area, feather=feather, centre=centre)
                numbers = mask.draw(uniforms(mask, 6), *size)
                weight = render(mask, numbers, *size)
                assert np.abs(weight.mean((1, 2)).numpy() - area).max() <= ABOUT.get(name, 0.01), (centre, area, feather)
                assert bool((weight.amax((1, 2)) == 1.0).all()), (centre, area, feather)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (7, 13), (500, 3)], ids=str)
@pytest.mark.parametrize("name", PLACED)
def test_odd_frames_and_support(name, size):
    for centre in CENTRES:
        mask = family(name, area=(0.02, 1.0), centre=centre)
        numbers = mask.draw(uniforms(mask, 8), *size)
        weight = render(mask, numbers, *size)
        assert bool(torch.isfinite(weight).all())
        for row, (y0, y1, x0, x1) in zip(weight, mask.support(numbers, *size)):
            outside = row.clone()
            outside[y0:y1, x0:x1] = 0.0
            assert float(outside.max()) == 0.0


@pytest.mark.parametrize("name", PLACED)
def test_all_else_is_drawn_as_without(name):
    """As many uniforms are taken, and a shape is the same one, moved."""
    plain, moved = family(name, area=0.02), family(name, area=0.02, centre=(0.4, (0.3, 0.6)))
    assert plain.draws == moved.draws and plain.centre is None
    recipes = [Compose(MeanShift((-0.2, 0.2)), Local(MeanShift((-0.2, 0.2)), mask), MeanShift((-0.2, 0.2))) for mask in (plain, moved)]
    one, other = (Pipeline(recipe, seed=5).sample(range(20), (96, 160)) for recipe in recipes)
    assert np.array_equal(one.theta, other.theta) and not np.array_equal(one.numbers, other.numbers)
    if name in FITTING:
        u = uniforms(plain, 40)
        assert np.array_equal(plain.draw(u, 400, 400)[:, 2:], moved.draw(u, 400, 400)[:, 2:])


@pytest.mark.parametrize("name", PLACED)
def test_rows_are_independent(name):
    mask = family(name, area=(0.02, 0.9), centre=(Normal(0.5, 0.15), Choice([0.1, 0.9])))
    u = uniforms(mask, 37, seed=4)
    whole, order = mask.draw(u, 96, 160), np.random.default_rng(0).permutation(37)
    assert np.array_equal(mask.draw(u[order], 96, 160), whole[order])
    for i in range(0, 37, 6):
        assert np.array_equal(mask.draw(u[i : i + 1], 96, 160)[0], whole[i])


@pytest.mark.parametrize("centre", CENTRES, ids=str)
def test_files(tmp_path, centre):
    for name in PLACED:
        mask = masks.FAMILIES[name](centre=centre)
        again = type(mask)(**json.loads(json.dumps(mask.to_dict())))
        u = uniforms(mask, 9)
        assert np.array_equal(mask.draw(u, 33, 48), again.draw(u, 33, 48)) and repr(again) == repr(mask) and "centre=[" in repr(mask)
        assert "centre" not in masks.FAMILIES[name]().to_dict()
    pipe = Pipeline(Local(MeanShift(0.1), masks.Union(masks.Ellipse(centre=centre), masks.Radial(centre=centre))), seed=3)
    pipe.save(tmp_path / "p.yaml")
    again = degrade.load(tmp_path / "p.yaml")
    assert again.sample(range(9), (33, 48)).equals(pipe.sample(range(9), (33, 48))) and repr(again) == repr(pipe)
    again.save(tmp_path / "q.yaml")
    assert Path(tmp_path / "p.yaml").read_text() == Path(tmp_path / "q.yaml").read_text()


@pytest.mark.parametrize("overlap", ("disjoint", 0.3))
def test_together_moves_within_the_distribution(overlap):
    """Candidates are drawn from the same distributions: what is apart is so within them."""
    own = (((0.2, 0.4), 0.5), (0.7, (0.2, 0.8)))
    children = [Local(MeanShift(0.1), masks.Ellipse(area=0.03, feather=0.02, centre=centre)) for centre in own]
    children.append(Local(MeanShift(0.1), masks.Rectangle(area=0.03, centre=(0.7, (0.2, 0.8)))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = Pipeline(Together(*children, overlap=overlap), seed=2).sample(range(40), (96, 160))
        free = Pipeline(Together(*children), seed=2).sample(range(40), (96, 160))
    assert not program.equals(free)
    cy, cx = program.numbers[..., 0], program.numbers[..., 1]
    assert cy[:, 0].min() >= 0.2 * 96 and cy[:, 0].max() <= 0.4 * 96 + 0.5 and (cx[:, 0] == 80.5).all()
    assert (cy[:, 1:] == 67.5).all() and cx[:, 1:].min() >= 32.0 and cx[:, 1:].max() <= 128.5
    if overlap == "disjoint":
        labels = degrade.Labels(program)
        both = torch.minimum(labels.masks[:, 1], labels.masks[:, 2]).mean((1, 2))
        assert float(both.mean()) < 0.001


@pytest.mark.device
@pytest.mark.parametrize("name", PLACED)
def test_device_equals_twin(name, device):
    mask = family(name, area=(0.02, 0.9), centre=((0.0, 1.0), Choice([0.0, 0.5, 1.0])))
    numbers = mask.draw(uniforms(mask, 6), 33, 48)
    assert torch.equal(render_by_kernel(mask, numbers, 33, 48, device), render(mask, numbers, 33, 48))


# ---- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("centre", "error", "message"),
    [
        (0.5, TypeError, r"centre=0\.5 is not understood; accepted: a pair \(y, x\) of fractions of the frame, each a number, \(low, high\) or a"),
        ((0.5,), TypeError, r"centre=\(0\.5,\)"),
        ((0.1, 0.2, 0.3), TypeError, "accepted: a pair"),
        ("middle", TypeError, "centre='middle'"),
        ({"Normal": [0.5, 0.1]}, TypeError, "accepted: a pair"),
        ((0.5, 1.2), ValueError, r"centre x=1\.2 is out of range; accepted: 0 to 1 of the frame"),
        ((-0.1, 0.5), ValueError, r"centre y=-0\.1 is out of range"),
        (((0.5, 2.0), 0.5), ValueError, "centre y=2 is out of range"),
        ((Normal(0.5, 0.3), 0.5), ValueError, r"centre y=-0\.4 is out of range"),
        (((0.6, 0.2), 0.5), ValueError, r"centre y: the range \(0\.6, 0\.2\)"),
        ((None, 0.5), TypeError, "centre y=None is not understood; accepted: a number"),
        (("top", 0.5), TypeError, "centre y=.*must be numbers"),
        ((0.5, degrade.Levels(0.1, 0.2)), TypeError, "centre x=.*is not accepted here"),
        ((float("nan"), 0.5), ValueError, "centre y: .*nan is not a finite number|centre y.*nan"),
    ],
    ids=str,
)
def test_bad_centres_are_named(centre, error, message):
    for name in PLACED:
        with pytest.raises(error, match=message) as caught:
            masks.FAMILIES[name](centre=centre)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(masks.FAMILIES) - set(PLACED)))
def test_families_without_a_place_refuse(name):
    with pytest.raises(TypeError, match=r"parameter 'centre' is unknown; .*ccepted"):
        masks.FAMILIES[name](centre=(0.5, 0.5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: masks.Radial(centre=(0.5, 0.5), spread=0.2), r"spread=0\.2 does not go with centre="),
        (lambda: masks.Polygon(points=[[0, 0], [1, 0], [1, 1]], centre=(0.5, 0.5)), r"centre=\(0\.5, 0\.5\) does not go with points="),
        (lambda: masks.Boxes(boxes=[[0, 0, 1, 1]], centre=(0.5, 0.5)), r"centre=\(0\.5, 0\.5\) does not go with boxes="),
        (lambda: masks.Ellipse(center=(0.5, 0.5)), "'center' is unknown; did you mean 'centre'"),
        (lambda: masks.Union(masks.Ellipse(), masks.Blob(), centre=(0.5, 0.5)), "takes no centre="),
    ],
)
def test_what_excludes_a_centre_says_so(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
    masks.Polygon(points=[[0, 0], [1, 0], [1, 1]], centre=None)
