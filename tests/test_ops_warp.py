"""Warps, scatters and the blurs beside them against SciPy, OpenCV, closed forms and the sequential original."""

import itertools
import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import skimage.data
import torch

from degrade import functional as F
from degrade.backends.native import interpreted
from degrade.backends.twin import Rng
from degrade.kernels import rng
from degrade.op import Context
from degrade.ops import REGISTRY
from degrade.ops.blur.glass_blur import _sources
from degrade.ops.spatial.elastic_transform import _smooth

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48))
NAMES = ("jitter", "glass_blur", "elastic_transform", "chromatic_aberration", "row_shift", "interlace", "median_blur", "lens_mask_blur")


def photo(h, w):
    """A crop of a real photograph, float32 in 0..1."""
    crop = skimage.data.astronaut()[60 : 60 + h, 170 : 170 + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def ramps(h, w):
    """Red rises along x, green along y, both by SLOPE per pixel; what a warp leaves tells where it read."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([0.5 + SLOPE * (x - w // 2), 0.5 + SLOPE * (y - h // 2), torch.full((h, w), 0.5)]).to(torch.float32)[None]


SLOPE = 2.0**-11


def displacement(y, x):
    """(dy, dx) in pixels, away from the border, from the ramps before and after."""
    moved = (y - x)[0].double().numpy() / SLOPE
    return moved[1], moved[0]


def as_double(x):
    return x[0].numpy().astype(np.float64)


def draws(shape, seed=0, draw=0, pixel=None):
    """The uniforms that a call of `functional` with this seed gives its first image."""
    fields = Rng(rng.fold(seed, 0, 0), np.zeros(1, dtype=np.int64), 0, *shape, torch.device("cpu")).uniform4(draw, pixel)
    return [u[0].double().numpy() for u in fields]


def read_linear(image, dy, dx):
    """SciPy's bilinear values at displacements, with the border repeated."""
    y, x = np.mgrid[: image.shape[1], : image.shape[2]]
    at = np.clip(y + dy, 0, image.shape[1] - 1), np.clip(x + dx, 0, image.shape[2] - 1)
    return np.stack([scipy.ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in image])


def read_cubic(image, dy, dx):
    """Keys' kernel with a = −1/2, tap by tap from its definition."""

    def kernel(t):
        t = abs(t)
        return np.where(t <= 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0.0))

    _, h, w = image.shape
    y, x = np.mgrid[:h, :w]
    y, x = y + dy, x + dx
    total = np.zeros_like(image)
    for i, j in itertools.product(range(-1, 3), repeat=2):
        row, column = np.floor(y) + i, np.floor(x) + j
        taken = image[:, np.clip(row, 0, h - 1).astype(int), np.clip(column, 0, w - 1).astype(int)]
        total += kernel(y - row) * kernel(x - column) * taken
    return total


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("interpolation, read", [("bilinear", read_linear), ("bicubic", read_cubic)])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2, 0.5, 1.0, 8.0])
def test_jitter_is_repeated_warps_by_normals(sigma, interpolation, read, size):
    x = photo(*size)
    want = as_double(x)
    for i in range(5):
        u = draws(size, seed=3, draw=i // 2)[i % 2 * 2 : i % 2 * 2 + 2]
        far = np.float32(sigma) * np.sqrt(-2 * np.log(u[0]))
        want = np.clip(read(want, far * np.sin(2 * np.pi * u[1]), far * np.cos(2 * np.pi * u[1])), 0, 1)
    np.testing.assert_allclose(F.jitter(x, sigma=sigma, interpolation=interpolation, seed=3)[0].numpy(), want, atol=2e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_jitter_displaces_by_white_normals_of_this_deviation(interpolation):
    """An interpolation is exact on a ramp, so one warp shows its displacements. A 2 % error of sigma is 14 standard errors."""
    x = ramps(512, 512)
    field = [d[16:-16, 16:-16] for d in displacement(F.jitter(x, sigma=1.0, iterations=1, interpolation=interpolation), x)]
    count = field[0].size
    for d in field:
        assert abs(d.std() - 1) < 4.5 / math.sqrt(2 * count) and abs(d.mean()) < 4.5 / math.sqrt(count)
        assert scipy.stats.kstest(d[::2, ::2].ravel(), "norm").pvalue > 1e-3
        for a, b in ((d[1:], d[:-1]), (d[:, 1:], d[:, :-1]), field):
            assert abs((a * b).mean()) < 4.5 / math.sqrt(count)


@pytest.mark.parametrize("iterations", [1, 2, 3, 8])
def test_jitter_repeats_as_often_as_it_is_told(iterations):
    """Every warp draws anew: one image per number of iterations, alone and in one batch."""
    x = photo(24, 31)
    alone = F.jitter(x, sigma=0.7, iterations=iterations)
    batch = F.jitter(x.expand(3, -1, -1, -1), sigma=0.7, iterations=torch.tensor([8, iterations, 1]), ids=[1, 0, 2])
    assert torch.equal(batch[1:2], alone)
    assert not torch.equal(alone, F.jitter(x, sigma=0.7, iterations=9 - iterations))


def test_jitter_drifts_as_arniqa_does():
    """The whole image moves by k rows down and k columns to the left in each warp, k the difference of two rounded-up maxima."""
    op, n, size, sigma = REGISTRY["jitter"], 4000, (24, 30), 0.5
    theta = np.zeros((n, 8), dtype=np.float32)
    theta[:, :4] = sigma, 1, 0, 1
    drawn = op.tables(theta, op.frame(5, np.arange(n), 0, *size))[:, 0]
    generator = np.random.default_rng(0)
    margins = np.ceil(sigma * generator.standard_normal((n, 2, size[0] * size[1])).max(2))
    for k in (-1, 0, 1):
        assert abs((drawn == k).mean() - (margins[:, 0] - margins[:, 1] == k).mean()) < 4.5 * math.sqrt(0.5 / n)
    x = ramps(64, 64)
    total = 0
    for seed in range(12):
        dy, dx = displacement(F.jitter(x, sigma=1.0, iterations=3, interpolation="bilinear", drift="arniqa", seed=seed), x)
        k = dx[24:40, 24:40].mean()
        assert abs(k + dy[24:40, 24:40].mean()) < 0.5 and abs(k - round(k)) < 0.3
        total += abs(round(k))
    assert total > 0


LEVELS_OF_GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))


def scan(image, delta, offsets):
    """The original: from the bottom right, every pixel takes the present value of a neighbour, pass after pass."""
    image = image.copy()
    _, height, width = image.shape
    for dy, dx in offsets:
        for y in range(height - delta, delta, -1):
            for x in range(width - delta, delta, -1):
                image[:, y, x] = image[:, y + dy[y, x], x + dx[y, x]]
    return image


def scatter(size, delta, passes, seed=0):
    """The index, in rows of the flat image, that each pixel takes its value from."""
    fields = Rng(rng.fold(seed, 0, 0), np.zeros(1, dtype=np.int64), 0, *size, torch.device("cpu"))
    return (
        _sources(torch.full((1, 1, 1), float(delta)), torch.full((1, 1, 1), float(passes)), Context(fields, None, None), *size)[0].view(size).numpy()
    )


@pytest.mark.parametrize("size", [(1, 9), (7, 13), (33, 48)], ids=str)
@pytest.mark.parametrize("sigma, delta, passes", LEVELS_OF_GLASS)
def test_glass_blur_copies_what_the_scan_copies(sigma, delta, passes, size):
    """With the original's offsets equal to ours, all but the ends of very long chains is equal to it."""
    offsets = [[np.floor(u * 2 * delta).astype(int) - delta for u in draws(size, draw=k // 2)[k % 2 * 2 :][:2]] for k in range(passes)]
    wrong = scatter(size, delta, passes) != scan(np.arange(size[0] * size[1]).reshape(1, *size), delta, offsets)[0]
    assert wrong.mean() <= (0.003 if delta > 1 else 0.0)
    x = photo(*size)
    want = scipy.ndimage.gaussian_filter(as_double(x), sigma, mode="nearest", axes=(1, 2))
    want = scipy.ndimage.gaussian_filter(scan(want, delta, offsets), sigma, mode="nearest", axes=(1, 2))
    off = np.abs(F.glass_blur(x, sigma=sigma, delta=delta, passes=passes)[0].numpy() - want).max(0)
    assert (off > 2e-6).mean() <= wrong.sum() * (2 * math.floor(4 * sigma + 0.5) + 1) ** 2 / wrong.size


def test_glass_blur_has_the_statistics_of_the_original():
    """With random numbers of its own: the same PSNR to the clean image, and the same displacements."""
    sigma, delta, passes = LEVELS_OF_GLASS[4]
    x, size = photo(96, 96), (96, 96)
    index = np.arange(96 * 96).reshape(1, *size)
    generator = np.random.default_rng(1)
    quality, moved = [], []
    for seed in range(12):
        offsets = generator.integers(-delta, delta, (passes, 2, *size))
        want = scipy.ndimage.gaussian_filter(as_double(x), sigma, mode="nearest", axes=(1, 2))
        want = scipy.ndimage.gaussian_filter(scan(want, delta, offsets), sigma, mode="nearest", axes=(1, 2))
        got = as_double(F.glass_blur(x, sigma=sigma, delta=delta, passes=passes, seed=seed))
        quality.append([10 * math.log10(1 / ((v - as_double(x)) ** 2).mean()) for v in (got, want)])
        for source in (scatter(size, delta, passes, seed), scan(index, delta, offsets)[0]):
            moved.append(np.stack([source // 96 - index[0] // 96, source % 96 - index[0] % 96])[:, 24:-24, 24:-24])
    assert abs(np.subtract(*np.mean(quality, 0))) < 0.3  # three standard errors
    got, want = np.stack(moved[0::2], 1).reshape(2, -1), np.stack(moved[1::2], 1).reshape(2, -1)
    # Copied chains correlate neighbours, so these are wider than for independent numbers.
    assert np.abs(got.mean(1) - want.mean(1)).max() < 0.25
    assert np.abs(got.std(1) / want.std(1) - 1).max() < 0.03
    steps = np.linspace(0.02, 0.98, 13)
    assert np.abs(np.quantile(got, steps, axis=1) - np.quantile(want, steps, axis=1)).max() <= 1


@pytest.mark.parametrize("size", [*SIZES, (48, 33)], ids=str)
@pytest.mark.parametrize("amount, sigma", [(0.0625, 0.01), (0.15, 0.01), (0.0545, 0.0109), (0.1307, 0.0109), (0.5, 0.1), (1.0, 0.3)])
def test_elastic_transform_is_scipys(amount, sigma, size):
    """Up to 12 px of sigma the field is SciPy's filter of white noise."""
    side = min(size)
    amount, sigma = np.float32(amount).item(), np.float32(sigma).item()
    assert sigma * side < 12
    x = photo(*size)
    dx, dy = (
        amount * side * scipy.ndimage.gaussian_filter(2 * u - 1, sigma * side, mode="reflect", truncate=3) if sigma * side > 0.05 else amount * side * (2 * u - 1)
        for u in draws(size)[:2]
    )  # fmt: skip
    np.testing.assert_allclose(F.elastic_transform(x, amount=amount, sigma=sigma)[0].numpy(), read_linear(as_double(x), dy, dx), atol=3e-5)


@pytest.mark.parametrize("sigma", [12.0, 19.5, 40.0])
def test_elastic_transform_on_a_lattice_has_the_same_covariance(sigma):
    """The covariance of smoothed white noise is exp(−d²/4σ²) / (2√π σ) along each axis, wherever the lattice's points lie."""
    size = 640
    op = REGISTRY["elastic_transform"]
    theta = np.zeros((1, 8), dtype=np.float32)
    theta[0, :2] = 1.0, sigma / size
    table = torch.from_numpy(op.tables(theta, op.frame(0, np.zeros(1, dtype=np.int64), 0, size, size)))
    spacing = int(table[0, 0])
    assert spacing > 1
    # Every row of the identity is one lattice point; what comes out is its weight at each pixel.
    weights = _smooth(torch.eye(size)[None, None], table, spacing, 3)[0, 0].double().numpy()
    covariance = weights.T @ weights / spacing
    d = np.subtract.outer(np.arange(size), np.arange(size))
    want = np.exp(-(d**2) / (4 * sigma**2)) / (2 * math.sqrt(math.pi) * sigma)
    inner = slice(int(4 * sigma), size - int(4 * sigma))
    np.testing.assert_allclose(covariance[inner, inner], want[inner, inner], atol=1e-2 * want.max())  # the cut at 3σ takes 0.5 %
    # The field is this, times the noise's deviation, times the scale per axis.
    assert abs(float(table[0, 5] * table[0, 4]) * spacing - size) < 1e-3 * size


@pytest.mark.parametrize("affine", [0.02, 0.0872, 0.2])
def test_elastic_transform_moves_three_points(affine):
    """OpenCV's affine map of the moved points, undone in float64."""
    size = (60, 81)
    op, side = REGISTRY["elastic_transform"], min(size)
    x = photo(*size)
    u = op.frame(rng.fold(0, 0, 0), np.zeros(1, dtype=np.int64), 0, *size).u[0]
    middle, third = np.asarray([size[1] // 2, size[0] // 2]), side // 3
    points = (middle + np.asarray([[third, third], [third, -third], [-third, -third]])).astype(np.float32)
    moved = (points + (2 * u.reshape(3, 2) - 1) * affine * side).astype(np.float32)
    inverse = cv2.invertAffineTransform(cv2.getAffineTransform(points, moved))
    column, row = inverse @ np.stack([*np.mgrid[: size[0], : size[1]][::-1].reshape(2, -1), np.ones(size[0] * size[1])])
    y, xx = np.mgrid[: size[0], : size[1]]
    want = read_linear(as_double(x), row.reshape(size) - y, column.reshape(size) - xx)
    np.testing.assert_allclose(F.elastic_transform(x, amount=0.0, affine=affine)[0].numpy(), want, atol=2e-4)
    assert not torch.equal(F.elastic_transform(x, amount=0.0, affine=affine, ids=[1]), F.elastic_transform(x, amount=0.0, affine=affine))


def test_elastic_transform_expresses_imagenet_c():
    """The first level's field is so smooth that the image only moves; sigma is 0.7 of 244 px."""
    x = photo(224, 224)
    for amount, sigma, affine in ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.12, 0.01, 0.02)):
        y = F.elastic_transform(x, amount=amount * 244 / 224, sigma=sigma * 244 / 224, affine=affine * 244 / 224)
        assert torch.isfinite(y).all() and not torch.equal(x, y)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shift, angle", [(1, 0.0), (-5, 0.0), (9, 0.0), (2.3, 0.0), (3.0, 90.0), (-2.5, 37.0)])
def test_chromatic_aberration_displaces_channels(shift, angle, size):
    x = photo(*size)
    want = []
    for channel, share in zip(as_double(x), (1.0, 0.5, -1.0)):
        move = share * shift * np.asarray([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])  # down, right
        want.append(read_linear(channel[None], -move[0], -move[1])[0])
    got = F.chromatic_aberration(x, shift=shift, green=0.5, blue=-1.0, angle=angle)[0].numpy()
    np.testing.assert_allclose(got, np.stack(want), atol=3e-6 * max(1, abs(shift)))


@pytest.mark.parametrize("level", [2, 6, 10, 14])
def test_chromatic_aberration_is_rankiqas(level):
    """Red by n − 1 columns, green by n/2 − 1, then the 3×3 Gaussian of OpenCV."""
    x = photo(33, 48)
    y = F.chromatic_aberration(x, shift=level - 1, green=(level / 2 - 1) / (level - 1), blue=0.0, sigma=0.5)
    want = as_double(x)
    for channel, columns in ((0, level - 1), (1, level // 2 - 1)):
        want[channel] = want[channel][:, np.maximum(np.arange(48) - columns, 0)]
    want = cv2.GaussianBlur(want.transpose(1, 2, 0), (3, 3), 0.5, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(y[0].numpy().transpose(1, 2, 0), want, atol=3e-6)


def test_chromatic_aberration_magnifies_about_the_middle():
    x = ramps(65, 81)
    radius = math.hypot(32, 40)
    y = F.chromatic_aberration(x, shift=4.0, mode="radial", green=-1.0)
    dy, dx = displacement(y, x)
    yy, xx = np.mgrid[-32:33, -40:41]
    np.testing.assert_allclose(dx[8:-8, 8:-8], (-4.0 * xx / radius)[8:-8, 8:-8], atol=1e-3)  # red is read nearer the middle
    np.testing.assert_allclose(dy[8:-8, 8:-8], (4.0 * yy / radius)[8:-8, 8:-8], atol=1e-3)


def test_row_shift_is_uniform_and_one_per_row():
    x = ramps(2047, 41)
    _, dx = displacement(F.row_shift(x, amplitude=5.0, seed=2), x)
    assert np.ptp(dx[:, 8:-8], axis=1).max() < 1e-3
    shift = dx[:, 20]
    assert scipy.stats.kstest(shift, scipy.stats.uniform(-5, 10).cdf).pvalue > 1e-3
    assert abs(shift.std() / (5 / math.sqrt(3)) - 1) < 4.5 * math.sqrt(0.2 / 2047)  # a uniform's fourth moment is 9/5 of its variance squared
    assert abs(np.corrcoef(shift[1:], shift[:-1])[0, 1]) < 4.5 / 45


@pytest.mark.parametrize("length", [4.0, 16.0, 7.3])
def test_row_shift_waves_over_this_length(length):
    x = photo(33, 48)
    node = np.floor(np.arange(33) / np.float32(length)).astype(np.int64)
    t = np.arange(33) / np.float32(length).astype(np.float64) - node
    u0, u1 = (draws((33, 1), seed=4, pixel=torch.from_numpy(node + i)[:, None])[0][:, 0] for i in range(2))
    shift = 6.0 * (2 * (u0 + t * t * (3 - 2 * t) * (u1 - u0)) - 1)
    want = read_linear(as_double(x), 0.0, shift[:, None])
    np.testing.assert_allclose(F.row_shift(x, amplitude=6.0, length=length, seed=4)[0].numpy(), want, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shift", [3.0, -2.0, 1.25])
def test_interlace_displaces_odd_rows(shift, size):
    x = photo(*size)
    odd = (np.arange(size[0]) % 2)[:, None]
    got = F.interlace(x, shift=shift)
    np.testing.assert_allclose(got[0].numpy(), read_linear(as_double(x), 0.0, -shift * odd), atol=1e-6)
    assert torch.equal(got[:, :, ::2], x[:, :, ::2])


@pytest.mark.parametrize("size", [*SIZES, (97, 101)], ids=str)
@pytest.mark.parametrize("half_width", [0, 1, 2, 3])
def test_median_blur_is_scipys(half_width, size):
    x = photo(*size)
    want = scipy.ndimage.median_filter(x[0].numpy(), size=(1, 2 * half_width + 1, 2 * half_width + 1), mode="nearest")
    assert np.array_equal(F.median_blur(x, half_width=half_width)[0].numpy(), want)
    noise = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    want = scipy.ndimage.median_filter(noise.numpy(), size=(1, 1, 2 * half_width + 1, 2 * half_width + 1), mode="nearest")
    assert np.array_equal(F.median_blur(noise, half_width=half_width).numpy(), want)


@pytest.mark.device
@pytest.mark.parametrize("half_width", [1] if interpreted() else [1, 2, 3])
def test_median_blur_counts_to_the_exact_value(half_width, device):
    """Both precisions, with values beyond the range, ties, and both zeros."""
    size = (9, 14) if interpreted() else (39, 44)
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2)) * 1.001 - 0.0005
    x[:, :, 2:4] = x[:, :, 3:4, :1]
    x[:, :, 5, ::2], x[:, :, 5, 1::2] = -0.0, 0.0
    window = (1, 1, 2 * half_width + 1, 2 * half_width + 1)
    want = scipy.ndimage.median_filter(x.clamp(0, 1).numpy(), size=window, mode="nearest")
    assert np.array_equal(F.median_blur(x.to(device), half_width=half_width, backend="triton").cpu().numpy(), want)
    eight = (x.clamp(0, 1) * 255).to(torch.uint8)
    want = scipy.ndimage.median_filter(eight.numpy(), size=window, mode="nearest")
    assert np.array_equal(F.median_blur(eight.to(device), half_width=half_width, backend="triton").cpu().numpy(), want)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("gamma, sigma", [(2, 2), (2.4, 4), (3, 6), (3.8, 8), (5, 10)])
def test_lens_mask_blur_is_depictqas(gamma, sigma, size):
    x = photo(*size)
    y, xx = np.mgrid[: size[0], : size[1]]
    middle = (size[0] - 1) / 2, (size[1] - 1) / 2
    m = np.maximum(1 - np.hypot(y - middle[0], xx - middle[1]) / max(math.hypot(*middle), 0.5), 0) ** np.float32(gamma)
    blurred = scipy.ndimage.gaussian_filter(as_double(x), sigma, mode="nearest", axes=(1, 2))
    want = m * as_double(x) + (1 - m) * blurred
    np.testing.assert_allclose(F.lens_mask_blur(x, sigma=sigma, gamma=gamma)[0].numpy(), want, atol=3e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "median_blur"])
def test_gradients_are_the_transposed_warp(name):
    """These are linear in the image: ⟨w, f(x)⟩ = ⟨x, fᵀ(w)⟩."""
    x = (photo(17, 22) * 0.4 + 0.3).requires_grad_()
    w = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    y = getattr(F, name)(x, 1.5 if name != "elastic_transform" else 0.2)
    (gradient,) = torch.autograd.grad((y * w).sum(), x)
    torch.testing.assert_close((x * gradient).sum(), (y * w).sum(), rtol=1e-4, atol=0)
