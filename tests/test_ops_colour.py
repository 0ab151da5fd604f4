"""Colour ops and sharpening against scikit-image, kornia, SciPy, NumPy and their formulas in float64."""

import math

import kornia
import numpy as np
import pytest
import scipy.ndimage
import skimage
import torch

import degrade
from degrade import Pipeline
from degrade import functional as F

pytestmark = pytest.mark.filterwarnings("ignore:.*negative Z")  # scikit-image says so of every colour out of gamut

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48))
STEP = 1 / 65535  # of the working precision of 8-bit images


def photo(h, w):
    """A crop of a real photograph, float32 in 0..1."""
    crop = skimage.data.astronaut()[60 : 60 + h, 170 : 170 + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def crop224():
    """The crop that ARNIQA's functions were measured on."""
    return torch.from_numpy(skimage.data.astronaut()[100:324, 150:374].transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def last(x):
    """One image as float64, channels last."""
    return x[0].permute(1, 2, 0).numpy().astype(np.float64)


def psnr(a, b):
    return -10 * math.log10(float(((a.double() - b.double()) ** 2).mean()))


def to_lab(rgb, order="rgb"):
    return skimage.color.rgb2lab(rgb if order == "rgb" else rgb[..., ::-1])


def to_rgb(lab, order="rgb"):
    return skimage.color.lab2rgb(lab)[..., :: 1 if order == "rgb" else -1]


def gaussian(a, sigma, radius):
    return scipy.ndimage.gaussian_filter(a, sigma, mode="nearest", axes=(0, 1), radius=radius)


def close(got, want, atol):
    np.testing.assert_allclose(last(got), np.clip(want, 0, 1), atol=atol)


# ---- saturation, hue, white balance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("factor", [0.0, 0.3, 2.0, 3.0, 6.0, 9.0, 16.0])
def test_saturation_lab(factor, order):
    x = photo(33, 48)
    close(F.saturation_lab(x, factor=factor, order=order), to_rgb(to_lab(last(x), order) * [1, factor, factor], order), 1e-4)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_saturation_lab_of_any_size_and_mixed_orders(size):
    x = photo(*size).expand(2, -1, -1, -1)
    y = F.saturation_lab(x, factor=2.5, order=["bgr", "rgb"])
    for i, order in enumerate(["bgr", "rgb"]):
        close(y[i : i + 1], to_rgb(to_lab(last(x), order) * [1, 2.5, 2.5], order), 3e-5)


@pytest.mark.parametrize("factor", [-0.8, -0.4, 0.0, 0.2, 0.4, 0.6, 2.0, 5.0, 16.0])
def test_saturation_ycbcr_is_the_round_trip_through_kornia(factor):
    x = photo(33, 48)
    ycbcr = kornia.color.rgb_to_ycbcr(x.double())
    ycbcr[:, 1:] = (ycbcr[:, 1:] - 0.5) * factor + 0.5
    torch.testing.assert_close(F.saturation_ycbcr(x, factor=factor).double(), kornia.color.ycbcr_to_rgb(ycbcr).clamp(0, 1), atol=2e-5, rtol=0)


@pytest.mark.parametrize("angle", [-180.0, -120.0, -30.0, 15.0, 60.0, 144.0, 180.0])
def test_hue_rotation_is_that_of_scikit_image(angle):
    x = photo(33, 48)
    hsv = skimage.color.rgb2hsv(last(x))
    hsv[..., 0] = (hsv[..., 0] + angle / 360) % 1
    close(F.hue_rotation(x, angle=angle), skimage.color.hsv2rgb(hsv), 2e-6)


def test_hue_rotation_turns_red_into_green_and_leaves_grey():
    x = torch.tensor([[1.0, 0.0, 0.0], [0.4, 0.4, 0.4], [0.0, 0.0, 0.0]]).T.reshape(1, 3, 1, 3)
    want = torch.tensor([[0.0, 1.0, 0.0], [0.4, 0.4, 0.4], [0.0, 0.0, 0.0]]).T.reshape(1, 3, 1, 3)
    torch.testing.assert_close(F.hue_rotation(x, angle=120.0), want, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shift, tint", [(1.0, 0.0), (-2.0, 0.0), (0.0, 0.5), (0.6, -1.0)])
def test_white_balance(shift, tint):
    x = photo(7, 13)
    gain = np.array([2 ** (shift / 2), 2**-tint, 2 ** (-shift / 2)])
    gain /= gain @ [0.299, 0.587, 0.114]
    close(F.white_balance(x, shift=shift, tint=tint), last(x) * gain, 1e-6)
    grey = torch.full((1, 3, 2, 2), 0.3)
    luma = last(F.white_balance(grey, shift=shift, tint=tint)) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(luma, 0.3, atol=1e-6)


# ---- colour diffusion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("cut", [2.0, 4.0])
@pytest.mark.parametrize("amount", [0.0, 1.0, 3.0, 6.0, 8.0, 12.0, 16.0])
def test_colour_diffusion(amount, cut, order):
    x = photo(33, 48)
    lab = to_lab(last(x), order)
    sigma = 1.5 * amount + 2
    lab[..., 1:] = amount * gaussian(lab[..., 1:], sigma, math.ceil(cut * sigma))
    close(F.colour_diffusion(x, amount=amount, cut=cut, order=order), to_rgb(lab, order), 4e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_colour_diffusion_of_8_bit_images_of_any_size(size):
    """The scratch rounds a and b to 256/65535, amplified by the amount; the result to 1/255."""
    x = (photo(*size) * 255).round().to(torch.uint8)
    lab = to_lab(last(x) / 255)
    lab[..., 1:] = 3 * gaussian(lab[..., 1:], 6.5, 13)
    close(F.colour_diffusion(x, amount=3.0, cut=2.0) / 255, to_rgb(lab), 0.5 / 255 + 1e-3)


# ---- colour shift ----------------------------------------------------------------------------------------------------------


def edge_map(rgb, variant):
    """In float64, with NumPy's gradient and exact percentiles."""
    grey = rgb @ [0.2989, 0.5870, 0.1140]
    if variant == "arniqa":
        padded = np.pad(grey, 1, mode="edge")
        dy, dx = padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]
    else:
        dy, dx = np.gradient(grey)
    e = gaussian(np.hypot(dy, dx), 4, 16 if variant == "reiqa" else 8)
    e = (e - e.min()) / (e.max() - e.min())
    if variant == "arniqa":
        return e
    e = np.clip(e, 0.1, 1)
    low, high = np.percentile(e, [1, 99])
    return (np.clip(e, low, high) - low) / (high - low)


def displaced(green, down, right, variant):
    """As the three sources write it, with pads and rolls."""
    height, width = green.shape
    if variant == "kadis":
        return np.pad(green, ((down, 0), (right, 0)), mode="edge")[:height, :width]
    if variant == "arniqa":
        padded = np.pad(green, ((right, right), (down, down)), mode="edge")
        return np.roll(padded, (down, right), (0, 1))[right : right + height, down : down + width]
    pad = max(down, right)
    padded = np.pad(green, pad, mode="symmetric")
    return np.roll(padded, down + right)[pad : pad + height, pad : pad + width]


def direction(seed, sample):
    """What the op draws for a sample, from its own tables."""
    op = degrade.ColourShift
    theta = np.zeros((1, 8), dtype=np.float32)
    theta[0, 0] = 32.0
    return op.tables(theta, op.frame(seed, np.array([sample]), 0, 9, 9))[0, :2]


@pytest.mark.parametrize("variant", ["kadis", "arniqa", "reiqa"])
@pytest.mark.parametrize("amount", [1.0, 3.0, 6.0, 8.0, 12.0])
def test_colour_shift(amount, variant):
    """Red and blue stay; green is one of the displacements of this length, blended by the edge map."""
    x = photo(64, 90)
    rgb, e = last(x), edge_map(last(x), variant)
    y = F.colour_shift(x.expand(4, -1, -1, -1), amount=amount, variant=variant)
    shifts = {(round(amount * math.cos(t)), round(amount * math.sin(t))) for t in np.linspace(0, np.pi / 2, 4001)}
    assert torch.equal(y[:, 0::2], x.expand(4, -1, -1, -1)[:, 0::2])
    best = set()
    for i in range(4):
        gaps = {s: np.abs(y[i, 1].numpy() - (e * displaced(rgb[..., 1], *s, variant) + (1 - e) * rgb[..., 1])).max() for s in shifts}
        best.add(min(gaps, key=gaps.get))
        assert min(gaps.values()) < (2e-5 if variant == "arniqa" else 3e-3)  # the percentiles come from 1024 bins
    assert amount < 6 or len(best) > 1


def test_colour_shift_points_into_the_first_quadrant():
    """The direction of two uniforms: rarer at the ends than in the middle."""
    shifts = np.stack([direction(7, i) for i in range(2000)])
    assert (shifts >= 0).all() and np.abs(np.hypot(*shifts.T) - 32).max() < 0.75
    angle = np.degrees(np.arctan2(*shifts.T))
    assert abs(angle.mean() - 45) < 1.5
    u, v = np.random.default_rng(0).random((2, 200000))
    assert abs(angle.std() - np.degrees(np.arctan2(u, v)).std()) < 1.0


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("variant", ["kadis", "arniqa", "reiqa"])
def test_colour_shift_of_any_size_and_of_flat_images(size, variant):
    x = photo(*size)
    y = F.colour_shift(x, amount=5.0, variant=variant)
    assert torch.isfinite(y).all() and torch.equal(y[:, 0::2], x[:, 0::2])
    flat = torch.full((1, 3, *size), 0.25)
    torch.testing.assert_close(F.colour_shift(flat, amount=5.0, variant=variant), flat, atol=1e-7, rtol=0)


# ---- sharpening ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma, order", [(3.0, "rgb"), (6.0, "bgr")])
@pytest.mark.parametrize("amount", [0.5, 1.0, 2.0, 3.0, 6.0, 12.0])
def test_unsharp_mask_on_lightness(amount, sigma, order):
    x = photo(33, 48)
    lab = to_lab(last(x), order)
    lab[..., 0] += amount * (lab[..., 0] - gaussian(lab[..., 0], sigma, 6))
    close(F.unsharp_mask(x, amount=amount, sigma=sigma, size=13, order=order), to_rgb(lab, order), 5e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("amount, sigma, taps", [(2.0, 1.1, 5), (8.0, 1.1, 5), (0.5, 8.0, 51), (3.0, 2.0, 8), (4.0, 3.0, 1)])
def test_unsharp_mask_on_rgb(amount, sigma, taps, size):
    x = photo(*size)
    want = last(x) + amount * (last(x) - gaussian(last(x), sigma, taps // 2))
    close(F.unsharp_mask(x, amount=amount, sigma=sigma, size=taps, space="rgb"), want, 1e-5)


def test_unsharp_mask_with_a_threshold():
    x = photo(33, 48)
    difference = last(x) - gaussian(last(x), 8.0, 25)
    ramp = np.clip(np.abs(difference) * 25.5 - 0.5, 0, 1)
    close(F.unsharp_mask(x, amount=0.5, sigma=8.0, size=51, space="rgb", threshold=10 / 255), last(x) + 0.5 * ramp * difference, 1e-5)


def test_unsharp_mask_mixes_spaces_in_a_batch():
    x = photo(20, 30).expand(2, -1, -1, -1)
    y = F.unsharp_mask(x, amount=2.0, space=["rgb", "lab"])
    for i, space in enumerate(["rgb", "lab"]):
        assert torch.equal(y[i : i + 1], F.unsharp_mask(x[:1], amount=2.0, space=space))


def laplacian_sharpened(rgb, amount, gain):
    lab = to_lab(rgb * gain)
    lightness = lab[..., 0]
    laplacian = sum(np.gradient(np.gradient(lightness, axis=axis), axis=axis) for axis in (0, 1))
    lab[..., 0] = np.clip(lightness - amount * laplacian, 0, 100)
    return to_rgb(lab)


@pytest.mark.parametrize("amount", [1.0, 2.0, 3.0, 6.0, 12.0])
def test_laplacian_sharpen(amount):
    for size in ((2, 2), (7, 13), (33, 48)):
        x = photo(*size)
        close(F.laplacian_sharpen(x, amount=amount, scale="0..1"), laplacian_sharpened(last(x), amount, 1), 1e-4)


@pytest.mark.parametrize("amount", [1.0, 12.0])
def test_laplacian_sharpen_of_the_wrong_scale(amount):
    """Almost every L is clipped to 0 or 100; where it is not, values of thousands leave an error of up to 1e-2."""
    x = photo(33, 48)
    gap = np.abs(last(F.laplacian_sharpen(x, amount=amount, scale="0..255")) - laplacian_sharpened(last(x), amount, 255).clip(0, 1))
    assert (gap > 1e-4).mean() < 0.01
    for size in ((1, 1), (1, 9)):
        assert torch.isfinite(F.laplacian_sharpen(photo(*size), amount=amount, scale="0..255")).all()


# ---- published numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "published, make",
    [
        ((33.8, 17.0, 12.8, 11.1, 8.8), lambda x, i: F.colour_diffusion(x, amount=(1.0, 3.0, 6.0, 8.0, 12.0)[i], cut=2.0, order="bgr")),
        ((18.7, 16.2, 15.2, 14.3, 11.9), lambda x, i: F.saturation_hsv(x, factor=(0.4, 0.2, 0.1, 0.0, -0.4)[i])),
        ((None, 20.5, 17.0, 13.6, 10.8), lambda x, i: F.saturation_lab(x, factor=(1.0, 2.0, 3.0, 6.0, 9.0)[i], order="bgr")),
        ((22.9, 18.6, 16.4, 13.5, 11.5), lambda x, i: F.unsharp_mask(x, amount=(1.0, 2.0, 3.0, 6.0, 12.0)[i], sigma=6.0, size=13, order="bgr")),
    ],
    ids=["colordiff", "colorsat1", "colorsat2", "highsharpen"],
)
def test_psnr_of_arniqa(published, make):
    """The five levels of its functions on this crop, in dB."""
    x = crop224()
    for i, want in enumerate(published):
        if want is not None:
            y = make(x, i)
            y = y if len({18.7, 22.9} & set(published)) else torch.trunc(y * 255) / 255
            assert psnr(y, x) == pytest.approx(want, abs=0.06)


def test_re_iqas_sharpening_destroys_the_image():
    x = crop224()
    for amount in (1.0, 12.0):
        assert 5.0 < psnr(F.laplacian_sharpen(x, amount=amount, scale="0..255"), x) < 6.5


# ---- gradients -------------------------------------------------------------------------------------------------------------

DIFFERENTIABLE = {
    "saturation_lab": dict(factor=1.5),
    "saturation_ycbcr": dict(factor=1.5),
    "hue_rotation": dict(angle=20.0),
    "white_balance": dict(shift=0.3, tint=0.1),
    "colour_diffusion": dict(amount=1.2, cut=2.0),
    "unsharp_mask": dict(amount=0.5, sigma=2.0, size=7),
    "laplacian_sharpen": dict(amount=0.3),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_finite_differences(name):
    x = torch.from_numpy(np.random.default_rng(4).uniform(0.3, 0.7, (1, 3, 9, 11)).astype(np.float32))  # no ties
    along = torch.from_numpy(np.random.default_rng(5).normal(size=x.shape).astype(np.float32))

    def total(v):
        return (getattr(F, name)(v, **DIFFERENTIABLE[name]) * along).double().sum()

    v = x.clone().requires_grad_(True)
    total(v).backward()
    step = torch.from_numpy(np.random.default_rng(6).normal(size=x.shape).astype(np.float32)) * 1e-4
    want = float(total(x + step) - total(x - step)) / 2
    assert float((v.grad * step).sum()) == pytest.approx(want, rel=0.05, abs=1e-5)


def test_severity_of_colour_diffusion_begins_at_blurred_chroma():
    x = photo(48, 64)
    y = Pipeline(degrade.ColourDiffusion(severity=0.001))(x, ids=[0])
    assert 25 < psnr(y, x) < 45
