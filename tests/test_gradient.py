"""Gradients of images and masks: that they are the derivative, that they change no bit, and what is refused.

Results are float32 and many ops have kinks, so a gradient is held against the change between two points, which is its mean on the way there;
linear ops against their adjoints; and twins that can run in float64 against `torch.autograd.gradcheck`.
"""

import numpy as np
import pytest
import torch
from derivative import agree, dot, harsh, photo, random

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, Partition, Phase, Pipeline, cells, compiled, masks
from degrade import functional as F
from degrade.op import MAX_PARAMETERS, Context
from degrade.ops import REGISTRY

EXACT = [name for name, op in REGISTRY.items() if op.gradient == "exact"]
STEPS = [name for name, op in REGISTRY.items() if op.gradient == "straight-through"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("name", REGISTRY)
def test_bits_are_the_same_with_and_without(name, dtype):
    x, m = random(2, 3, 19, 22).to(dtype), random(2, 1, 19, 22, seed=1).round(decimals=1)
    call = getattr(F, name)
    first = next(iter(REGISTRY[name].parameters))
    given = {first: torch.tensor([harsh(REGISTRY[name]), harsh(REGISTRY[name], 0.0)], dtype=torch.float64), "seed": 4, "backend": "torch"}
    want = call(x, **given, mask=m)
    with_all = {**given, first: given[first].clone().requires_grad_()} if first in REGISTRY[name].learnable() else given
    got = call(x.clone().requires_grad_(), **with_all, mask=m.clone().requires_grad_(), gradient="straight-through")
    assert got.requires_grad and got.dtype == dtype and torch.equal(got.detach(), want)
    with torch.no_grad():
        assert torch.equal(call(x.clone().requires_grad_(), **given, mask=m, gradient="exact"), want)


@pytest.mark.parametrize("name", EXACT)
def test_the_gradient_of_an_image_is_its_derivative(name):
    x, aside = photo(seed=3), 0.01 * (random(1, 3, 13, 17, seed=5) - 0.5)
    given = {"variant": "arniqa"} if name == "colour_shift" else {}  # the other variants' percentiles are taken as constants
    agree(lambda v: getattr(F, name)(v, harsh(REGISTRY[name]), seed=3, backend="torch", **given), x - aside, x + aside, random(1, 3, 13, 17, seed=6))


@pytest.mark.parametrize(
    "name, given",
    [
        ("gaussian_blur", {"sigma": 1.7}),
        ("motion_blur", {"length": 6.5, "angle": 33.0}),
        ("lens_blur", {"radius": 2.3, "kernel": "clipped"}),
        ("box_blur", {"radius": 1.4}),
        ("defocus_blur", {"radius": 2.0}),
        ("mean_shift", {"amount": 0.0}),
        ("zoom_blur", {"amount": 0.1}),
        ("pixel_scatter", {"distance": 3}),
    ],
)
def test_a_linear_op_passes_back_its_adjoint(name, given):
    """⟨A v, w⟩ = ⟨v, Aᵀ w⟩ for another image v than the one the gradient was taken at."""
    x, v, w = photo(2, seed=1).requires_grad_(), photo(2, seed=7), random(2, 3, 13, 17, seed=8)
    (back,) = torch.autograd.grad((getattr(F, name)(x, **given, backend="torch") * w).sum(), x)
    assert dot(getattr(F, name)(v, **given, backend="torch"), w) == pytest.approx(dot(v, back), rel=3e-6)


@pytest.mark.parametrize(
    "name, first",
    [
        ("gaussian_blur", 1.3),
        ("motion_blur", 5.5),
        ("lens_blur", 1.8),
        ("mean_shift", 0.1),
        ("darken", 0.3),
        ("contrast_curve", 0.3),
        ("contrast_squeeze", 0.3),
        ("saturation_hsv", 0.6),
        ("saturation_ycbcr", 1.7),
        ("gaussian_noise", 0.1),
        ("speckle_noise", 0.2),
        ("white_balance", 0.4),
    ],
)
def test_gradcheck_in_float64(name, first):
    """The twin by itself, with nothing rounded; of image and parameter where the parameter is not in a table."""
    op, x = REGISTRY[name], photo(1, 5, 6).double().requires_grad_()
    theta = np.zeros((1, MAX_PARAMETERS), dtype=np.float32)
    theta[:, 0] = first
    for i, param in enumerate(list(op.parameters.values())[1:], start=1):
        theta[:, i] = param.choices.index(param.default) if param.choices else param.usual()
    table = torch.from_numpy(op.tables(theta, op.frame(0, np.arange(1), 0, 5, 6))).double()
    columns = torch.from_numpy(theta).double().T[:, :, None, None, None]

    class Draws:
        pixel = torch.arange(5)[:, None] << 16 | torch.arange(6)

        def uniform4(self, draw=0, pixel=None):
            return tuple(random(1, 5, 6, seed=draw + i) * 0.98 + 0.01 for i in range(4))

    def twin(v, value):
        return op.twin(v, (value, *columns[1:]), Context(Draws(), table, lambda rounded: rounded))

    value = columns[0].clone().requires_grad_(op.modulates)
    assert torch.autograd.gradcheck(twin, (x, value), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("name, first, given", [("median_blur", 1, {}), ("brighten", 0.3, {"lab": 0.0}), ("gaussian_blur", 1.0, {})])
def test_black_and_white_have_gradients(name, first, given):
    """What is 0 or 1 and stays there: torch's own clamp passes nothing there from 2.14 on."""
    x = torch.zeros(1, 3, 13, 17)
    x[..., 8:] = 1.0
    x.requires_grad_()
    y = getattr(F, name)(x, first, backend="torch", **given)
    y.sum().backward()
    assert ((y == 0) | (y == 1)).float().mean() > 0.4 and (x.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("m", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name, first", [("jpeg", 10), ("mean_shift", 0.2), ("gaussian_blur", 2.0), ("palette", 4)])
def test_a_mask_has_the_gradient_of_the_mixture(name, first, m):
    """f(x) − x, at 0 and 1 too, whatever the gradient of f."""
    x, mask = photo(2), torch.full((2, 1, 13, 17), m, requires_grad=True)
    (got,) = torch.autograd.grad(getattr(F, name)(x, first, mask=mask, backend="torch").sum(), mask)
    torch.testing.assert_close(got, (getattr(F, name)(x, first, backend="torch") - x).sum(1, keepdim=True), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "recipe",
    [
        Local(Compose(MeanShift(0.1), GaussianBlur(1.0), GaussianNoise(0.02)), masks.FromTensor()),
        Local(GaussianNoise(0.05), masks.FromTensor(), blend="modulate"),
        Local(GaussianBlur(2.0), masks.FromTensor(), blend="modulate"),
        Local(MeanShift(0.1), masks.FromTensor(), space="linear"),
        Compose(Local(MeanShift(0.1), masks.Product(masks.FromTensor(), masks.Ellipse(area=0.4, feather=0.1))), GaussianBlur(1.0)),
        Compose(Partition(OneOf(GaussianBlur(1.0), MeanShift(0.1)), cells.Grid(2, 2)), Local(GaussianBlur(1.5), masks.FromTensor())),
    ],
    ids=repr,
)
def test_masks_and_images_of_pipelines(recipe):
    pipe = Pipeline(recipe, seed=1, backend="torch")
    x, end = photo(2, seed=1), photo(2, seed=1) + 0.01 * random(2, 3, 13, 17, seed=3)
    low, high = 0.5 * random(2, 1, 13, 17, seed=2) + 0.05, 0.5 * random(2, 1, 13, 17, seed=4) + 0.4
    weight = random(2, 3, 13, 17, seed=5)
    agree(lambda m: pipe(x, ids=[3, 4], mask=m), low, high, weight, 96, 0.01)
    agree(lambda v: pipe(v, ids=[3, 4], mask=low), x, end, weight, 16, 0.01)


def test_gradients_of_clips_and_groups():
    """Many samples run in groups; the frames of a clip share mask and parameter."""
    clip, m, t = photo(6, 9, 9).unflatten(0, (2, 3)), random(2, 1, 9, 9).requires_grad_(), torch.tensor([0.8, 1.5], requires_grad=True)
    got = torch.autograd.grad(F.gaussian_blur(clip, sigma=t, mask=m).square().sum(), (m, t))
    want = [torch.autograd.grad(F.gaussian_blur(clip[:, f], sigma=t, mask=m).square().sum(), (m, t)) for f in range(3)]
    for i in range(2):
        torch.testing.assert_close(got[i], sum(w[i] for w in want), rtol=1e-4, atol=1e-6)
    x = photo(40, 96, 96).requires_grad_()
    F.mean_shift(x, amount=0.1).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("name", STEPS)
def test_steps_refuse_or_pass_straight_through(name):
    x, weight = photo(2, 16, 24).requires_grad_(), random(2, 3, 16, 24)
    call, first = getattr(F, name), harsh(REGISTRY[name])
    with pytest.raises(TypeError, match=f"{name} is a step function .* gradient='straight-through'"):
        call(x, first, backend="torch")
    y = call(x, first, gradient="straight-through", backend="torch")
    (got,) = torch.autograd.grad((y * weight).sum(), x)
    inside = (y > 0) & (y < 1)
    if name not in ("jpeg", "dct_drop"):
        assert torch.equal(got[inside], weight[inside])
    assert got.abs().sum() > 0


def test_straight_through_jpeg_is_jpeg_without_rounding():
    x, weight = photo(1, 15, 21).requires_grad_(), random(1, 3, 15, 21)
    gradients = {}
    for mode in ("4:4:4", "4:2:2", "4:2:0", "grey"):
        y = F.jpeg(x, quality=60, subsampling=mode, gradient="straight-through")
        (gradients[mode],) = torch.autograd.grad((y * weight).sum(), x)
        # At quality 100 little is rounded: the image itself, through what the gradient belongs to.
        assert dot(F.jpeg(x.detach(), quality=100, subsampling=mode), weight) == pytest.approx(dot(x, gradients[mode]), rel=3e-3)
    torch.testing.assert_close(gradients["4:4:4"], weight, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(gradients["4:2:0"], gradients["4:2:2"], atol=1e-2)
    grey = (weight.sum(1, keepdim=True) * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).expand_as(weight)
    torch.testing.assert_close(gradients["grey"], grey, atol=1e-6, rtol=1e-5)


def test_dropped_coefficients_pass_no_gradient():
    x = photo(1, 16, 24)
    y = F.dct_drop(x.requires_grad_(), kept=10, gradient="straight-through")
    (got,) = torch.autograd.grad((y * x.detach()).sum(), x)
    torch.testing.assert_close(got, y.detach(), atol=6e-3, rtol=0)  # a projection; the result has 8 bits


def test_pipelines_with_steps():
    recipe, x = Compose(GaussianBlur(1.0), Phase(Jpeg(30)), MeanShift(0.05)), photo(2, 24, 24).requires_grad_()
    with pytest.raises(TypeError, match="jpeg is a step function"):
        Pipeline(recipe)(x, ids=[0, 1])
    pipe = Pipeline(recipe, gradient="straight-through")
    y = pipe(x, ids=[0, 1])
    assert torch.equal(y.detach(), Pipeline(recipe, backend="torch")(x.detach(), ids=[0, 1]))
    (got,) = torch.autograd.grad(y.sum(), x)
    assert abs(dot(got, torch.ones_like(got)) - got.numel()) < 0.02 * got.numel()
    program = pipe.sample([0, 1], (24, 24))
    assert torch.equal(degrade.apply(program, x, gradient="straight-through").detach(), y.detach())
    half = x.detach().half().requires_grad_()
    assert torch.autograd.grad(pipe(half, ids=[0, 1]).float().sum(), half)[0].abs().sum() > 0


def test_what_is_refused():
    x, m = photo(), random(1, 1, 13, 17)
    asks = m.clone().requires_grad_()
    with pytest.raises(RuntimeError, match=r"backend='triton' cannot be used: (the images require gradients|Triton is not)"):
        F.mean_shift(x.clone().requires_grad_(), 0.1, backend="triton")
    with pytest.raises(RuntimeError, match=r"(the mask and the parameters require gradients|not installed)"):
        F.mean_shift(x, torch.tensor(0.1, requires_grad=True), mask=asks, backend="triton")
    with pytest.raises(TypeError, match=r"the mask requires gradients, and x is uint8.*accepted: x in float32"):
        F.mean_shift((x * 255).byte(), 0.1, mask=asks)
    with pytest.raises(TypeError, match=r"x is float16.*or gradient='straight-through'"):
        F.mean_shift(x.half(), 0.1, mask=asks)
    with pytest.raises(TypeError, match=r"quality requires gradients, which jpeg does not pass.*Its parameters with gradients: none"):
        F.jpeg(x, quality=torch.tensor(50.0, requires_grad=True))
    with pytest.raises(TypeError, match=r"cut requires gradients.*with gradients: sigma"):
        F.gaussian_blur(x, 1.0, cut=torch.tensor(2.0, requires_grad=True))
    with pytest.raises(TypeError, match="strength of jpeg, which takes whole steps"):
        F.jpeg(x, quality=20, mask=asks, blend="modulate")
    with pytest.raises(TypeError, match=r"tensor requires gradients.*mask= at the call"):
        masks.FromTensor(asks)
    for call in (lambda w: F.mean_shift(x, 0.1, gradient=w), lambda w: Pipeline(MeanShift(0.1), gradient=w)):
        with pytest.raises(ValueError, match="gradient"):
            call("exactly")


def test_an_op_that_drops_its_gradient_says_so(monkeypatch):
    monkeypatch.setattr(REGISTRY["mean_shift"], "twin", staticmethod(lambda x, theta, context: x.detach() + theta[0]))
    assert F.mean_shift(photo(), 0.1, backend="torch").isfinite().all()
    with pytest.raises(TypeError, match="twin of mean_shift passes no gradient"):
        F.mean_shift(photo().requires_grad_(), 0.1)


def test_a_compiled_graph_breaks_for_masks_that_require_gradients(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    x, m = photo(), random(1, 1, 13, 17)
    assert compiled.takes(x, m) and compiled.takes(x, None)
    assert not compiled.takes(x, m.clone().requires_grad_()) and not compiled.takes(x.clone().requires_grad_(), None)


def test_every_op_tells_its_gradient():
    assert REGISTRY["gaussian_blur"].gradients() == "exact, also to sigma" and REGISTRY["jpeg"].gradients() == "straight-through"
    assert "gradient: exact, also to sigma" in F.gaussian_blur.__doc__
    for op in REGISTRY.values():
        assert op.gradient in ("exact", "straight-through") and set(op.steps) <= set(op.parameters)
