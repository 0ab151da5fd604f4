"""Real-ESRGAN's and BSRGAN's chains of ops: order, kernels and numbers are drawn as published."""

import numpy as np
import pytest
import scipy.stats
import torch
from bank_programs import COUNT, VARIANTS, equally_likely, likely, make, names, option, parameter

from degrade import banks
from degrade.ops import find


@pytest.fixture(scope="module")
def realesrgan():
    return banks.realesrgan().sample(range(COUNT), (224, 224))


def test_realesrgan_has_the_published_kernels(realesrgan):
    found, size = names(realesrgan), list(find("sinc_filter").parameters)
    for slot, p, widest in ((0, 1.0, 3.0), (4, 0.8, 1.5)):
        kernel, theta = found[:, slot], realesrgan.theta[:, slot]
        assert likely(kernel != "", p) if p < 1 else (kernel != "").all()
        used = kernel != ""
        assert likely(kernel[used] == "sinc_filter", 0.1)
        for op, share, round_ in (("anisotropic_gaussian_blur", 0.70, 0.45), ("generalized_gaussian_blur", 0.15, 0.12), ("plateau_blur", 0.15, 0.12)):
            here, where = kernel == op, list(find(op).parameters).index
            assert likely(here[used], 0.9 * share)
            assert likely(theta[here, where("isotropic")] == 1, round_ / share)
            assert equally_likely(theta[here, where("size")], 8) and set(theta[here, where("size")]) == set(range(7, 22, 2))
            for axis in ("sigma_x", "sigma_y"):
                assert scipy.stats.kstest(theta[here, where(axis)], scipy.stats.uniform(0.2, widest - 0.2).cdf).pvalue > 1e-4
            if op != "anisotropic_gaussian_blur":
                beta = theta[here, where("beta")]
                assert likely(beta == 1 if op == "plateau_blur" else beta < 1, 0.5) and beta.max() > (1.9 if op == "plateau_blur" else 3.8)
        sinc = kernel == "sinc_filter"
        cutoff, side = theta[sinc, size.index("cutoff")], theta[sinc, size.index("size")]
        assert equally_likely(side, 8) and cutoff.max() > 3.1
        assert abs(cutoff[side < 13].min() - np.pi / 3) < 0.05 and abs(cutoff[side >= 13].min() - np.pi / 5) < 0.05


def test_realesrgan_resizes_and_adds_noise_twice(realesrgan):
    found = names(realesrgan)
    for slot, (up, down, keep), (largest, smallest) in ((1, (0.2, 0.7, 0.1), (1.5, 0.15)), (5, (0.3, 0.4, 0.3), (1.2, 0.3))):
        factor, used = realesrgan.theta[:, slot, 0], found[:, slot] == "resize"
        assert likely(~used, keep) and likely(used & (factor < 1), up) and likely(used & (factor > 1), down)
        assert abs(factor[used].min() - 1 / largest) < 0.01 and abs(factor[used].max() * smallest - 1) < 0.01
        assert equally_likely(parameter(realesrgan, "filter", "resize")[used, slot], 3)
    for slot, std, scale in ((2, 30, 3.0), (6, 25, 2.5)):
        for op, name, low, high in (("gaussian_noise", "std", 1 / 255, std / 255), ("poisson_noise", "scale", 0.05, scale)):
            here = found[:, slot] == op
            assert likely(here, 0.5)
            value = parameter(realesrgan, name, op)[here, slot]
            assert scipy.stats.kstest(value, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-4
            assert likely(parameter(realesrgan, "colour", op)[here, slot] == option(op, "colour", "grey"), 0.4)


def test_realesrgan_ends_with_jpeg_and_sinc_in_either_order(realesrgan):
    found = names(realesrgan)
    assert (found[:, 3] == "jpeg").all() and (found[:, 9] == "eight_bit").all() and found.shape[1] == 10
    quality = realesrgan.theta[:, 3, 0]
    assert quality.min() == 30 and quality.max() == 95
    first = found[:, 7] == "jpeg"
    assert likely(first, 0.5) and ((found[:, 8] == "jpeg") != first).all()
    sinc = np.where(first, found[:, 8], found[:, 7])
    assert likely(sinc == "sinc_filter", 0.8) and set(sinc) == {"sinc_filter", ""}


@pytest.fixture(scope="module")
def bsrgan():
    return banks.bsrgan().sample(range(COUNT), (224, 224))


def test_bsrgan_shuffles_seven_steps(bsrgan):
    found, factor = names(bsrgan), bsrgan.theta[:, :, 0]
    assert found.shape[1] == 16 and likely(found[:, 0] == "resize", 0.25) and (factor[found[:, 0] == "resize", 0] == 2).all()
    nearest = parameter(bsrgan, "filter", "resize") == option("resize", "filter", "nearest")
    to_size = (found == "resize") & (factor == 4) & ~nearest
    noise = np.isin(found, ("gaussian_noise", "channel_correlated_noise"))
    shrink = (found == "resize") & (factor != 4) | (found == "gaussian_blur")
    blur = found == "anisotropic_gaussian_blur"
    for place in range(1, 15, 2):  # two slots for each step; a step may be skipped by chance
        assert (
            likely(blur[:, place], 2 / 7) and likely(to_size[:, place], 1 / 7) and likely(noise[:, place], 1 / 7) and likely(shrink[:, place], 1 / 7)
        )
        assert likely(found[:, place] == "jpeg", 0.9 / 7) and likely(found[:, place] == "bayer_mosaic", 0.25 / 7)
    for step, count in ((blur, 2), (to_size, 1), (noise, 1), (shrink, 1)):
        assert (step[:, 1:15].sum(1) == count).all()
    assert (found[:, 15] == "jpeg").all() and likely((found[:, 1:15] == "jpeg").any(1), 0.9)
    camera = (found == "bayer_mosaic").any(1)
    assert likely(camera, 0.25) and np.array_equal(camera, (found == "camera_noise").any(1))


def test_bsrgan_draws_the_published_kinds(bsrgan):
    found, theta = names(bsrgan), bsrgan.theta
    blur = found == "anisotropic_gaussian_blur"
    round_ = parameter(bsrgan, "isotropic", "anisotropic_gaussian_blur")[blur] == 1
    assert likely(round_, 0.5)
    assert abs(theta[blur, 0][round_].max() - 2.8) < 0.01 and abs(theta[blur, 0][~round_].max() - 8**0.5) < 0.01
    assert equally_likely(parameter(bsrgan, "size", "anisotropic_gaussian_blur")[blur], 10)
    assert likely((found == "gaussian_blur").any(1), 0.25)
    noise = np.isin(found, ("gaussian_noise", "channel_correlated_noise"))
    grey = (found == "gaussian_noise") & (parameter(bsrgan, "colour", "gaussian_noise") == option("gaussian_noise", "colour", "grey"))
    assert likely(grey.any(1), 0.4) and likely((found == "channel_correlated_noise").any(1), 0.2)
    assert scipy.stats.kstest(theta[noise, 0], scipy.stats.uniform(2 / 255, 23 / 255).cdf).pvalue > 1e-4
    quality = theta[:, 15, 0]
    assert quality.min() == 30 and quality.max() == 95


def test_bsrgan_plus_has_two_stages():
    program = banks.bsrgan("plus").sample(range(COUNT), (224, 224))
    found = names(program)
    half = found.shape[1] // 2
    for stage in (found[:, :half], found[:, half:]):
        assert (stage[:, -1] == "jpeg").all() and ((stage == "jpeg").sum(1) == 1).all() and ((stage == "anisotropic_gaussian_blur").sum(1) == 1).all()
        assert likely((stage == "resize").any(1), 0.9)
        for op in ("poisson_noise", "speckle_noise", "bayer_mosaic"):
            assert likely((stage == op).any(1), 0.1)
        assert likely(stage[:, 0] == "anisotropic_gaussian_blur", 0.5 + 0.5 / 6)  # first unless shuffled


@pytest.mark.parametrize("name, given", [v for v in VARIANTS if v[0] in ("realesrgan", "bsrgan")], ids=["bsrgan", "realesrgan", "plus"])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (5, 300)], ids=str)
def test_chains_take_small_images(name, given, size):
    x = torch.rand(24, 3, *size, generator=torch.Generator().manual_seed(0))
    y = make(name, **given, backend="torch")(x, ids=range(24))
    assert y.shape == x.shape and torch.isfinite(y).all() and y.min() >= 0 and y.max() <= 1
