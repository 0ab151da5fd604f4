"""What a degradation did to the pixels, held against programs that end sooner, and against scikit-image."""

import numpy as np
import pytest
import torch
from test_labels import KINDS, SIZE, labels_of

import degrade
from degrade import Compose, Local, Pipeline, effect, masks


def images(dtype, batch=5):
    x = torch.randint(0, 256, (batch, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    return x if dtype == torch.uint8 else (x / 255).to(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16], ids=str)
def test_effect_is_the_change_between_successive_programs(kind, dtype):
    labels, x = labels_of(kind), images(dtype)
    got = labels.effect(x, backend="torch")
    assert got.change.shape == got.changed.shape == labels.type.shape and got.change.dtype == got.changed.dtype == torch.float32
    full = 255 if dtype == torch.uint8 else 65535

    def whole(v):
        return v.numpy().astype(int) if dtype == torch.uint8 else np.floor(v.float().numpy() * np.float32(65535) + np.float32(0.5)).astype(int)

    for i in range(5):
        before = x[i : i + 1]
        for s in range(labels.program.slots):
            data = labels.program.select(i).to_dict()
            sample = data["samples"][0]
            sample["slots"] = [own for own in sample["slots"] if own["slot"] <= s]
            at = [own["slot"] for own in sample["slots"]]
            for region in sample["regions"]:
                inside = [a for a in at if region["first"] <= a <= region["last"]]
                region.update(first=min(inside, default=None), last=max(inside, default=None))
            sample["regions"] = [region for region in sample["regions"] if region["first"] is not None]
            mask = None if labels._mask is None else labels._mask[i : i + 1]
            after = degrade.apply(
                degrade.Program.from_dict(data), before if s < 0 else x[i : i + 1], mask if "from_tensor" in data["families"] else None, "torch"
            )
            difference = np.abs(whole(after[0]) - whole(before[0]))
            pixels = [difference[:, y, c] for y in range(SIZE[0]) for c in range(SIZE[1]) if labels.masks[i, s, y, c] > 0]
            change = sum(int(p.sum()) for p in pixels) / (3 * full * len(pixels)) if pixels else 0.0
            assert float(got.change[i, s]) == pytest.approx(change, rel=1e-6)
            assert float(got.changed[i, s]) == pytest.approx(sum(bool(p.any()) for p in pixels) / max(len(pixels), 1), rel=1e-6)
            before = after
        assert torch.equal(before, degrade.apply(labels.program.select(i), x[i : i + 1], mask if labels._mask is not None else None, "torch"))
    empty = (labels.type < 0) | (labels.area == 0)
    assert (got.change[empty] == 0).all() and (got.change[~empty & ~labels.identity] > 0).any()


def test_effect_takes_one_image_and_grey_ones():
    labels, x = labels_of("whole"), images(torch.uint8)
    assert torch.equal(labels[2].effect(x[2]).change, labels.effect(x).change[2:3])
    grey = x[:, :1]
    assert torch.equal(labels.effect(grey).change, labels.effect(grey.expand(-1, 3, -1, -1)).change)


def test_effect_refuses_other_images():
    with pytest.raises(ValueError, match=r"x has 4 images of 23x37 and the labels are of 5 of 23x37"):
        labels_of("whole").effect(images(torch.uint8)[:4])
    with pytest.raises(ValueError, match="x has 5 images of 23x36"):
        labels_of("whole").effect(images(torch.uint8)[..., :36])
    with pytest.raises(ValueError, match="x holds values from"):
        labels_of("whole").effect(images(torch.float32) * 255)


def first_slots(program, count):
    return program.between(np.zeros(len(program)), np.full(len(program), count))


def test_a_program_of_first_slots_is_as_if_it_were_drawn():
    """Probability 0 in place of emptying: the same arrays, regions included."""

    def recipe(p):
        inner = Local(Compose(degrade.MeanShift(0.1), Local(degrade.Jpeg(p=p), masks.Ellipse())), masks.Blob())
        return Compose(degrade.Contrast(p=0.5), inner, Local(degrade.GaussianNoise(p=p), masks.Stripes()), degrade.Contrast(p=0.5 * p))

    whole, first = (Pipeline(recipe(p), seed=2).sample(range(20), SIZE) for p in (1.0, 0.0))
    assert first_slots(whole, 2).equals(first) and not whole.equals(first)
    assert first_slots(whole, whole.slots).equals(whole)
    assert (first_slots(whole, 0).family == -1).all() and (first_slots(whole, 0).code == -1).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16], ids=str)
def test_absolute_error(dtype):
    x, y = images(dtype), images(dtype).flip(0)
    got = effect.absolute_error(x, y)
    a, b = (v.double().numpy() / (255 if dtype == torch.uint8 else 1) for v in (x, y))
    assert got.shape == (5, *SIZE) and got.dtype == torch.float32 and np.abs(got.numpy() - np.abs(a - b).mean(1)).max() < 1e-6
    assert torch.equal(effect.absolute_error(x[1], y[1]), got[1]) and (effect.absolute_error(x, x) == 0).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_ssim_map_is_that_of_skimage_away_from_the_edge(dtype):
    from skimage.metrics import structural_similarity

    x = images(dtype, 2)
    y = Pipeline(degrade.GaussianBlur(1.0))(x)
    got = effect.ssim_map(x, y)
    assert got.shape == (2, *SIZE) and got.dtype == torch.float32
    for i in range(2):
        a, b = (v[i].double().numpy() / (255 if dtype == torch.uint8 else 1) for v in (x, y))
        how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0, "full": True, "channel_axis": 0}
        want = structural_similarity(a, b, **how)[1].mean(0)
        assert np.abs(got[i].numpy() - want)[5:-5, 5:-5].max() < 1e-4
    assert torch.equal(effect.ssim_map(x[0], y[0]), got[0]) and (effect.ssim_map(x, x) > 0.999).all()
    assert not torch.equal(effect.ssim_map(x, y, window=5), got)


def test_maps_of_a_difference_refuse_what_does_not_fit():
    x = images(torch.uint8)
    with pytest.raises(ValueError, match="accepted: one shape and one dtype"):
        effect.absolute_error(x, x[:4])
    with pytest.raises(ValueError, match="accepted: one shape and one dtype"):
        effect.ssim_map(x, x / 255)
    for window in (10, 0, 47, True, 11.0):
        with pytest.raises(ValueError, match=r"window=.* does not fit images of 23x37"):
            effect.ssim_map(x, x, window)
