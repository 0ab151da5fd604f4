"""space="linear": what is done under a mask is mixed with the image in linear light."""

import numpy as np
import pytest
import torch
from test_engine import photo

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, Partition, Pipeline, UnsharpMask, cells, masks
from degrade.backends.plan import make_plan
from degrade.kernels.fetch import SLACK
from degrade.kernels.plan import LINEAR, PRODUCT
from degrade.ops import REGISTRY

SIZE, IDS = (18, 33), (4, 9, 2)
DTYPES = [torch.uint8, torch.float16, torch.float32]
STEP = {torch.uint8: 0.5 / 255 + 1 / 65535, torch.float16: 2**-12 + 1 / 65535, torch.float32: 2e-6}  # half of one of the image's, one of the work's


def decoded(v):
    """Linear light of sRGB, as IEC 61966-2-1 writes it."""
    return np.where(v <= 0.04045, v / 12.92, (np.maximum(v, 0.04045) / 1.055 + 0.055 / 1.055) ** 2.4)


def encoded(v):
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.maximum(v, 0.0031308) ** (1 / 2.4) - 0.055)


def mixed(own, new, m):
    light = decoded(own)
    return encoded(light + m * (decoded(new) - light))


def weights(seed=0):
    """0 on the left, 1 on the right, anything between."""
    m = torch.rand(len(IDS), 1, *SIZE, generator=torch.Generator().manual_seed(seed))
    m[..., :9], m[..., 22:] = 0.0, 1.0
    return m


def as_float(x):
    """In 0..1, float64."""
    return x.numpy().astype(np.float64) / (255 if x.dtype == torch.uint8 else 1)


def shifted(x, amount):
    return np.clip(x + amount, 0.0, 1.0)


def one(m):
    """A mask for every sample alike: the map is stored."""
    return masks.FromTensor(m[0, 0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("amount", [0.3, -0.4, 1.0])
def test_a_blend_by_the_book(amount, dtype):
    x, m = photo(len(IDS), *SIZE, dtype), weights()
    y = Pipeline(Local(MeanShift(amount), masks.FromTensor(), space="linear"))(x, ids=IDS, mask=m)
    want = mixed(as_float(x), shifted(as_float(x), amount), m.numpy().astype(np.float64))
    assert np.abs(as_float(y) - want).max() <= STEP[dtype]
    assert torch.equal(y, degrade.functional.mean_shift(x, amount, mask=m, blend_space="linear"))
    # Exactly the image where the weight is 0, exactly the result where it is 1; between, another image than that of encoded values.
    whole = degrade.functional.mean_shift(x, amount)
    plain = degrade.functional.mean_shift(x, amount, mask=m)
    assert torch.equal(y[..., :9], x[..., :9]) and torch.equal(y[..., 22:], whole[..., 22:])
    assert float((y.float() - plain.float())[..., 9:22].abs().max()) > 0.01 * (255 if dtype == torch.uint8 else 1)


def test_half_of_black_and_white():
    half = torch.full((1, 1, 4, 4), 0.5)
    for dtype, white, linear, gamma in ((torch.uint8, 255, 188, 128), (torch.float32, 1.0, 0.7353569, 0.5)):
        black = torch.zeros(1, 3, 4, 4, dtype=dtype)
        for x, amount in ((black, 1.0), (black + white, -1.0)):
            for space, value in (("linear", linear), ("gamma", gamma)):
                y = degrade.functional.mean_shift(x, amount, mask=half, blend_space=space)
                torch.testing.assert_close(y, torch.full_like(x, value), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_the_child_does_not_change_stays(dtype):
    """Decoding and encoding again would leave other bits in float32."""
    x, m = photo(len(IDS), *SIZE, dtype), weights()
    y = degrade.functional.mean_shift(x, 0.0, mask=m, blend_space="linear")
    assert torch.equal(y, x)
    half = photo(len(IDS), *SIZE, dtype) // 2 if dtype == torch.uint8 else photo(len(IDS), *SIZE, dtype) / 2
    assert torch.equal(degrade.functional.flare(half, 0.0, mask=m, blend_space="linear"), half)


def test_values_slightly_out_of_range():
    x = torch.linspace(-0.99 * SLACK, 1 + 0.99 * SLACK, SIZE[0] * SIZE[1]).reshape(SIZE).expand(len(IDS), 3, *SIZE).contiguous()
    m = weights()
    y = degrade.functional.mean_shift(x, -0.2, mask=m, blend_space="linear")
    want = np.clip(mixed(as_float(x), shifted(as_float(x), -0.2), m.numpy().astype(np.float64)), 0, 1)
    zero = (m == 0).expand_as(x)
    assert torch.equal(y[zero], x[zero]) and float(y[~zero].min()) >= 0.0 and float(y.max()) <= 1.0 + SLACK
    assert np.abs(as_float(y) - want)[~zero.numpy()].max() <= STEP[torch.float32]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("inner, outer", [("linear", "gamma"), ("gamma", "linear"), ("linear", "linear")])
def test_masks_that_multiply_are_one_blend(inner, outer, dtype):
    """It is linear if one of them says so."""
    x, a, b = photo(len(IDS), *SIZE, dtype), weights(1), weights(2)
    y = Pipeline(Local(Local(MeanShift(0.4), one(a), space=inner), one(b), space=outer))(x, ids=IDS)
    want = mixed(as_float(x), shifted(as_float(x), 0.4), (a * b).numpy()[:1].astype(np.float64))
    assert np.abs(as_float(y) - want).max() <= STEP[dtype]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("inner, outer", [("linear", "gamma"), ("gamma", "linear"), ("linear", "linear")])
def test_each_chain_has_its_own_space(inner, outer, dtype):
    x, a, b = photo(len(IDS), *SIZE, dtype), weights(1), weights(2)
    y = Pipeline(Local(Compose(MeanShift(0.2), Local(MeanShift(-0.5), one(a), space=inner)), one(b), space=outer))(x, ids=IDS)
    how = {"linear": mixed, "gamma": lambda own, new, m: own + m * (new - own)}
    first = shifted(as_float(x), 0.2)
    second = how[inner](first, shifted(first, -0.5), a.numpy()[:1])
    want = how[outer](as_float(x), second, b.numpy()[:1])
    # Near black, light of which a step is lost is far from where it was: the rounding between is seen tenfold.
    assert np.abs(as_float(y) - want).max() <= STEP[dtype] + (10 / 65535 if dtype == torch.uint8 else 1e-5)


@pytest.mark.parametrize(
    "mask, weight",
    [
        (lambda a, b: masks.Union(one(a), one(b)), torch.maximum),
        (lambda a, b: masks.Invert(masks.Intersection(one(a), one(b))), lambda a, b: 1 - torch.minimum(a, b)),
    ],
    ids=["union", "invert"],
)
def test_masks_made_of_masks(mask, weight):
    x, a, b = photo(len(IDS), *SIZE, torch.float32), weights(1), weights(2)
    y = Pipeline(Local(MeanShift(0.4), mask(a, b), space="linear"))(x, ids=IDS)
    want = mixed(as_float(x), shifted(as_float(x), 0.4), weight(a, b)[:1].numpy().astype(np.float64))
    assert np.abs(as_float(y) - want).max() <= STEP[torch.float32]


def test_a_strength_inside_is_blended():
    x, a, b = photo(len(IDS), *SIZE, torch.float32), weights(1), weights(2)
    y = Pipeline(Local(Local(MeanShift(0.3), one(a), blend="modulate"), one(b), space="linear"))(x, ids=IDS)
    support = (a > 0).float() * b
    want = mixed(as_float(x), shifted(as_float(x), 0.3 * a.numpy()[:1]), support.numpy()[:1].astype(np.float64))
    assert np.abs(as_float(y) - want).max() <= STEP[torch.float32]


def every_kind():
    """One op, chains, one mask in another, masks made of masks, strengths, cells; linear and not, side by side."""
    ellipse, boxes = masks.Ellipse(area=0.5, feather=0.5), masks.Boxes(area=0.4, feather=0.3)
    return OneOf(
        Local(MeanShift((-0.5, 0.5)), ellipse, space="linear"),
        Local(GaussianNoise(0.2), masks.Union(ellipse, masks.Invert(boxes)), space="linear"),
        Local(UnsharpMask(2.0), masks.FromTensor(), space="linear"),
        Local(Compose(GaussianBlur(2.0), Jpeg(20)), boxes, space="linear"),
        Local(Compose(GaussianBlur(1.0), Local(MeanShift(0.4), ellipse, space="linear")), boxes),
        Local(Compose(GaussianNoise(0.1), Local(MeanShift(0.4), ellipse)), masks.Difference(boxes, ellipse), space="linear"),
        Local(Local(MeanShift(-0.4), boxes), ellipse, space="linear"),
        Local(Local(MeanShift(-0.4), boxes, space="linear"), ellipse),
        Local(Local(GaussianNoise(0.3), ellipse, blend="modulate"), masks.FromTensor(), space="linear"),
        Local(MeanShift(0.4), ellipse),
        GaussianBlur(1.0),
    )


@pytest.mark.device
@pytest.mark.parametrize(
    "kind, dtype",
    [("every", torch.uint8), ("every", torch.float32), ("cells", torch.uint8)]
    + [
        pytest.param(kind, dtype, marks=pytest.mark.heavy)
        for kind in ("every", "plain", "cells")
        for dtype in (torch.uint8, torch.float16, torch.float32)
    ],
)
def test_kernels_equal_the_twin(kind, dtype, device):
    recipe = {
        "every": every_kind(),
        "plain": Compose(*(Local(op, masks.Ellipse(area=0.5, feather=0.5), space="linear") for op in (MeanShift(0.4), GaussianBlur(2.0)))),
        "cells": Partition(Local(MeanShift((-0.5, 0.5)), masks.Ellipse(area=0.5, feather=0.5), space="linear"), cells.Voronoi(count=4)),
    }[kind]
    ids = np.arange(33)
    x, m = photo(len(ids), *SIZE, dtype).to(device), torch.rand(len(ids), 1, *SIZE, generator=torch.Generator().manual_seed(3)).to(device)
    if dtype == torch.float32:
        x = x * (1 + 1.9 * SLACK) - 0.95 * SLACK  # beyond 0..1, too
    program = Pipeline(recipe, seed=2).sample(ids, SIZE)
    got, want = (degrade.apply(program, x, mask=m if kind == "every" else None, backend=backend) for backend in ("triton", "torch"))
    tolerance = 0.0 if device == "cpu" else max(REGISTRY[op].tolerance for op in program.ops) + (1.0 if dtype == torch.uint8 else 1e-3)
    assert float((got.float() - want.float()).abs().max()) <= tolerance
    assert not torch.equal(got, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_sample_does_not_know_its_batch(dtype):
    ids = np.arange(33)
    x, m = photo(len(ids), *SIZE, dtype), torch.rand(len(ids), 1, *SIZE)
    program = Pipeline(every_kind(), seed=2).sample(ids, SIZE)
    y = degrade.apply(program, x, mask=m)
    assert torch.equal(degrade.apply(program[::-1], x.flip(0), mask=m.flip(0)).flip(0), y)
    for i in range(0, 33, 4):
        assert torch.equal(degrade.apply(program[i], x[i : i + 1], mask=m[i : i + 1]), y[i : i + 1])
    last = x.to(memory_format=torch.channels_last)
    assert torch.equal(degrade.apply(program, last, mask=m), y)


def test_the_same_is_drawn_and_labelled():
    """A space changes how is mixed, and nothing else; programs without are what they were."""
    local = {space: Local(MeanShift(), masks.Union(masks.Ellipse(), masks.Boxes()), p=0.8, space=space) for space in ("gamma", "linear")}
    x = photo(len(IDS), *SIZE)
    (_, gamma), (_, linear) = (Pipeline(local[space], seed=3)(x, ids=IDS, labels=True) for space in ("gamma", "linear"))
    assert torch.equal(gamma.masks, linear.masks) and torch.equal(gamma.severity, linear.severity)
    a, b = gamma.program, linear.program
    assert a.equals(Pipeline(Local(MeanShift(), masks.Union(masks.Ellipse(), masks.Boxes()), p=0.8), seed=3).sample(IDS, SIZE))
    assert (b.fold != a.fold).tolist() == [False, True] and not b.equals(a)
    assert np.array_equal(a.theta, b.theta) and np.array_equal(a.numbers, b.numbers)
    assert "space=" not in repr(local["gamma"]).split("mask=")[1] and repr(local["linear"]).endswith("space='linear')")


@pytest.mark.parametrize("space, folds", [("gamma", PRODUCT), ("linear", LINEAR)])
def test_kernels_are_built_for_linear_light_where_it_is_asked_for(space, folds):
    program = Pipeline(Local(MeanShift(), masks.Ellipse(), space=space)).sample(IDS, SIZE)
    plan = make_plan(program, program.numbers)
    assert program.fold.tolist() == [folds]
    assert plan.linear is (space == "linear") and plan.folds is False  # a mask by itself needs no stack


def test_gradients():
    def blended(x, m, amount):
        return degrade.functional.mean_shift(x, amount, mask=m, blend_space="linear")

    x, m = torch.full((1, 3, 4, 4), 0.3, requires_grad=True), torch.full((1, 1, 4, 4), 0.4, requires_grad=True)
    by_x, by_m = torch.autograd.grad(blended(x, m, 0.5).sum(), (x, m))

    def slope(f, at, h=1e-5):
        return (f(at + h) - f(at - h)) / (2 * h)

    torch.testing.assert_close(by_x, torch.full_like(x, float(slope(lambda v: mixed(v, v + 0.5, 0.4), 0.3))), atol=1e-4, rtol=0)
    torch.testing.assert_close(by_m, torch.full_like(m, 3 * float(slope(lambda v: mixed(np.array(0.3), np.array(0.8), v), 0.4))), atol=1e-4, rtol=0)
    # Where nothing changes both ways to the image count.
    (by_x,) = torch.autograd.grad(blended(x, m, 0.0).sum(), x)
    torch.testing.assert_close(by_x, torch.ones_like(x), atol=1e-6, rtol=0)


def test_files(tmp_path):
    pipe = Pipeline(Compose(Local(MeanShift(0.2), masks.Ellipse(), p=0.7, space="linear"), Local(MeanShift(0.1), masks.Boxes())), seed=4)
    pipe.save(tmp_path / "p.yaml")
    again = degrade.load(tmp_path / "p.yaml")
    program = pipe.sample(range(8), SIZE)
    assert repr(again) == repr(pipe) and again.sample(range(8), SIZE).equals(program)
    assert (tmp_path / "p.yaml").read_text().count("space: linear") == 1
    program.save(tmp_path / "p.json")
    assert degrade.load(tmp_path / "p.json").equals(program)
    x = photo(8, *SIZE)
    assert torch.equal(degrade.apply(degrade.load(tmp_path / "p.json"), x), degrade.apply(program, x))
    taken = int(np.flatnonzero(program.code[:, 0] >= 0)[0])
    assert " in ellipse" in program.describe(taken)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"space 'liner' is unknown; did you mean 'linear'\? Accepted: gamma, linear\."):
        Local(MeanShift(), masks.Ellipse(), space="liner")
    for wrong in (None, 1, ["linear"]):
        with pytest.raises(ValueError, match=r"space .* is unknown; .*ccepted: gamma, linear\."):
            Local(MeanShift(), masks.Ellipse(), space=wrong)
    with pytest.raises(ValueError, match=r"space='linear' with blend='modulate' is not accepted.*accepted: blend='alpha'"):
        Local(MeanShift(), masks.Ellipse(), blend="modulate", space="linear")
    x = torch.zeros(1, 3, 4, 4)
    with pytest.raises(ValueError, match="blend_space='linear' needs mask="):
        degrade.functional.gaussian_noise(x, 0.1, blend_space="linear")
    with pytest.raises(ValueError, match="blend_space 'rgb' is unknown"):
        degrade.functional.gaussian_noise(x, 0.1, blend_space="rgb")
    with pytest.raises(ValueError, match="blend_space='linear' with blend='modulate'"):
        degrade.functional.gaussian_noise(x, 0.1, mask=x[:, :1], blend="modulate", blend_space="linear")
    with pytest.raises(TypeError, match="did you mean 'blend_space'"):
        degrade.functional.gaussian_noise(x, 0.1, mask=x[:, :1], space="linear")
    with pytest.raises(ValueError, match="Local key 'spaces' is unknown; did you mean 'space'"):
        degrade.files.node_from_dict({"Local": {"child": {"MeanShift": {}}, "mask": {"Ellipse": {}}, "spaces": "linear"}})
