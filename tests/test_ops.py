"""Every op against an independent implementation or its closed form. (The codec has a file of its own.)"""

import itertools
import math

import kornia.color
import numpy as np
import pytest
import scipy.ndimage
import skimage.color
import skimage.data
import torch

import degrade
from degrade import Pipeline
from degrade import functional as F
from degrade.backends import twin
from degrade.op import MAX_PARAMETERS
from degrade.ops import REGISTRY

# No parameter of these leaves every image as it is.
CHANGES_AT_NEUTRAL = (
    "jpeg", "jpeg2000", "codec", "contrast_sigmoid", "colour_diffusion",
    "palette", "dct_drop", "histogram_quantization", "otsu_quantization", "uniform_quantization",
)  # fmt: skip
SIZES = ((1, 1), (1, 9), (7, 13), (33, 48), (97, 101))


def photo(h, w):
    """A crop of a real photograph, float32 in 0..1."""
    crop = skimage.data.astronaut()[60 : 60 + h, 170 : 170 + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def as_double(x):
    return x[0].numpy().astype(np.float64)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0, 2.3, 5.0, 17.0])
def test_gaussian_blur_is_scipys_at_this_cut(sigma, size):
    x = photo(*size)
    want = scipy.ndimage.gaussian_filter(as_double(x), sigma, mode="nearest", axes=(1, 2), radius=math.ceil(2 * sigma))
    np.testing.assert_allclose(F.gaussian_blur(x, sigma=sigma)[0].numpy(), want, atol=1e-6)


def test_gaussian_blur_has_one_sigma_per_image():
    x = photo(40, 50).expand(4, -1, -1, -1)
    sigma = torch.tensor([0.0, 0.7, 3.0, 1.0])
    y = F.gaussian_blur(x, sigma=sigma)
    for i in range(4):
        assert torch.equal(y[i], F.gaussian_blur(x[i], sigma=float(sigma[i])))
    assert torch.equal(y[0], x[0])


def motion_kernel(length, angle):
    """MATLAB's rule pixel by pixel: 1 − distance to the line; at the ends, to the end point."""
    half, phi = (length - 1) / 2, math.radians(angle)
    reach = math.ceil(half) + 2
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for i in range(-reach, reach + 1):
        for j in range(-reach, reach + 1):
            along, across = j * math.cos(phi) - i * math.sin(phi), -i * math.cos(phi) - j * math.sin(phi)
            distance = abs(across)
            if math.hypot(i, j) >= half and distance <= 1:
                distance = math.hypot(across, half - abs(along))
            kernel[i + reach, j + reach] = max(0.0, 1 - distance)
    return kernel / kernel.sum()


@pytest.mark.parametrize("angle", [0, 17, 45, 90, 123.5, 180, -30, 271])
@pytest.mark.parametrize("length", [1, 2, 4, 6, 7.5, 10, 21])
def test_motion_blur_is_matlabs(length, angle):
    x = photo(33, 48)
    kernel = motion_kernel(length, angle)
    want = np.stack([scipy.ndimage.correlate(c, kernel, mode="nearest") for c in as_double(x)])
    np.testing.assert_allclose(F.motion_blur(x, length=length, angle=angle)[0].numpy(), want, atol=2e-6)


def test_motion_blur_published_values():
    """fspecial('motion', 4, 0), and the identity at length 1."""
    x = torch.zeros(1, 3, 9, 9)
    x[..., 4, 4] = 1.0
    line = F.motion_blur(x, length=4.0, angle=0.0)[0, 0, 4]
    torch.testing.assert_close(line, torch.tensor([0, 0, 0.125, 0.25, 0.25, 0.25, 0.125, 0, 0]), atol=1e-7, rtol=0)
    assert torch.equal(F.motion_blur(x, length=1.0, angle=33.0), x)


@pytest.mark.parametrize("name", REGISTRY)
def test_tables_of_a_sample_are_its_own(name):
    """A row of a batch's tables is the row of the sample alone, to the bit, then zeros."""
    op, ids = REGISTRY[name], np.arange(300)
    theta = Pipeline(op()).sample(ids, (21, 34)).theta[:, 0]
    rows = op.tables(theta, op.frame(1, ids, 2, 21, 34))
    for i in range(0, 300, 7):
        alone = op.tables(theta[i : i + 1], op.frame(1, ids[i : i + 1], 2, 21, 34))[0]
        assert np.array_equal(alone, rows[i, : len(alone)]) and not rows[i, len(alone) :].any()


def test_motion_blur_angle_is_anticlockwise():
    x = torch.zeros(1, 3, 21, 21)
    x[..., 10, 10] = 1.0
    y = F.motion_blur(x, length=15.0, angle=45.0)[0, 0]
    assert y[6, 14] > 0 and y[14, 6] > 0 and y[6, 6] == 0


@pytest.mark.parametrize("factor", [0.0, 0.05, 0.4, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_contrast_is_about_the_mean_of_each_channel(factor, size):
    x = photo(*size)
    mean = as_double(x).mean((1, 2), keepdims=True)
    want = np.clip(mean + factor * (as_double(x) - mean), 0, 1)
    np.testing.assert_allclose(F.contrast(x, factor=factor)[0].numpy(), want, atol=1e-5)  # the mean has 16 bits


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.4, 1.0, 2.0, 20.0])
def test_saturation_is_scikit_images(factor):
    x = photo(64, 64)
    hsv = skimage.color.rgb2hsv(as_double(x).transpose(1, 2, 0))
    hsv[..., 1] = np.minimum(hsv[..., 1] * factor, 1)
    want = skimage.color.hsv2rgb(hsv).transpose(2, 0, 1)
    np.testing.assert_allclose(F.saturation_hsv(x, factor=factor)[0].numpy(), want, atol=2e-6)


def test_negative_saturation_is_kornias():
    x = photo(64, 64)
    hsv = kornia.color.rgb_to_hsv(x)
    hsv[:, 1] *= -0.4
    want = kornia.color.hsv_to_rgb(hsv).clamp(0, 1)
    torch.testing.assert_close(F.saturation_hsv(x, factor=-0.4), want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("amount", [-1.0, -0.15, 0.0, 0.08, 0.5])
def test_mean_shift(amount):
    x = photo(33, 48)
    np.testing.assert_allclose(F.mean_shift(x, amount=amount)[0].numpy(), np.clip(as_double(x) + np.float32(amount), 0, 1), atol=1e-7)
    bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    shifted = F.mean_shift(bytes_, amount=25 / 255)
    assert torch.equal(shifted.int(), (bytes_.int() + 25).clamp(max=255))


def test_gaussian_noise_has_this_deviation():
    """A 2 % error in std is 28 standard errors away here."""
    x = torch.full((4, 3, 256, 256), 0.5)
    std = torch.tensor([0.01, 0.03, 0.05, 0.1])
    n = (F.gaussian_noise(x, std=std, seed=5) - 0.5).double()
    count = 3 * 256 * 256
    for i in range(4):
        assert abs(n[i].std() / std[i] - 1) < 4.5 / math.sqrt(2 * count)
        assert abs(n[i].mean()) < 4.5 * std[i] / math.sqrt(count)
    flat = (n / std[:, None, None, None]).reshape(12, -1)
    assert (torch.corrcoef(flat) - torch.eye(12)).abs().max() < 5 / 256  # channels and samples are independent
    for shifted in ((flat.reshape(12, 256, 256)[:, 1:], flat.reshape(12, 256, 256)[:, :-1]), (flat[:, 1:], flat[:, :-1])):
        assert (shifted[0] * shifted[1]).mean().abs() < 4.5 / math.sqrt(12 * 256 * 255)


@pytest.mark.parametrize("density", [0.01, 0.2, 1.0])
def test_impulse_noise_has_this_density(density):
    x = torch.full((3, 3, 256, 256), 0.25)
    y = F.impulse_noise(x, density=density, seed=2)
    assert set(y.unique().tolist()) <= {0.0, 0.25, 1.0}
    count = x.numel()
    for value in (0.0, 1.0):
        assert abs((y == value).double().mean() - density / 2) < 4.5 * math.sqrt(density / 2 / count)
    hit = (y != 0.25).double()
    both = (hit[:, 0] * hit[:, 1]).mean()
    assert abs(both - density**2) < 0.01  # every channel on its own


def draws_of_its_own(op, monkeypatch):
    """Whether an op at fixed parameters takes random numbers: on the host for its tables, or for each pixel."""
    asked = []
    real = twin.Rng.uniform4
    monkeypatch.setattr(twin.Rng, "uniform4", lambda *args, **kwargs: asked.append(1) or real(*args, **kwargs))
    Pipeline(op(severity=0.8, direction="up"))(photo(24, 30), ids=[0])
    return bool(asked) or op.uniforms > 0


def fixed(op):
    """Further parameters at one value each."""
    return {n: q.default if q.choices else float(q.spread().bounds()[1]) for n, q in list(op.parameters.items())[1:]}


@pytest.mark.parametrize("name", REGISTRY)
def test_equal_ids_draw_equal_results(name, monkeypatch):
    op = REGISTRY[name]
    x = (photo(48, 60) * 0.8 + 0.1).expand(2, -1, -1, -1)
    pipe = Pipeline(op(severity=0.8, direction="up", **fixed(op)), seed=3)
    first, again = pipe(x, ids=[4, 4])
    assert torch.equal(first, again)
    first, other = pipe(x, ids=[4, 5])
    assert torch.equal(first, other) != draws_of_its_own(op, monkeypatch)


@pytest.mark.parametrize("name", REGISTRY)
def test_severity_is_monotone_and_0_is_the_identity(name):
    x = photo(64, 80) * 0.8 + 0.1
    op = REGISTRY[name]
    for direction in ("up", "down"):
        change = [
            float((Pipeline(op(severity=s, direction=direction, **fixed(op)), seed=1)(x, ids=[0]) - x).abs().mean())
            for s in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
        ]
        assert change[0] == 0.0
        whole = next(iter(op.parameters.values())).integer  # neighbours may round to the same number
        assert all(a < b * 1.02 or (whole and a == b) for a, b in itertools.pairwise(change)), change
        assert change[-1] > 0.01


@pytest.mark.parametrize("name", REGISTRY)
def test_identity_is_known_from_the_parameters(name):
    """Where `identity` says so, no pixel changes; just beyond, some do."""
    op = REGISTRY[name]
    first = next(iter(op.parameters.values()))
    theta = np.zeros((1, MAX_PARAMETERS), dtype=np.float32)
    theta[0, 0] = first.neutral
    for i, q in enumerate(list(op.parameters.values())[1:], start=1):
        theta[0, i] = q.choices.index(q.default) if q.choices else q.spread().bounds()[0]
    if not op.identity(theta)[0]:
        assert name in CHANGES_AT_NEUTRAL
        return
    x = photo(20, 30)
    assert torch.equal(getattr(F, name)(x, first.neutral), x)
    beyond = first.at(np.float64(0.3), np.bool_(True)).item()
    assert not torch.equal(getattr(F, name)(x, round(beyond) if first.integer else beyond), x)


def test_every_op_says_what_it_is():
    for op in REGISTRY.values():
        assert op.caption.endswith(".") or ":" in op.caption
        assert op.group in {"blur", "noise", "compression", "colour", "brightness", "spatial", "sharpness", "weather"}
        assert "Source" in __import__("sys").modules[op.__module__].__doc__
        first, *others = op.parameters.values()
        assert first.unit and first.low <= first.neutral <= first.high
        for parameter in others:
            assert parameter.choices or (
                parameter.unit and parameter.low <= parameter.spread().bounds()[0] <= parameter.spread().bounds()[1] <= parameter.high
            )


def test_a_new_op_joins_by_registering():
    from degrade.kernels.lang import jit

    class HalfLight(degrade.PointOp):
        """Halve every value."""

        amount = degrade.Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the light")

        @staticmethod
        def twin(x, theta, context):
            return x * (1.0 - 0.5 * theta[0])

        @staticmethod
        @jit
        def point(r, g, b, theta, table, rng, pixel):
            k = 1.0 - 0.5 * theta[0]
            return r * k, g * k, b * k

    try:
        degrade.register(HalfLight)
        x = photo(8, 8)
        torch.testing.assert_close(Pipeline(HalfLight(1.0))(x), x / 2)
        torch.testing.assert_close(F.half_light(x, amount=0.5), x * 0.75)
    finally:
        REGISTRY.pop("half_light", None)
    with pytest.raises(TypeError, match="accepted: a subclass"):
        degrade.register(int)
