"""Blurs against SciPy, scikit-image, OpenCV, Pillow, or their definition written out; at the banks' levels."""

import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.special
import skimage.data
import skimage.filters
import torch
from PIL import Image, ImageFilter

from degrade import MedianBlur
from degrade import functional as F
from degrade.backends.native import interpreted

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48))


def photo(h, w, top=60, left=170):
    """A crop of a real photograph, float32 in 0..1."""
    crop = skimage.data.astronaut()[top : top + h, left : left + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def correlated(x, kernel, mode="nearest"):
    """x with a kernel of odd sides, in float64, clipped as a result is."""
    return np.clip(np.stack([scipy.ndimage.correlate(c, kernel, mode=mode) for c in x[0].numpy().astype(np.float64)]), 0, 1)


def close(got, want, atol=2e-6):
    np.testing.assert_allclose(got[0].numpy(), want, atol=atol, rtol=0)


def psnr(a, b):
    return -10 * math.log10(float(((a - b) ** 2).mean()))


def grid(reach):
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return y.astype(np.float64), x.astype(np.float64)


# ---- Gaussian -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.7, 1, 2, 3, 4, 6])
def test_gaussian_blur_cut_at_4_is_scikit_images(sigma, size):
    x = photo(*size)
    want = skimage.filters.gaussian(x[0].numpy().astype(np.float64), sigma, mode="nearest", truncate=4, channel_axis=0)
    close(F.gaussian_blur(x, sigma=sigma, cut=4, rule="nearest"), want, 1e-6)


@pytest.mark.parametrize("rule, whole", [("up", math.ceil), ("nearest", lambda v: math.floor(v + 0.5))])
@pytest.mark.parametrize("cut", [1.0, 2.0, 2.5, 3.0, 6.0])
@pytest.mark.parametrize("sigma", [0.4, 1.3, 7.0])
def test_gaussian_blur_is_cut_where_its_rule_says(sigma, cut, rule, whole):
    x = photo(33, 48)
    want = scipy.ndimage.gaussian_filter(x[0].numpy().astype(np.float64), sigma, mode="nearest", axes=(1, 2), radius=whole(cut * sigma))
    close(F.gaussian_blur(x, sigma=sigma, cut=cut, rule=rule), want, 1e-6)


def test_gaussian_blur_reads_256_pixels_at_most():
    x = photo(9, 300)
    want = scipy.ndimage.gaussian_filter(x[0].numpy().astype(np.float64), 60, mode="nearest", axes=(1, 2), radius=256)
    close(F.gaussian_blur(x, sigma=60.0, cut=8.0), want, 3e-6)


# ---- Disks ----------------------------------------------------------------------------------------------------------


def disk(r, steps=4000):
    """The area of each pixel inside the circle, its columns summed at many places."""
    reach = math.ceil(r - 0.5)
    u = np.arange(-reach - 0.5, reach + 0.5, 1 / steps) + 0.5 / steps
    chord = np.sqrt(np.maximum(r * r - u * u, 0))
    rows = np.arange(-reach, reach + 1)[:, None]
    inside = np.clip(np.minimum(chord, rows + 0.5) - np.maximum(-chord, rows - 0.5), 0, 1)
    area = inside.reshape(2 * reach + 1, 2 * reach + 1, steps).mean(2)
    return area / area.sum()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("radius", [0.6, 0.75, 1, 1.5, 2, 2.7, 4, 6, 8, 16])
def test_lens_blur_weighs_by_area(radius, size):
    x = photo(*size)
    close(F.lens_blur(x, radius=radius), correlated(x, disk(radius)))


def test_lens_blur_up_to_half_a_pixel_is_the_identity():
    x = photo(9, 9)
    assert torch.equal(F.lens_blur(x, radius=0.5), x)
    assert not torch.equal(F.lens_blur(x, radius=0.55), x)


def clipped(r):
    """The fault as measured on the original: one limit of each pixel's integral is lost, the other taken from the wrong side."""
    y, x = grid(r)
    a, b = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    low = np.where(r**2 < (a + 0.5) ** 2 + (b - 0.5) ** 2, b - 0.5, 0)
    high = np.where(r**2 > (a - 0.5) ** 2 + (b + 0.5) ** 2, b + 0.5, np.sqrt(r**2 - (b - 0.5) ** 2))
    area = lambda v: r**2 * (0.5 * np.arcsin(v / r) + 0.25 * np.sin(2 * np.arcsin(v / r)))  # noqa: E731
    rim = ((a + 0.5) ** 2 + (b + 0.5) ** 2 > r**2) & ((a - 0.5) ** 2 + (b - 0.5) ** 2 < r**2) | ((b == 0) & (a - 0.5 < r) & (a + 0.5 >= r))
    kernel = (area(high) - area(low) - (a - 0.5) * (high - low) + low - b + 0.5) * rim + ((a + 0.5) ** 2 + (b + 0.5) ** 2 < r**2)
    kernel[r, r] = 1
    return kernel / kernel.sum()


@pytest.mark.parametrize(
    "radius, distance, least, quality",
    [(1, 0, 0.025, 33.3), (2, 0.30, -0.002, 28.8), (4, 0.49, -0.029, 24.4), (6, 0.85, -0.048, 22.4), (8, 0.97, -0.050, 21.2)],
)
def test_clipped_lens_blur_is_the_fault_that_was_measured(radius, distance, least, quality):
    """The kernel's distance to the disk, its least weight, and the PSNR of a known crop."""
    kernel = clipped(radius)
    assert abs(np.abs(kernel - disk(radius)).sum() - distance) < 0.006
    assert abs(kernel.min() - least) < 0.0006
    x = photo(224, 224, 100, 150)
    y = F.lens_blur(x, radius=float(radius), kernel="clipped")
    assert abs(psnr(y, x) - quality) < 0.051
    close(y, correlated(x, kernel))


def aliased(r, smoothing):
    """A disk on its grid, smoothed by OpenCV."""
    reach, side = (8, 3) if r <= 8 else (math.floor(r), 5)
    y, x = grid(reach)
    kernel = (x * x + y * y <= r * r) / (x * x + y * y <= r * r).sum()
    return cv2.GaussianBlur(kernel, (side, side), smoothing) if smoothing else kernel


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "radius, smoothing", [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5), (0.5, 1), (2.3, 0.7), (8, 1), (8.4, 1), (5, 0), (24, 0.3)]
)
def test_defocus_blur_is_imagenet_cs_kernel(radius, smoothing, size):
    x = photo(*size)
    close(F.defocus_blur(x, radius=radius, smoothing=smoothing), correlated(x, aliased(radius, smoothing)), 5e-6)


def test_defocus_blur_differs_from_imagenet_c_at_the_border_alone():
    x = photo(96, 112)
    kernel = aliased(6, 0.5)
    want = np.clip(cv2.filter2D(x[0].numpy().transpose(1, 2, 0).astype(np.float64), -1, kernel), 0, 1).transpose(2, 0, 1)
    difference = np.abs(F.defocus_blur(x, radius=6.0, smoothing=0.5)[0].numpy() - want)
    assert difference[:, 7:-7, 7:-7].max() < 2e-6
    assert 0.01 < difference.max() < 0.3


def test_defocus_blur_brightens_where_the_smoothing_meets_the_grids_edge():
    x = torch.full((1, 3, 60, 60), 0.5)
    for radius, gain in ((3, 1.0), (6, 1.0), (8, 1.013), (10, 1.0108)):
        assert abs(float(F.defocus_blur(x, radius=float(radius), smoothing=0.5).mean()) / 0.5 - gain) < 1e-4


# ---- Elliptic kernels and the sinc filter -----------------------------------------------------------------------------


def mahalanobis(sigma_x, sigma_y, angle, size):
    """Real-ESRGAN's quadratic form, from the covariance matrix; its angle is clockwise."""
    t = -math.radians(angle)
    turn = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    y, x = grid(size // 2)
    places = np.stack([x, y], -1)
    return np.einsum("...i,ij,...j", places, inverse, places)


SHAPES = [(0.2, 3.0, 30.0, 21), (3.0, 3.0, 0.0, 21), (1.5, 0.6, -77.0, 7), (2.0, 1.0, 45.0, 13), (2.8, 0.4, 160.0, 25), (8.0, 2.0, 90.0, 31)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("sigma_x, sigma_y, angle, side", SHAPES)
def test_anisotropic_gaussian_blur(sigma_x, sigma_y, angle, side, size):
    x = photo(*size)
    kernel = np.exp(-0.5 * mahalanobis(sigma_x, sigma_y, angle, side))
    close(F.anisotropic_gaussian_blur(x, sigma_x=sigma_x, sigma_y=sigma_y, angle=angle, size=side), correlated(x, kernel / kernel.sum()))


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("sigma_x, sigma_y, angle, side", SHAPES)
def test_generalized_gaussian_and_plateau_blur(sigma_x, sigma_y, angle, side, beta):
    x = photo(33, 48)
    q = mahalanobis(sigma_x, sigma_y, angle, side)
    for op, kernel in ((F.generalized_gaussian_blur, np.exp(-0.5 * q**beta)), (F.plateau_blur, 1 / (1 + q**beta))):
        close(op(x, sigma_x=sigma_x, sigma_y=sigma_y, angle=angle, beta=beta, size=side), correlated(x, kernel / kernel.sum()))


def test_an_isotropic_kernel_is_the_gaussian_blur():
    x = photo(33, 48)
    ours = F.anisotropic_gaussian_blur(x, sigma_x=2.5, sigma_y=2.5, angle=33.0, size=21)
    torch.testing.assert_close(ours, F.gaussian_blur(x, sigma=2.5, cut=4.0), atol=2e-6, rtol=0)
    for op in (F.anisotropic_gaussian_blur, F.generalized_gaussian_blur, F.plateau_blur):
        assert torch.equal(op(x, sigma_x=1.5, sigma_y=3.0, angle=20.0, isotropic="on"), op(x, sigma_x=1.5, sigma_y=1.5, angle=0.0))


def test_an_even_window_is_the_next_odd_one():
    x = photo(33, 48)
    for op, given in ((F.anisotropic_gaussian_blur, dict(sigma_x=2.0, sigma_y=1.0)), (F.sinc_filter, dict(cutoff=1.0))):
        assert torch.equal(op(x, **given, size=6), op(x, **given, size=7))
        assert not torch.equal(op(x, **given, size=8), op(x, **given, size=7))


def test_elliptic_blurs_turn_anticlockwise():
    x = torch.zeros(1, 3, 21, 21)
    x[..., 10, 10] = 1.0
    y = F.anisotropic_gaussian_blur(x, sigma_x=3.0, sigma_y=0.5, angle=45.0)[0, 0]
    assert y[8, 12] > 100 * y[8, 8] and y[12, 8] > 100 * y[12, 12]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cutoff, side", [(math.pi / 5, 21), (math.pi / 3, 7), (1.0, 13), (2.0, 21), (3.1, 21), (0.1, 31), (math.pi * 0.9, 31)])
def test_sinc_filter(cutoff, side, size):
    x = photo(*size)
    y, u = grid(side // 2)
    distance = np.hypot(y, u)
    with np.errstate(invalid="ignore"):
        kernel = cutoff * scipy.special.j1(cutoff * distance) / (2 * np.pi * distance)
    kernel[side // 2, side // 2] = cutoff**2 / (4 * np.pi)
    close(F.sinc_filter(x, cutoff=cutoff, size=side), correlated(x, kernel / kernel.sum()))


def test_bessel_function_is_scipys():
    from degrade.ops.blur.sinc_filter import _j1

    z = np.linspace(0, 80, 4001)
    np.testing.assert_allclose(_j1(z), scipy.special.j1(z), atol=1e-14)


# ---- Motion ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "radius, sigma, angle",
    [(10, 3, 20.0), (15, 5, -45.0), (15, 8, 0.0), (15, 12, 44.7), (20, 15, -13.0), (10, 4, -90.0), (12, 8, -135.0), (32, 64, 200.0)],
)
def test_directional_blur_is_imagecorruptions(radius, sigma, angle, size):
    """Shifted copies, the border repeated; the port's angle is clockwise."""
    x = photo(*size)
    width = 2 * radius + 1
    weights = np.exp(-(np.arange(width) ** 2) / (2 * sigma**2))
    vertical, horizontal = width * math.sin(math.radians(-angle)), width * math.cos(math.radians(-angle))
    length, want = math.hypot(vertical, horizontal), 0
    for i, weight in enumerate(weights / weights.sum()):
        dy, dx = -math.ceil(i * vertical / length - 0.5), -math.ceil(i * horizontal / length - 0.5)
        rows, columns = np.clip(np.arange(size[0]) - dy, 0, size[0] - 1), np.clip(np.arange(size[1]) - dx, 0, size[1] - 1)
        want = want + weight * x[0].numpy().astype(np.float64)[:, rows][:, :, columns]
    close(F.directional_blur(x, radius=radius, sigma=float(sigma), angle=angle), want)


def test_directional_blur_displaces():
    x = torch.zeros(1, 3, 41, 41)
    x[..., 20, 20] = 1.0
    y = F.directional_blur(x, radius=8, sigma=6.0, angle=0.0)[0, 0]
    assert y[20, 4:21].gt(0).all() and y[20, 21:].max() == 0 and y.sum() == y[20].sum()
    assert y[20, 20] == y.max()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("length", [1, 2, 3, 12, 16, 20, 24, 28, 29, 64])
@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_box_motion_blur(axis, length, size):
    """As Re-IQA calls SciPy; without its shift, SciPy's own running mean."""
    x = photo(*size)
    planes = x[0].numpy().astype(np.float64)
    kernel = np.zeros((length, length))
    kernel[(slice(None), (length - 1) // 2) if axis == "vertical" else ((length - 1) // 2, slice(None))] = 1 / length
    want = np.stack([scipy.ndimage.convolve(c, kernel, mode="nearest") for c in planes])
    close(F.box_motion_blur(x, length=length, axis=axis, shift="scipy"), want)
    want = scipy.ndimage.uniform_filter1d(planes, length, axis=2 if axis == "horizontal" else 1, mode="nearest", origin=0 if length % 2 else -1)
    close(F.box_motion_blur(x, length=length, axis=axis), want)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("radius", [1, 2, 3, 10, 32])
def test_box_blur_is_scipys(radius, size):
    x = photo(*size)
    want = scipy.ndimage.uniform_filter(x[0].numpy().astype(np.float64), 2 * radius + 1, mode="nearest", axes=(1, 2))
    close(F.box_blur(x, radius=radius), want)


@pytest.mark.parametrize("radius", [0.3, 1.0, 2.5, 7.8])
def test_box_blur_of_a_fraction_is_pillows(radius):
    """Pillow rounds to 8 bits after each axis."""
    image = skimage.data.astronaut()[60:93, 170:218]
    want = np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(radius))).astype(int)
    got = F.box_blur(torch.from_numpy(image.transpose(2, 0, 1).copy()), radius=radius).numpy().transpose(1, 2, 0).astype(int)
    assert np.abs(got - want).max() <= 1


# ---- Zoom -----------------------------------------------------------------------------------------------------------

FACTORS = [np.arange(1, 1.11, 0.01), np.arange(1, 1.16, 0.01), np.arange(1, 1.21, 0.02), np.arange(1, 1.26, 0.02), np.arange(1, 1.31, 0.03)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("level", range(5))
def test_zoom_blur_is_the_mean_of_zooms(level, size):
    """ImageNet-C's factors, read by SciPy about the centre."""
    x = photo(*size)
    planes, factors = x[0].numpy().astype(np.float64), FACTORS[level]
    (h, w), want = size, x[0].numpy().astype(np.float64)
    for f in factors:
        y, u = np.meshgrid((np.arange(h) - (h - 1) / 2) / f + (h - 1) / 2, (np.arange(w) - (w - 1) / 2) / f + (w - 1) / 2, indexing="ij")
        want = want + np.stack([scipy.ndimage.map_coordinates(c, [y, u], order=1, mode="nearest") for c in planes])
    y = F.zoom_blur(x, amount=float(factors[-1] - 1), step=float(factors[1] - 1))
    close(y, want / (len(factors) + 1), 1e-5)


def clipped_zoom(planes, factor):
    """ImageNet-C's: a centred crop, enlarged from corner to corner, then cropped."""
    h, w = planes.shape[1:]
    crop = [math.ceil(s / factor) for s in (h, w)]
    top, left = (h - crop[0]) // 2, (w - crop[1]) // 2
    large = scipy.ndimage.zoom(planes[:, top : top + crop[0], left : left + crop[1]], (1, factor, factor), order=1)
    top, left = (large.shape[1] - h) // 2, (large.shape[2] - w) // 2
    return large[:, top : top + h, left : left + w]


@pytest.mark.parametrize("level", range(5))
def test_zoom_blur_is_near_imagenet_cs(level):
    """Its crops of whole pixels move each zoom by less than a pixel."""
    x = photo(224, 224, 100, 150)
    planes, factors = x[0].numpy().astype(np.float64), FACTORS[level]
    want = (planes + sum(clipped_zoom(planes, f) for f in factors)) / (len(factors) + 1)
    y = F.zoom_blur(x, amount=float(factors[-1] - 1), step=float(factors[1] - 1))
    assert psnr(y[0].numpy(), want) > 33
    assert abs(psnr(y, x) - psnr(want, planes)) < 0.5


def test_zoom_blur_below_one_step_is_the_identity():
    x = photo(20, 30)
    assert torch.equal(F.zoom_blur(x, amount=0.019, step=0.02), x)
    assert not torch.equal(F.zoom_blur(x, amount=0.02, step=0.02), x)


# ---- Batches and gradients --------------------------------------------------------------------------------------------

MIXED = {
    "lens_blur": dict(radius=[1.0, 4.0, 0.0, 3.3, 2.0], kernel=["exact", "clipped", "exact", "exact", "clipped"]),
    "defocus_blur": dict(radius=[3.0, 10.0, 1.0, 8.0, 0.0], smoothing=[0.1, 0.5, 1.0, 0.0, 0.5]),
    "anisotropic_gaussian_blur": dict(sigma_x=[0.2, 3.0, 1.0, 2.0, 4.0], sigma_y=1.0, angle=[0.0, 10.0, 90.0, 45.0, 7.0], size=[7, 11, 3, 9, 6]),
    "generalized_gaussian_blur": dict(sigma_x=[0.2, 3.0, 1.0, 2.0, 4.0], sigma_y=1.0, beta=[0.5, 1.0, 2.0, 4.0, 1.0], size=[7, 11, 3, 9, 6]),
    "plateau_blur": dict(sigma_x=[0.2, 3.0, 1.0, 2.0, 4.0], sigma_y=1.0, beta=[1.0, 1.0, 2.0, 1.5, 1.0], size=[7, 11, 3, 9, 6]),
    "sinc_filter": dict(cutoff=[1.0, 2.0, 3.0, 0.7, 3.14], size=[7, 11, 3, 9, 6]),
    "directional_blur": dict(radius=[6, 3, 0, 8, 4], sigma=[3.0, 5.0, 8.0, 12.0, 1.0], angle=[0.0, 33.0, 90.0, -45.0, 180.0]),
    "box_motion_blur": dict(length=[12, 5, 1, 16, 2], axis=["horizontal", "vertical", "vertical", "vertical", "horizontal"]),
    "box_blur": dict(radius=[1.0, 2.5, 0.0, 9.0, 3.0]),
    "zoom_blur": dict(amount=[0.1, 0.3, 0.01, 0.2, 0.05], step=[0.01, 0.03, 0.02, 0.02, 0.05]),
    "gaussian_blur": dict(sigma=[1.0, 6.0, 0.1, 2.0, 3.0], cut=[4.0, 2.0, 2.0, 3.0, 4.0], rule=["nearest", "up", "up", "nearest", "up"]),
}


@pytest.mark.parametrize("name", MIXED)
def test_each_image_has_its_own_kernel(name):
    """Equal, to the bit, to the image alone; and the device's results are the twin's."""
    x = photo(21, 34).expand(5, -1, -1, -1)
    y = getattr(F, name)(x, **{k: torch.tensor(v) if isinstance(v, list) and not isinstance(v[0], str) else v for k, v in MIXED[name].items()})
    for i in range(5):
        alone = {k: v[i] if isinstance(v, list) else v for k, v in MIXED[name].items()}
        assert torch.equal(y[i], getattr(F, name)(x[i], **alone))


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
@pytest.mark.parametrize("name", MIXED)
def test_device_equals_twin_on_a_mixed_batch(name, dtype, device):
    x = (photo(7, 13) if interpreted() else photo(41, 55)).expand(5, -1, -1, -1).to(device)
    x = (x * 255).to(torch.uint8) if dtype == torch.uint8 else x
    given = {k: torch.tensor(v) if isinstance(v, list) and not isinstance(v[0], str) else v for k, v in MIXED[name].items()}
    fast, slow = (getattr(F, name)(x, **given, backend=b).float() for b in ("triton", "torch"))
    assert float((fast - slow).abs().max()) <= (0 if device == "cpu" else 1 if dtype == torch.uint8 else 5e-6)


@pytest.mark.parametrize("name", MIXED)
def test_gradients_pass(name):
    """A blur is linear: the gradient of the sum of its results is its adjoint on ones."""
    x = (photo(12, 15) * 0.8 + 0.1).requires_grad_()
    given = {k: v[1] if isinstance(v, list) else v for k, v in MIXED[name].items()}
    y = getattr(F, name)(x, **given)
    y.sum().backward()
    assert x.grad.isfinite().all() and float(x.grad.abs().sum()) > 0
    if name not in ("lens_blur", "sinc_filter"):  # their negative results are clamped
        assert abs(float((x.grad * x - y).detach().sum())) < 1e-2


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (31, 40)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_medians_of_opencv_are_those_of_the_twin(size, dtype):
    x = torch.rand(5, 3, *size, generator=torch.Generator().manual_seed(3)) * 1.2 - 0.1
    x = x if dtype == torch.float32 else (x.clamp(0, 1) * 65535).round() / 65535
    theta = tuple(torch.tensor([1.0, 2.0, 3.0, 1.0, 0.0])[:, None, None, None] if i == 0 else torch.zeros(5, 1, 1, 1) for i in range(8))
    blur = MedianBlur
    assert torch.equal(blur.cpu(x, theta)[:4], blur.twin(x, theta, None)[:4])
