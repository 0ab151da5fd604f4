"""Noise against theory: moments, distributions, independence and spectra, each fine enough that an error of 2 % fails."""

import itertools
import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.spatial.transform
import scipy.special
import scipy.stats
import skimage.color
import skimage.data
import torch

from degrade import functional as F
from degrade.backends.native import interpreted
from degrade.ops import REGISTRY
from degrade.ops.noise.pink_noise import PinkNoise

NOISES = [name for name, op in REGISTRY.items() if op.group == "noise"]


def flat(value=0.5, count=2, side=256):
    return torch.full((count, 3, side, side), value)


def ramp(*size):
    """Every value from 0 to 1 in each channel, in another order."""
    h, w = size
    v = torch.linspace(0, 1, h * w).reshape(1, h, w)
    return torch.stack((v, v.flip(2), v.flip(1)), 1)


def photo(h, w):
    crop = skimage.data.astronaut()[60 : 60 + h, 170 : 170 + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def assert_white(n, correlated_channels=False):
    """Normal numbers (b, 3, h, w) of deviation 1, independent between samples, channels and neighbours."""
    n = n.double()
    b, c, h, w = n.shape
    rows = n.reshape(b * c, -1)
    within = 5 / math.sqrt(h * w)
    assert n.mean(dim=(2, 3)).abs().max() < within
    assert (n.std(dim=(2, 3)) - 1).abs().max() < within / math.sqrt(2)
    between = torch.corrcoef(rows) - torch.eye(b * c)
    if correlated_channels:
        for i in range(b):
            assert torch.equal(n[i, 0], n[i, 1]) and torch.equal(n[i, 0], n[i, 2])
            between[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = 0
    assert between.abs().max() < within
    for a, e in ((n[:, :, 1:], n[:, :, :-1]), (n[..., 1:], n[..., :-1]), (n[:, :, 1:, 1:], n[:, :, :-1, :-1])):
        assert (a * e).mean(dim=(2, 3)).abs().max() < within


def assert_normal(n):
    assert scipy.stats.kstest(n.double().flatten().numpy()[:: len(n)], "norm").pvalue > 1e-3


# ---- white noise -----------------------------------------------------------------------------------------------------------


def test_grey_gaussian_noise_is_one_pattern():
    n = (F.gaussian_noise(flat(), std=0.05, colour="grey", seed=5) - 0.5) / 0.05
    assert_white((n * 2**16).round() / 2**16, correlated_channels=True)
    assert_normal(n[:, 0])
    assert torch.equal(n[:, 0], (F.gaussian_noise(flat(), std=0.05, seed=5)[:, 0] - 0.5) / 0.05)


@pytest.mark.parametrize("std", [math.sqrt(v) for v in (0.001, 0.005, 0.01, 0.02)])
@pytest.mark.parametrize("colour", ["colour", "grey"])
@pytest.mark.parametrize("distribution", ["gaussian", "uniform"])
def test_speckle_multiplies(distribution, colour, std):
    x = flat(0.5)
    n = (F.speckle_noise(x, std=std, distribution=distribution, colour=colour, seed=3) / x - 1) / std
    if colour == "grey":
        n[:, 1:] = n[:, :1]
    assert_white(n, correlated_channels=colour == "grey")
    sample = n[:, 0].flatten().double().numpy()
    shape = scipy.stats.norm() if distribution == "gaussian" else scipy.stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
    assert scipy.stats.kstest(sample, shape.cdf).pvalue > 1e-3
    other = F.speckle_noise(flat(0.25), std=std, distribution=distribution, colour=colour, seed=3)
    torch.testing.assert_close(other * 2, F.speckle_noise(x, std=std, distribution=distribution, colour=colour, seed=3), atol=1e-6, rtol=0)


# ---- impulses --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("salt", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("density", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("per", ["value", "pixel"])
def test_impulses_by_value_and_by_pixel(per, density, salt):
    x = flat(0.25, 3)
    y = F.impulse_noise(x, density=density, per=per, salt=salt, seed=2)
    count = x.numel() if per == "value" else x.numel() / 3
    for value, part in ((1.0, density * salt), (0.0, density * (1 - salt))):
        assert abs((y == value).double().mean() - part) <= 4.5 * math.sqrt(part / count)
    hit = (y != 0.25).double()
    together = (hit[:, 0] * hit[:, 1]).mean().item()
    assert abs(together - (density if per == "pixel" else density**2)) < 4.5 * math.sqrt(density / count)
    assert torch.equal(y[:, 0], y[:, 1]) == (per == "pixel")
    assert (torch.corrcoef(hit.flatten(1)) - torch.eye(3)).abs().max() < 5 / 256
    for a, e in ((hit[:, :, 1:], hit[:, :, :-1]), (hit[..., 1:], hit[..., :-1])):
        assert abs((a * e).mean() - density**2) < 6 * density / 256


def test_impulses_are_unchanged_by_the_new_options():
    """Half and half by value is what the op did before it had them."""
    assert torch.equal(F.impulse_noise(flat(), density=0.1), F.impulse_noise(flat(), density=0.1, per="value", salt=0.5))


# ---- YCbCr -----------------------------------------------------------------------------------------------------------------


def kornia_ycbcr(rgb):
    r, g, b = np.moveaxis(rgb.astype(np.float64), 1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack([y, (b - y) * 0.564 + 0.5, (r - y) * 0.713 + 0.5], 1)


@pytest.mark.parametrize("std, chroma", [(math.sqrt(0.0001), 1.0), (0.05, 1.45), (0.03, 2.8)])
@pytest.mark.parametrize("range_", ["studio", "full"])
def test_ycbcr_noise_has_these_deviations(range_, std, chroma):
    """A grey image far from the limits, taken back to YCbCr by scikit-image or by kornia's formula."""
    y = F.ycbcr_noise(flat(0.5, 4), std=std, chroma=chroma, range=range_, seed=9).numpy()
    if range_ == "studio":
        ycc = np.moveaxis(skimage.color.rgb2ycbcr(np.moveaxis(y.astype(np.float64), 1, 3)), 3, 1) / 255
        centre = np.array([(16 + 219 * 0.5) / 255, 128 / 255, 128 / 255])
    else:
        ycc, centre = kornia_ycbcr(y), np.full(3, 0.5)
    unclipped = ((y > 0) & (y < 1)).all(1)
    assert unclipped.mean() > 0.985
    n = (ycc - centre[:, None, None]) / (std * np.array([1, chroma, chroma]))[:, None, None]
    if unclipped.all():
        assert_white(torch.from_numpy(n))
        assert_normal(torch.from_numpy(n))
    for i in range(3):
        kept = n[:, i][unclipped]
        assert abs(kept.std() - 1) < (0.01 if unclipped.all() else 0.03) and abs(kept.mean()) < 0.02


def test_ycbcr_noise_is_scikit_images_round_trip_with_clipping():
    """The normals are those of gaussian_noise at the same seed, so that every pixel can be computed another way."""
    x, std = photo(33, 48), 0.05
    n = (F.gaussian_noise(torch.full_like(x, 0.5), std=0.05, seed=4).double() - 0.5) / 0.05
    ycc = skimage.color.rgb2ycbcr(x[0].permute(1, 2, 0).double().numpy()) / 255 + std * n[0].permute(1, 2, 0).numpy()
    want = np.clip(skimage.color.ycbcr2rgb(np.clip(ycc, 0, 1) * 255), 0, 1)
    np.testing.assert_allclose(F.ycbcr_noise(x, std=std, seed=4)[0].permute(1, 2, 0).numpy(), want, atol=5e-6)


# ---- Poisson ---------------------------------------------------------------------------------------------------------------


def test_the_transformed_normal_has_poisson_probabilities():
    """P(floor(Q(w)) <= k) = Φ(w at which Q is k + 1), in float64, for all means above the switch."""
    w = np.linspace(-5.5, 5.5, 200001)
    for mean in (12.0, 13.7, 20.0, 30.0, 60.0, 100.0, 255.0, 1000.0, 1e4):
        q = mean + np.sqrt(mean) * w + 1 / 3 + w**2 / 6 - (w / 36 + w**3 / 72) / np.sqrt(mean) + (w**4 / 270 + 7 * w**2 / 810 - 8 / 405) / mean
        inside = w > -4.5
        assert (np.diff(q[inside]) > 0).all()
        k = np.arange(max(0, math.floor(mean - 4 * math.sqrt(mean))), math.ceil(mean + 5 * math.sqrt(mean)))
        reached = scipy.stats.norm.cdf(np.interp(k + 1, q[inside], w[inside]))
        assert np.abs(reached - scipy.stats.poisson.cdf(k, mean)).max() < 2e-4


@pytest.mark.parametrize("mean", [0.01, 0.5, 2.0, 7.3, 11.9, 12.1, 25.0, 48.0, 200.0])
def test_poisson_counts(mean):
    gain = 0.8 / mean if mean > 1 else 0.5  # full white is beyond most counts
    x = flat(np.float32(mean * gain).item(), 4)
    if mean > 20:
        gain = 0.5 / mean
        x = flat(0.5, 4)
    y = F.poisson_noise(x, gain=gain, seed=8)
    k = (y.double() / np.float32(gain)).numpy()
    np.testing.assert_allclose(k[y < 1], np.round(k[y < 1]), atol=2e-3)
    k = np.round(k).astype(int)
    limit = math.floor(1 / gain + 1e-4)  # larger counts clip
    ks = np.arange(limit)
    expected = scipy.stats.poisson.pmf(ks, mean) * k.size
    seen = np.bincount(np.minimum(k.ravel(), limit), minlength=limit + 1)[:limit]
    expected, seen = np.append(expected, k.size - expected.sum()), np.append(seen, k.size - seen.sum())
    use = expected > 20
    if (~use).any():
        expected, seen = np.append(expected[use], expected[~use].sum()), np.append(seen[use], seen[~use].sum())
        expected, seen = expected[expected > 5], seen[expected > 5]
    chi = ((seen - expected) ** 2 / expected).sum()
    # Above the switch the probabilities differ by up to 2e-4, which this many samples begin to see.
    assert chi < scipy.stats.chi2.ppf(1 - 1e-4, len(seen)) * (1 if mean < 12 else 1.5)
    if scipy.stats.poisson.sf(limit - 1, mean) < 1e-7:
        deviation = math.sqrt(mean)
        assert abs(k.mean() - mean) < 4.5 * deviation / math.sqrt(k.size)
        assert abs(k.var() / mean - 1) < 4.5 * math.sqrt((2 + 1 / mean) / k.size)
        assert abs(scipy.stats.skew(k.ravel()) - 1 / deviation) < 4.5 * math.sqrt(6 / k.size) * (1 + 1 / deviation) ** 2


@pytest.mark.parametrize("peak", [60, 25, 12, 5, 3])
def test_poisson_variance_follows_the_image(peak):
    """ImageNet-C's levels, at several values of one image; independent between channels, pixels and samples."""
    for value in (0.05, 0.2, 0.4):
        n = (F.poisson_noise(flat(value, 3), gain=1 / peak, seed=1).double() - value) * math.sqrt(peak / value)
        if scipy.stats.poisson.sf(peak, value * peak) > 1e-6:
            continue
        assert abs(n.var() - 1) < 0.02
        assert (torch.corrcoef(n.reshape(9, -1)) - torch.eye(9)).abs().max() < 5 / 256
        assert (n[..., 1:] * n[..., :-1]).mean().abs() < 0.01


def test_poisson_grey_and_scale():
    x = photo(64, 80) * 0.5 + 0.2
    y = F.poisson_noise(x, gain=1 / 256, scale=0.5, colour="grey", seed=2).double() - x
    luma = (x[:, 0] * 0.2989 + x[:, 1] * 0.5870 + x[:, 2] * 0.1140).double()
    torch.testing.assert_close(y[:, 0], y[:, 1], atol=1e-6, rtol=0)
    counts = (y[:, 0] / 0.5 + luma) * 256
    torch.testing.assert_close(counts, counts.round(), atol=2e-3, rtol=0)
    assert abs(((y[:, 0] / 0.5) ** 2 / (luma / 256)).mean() - 1) < 4.5 * math.sqrt(2 / luma.numel())


# ---- correlated noise ------------------------------------------------------------------------------------------------------


def test_channel_covariances():
    """Against BSRGAN's formula, from the same host uniforms through SciPy's rotations; then what a batch of images shows."""
    op = REGISTRY["channel_correlated_noise"]
    ids, std = np.arange(40), 25 / 255
    theta = np.zeros((40, 8), np.float32)
    theta[:, 0] = std
    frame = op.frame(11, ids, 0, 8, 8)
    a, b, c = frame.u[:, :3].T
    quaternions = np.stack([np.sqrt(1 - a) * np.sin(2 * np.pi * b), np.sqrt(1 - a) * np.cos(2 * np.pi * b),
                            np.sqrt(a) * np.sin(2 * np.pi * c), np.sqrt(a) * np.cos(2 * np.pi * c)], 1)  # fmt: skip
    basis = scipy.spatial.transform.Rotation.from_quat(quaternions).as_matrix()
    want = std**2 * np.abs(np.swapaxes(basis, 1, 2) @ (frame.u[:, 3:, None] * basis))
    a = np.zeros((40, 3, 3))
    a[:, [0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]] = op.tables(theta, frame)
    np.testing.assert_allclose(a @ np.swapaxes(a, 1, 2), want, atol=1e-8)


def test_channel_correlated_noise_is_white_in_space_and_differs_between_images():
    n = F.channel_correlated_noise(flat(0.5, 12, 128), std=0.1, seed=6).double() - 0.5
    covariance = torch.stack([torch.cov(v.reshape(3, -1)) for v in n]) / 0.01
    eigenvalues = torch.linalg.eigvalsh(covariance)
    assert eigenvalues.min() > 0 and eigenvalues.max() < 2
    assert 0.35 < covariance.diagonal(dim1=1, dim2=2).mean() < 0.65
    assert (covariance > -0.02).all() and covariance.std(0).min() > 0.05
    for v in n:
        mixed = torch.linalg.solve(torch.linalg.cholesky(torch.cov(v.reshape(3, -1))), v.reshape(3, -1)).reshape(3, 128, 128)
        assert (mixed[..., 1:] * mixed[..., :-1]).mean((1, 2)).abs().max() < 5 / 128
        assert scipy.stats.kstest(mixed.flatten().numpy(), "norm").pvalue > 1e-3


def autocorrelation(n, far):
    """Means of n(p) · n(p + d) over samples, channels and pixels, d within 0..far each way."""
    h, w = n.shape[2:]
    return torch.stack([torch.stack([(n[:, :, i:, j:] * n[:, :, : h - i, : w - j]).mean() for j in range(far)]) for i in range(far)])


@pytest.mark.parametrize("window", [1, 2, 4])
def test_spatial_correlation_is_a_tent(window):
    n = (F.spatially_correlated_noise(flat(0.5, 6), std=0.05, window=window, seed=7).double() - 0.5) / 0.05
    side = 2 * window + 1
    tent = torch.clamp(1 - torch.arange(side + 2).double() / side, min=0)
    torch.testing.assert_close(autocorrelation(n, side + 2), tent[:, None] * tent, atol=0.008 * side, rtol=0)
    border = torch.stack([n[..., 0, :], n[..., -1, :], n[..., 0], n[..., -1]])
    assert abs(border.var() - 1) < 0.06 * math.sqrt(side)
    rows = n.reshape(18, -1)
    assert (torch.corrcoef(rows) - torch.eye(18)).abs().max() < 5 * side / 256
    assert abs(scipy.stats.kurtosis(n.flatten().numpy())) < 0.03 * side


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 13), (33, 48)], ids=str)
@pytest.mark.parametrize("window", [1, 3])
def test_spatial_noise_over_the_image_is_its_box_mean(window, size):
    """DepictQA's form but for the border, from the normals of gaussian_noise at the same seed."""
    x = photo(*size)
    n = (F.gaussian_noise(torch.full_like(x, 0.5), std=0.05, seed=4).double() - 0.5) / 0.05
    want = scipy.ndimage.uniform_filter(x.double().numpy() + 0.14 * n.numpy(), 2 * window + 1, mode="nearest", axes=(2, 3))
    got = F.spatially_correlated_noise(x, std=0.14, window=window, over="image", seed=4)
    np.testing.assert_allclose(got.numpy(), np.clip(want, 0, 1), atol=2e-6)


@pytest.mark.parametrize("window", [1, 3])
def test_high_frequency_spectrum(window):
    n = (F.high_frequency_noise(flat(0.5, 16, 128), std=0.05, window=window, seed=2).double() - 0.5) / 0.05
    assert abs(n.var() - 1) < 0.01 and n.mean().abs() < 1e-3
    assert abs(torch.stack([n[..., 0, :], n[..., -1, :]]).var() - 1) < 0.06
    inner = n[..., 8:-8, 8:-8]
    side, size = 2 * window + 1, inner.shape[-1]
    taper = torch.hann_window(size, periodic=False).double()
    power = (torch.fft.fft2(inner * taper[:, None] * taper).abs() ** 2).mean((0, 1)) / (taper**2).sum() ** 2
    f = torch.fft.fftfreq(size).double()
    box = torch.where(f == 0, 1.0, torch.sin(math.pi * f * side) / (side * torch.sin(math.pi * f)))
    theory = (1 - box[:, None] * box) ** 2 / (1 - 1 / side**2)
    assert power[0, 0] < 0.01
    for low, high in ((0.03, 0.08), (0.08, 0.15), (0.15, 0.25), (0.25, 0.4), (0.4, 0.7)):
        ring = (torch.hypot(f[:, None], f) >= low) & (torch.hypot(f[:, None], f) < high)
        torch.testing.assert_close(power[ring].mean(), theory[ring].mean(), rtol=0.04, atol=0.004)
    rows = n.reshape(48, -1)
    assert (torch.corrcoef(rows) - torch.eye(48)).abs().max() < 6 / 128
    assert scipy.stats.kstest(n[:, 0, ::5, ::5].flatten().numpy(), "norm").pvalue > 1e-3


def test_high_frequency_noise_of_one_pixel_is_nothing():
    assert torch.equal(F.high_frequency_noise(flat(0.5, 1, 1), std=0.5), flat(0.5, 1, 1))


# ---- masked noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [0.02, 0.05])
def test_masked_noise_follows_the_local_variance(half):
    """The noise over SciPy's map is white; where the map is 0 nothing changes."""
    x = (photo(48, 80) * 0.4 + 0.3).expand(60, -1, -1, -1).contiguous()
    n = F.masked_noise(x, std=0.05, half=half, seed=1).double() - x
    luma = np.tensordot([0.2989, 0.5870, 0.1140], x[0].double().numpy(), 1)
    padded = np.pad(luma, 1, mode="edge")
    v = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).var((2, 3))
    m = scipy.ndimage.minimum_filter(v / (v + half**2), 3, mode="nearest")
    seen = n.pow(2).mean((0, 1)).sqrt().numpy() / 0.05
    use = m > 0.02
    assert np.abs(seen[use] / m[use] - 1).max() < 5.5 / math.sqrt(2 * 180)
    assert abs((seen[use] ** 2 / m[use] ** 2).mean() - 1) < 0.02
    assert seen[~use].max() < 0.03
    shape = (n / 0.05)[:, :, torch.from_numpy(m > 0.1)] / torch.from_numpy(m[m > 0.1])
    assert scipy.stats.kstest(shape[::4].flatten().numpy()[:50000], "norm").pvalue > 1e-3
    assert (torch.corrcoef(shape.transpose(0, 1).reshape(3, -1)) - torch.eye(3)).abs().max() < 0.01


def test_masked_noise_spares_flat_areas_and_thin_edges():
    x = torch.zeros(1, 3, 40, 40)
    x[..., 20:] = 0.8
    assert torch.equal(F.masked_noise(x, std=0.5), x)
    generator = torch.Generator().manual_seed(0)
    x[..., 25:] = torch.rand(1, 3, 40, 15, generator=generator) * 0.6 + 0.2
    y = F.masked_noise(x, std=0.2)
    assert torch.equal(y[..., :24], x[..., :24]) and (y - x)[..., 28:].std() > 0.1


# ---- pink noise ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_pink_noise_has_this_slope(exponent):
    """Slopes within 0.1 of the exponent and power within 1.5 dB of the line, where a 256-px window resolves the frequency."""
    n = (F.pink_noise(flat(0.5, 24), std=0.05, exponent=exponent, seed=3).double() - 0.5) / 0.05
    taper = torch.hann_window(256, periodic=False).double()
    power = (torch.fft.fft2(n * taper[:, None] * taper).abs() ** 2).mean((0, 1)) / (taper**2).sum() ** 2
    f = torch.fft.fftfreq(256).double()
    radial = torch.hypot(f[:, None], f)
    edges = np.geomspace(0.02, 0.5, 13)
    points = [(radial >= a) & (radial < b) for a, b in itertools.pairwise(edges)]
    level = np.log(np.array([power[p].mean().item() for p in points]))
    at = np.log(np.array([radial[p].mean().item() for p in points]))
    slope, offset = np.polyfit(at, level, 1)
    assert abs(slope + exponent) < 0.1
    assert np.abs(level - slope * at - offset).max() * 10 / math.log(10) < 1.5


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_pink_noise_has_this_deviation(exponent):
    """Over many images, since at exponent 2 a single one is much of one colour; every phase of the lattice is as likely."""
    n = (F.pink_noise(flat(0.5, 1500, 4), std=0.05, exponent=exponent, seed=3).double() - 0.5) / 0.05
    assert abs(n.var() - 1) < 0.02 * (1 + exponent)
    assert n.mean().abs() < 0.03 * (1 + exponent)
    assert (torch.corrcoef(n[:, :, 0, 0].T) - torch.eye(3)).abs().max() < 5 / math.sqrt(1500)
    assert abs((n[1:] * n[:-1]).mean()) < 0.05
    whole = (F.pink_noise(flat(0.5, 24, 192), std=0.05, exponent=exponent, seed=5).double() - 0.5) / 0.05
    assert abs(whole.pow(2).mean() - 1) < (0.006, 0.02, 0.08)[int(exponent)]
    assert abs(scipy.stats.kurtosis(whole.flatten().numpy())) < 0.3


def test_pink_noise_at_exponent_0_is_white():
    n = (F.pink_noise(flat(), std=0.05, exponent=0.0, seed=3) - 0.5) / 0.05
    assert_white(n)
    assert_normal(n)


def test_pink_powers_are_never_negative():
    """Else the spectrum would be another than the one solved for."""
    for exponent in np.linspace(0, 2, 41):
        theta = np.zeros((1, 8), np.float32)
        theta[0, :2] = 0.1, exponent
        table = PinkNoise.tables(theta, PinkNoise.frame(0, np.zeros(1, np.int64), 0, 4, 4)).reshape(8, 4)
        assert (table[:, 0] > 0).all() or exponent == 0
        assert (table[:, 1:3] < 2.0 ** np.arange(8)[:, None]).all()


# ---- sensors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain, value", [(4.0, 0.2), (16.0, 0.5), (16.0, 0.8)])
def test_camera_noise_variance(gain, value):
    y = F.camera_noise(flat(value, 4), gain, read=0.002, shot=0.00025, row=0.001, seed=4).double()
    n = y - value
    band = n.mean((1, 3))  # of a row, over its pixels and channels
    white = n - band[:, None, :, None]
    variance = 0.00025 * gain * value + (0.002 * gain) ** 2
    assert abs(white.var() / (variance * (1 - 1 / 768)) - 1) < 0.01
    expected = (0.001 * gain) ** 2 + variance / 768
    assert abs(band.var() / expected - 1) < 4.5 * math.sqrt(2 / band.numel())
    assert scipy.stats.kstest((band / math.sqrt(expected)).flatten().numpy(), "norm").pvalue > 1e-3
    assert_white(white / white.std((2, 3), keepdim=True))


def test_camera_noise_in_linear_light():
    """Decoded by scikit-image's curve, the noise has the linear variances, and shadows come out noisier than without."""
    for value in (0.3, 0.6):
        y = F.camera_noise(flat(value, 2), 4.0, read=0.001, shot=0.0005, row=0.0, light="linear", seed=4).double().numpy()
        linear = skimage.color.rgb2xyz(np.repeat(y[:, :1].reshape(-1, 1, 1), 3, 2))[..., 1]
        mean = skimage.color.rgb2xyz(np.full((1, 1, 3), value))[0, 0, 1]
        variance = 0.0005 * 4 * mean + (0.001 * 4) ** 2
        assert abs(linear.var() / variance - 1) < 0.02
        assert abs(linear.mean() - mean) < 5 * math.sqrt(variance / linear.size)


@pytest.mark.parametrize("colour", ["colour", "grey"])
@pytest.mark.parametrize("lines", ["rows", "columns", "both"])
def test_line_noise(lines, colour):
    n = (F.line_noise(flat(0.5, 8, 200), std=0.05, lines=lines, colour=colour, seed=1).double() - 0.5) / 0.05
    if lines == "columns":
        n = n.transpose(2, 3)
    rows = n.mean(3)
    if lines != "both":
        torch.testing.assert_close(n, rows[..., None].expand_as(n), atol=1e-5, rtol=0)
    else:
        columns = n.mean(2) - n.mean((2, 3))[..., None]
        torch.testing.assert_close(n, rows[..., None] + columns[:, :, None], atol=1e-5, rtol=0)
        assert abs(columns.var() / 0.5 - 1) < 4.5 * math.sqrt(2 / (8 * 200))
    scale = 0.5 if lines == "both" else 1.0
    offsets = rows if colour == "colour" else rows[:, :1]
    assert abs(offsets.var() / scale - 1) < 4.5 * math.sqrt(2 / offsets.numel()) + (0.01 if lines == "both" else 0)
    single = offsets.flatten() - (offsets.mean() if lines == "both" else 0)
    assert scipy.stats.kstest((single / single.std() if lines == "both" else single).numpy(), "norm").pvalue > 1e-3
    assert (rows[:, 0] - rows[:, 1]).abs().max() < 1e-5 or colour == "colour"
    matrix = torch.corrcoef(offsets.reshape(-1, 200))
    assert (matrix - torch.eye(len(matrix))).abs().max() < 5 / math.sqrt(200)
    assert (offsets[..., 1:] * offsets[..., :-1]).mean().abs() < 5 / math.sqrt(offsets.numel())


# ---- every noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 13)], ids=str)
def test_small_images_pass(name, size):
    y = getattr(F, name)(ramp(*size), 0.2)
    assert y.shape == (1, 3, *size) and torch.isfinite(y).all()


@pytest.mark.parametrize("name", NOISES)
def test_gradients_are_finite(name):
    x = torch.cat([flat(0.0, 1, 16), photo(16, 16)])
    x.requires_grad_(True)
    options = {} if REGISTRY[name].gradient == "exact" else {"gradient": "straight-through"}
    getattr(F, name)(x, 0.1, **options).sum().backward()
    assert torch.isfinite(x.grad).all()


def options():
    """Every option of every noise that has some."""
    for name in NOISES:
        chosen = {n: q.choices for n, q in REGISTRY[name].parameters.items() if q.choices}
        for values in itertools.product(*chosen.values()):
            if any(chosen[n].index(v) for n, v in zip(chosen, values)):
                yield pytest.param(name, dict(zip(chosen, values)), id=f"{name}-{'-'.join(values)}")


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
@pytest.mark.parametrize("name, chosen", list(options()))
def test_device_equals_twin_for_every_option(name, chosen, dtype, device):
    size = (17, 35) if interpreted() else (67, 70)
    x = torch.stack([ramp(*size)[0], torch.zeros(3, *size)]).to(device)
    x = x if dtype == torch.float32 else (x * 255).to(dtype)
    op = REGISTRY[name]
    first = next(iter(op.parameters.values())).at(np.array([0.1, 0.9]), np.array(True))
    fast, slow = (getattr(F, name)(x, first, **chosen, backend=b) for b in ("triton", "torch"))
    slack = 0.0 if device == "cpu" else op.tolerance if dtype == torch.float32 else 1
    assert (fast.float() - slow.float()).abs().max() <= slack
