"""imagecorruptions' functions under their own names."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from degrade import banks
from degrade.compat.imagecorruptions import NAMES, SUBSETS, corrupt, get_corruption_names

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are run from a checkout and not installed


def photo(h=64, w=71):
    coarse = torch.rand((1, 3, 9, 11), generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic").clamp(0, 1)
    return (x[0] * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def test_signatures_are_the_published_ones():
    found = [(n, p.default) for n, p in inspect.signature(corrupt).parameters.items() if p.kind is not p.KEYWORD_ONLY]
    assert found == [("image", inspect.Parameter.empty), ("severity", 1), ("corruption_name", None), ("corruption_number", -1)]
    assert [(n, p.default) for n, p in inspect.signature(get_corruption_names).parameters.items()] == [("subset", "common")]


def test_names_and_subsets():
    assert {k: len(v) for k, v in SUBSETS.items()} == {"common": 15, "validation": 4, "all": 19, "noise": 3, "blur": 4, "weather": 4, "digital": 4}
    assert get_corruption_names() == list(NAMES[:15]) and set(get_corruption_names("all")) == set(banks.imagenet_c().types)
    assert get_corruption_names("weather") == ["snow", "frost", "fog", "brightness"]
    held_out = [name for name, t in banks.imagenet_c().types.items() if t.group == "held out"]
    assert sorted(get_corruption_names("validation")) == sorted(held_out)


@pytest.mark.parametrize("number, name", list(enumerate(NAMES)))
def test_by_name_and_by_number(number, name):
    image = photo()
    before = image.copy()
    y = corrupt(image, 2, corruption_name=name, ids=3)
    assert y.shape == image.shape and y.dtype == np.uint8 and y.flags.c_contiguous and (y != image).any()
    assert np.array_equal(y, corrupt(image, severity=2, corruption_number=number, ids=[3])) and np.array_equal(image, before)
    bank = banks.imagenet_c().single(name, 2)(torch.from_numpy(image).permute(2, 0, 1), ids=[3])
    assert np.array_equal(y, bank.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("name, most, mean", [("brightness", 1, 0.7), ("contrast", 1, 0.7), ("saturate", 1, 0.7), ("gaussian_blur", 1, 0.7),
                                              ("jpeg_compression", 0, 0), ("pixelate", 255, 4)])  # fmt: skip
def test_what_has_no_chance_is_what_its_libraries_do(name, most, mean):
    """scikit-image, SciPy and Pillow as that package calls them, by benchmarks/baselines.py: it truncates to 8 bits where degrade rounds."""
    baselines = pytest.importorskip("benchmarks.baselines")
    image = photo()
    for severity in range(1, 6):
        off = np.abs(corrupt(image, severity, name).astype(int) - baselines.IMAGENET_C[name](image, severity))
        assert off.max() <= most and off.mean() <= mean, (severity, off.max(), off.mean())


@pytest.mark.parametrize("name, severity, std", [("gaussian_noise", 1, 0.08), ("gaussian_noise", 3, 0.18), ("speckle_noise", 2, 0.1)])
def test_noise_has_the_published_strength(name, severity, std):
    grey = np.full((128, 128, 3), 128, dtype=np.uint8)
    assert corrupt(grey, severity, name).std() / 255 == pytest.approx(std, rel=0.03)


def test_severity_grows():
    image = photo()
    off = [np.abs(corrupt(image, s, "gaussian_blur").astype(int) - image).mean() for s in range(1, 6)]
    assert off == sorted(off) and off[0] < off[-1]


def test_numpy_s_seed_is_what_counts():
    image, drawn = photo(), []
    for n in (1, 1, 2):
        np.random.seed(n)
        drawn.append([corrupt(image, 1, "gaussian_noise") for _ in range(2)])
    assert all(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[1]))
    assert not np.array_equal(drawn[0][0], drawn[0][1]) and not np.array_equal(drawn[0][0], drawn[2][0])


@pytest.mark.parametrize("grey", [photo()[..., 0], photo()[..., :1]])
def test_grey_images_come_back_with_three_channels(grey):
    y = corrupt(grey, 1, "jpeg_compression")
    assert y.shape == (64, 71, 3)
    assert np.array_equal(y, corrupt(np.stack([photo()[..., 0]] * 3, -1), 1, "jpeg_compression"))


@pytest.mark.parametrize(
    "call, kind, said",
    [
        (lambda: corrupt([1], 1, "fog"), AttributeError, "image is a list"),
        (lambda: corrupt(photo().astype(float), 1, "fog"), AttributeError, "dtype float64; accepted: uint8"),
        (lambda: corrupt(photo(31, 64), 1, "fog"), AttributeError, "31x64 pixels; accepted: at least 32"),
        (lambda: corrupt(np.zeros((64, 64, 4), np.uint8), 1, "fog"), AttributeError, "(64, 64, 4)"),
        (lambda: corrupt(photo(), 6, "fog"), AttributeError, "severity=6 is out of range; accepted: whole numbers from 1 to 5"),
        (lambda: corrupt(photo(), 1, "fogg"), KeyError, "did you mean 'fog'"),
        (lambda: corrupt(photo(), 1, corruption_number=19), IndexError, "0 to 18"),
        (lambda: corrupt(photo()), ValueError, "neither"),
        (lambda: get_corruption_names("every"), ValueError, "subset 'every'"),
    ],
)
def test_bad_input_raises_what_that_package_raises(call, kind, said):
    with pytest.raises(kind) as caught:
        call()
    assert said in str(caught.value).replace("\\'", "'"), caught.value
