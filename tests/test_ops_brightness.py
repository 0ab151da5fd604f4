"""Brightness and contrast ops against scikit-image, SciPy and closed forms in float64, at the levels of the banks."""

import itertools
import math

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import pytest
import scipy.interpolate
import scipy.stats
import skimage.color
import skimage.data
import torch

from degrade import Compose, ContrastSqueeze, Pipeline, RangeStretch
from degrade import functional as F
from degrade.backends.native import interpreted
from degrade.ops import find

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48))


def photo(h, w, top=100, left=150):
    """A crop of a photograph, float32 in 0..1."""
    crop = skimage.data.astronaut()[top : top + h, left : left + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def as_double(x):
    return x[0].numpy().astype(np.float64)


def close(y, want, atol):
    np.testing.assert_allclose(as_double(y), np.clip(want, 0, 1), atol=atol, rtol=0)


def through(space, change):
    """A change of the channels of a colour space, by scikit-image, on 3 h w."""
    to, back = {"hsv": (skimage.color.rgb2hsv, skimage.color.hsv2rgb), "lab": (skimage.color.rgb2lab, skimage.color.lab2rgb)}[space]

    def convert(x):
        planes = to(x.transpose(1, 2, 0))
        change(planes)
        return back(planes).transpose(2, 0, 1)

    return convert


def parabola(t, amount):
    return np.clip(t + 2 * amount * t * (1 - t), 0, 1)


def psnr(x, y):
    return -10 * math.log10(np.mean((as_double(x) - as_double(y)) ** 2))


PUBLISHED = (  # of the 224 crop, measured with the original functions
    ("brighten", (0.1, 0.2, 0.4, 0.7, 1.1), {"lab": 1 / 3, "order": "bgr"}, (29.4, 23.4, 17.4, 13.0, 10.6)),
    ("darken", (0.05, 0.1, 0.2, 0.4, 0.8), {}, (35.8, 29.7, 23.7, 17.7, 12.0)),
    ("contrast_curve", (0.0, 0.15, -0.4, 0.3, -0.6), {}, (27.2, 22.3, 27.2, 19.3, 21.2)),
    ("contrast_squeeze", (0.4, 0.3, 0.2, 0.1, 0.05), {}, (23.7, 17.7, 14.2, 11.7, 10.7)),
)


@pytest.mark.parametrize(("name", "levels", "options", "decibels"), PUBLISHED, ids=[p[0] for p in PUBLISHED])
def test_arniqas_levels_have_arniqas_psnr(name, levels, options, decibels):
    x = photo(224, 224)
    got = [psnr(x, getattr(F, name)(x, level, **options)) for level in levels]
    np.testing.assert_allclose(got, decibels, atol=0.06)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("amount", [0.1, 0.4, 1.1, 2.0])
@pytest.mark.parametrize(("lab", "order"), [(1 / 3, "rgb"), (1 / 3, "bgr"), (1.0, "rgb"), (0.0, "rgb")])
def test_brighten_is_the_mix_of_both_curves(amount, lab, order, size):
    x = as_double(photo(*size))

    def lift(planes):
        planes[..., 0] = parabola(planes[..., 0] / 100, amount) * 100

    flip = slice(None, None, -1 if order == "bgr" else 1)
    want = (1 - lab) * parabola(x, amount) + lab * np.clip(through("lab", lift)(x[flip])[flip], 0, 1)
    close(F.brighten(photo(*size), amount, lab=lab, order=order), want, 5e-6)


@pytest.mark.parametrize("amount", [0.05, 0.2, 0.8, 2.0])
def test_darken_is_the_parabola(amount):
    x = photo(33, 48)
    close(F.darken(x, amount), parabola(as_double(x), -amount), 1e-6)


@pytest.mark.parametrize("amount", [-0.8, -0.6, -0.4, -0.2, 0.0, 0.15, 0.3, 0.8])
def test_contrast_curve_is_the_spline_through_five_points(amount):
    x = photo(33, 48)
    spline = scipy.interpolate.CubicSpline([0, 0.3, 0.5, 0.7, 1], [0, 0.25 - amount / 4, 0.5, 0.75 + amount / 4, 1], bc_type="not-a-knot")
    close(F.contrast_curve(x, amount), spline(as_double(x)), 1e-6)
    assert torch.equal(F.contrast_curve(x, -0.2), x)


@pytest.mark.parametrize("half_width", [0.4, 0.2, 0.05, 0.0, 0.85])
def test_contrast_squeeze_maps_the_range(half_width):
    x = photo(33, 48)
    close(F.contrast_squeeze(x, half_width), np.interp(as_double(x), [0, 1], [0.5 - half_width, 0.5 + half_width]), 1e-6)


@pytest.mark.parametrize("half_width", [0.3, 0.2, 0.1, 0.05, 0.01])
def test_stretch_then_squeeze_is_dbcnns_contrast(half_width):
    x = photo(33, 48)
    low, high = as_double(x).min(), as_double(x).max()
    want = (as_double(x) - low) / (high - low) * 2 * half_width + 0.5 - half_width
    close(Pipeline(Compose(RangeStretch(1.0), ContrastSqueeze(half_width)))(x, ids=[0]), want, 1e-5)


@pytest.mark.parametrize("factor", [0.75, 0.45, 0.2, 1.4, 2.1, 4.0])
def test_contrast_about_the_grey_mean_is_pillows(factor):
    x = (photo(33, 48) * 255 + 0.5).to(torch.uint8)
    want = PIL.ImageEnhance.Contrast(PIL.Image.fromarray(x[0].permute(1, 2, 0).numpy())).enhance(factor)  # cuts fractions off
    difference = F.contrast(x, factor, mean="grey")[0].permute(1, 2, 0).numpy().astype(int) - np.asarray(want)
    assert difference.min() == 0 and difference.max() == (factor % 1 > 0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("k", [0.4, 0.8, 1.0, 2.0, 6.0, 10.0])
def test_contrast_sigmoid_is_depictqas(k, size):
    x = photo(*size, top=20)
    mean = as_double(x).mean((1, 2), keepdims=True)
    with np.errstate(divide="ignore"):
        want = 1 / (1 + (mean / as_double(x)) ** float(np.float32(k)))
    close(F.contrast_sigmoid(x, k), want, 5e-5)  # the mean has 16 bits, and the slope is k / 4μ


def test_contrast_sigmoid_keeps_a_black_channel():
    x = photo(7, 13)
    x[:, 1] = 0.0
    y = F.contrast_sigmoid(x, 0.1)
    assert not y[:, 1].any() and y[:, 0].any()


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")  # negative Z, which both sides keep from going below 0
@pytest.mark.parametrize("amount", [-1.0, -0.27, -0.1, 0.1, 0.35, 0.5])
@pytest.mark.parametrize(("space", "plane", "top"), [("hsv", 2, 1), ("lab", 0, 100)])
def test_mean_shift_of_value_and_lightness(space, plane, top, amount):
    x = photo(33, 48)

    def shift(planes):
        planes[..., plane] = np.clip(planes[..., plane] + top * float(np.float32(amount)), 0, top)

    close(F.mean_shift(x, amount, space=space), through(space, shift)(as_double(x)), 5e-6)


def test_mean_shift_of_black_in_hsv_is_grey():
    assert torch.equal(F.mean_shift(torch.zeros(1, 3, 4, 5), 0.25, space="hsv"), torch.full((1, 3, 4, 5), 0.25))


@pytest.mark.parametrize("gamma", [0.1, 0.25, 0.58, 1.5, 3.5, 8.0])
def test_gamma_is_the_power(gamma):
    x = photo(33, 48)
    x[..., :3, :3] = 0.0
    power = float(np.float32(gamma))
    close(F.gamma(x, gamma), as_double(x) ** power, 2e-6)

    def bend(planes):
        planes[..., 2] **= power

    close(F.gamma(x, gamma, space="hsv"), through("hsv", bend)(as_double(x)), 2e-6)


@pytest.mark.parametrize("ev", [-4.0, -1.0, 0.5, 1.0, 3.0, 4.0])
def test_exposure_doubles_the_light_per_stop(ev):
    x = as_double(photo(33, 48))
    linear = np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)
    linear = np.minimum(linear * 2**ev, 1)
    close(F.exposure(photo(33, 48), ev), np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, linear * 12.92), 3e-6)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("gamma", [0.5, 0.875, 1.25, 1.625, 2.0])
def test_vignette_falls_from_the_centre(gamma, size):
    x = photo(*size)
    y, z = np.mgrid[: size[0], : size[1]].astype(np.float64)
    distance = np.hypot(y - (size[0] - 1) / 2, z - (size[1] - 1) / 2)
    mask = np.clip(1 - distance / max(distance.max(), 1e-9), 0, 1) ** gamma
    for strength in (1.0, 0.4):
        # Near a corner the mask is a root of a difference of nearly equal numbers.
        close(F.vignette(x, strength, gamma=gamma), as_double(x) * (1 - strength * (1 - mask)), 5e-4 if gamma < 1 else 2e-6)


@pytest.mark.parametrize("mode", ["multiply", "add"])
@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.2, 3.0])
def test_illumination_gradient_runs_between_the_ends(strength, mode):
    x = photo(33, 48)
    rows, columns = np.linspace(0, 1, 33)[:, None], np.linspace(0, 1, 48)[None]
    ramps = {0: columns, 90: rows[::-1], 180: columns[:, ::-1], -90: rows, math.degrees(math.atan2(47, 32)): (rows[::-1] + columns) / 2}
    for angle, ramp in ramps.items():
        change = strength * ramp * np.ones((33, 48))
        want = as_double(x) + change if mode == "add" else as_double(x) * (1 + change)
        close(F.illumination_gradient(x, strength, angle=angle, mode=mode), want, 3e-6)


def test_flare_falls_with_the_square_of_the_distance():
    """1 / glow − 1 is (d / R)²: a parabola, whose middle is the source."""
    size, radius = (24, 40), 0.3 * math.sqrt(24 * 40)
    black = torch.zeros(200, 3, *size)
    y = F.flare(black, 0.5, size=0.3, veil=0.2).numpy().astype(np.float64)
    assert (y[:, 0] == y[:, 1]).all() and (y[:, 0] == y[:, 2]).all()
    parabola = 1 / ((y[:, 0] / 0.5 - 0.2) / 0.8) - 1
    for axis, length in ((1, 24), (2, 40)):
        np.testing.assert_allclose(np.diff(parabola, 2, axis=axis) * radius**2, 2.0, atol=0.02)
        slope = np.diff(parabola, 1, axis=axis).take(0, axis=axis).mean(1)  # at pixel 0.5
        place = (0.5 - slope * radius**2 / 2 + 0.5) / length
        assert scipy.stats.kstest(place, "uniform").pvalue > 1e-3


def test_flare_adds_to_the_image():
    x = photo(24, 40) * 0.25
    light = F.flare(torch.zeros_like(x), 0.5, size=0.3, veil=0.2, seed=3)
    torch.testing.assert_close(F.flare(x, 0.5, size=0.3, veil=0.2, seed=3), x + light, atol=1e-6, rtol=0)


def bayer(side):
    """Bayer's matrix by its recursion."""
    if side == 1:
        return np.zeros((1, 1), dtype=int)
    m = 4 * bayer(side // 2)
    return np.block([[m, m + 2], [m + 3, m + 1]])


@pytest.mark.parametrize("levels", [2, 3, 4, 7, 16, 100, 255])
def test_banding_has_this_many_levels(levels):
    x = torch.linspace(0, 1, 4000).reshape(1, 1, 40, 100).expand(-1, 3, -1, -1)
    y = F.banding(x, math.log2(levels))
    assert len(y.unique()) == levels
    want = np.floor(as_double(x) * (levels - 1) + 0.5) / (levels - 1)
    tie = np.abs(as_double(x) * (levels - 1) % 1 - 0.5) < 1e-4
    np.testing.assert_allclose(as_double(y)[~tie], want[~tie], atol=1e-6)


@pytest.mark.parametrize("levels", [2, 3, 8])
def test_banding_with_dither_has_bayers_thresholds(levels):
    x = photo(33, 48) * 0.999
    thresholds = (np.tile(bayer(8), (5, 6))[:33] + 0.5) / 64
    want = np.floor(as_double(x) * (levels - 1) + thresholds) / (levels - 1)
    assert np.mean(np.abs(as_double(F.banding(x, math.log2(levels), dither="bayer")) - want) > 1e-6) < 1e-3  # rounding at a threshold
    for value in (0.1, 0.43, 0.9):  # the mean over a matrix is right to half a threshold
        y = F.banding(torch.full((1, 3, 16, 24), value), math.log2(levels), dither="bayer")
        assert abs(float(y.double().mean()) - value) <= 0.5 / 64 / (levels - 1) + 1e-6


@pytest.mark.parametrize("mode", ["round", "truncate"])
def test_eight_bit_is_the_uint8_of_numpy(mode):
    x = (photo(33, 48) * 0.9137 + 0.0111).clamp(0, 1)
    scaled = as_double(x) * 255
    want = np.floor(scaled + (0.5 if mode == "round" else 0.0)).astype(np.uint8) / 255
    tie = np.abs((scaled + (0.5 if mode == "round" else 0.0) + 0.5) % 1 - 0.5) < 2e-3
    assert tie.mean() < 0.02
    np.testing.assert_allclose(as_double(F.eight_bit(x, 1.0, mode=mode))[~tie], want[~tie], atol=1e-6)


@pytest.mark.parametrize("mode", ["round", "truncate"])
def test_eight_bit_keeps_eight_bit_values(mode):
    bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(F.eight_bit(bytes_, 1.0, mode=mode), bytes_)
    x = bytes_.to(torch.float32) / 255
    torch.testing.assert_close(F.eight_bit(x, 1.0, mode=mode), x, atol=1e-6, rtol=0)
    coarse = F.eight_bit(bytes_, 16.0, mode=mode).int()
    want = (bytes_.int() + (8 if mode == "round" else 0)) // 16 * 16
    assert torch.equal(coarse, want.clamp(max=255))


@pytest.mark.parametrize("amount", [0.3, 1.0])
@pytest.mark.parametrize("size", SIZES[1:], ids=str)
def test_range_stretch_reaches_both_ends(size, amount):
    x = photo(*size) * 0.5 + 0.2
    low, high = as_double(x).min(), as_double(x).max()
    close(F.range_stretch(x, amount), as_double(x) * (1 - amount) + amount * (as_double(x) - low) / (high - low), 1e-5 / (high - low))
    bytes_ = torch.tensor([[40, 90], [140, 240]], dtype=torch.uint8).expand(1, 3, 2, 2)
    assert F.range_stretch(bytes_, 1.0)[0, 0].tolist() == [[0, 64], [128, 255]]


def test_range_stretch_keeps_an_image_of_one_value():
    x = torch.full((2, 3, 7, 13), 0.3)
    x[1, 2, 3, 4] = 0.4
    y = F.range_stretch(x, 1.0)
    assert torch.equal(y[0], x[0]) and set(y[1].unique().tolist()) == {0.0, 1.0}


def cloud_values(roughness, count, rng):
    """Samples of the cloud at one point, from the definition."""
    place, total, weight = rng.random((count, 2)), np.zeros(count), 0.0
    for octave in range(5):
        t = place * 2**octave % 1
        t = t * t * (3 - 2 * t)
        corners = rng.random((count, 4)) - 0.5
        shares = np.stack([(1 - t[:, 0]) * (1 - t[:, 1]), (1 - t[:, 0]) * t[:, 1], t[:, 0] * (1 - t[:, 1]), t[:, 0] * t[:, 1]], 1)
        total += roughness**octave * (corners * shares).sum(1)
        weight += roughness ** (2 * octave) * (26 / 35) ** 2 / 12
    return np.clip(0.5 + 0.25 * total / math.sqrt(weight), 0, 1)


def cloud(size, roughness, ids):
    """The cloud of plasma shade, which brightness mode shows."""
    grey = torch.full((len(ids), 3, *size), 0.5)
    y = F.plasma_shade(grey, 0.5, roughness=roughness, mode="brightness", quantity=0.5, softness=1.0, ids=ids)
    return y[:, 0].numpy().astype(np.float64)


@pytest.mark.parametrize("roughness", [0.0, 0.7])
def test_plasma_shade_has_the_distribution_of_its_cloud(roughness):
    """12 000 independent points: a 2 % error of the deviation is over three standard errors."""
    got = np.concatenate([cloud((1, 1), roughness, np.arange(i, i + 500)).ravel() for i in range(0, 12000, 500)])
    want = cloud_values(roughness, 400_000, np.random.default_rng(1))
    assert abs(got.mean() - 0.5) < 4.5 * 0.25 / math.sqrt(len(got))
    assert abs(got.std() / want.std() - 1) < 0.02
    assert abs(want.std() - 0.25) < 0.015
    assert scipy.stats.ks_2samp(got, want).pvalue > 1e-3


def test_plasma_shade_is_continuous_and_as_fine_as_its_roughness():
    smooth, rough = (cloud((48, 48), r, np.arange(40)) for r in (0.2, 0.8))
    steps = [np.abs(np.diff(c, axis=a)) for c in (smooth, rough) for a in (1, 2)]
    # A cell's step is at most its weight times 1.5 per cell, and the coarsest cell has 24 pixels.
    weights = 0.2 ** np.arange(5)
    weights *= 0.25 / math.sqrt((26 / 35) ** 2 / 12 * (weights**2).sum())
    assert max(s.max() for s in steps[:2]) < (weights * 1.5 * 2 ** np.arange(5)).sum() / 24
    assert abs(steps[0].mean() / steps[1].mean() - 1) < 0.1  # the same in y and x
    assert steps[2].mean() > 3 * steps[0].mean()


def test_plasma_shade_in_shadow_mode_follows_the_cloud():
    ids, x = np.arange(6), torch.full((6, 3, 24, 32), 0.8)
    for quantity, softness in itertools.product((0.3, 0.6), (0.02, 0.5)):
        t = np.clip((np.float32(quantity) - cloud((24, 32), 0.5, ids)) / softness + 0.5, 0, 1)
        y = F.plasma_shade(x, 0.7, roughness=0.5, mode="shadow", quantity=quantity, softness=softness, ids=ids)
        np.testing.assert_allclose(y[:, 2].numpy(), 0.8 * (1 - 0.7 * t * t * (3 - 2 * t)), atol=1e-5 / softness)


OPTIONS = [
    ("brighten", 0.7, {"lab": 0.5, "order": "bgr"}),
    ("mean_shift", 0.2, {"space": "hsv"}),
    ("mean_shift", -0.2, {"space": "lab"}),
    ("gamma", 0.4, {"space": "hsv"}),
    ("contrast", 2.0, {"mean": "grey"}),
    ("contrast_sigmoid", 10.0, {}),
    ("vignette", 0.8, {"gamma": 0.5}),
    ("illumination_gradient", -0.5, {"angle": 33.0, "mode": "add"}),
    ("banding", 2.5, {"dither": "bayer"}),
    ("eight_bit", 3.0, {"mode": "truncate"}),
    ("plasma_shade", 0.6, {"roughness": 0.6, "mode": "brightness", "quantity": 0.5, "softness": 0.3}),
]


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
@pytest.mark.parametrize(("name", "first", "options"), OPTIONS, ids=[f"{o[0]}-{'-'.join(map(str, o[2].values()))}" for o in OPTIONS])
def test_device_equals_twin_with_options(name, first, options, dtype, device):
    x = ((photo(17, 35) if interpreted() else photo(67, 70)) * 255).to(torch.uint8).to(device)
    x[..., :4, :4] = 0
    x = x if dtype == torch.uint8 else x / 255 * 0.9973
    fast, slow = (getattr(F, name)(x, first, **options, backend=b).to(torch.float32) for b in ("triton", "torch"))
    allowed = 0.0 if device == "cpu" else 1.0 if dtype == torch.uint8 else find(name).tolerance
    assert float((fast - slow).abs().max()) <= allowed


@pytest.mark.parametrize(
    "name",
    [
        *("brighten", "darken", "contrast_curve", "contrast_squeeze", "mean_shift", "exposure", "vignette", "range_stretch"),
        "gamma",
        "contrast_sigmoid",
    ],
)
def test_gradients_reach_the_image(name):
    x = (photo(9, 11) * 0.8 + 0.1).requires_grad_()
    first = next(iter(find(name).parameters.values()))
    getattr(F, name)(x, float(first.at(np.float64(0.3), np.bool_(True)))).sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().mean() > 0.01
