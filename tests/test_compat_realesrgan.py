"""Real-ESRGAN's degradation by the options of its YAML files: sizes, options, randomness, and the pool."""

import random

import cv2
import numpy as np
import pytest
import torch

from degrade import banks
from degrade.compat import realesrgan
from degrade.compat.realesrgan import Degradation, Pool, usm

STILL = {  # options under which nothing happens but the resize to a quarter
    "blur_sigma": [0.01, 0.01], "sinc_prob": 0.0, "kernel_prob": [1, 0, 0, 0, 0, 0], "resize_prob": [0, 0, 1], "gaussian_noise_prob": 1.0,
    "noise_range": [0, 0], "second_blur_prob": 0.0, "resize_prob2": [0, 0, 1], "gaussian_noise_prob2": 1.0, "noise_range2": [0, 0],
    "jpeg_range": [100, 100], "jpeg_range2": [100, 100], "final_sinc_prob": 0.0, "gt_size": 64, "queue_size": 0,
}  # fmt: skip


def photos(b=2, size=64):
    coarse = torch.rand((b, 3, 6, 7), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)


def seed(n):
    random.seed(n)
    np.random.seed(n)
    torch.manual_seed(n)


def test_a_batch_becomes_what_feed_data_makes_of_it():
    gt = photos(3, 100)
    lq, out, sharp = Degradation({"gt_size": 72, "queue_size": 0})(gt)
    assert lq.shape == (3, 3, 18, 18) and out.shape == sharp.shape == (3, 3, 72, 72) and lq.is_contiguous()
    assert torch.allclose((lq * 255).round() / 255, lq, atol=1e-6) and lq.min() >= 0 and lq.max() <= 1
    assert torch.equal(sharp, usm(out))
    assert any(torch.equal(out, gt[:, :, t : t + 72, s : s + 72]) for t in range(0, 29, 4) for s in range(0, 29, 4))


@pytest.mark.parametrize("scale", [2, 4])
def test_with_all_steps_off_it_is_the_resize_alone(scale):
    gt = photos()[:, :1].expand(-1, 3, -1, -1).contiguous()  # grey, since JPEG halves the chroma
    for n in range(8):  # all filters and both orders
        seed(n)
        lq, out, _ = Degradation({**STILL, "scale": scale})(gt)
        assert lq.shape == (2, 3, 64 // scale, 64 // scale) and torch.equal(out, gt)
        small = torch.nn.functional.interpolate(usm(gt), scale_factor=1 / scale, mode="area")
        assert (lq - small).abs().mean() < 0.02, n


def test_images_are_degraded_unsharpened_on_request():
    """RealESRNet's option; the sharpened one is given back in any case."""
    gt, results = photos(), []
    for option in (True, False):
        seed(0)
        results.append(Degradation({**STILL, "gt_usm": option})(gt, ids=[0, 1]))
    assert not torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][2], results[1][2]) and not torch.equal(results[0][1], results[0][2])


def test_options_are_found_where_the_files_have_them():
    """Kernels' beside the data set, the others at the top, what is missing as published, and the model's before the data set's."""
    opt = {
        "scale": 2,
        "gt_size": 64,
        "noise_range2": [3, 4],
        "datasets": {"train": {"sinc_prob": 1.0, "gt_size": 999, "io_backend": {"type": "disk"}}},
    }
    d = Degradation(opt)
    assert d.opt["sinc_prob"] == 1.0 and d.opt["gt_size"] == 64 and d.opt["jpeg_range"] == [30, 95]
    program = d.blurred.sample(range(50), (64, 64))
    assert {program.ops[c] for c in program.code[program.code >= 0]} == {"sinc_filter"}
    program = d.second[0].sample(range(200), (64, 64))
    gaussian = program.code == program.ops.index("gaussian_noise")
    std = program.theta[..., 0][gaussian] * 255
    assert std.min() >= 3 and std.max() <= 4 and 60 < gaussian.sum() < 140


def test_the_defaults_are_the_bank_s():
    """The same nodes as in `degrade.banks.realesrgan`, which were checked against the published rule."""
    d, told = Degradation(), repr(banks.realesrgan().recipe)
    blurred, (noise, jpeg, again) = d.blurred.recipe.children[0], d.first.recipe.children
    second, final = d.second[0].recipe.children[0], d.final[0].recipe.children
    for node in (blurred, noise, jpeg, again, second, *final):
        assert repr(node) in told, node


@pytest.mark.parametrize("option, value", [("blur_sigma", [3, 3]), ("noise_range", [30, 30]), ("noise_range2", [25, 25]), ("jpeg_range", [30, 30]),
                                           ("jpeg_range2", [30, 30]), ("resize_range", [0.15, 0.15]), ("resize_range2", [0.3, 0.3]),
                                           ("final_sinc_prob", 1.0), ("blur_sigma2", [3, 3])])  # fmt: skip
def test_every_step_does_something(option, value):
    gt = photos(2, 64) * 0.5 + 0.5 * torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    still = {**STILL, "blur_sigma2": [0.01, 0.01], "kernel_prob2": [1, 0, 0, 0, 0, 0], "sinc_prob2": 0.0, "second_blur_prob": 1.0}
    for name in ("resize_range", "resize_range2"):  # "down" by nothing
        still |= {name: [1, 1], name.replace("range", "prob"): [0, 1, 0]}
    results = []
    for opt in (still, {**still, option: value}):
        seed(0)
        results.append(Degradation(opt)(gt, ids=[0, 1])[0])
    assert (results[0] - results[1]).abs().mean() > 1e-3


def test_equal_seeds_give_equal_batches_and_samples_differ():
    gt, d = photos(1).expand(2, -1, -1, -1), Degradation({"gt_size": 64, "queue_size": 0})
    results = []
    for n in (0, 0, 1):
        seed(n)
        results.append(d(gt)[0])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert not torch.equal(results[0][0], results[0][1])  # kernels, noise and JPEG are each sample's own
    seed(0)
    same = d(gt, ids=[7, 7])[0]
    assert torch.equal(same[0], same[1])


def test_the_pool_gives_back_pairs_of_earlier_batches():
    pool, given = Pool(4), []
    seed(0)
    for n in range(12):
        lq, gt = torch.full((2, 3, 2, 2), 2.0 * n), torch.full((2, 3, 8, 8), 2.0 * n)
        lq[1] += 1
        gt[1] += 1
        a, b = pool(lq, gt)
        assert torch.equal(a[:, 0, 0, 0], b[:, 0, 0, 0]) and (n > 1 or torch.equal(a, lq))
        given += a[:, 0, 0, 0].tolist()
    assert len(given) == 24 and max(given[4:]) < 22  # what comes out of a full pool came in before
    assert len(set(given[4:])) == 20  # and each pair once
    with pytest.raises(ValueError, match="a batch of 3 does not fit queue_size=4"):
        pool(torch.zeros(3, 3, 2, 2), torch.zeros(3, 3, 8, 8))


def test_sharpening_is_that_of_opencv_s_gaussian():
    """The published formula with OpenCV's filter; a flat image stays as it is."""
    x = photos(1, 60)
    kernel = cv2.getGaussianKernel(51, 0)
    image = x[0].permute(1, 2, 0).numpy().astype(np.float64)
    blur = cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    mask = cv2.sepFilter2D((np.abs(image - blur) * 255 > 10).astype(np.float64), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    want = mask * np.clip(image + 0.5 * (image - blur), 0, 1) + (1 - mask) * image
    assert np.abs(usm(x)[0].permute(1, 2, 0).numpy() - want).max() < 1e-4
    flat = torch.full((1, 3, 40, 40), 0.3)
    assert torch.allclose(usm(flat), flat, atol=1e-6)


@pytest.mark.parametrize(
    "gt", [torch.zeros(3, 64, 64), torch.zeros(1, 3, 64, 66), torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, 32, 32)]
)
def test_bad_input_is_told(gt):
    with pytest.raises(ValueError, match="accepted: "):
        Degradation({"gt_size": 64})(gt)


def test_resizes_are_drawn_as_published():
    seed(0)
    drawn = [realesrgan.resizing([0.2, 0.7, 0.1], [0.15, 1.5]) for _ in range(3000)]
    factors = np.array([f for f, _ in drawn])
    assert np.allclose([(factors > 1).mean(), (factors < 1).mean(), (factors == 1).mean()], [0.2, 0.7, 0.1], atol=0.04)
    assert factors.min() >= 0.15 and factors.max() <= 1.5 and {m for _, m in drawn} == {"area", "bilinear", "bicubic"}
