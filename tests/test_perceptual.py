"""The metric against scikit-image's, the committed table against the registry, and what perceptual levels do."""

import numpy as np
import pytest
import skimage.data
import skimage.filters
import skimage.metrics
import torch

import degrade
from degrade import banks, perceptual
from degrade.distributions import Levels
from degrade.ops import REGISTRY

BANKS = ("arniqa", "imagenet_c", "kadid10k", "reiqa", "shamisa", "tid2013", "xdistortion")


def photo(count=2, side=192):
    crops = [skimage.data.astronaut()[y : y + side, 150 : 150 + side] for y in range(0, 60 * count, 60)]
    return torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())


def test_ms_ssim_is_scikit_images_scale_by_scale():
    """Where no padding reaches. scikit-image gives the whole index; over its luminance term it is the contrast-structure term."""
    x = photo() / 255
    y = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    a, b = (v.reshape(-1, *v.shape[2:]).double().numpy() for v in (x, y))
    wanted = np.ones(len(a))
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            a, b = (v.reshape(len(v), v.shape[1] // 2, 2, -1, 2).mean((2, 4)) for v in (a, b))
        for i in range(len(a)):
            options = dict(gaussian_weights=True, sigma=1.5, truncate=3.3, use_sample_covariance=False, data_range=1.0, full=True)
            whole = skimage.metrics.structural_similarity(a[i], b[i], **options)[1][5:-5, 5:-5]
            ma, mb = (skimage.filters.gaussian(v[i], 1.5, truncate=3.3)[5:-5, 5:-5] for v in (a, b))
            structure = whole / ((2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2))
            wanted[i] *= (whole if scale == 4 else structure).mean() ** weight
    np.testing.assert_allclose(1 - perceptual.ms_ssim_change(x, y).numpy(), wanted.reshape(-1, 3).mean(1), atol=2e-5)


def test_ms_ssim_of_equal_images_is_1_and_small_images_are_refused():
    x = photo() / 255
    assert torch.allclose(perceptual.ms_ssim_change(x, x), torch.zeros(2), atol=1e-5)
    with pytest.raises(ValueError, match="at least 176 pixels a side"):
        perceptual.ms_ssim_change(x[..., :100], x[..., :100])


def test_the_table_holds_every_op_and_grows():
    """A new op needs `degrade calibrate --out degrade/perceptual.json`."""
    assert set(perceptual.table()) == set(REGISTRY)
    for name, op in REGISTRY.items():
        assert set(perceptual.table()[name]) == set(perceptual.directions(op))
        for changes in perceptual.table()[name].values():
            assert len(changes) == len(perceptual.SEVERITIES) and changes[0] == 0
            assert (np.diff(changes) >= 0).all(), name
            assert changes[-1] > 0.001 or name == "range_stretch", name  # the photographs fill the range already


def test_severity_inverts_the_table():
    changes = np.asarray(perceptual.table()["gaussian_noise"]["up"])
    np.testing.assert_allclose(perceptual.severity("gaussian_noise", changes), perceptual.SEVERITIES, atol=1e-6)
    assert perceptual.severity("gaussian_noise", 2.0) == 1.0 and perceptual.severity("gaussian_noise", 0.0) == 0.0
    with pytest.raises(ValueError, match="did you mean 'gaussian_noise'"):
        perceptual.severity("gausian_noise", 0.1)
    with pytest.raises(ValueError, match="direction of gaussian_noise"):
        perceptual.severity("gaussian_noise", 0.1, "down")


def test_levels_keep_the_published_sides():
    drawn = perceptual.levels(degrade.MeanShift, Levels(0, 0.08, -0.08, 0.15, -0.15)).table
    assert [np.sign(v) for v in drawn] == [-1, 1, -1, 1, -1] or [np.sign(v) for v in drawn] == [1, 1, -1, 1, -1]
    quality = perceptual.levels(degrade.Jpeg, Levels(43, 36, 24, 7, 4)).table
    assert all(q == int(q) for q in quality) and list(quality) == sorted(quality, reverse=True)


@pytest.mark.parametrize("name", BANKS)
def test_every_bank_has_perceptual_levels(name):
    bank = getattr(banks, name)(severity="perceptual")
    x = photo(1, 32)
    for kind in bank.types:
        assert bank.single(kind, 5)(x, ids=[0]).shape == x.shape
    with pytest.raises(ValueError, match="severity 'perceptuall' is unknown"):
        getattr(banks, name)(severity="perceptuall")


def test_perceptual_levels_bring_types_together():
    """At level 3 of 5 the changes of ARNIQA's smooth types lie closer together than as published."""
    x = photo(2, 192)
    kinds = ("gaublur", "whitenoise", "darken", "jpeg", "colorsat2", "highsharpen")

    def ratio(severity):
        bank = banks.arniqa(severity=severity)
        changes = [float(perceptual.ms_ssim_change(x / 255, bank.single(k, 3)(x, ids=[0, 1]) / 255).median()) for k in kinds]
        return max(changes) / min(changes)

    assert ratio("perceptual") < 0.5 * ratio("published")
