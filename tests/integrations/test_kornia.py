"""kornia: `Pipeline` beside its augmentations and inside its containers, images and masks together."""

import pytest
import torch

import degrade
from degrade import Local, masks

K = pytest.importorskip("kornia.augmentation")


def images(b=4, size=48):
    return torch.rand((b, 3, size, size), generator=torch.Generator().manual_seed(0))


def pipeline():
    return degrade.Pipeline(Local(degrade.MeanShift(0.3), masks.Ellipse(area=(0.1, 0.3), feather=0.0)), seed=4)


def test_masks_follow_through_kornia_s_augmentations():
    """Degrade, then flip and crop image and masks with the same draws: where the mask is, there the image was changed."""
    x, ids = images(), range(4)
    y, labels = pipeline()(x, ids=ids, labels=True)
    augment = K.AugmentationSequential(K.RandomHorizontalFlip(p=0.5), K.RandomCrop((32, 32)), data_keys=["input", "mask", "input"])
    torch.manual_seed(0)
    seen, mask, clean = augment(y, labels.masks.float(), x)
    assert seen.shape == (4, 3, 32, 32) and mask.shape == (4, 1, 32, 32)
    changed = (seen != clean).any(1, keepdim=True)
    assert torch.equal(changed, mask > 0) and changed.any() and not changed.all()


@pytest.mark.parametrize("first", [True, False])
def test_a_pipeline_inside_a_sequence(first):
    """As a module among kornia's, on batches, without ids: the (rank, worker, call counter) of the pipeline."""
    flip, x = K.RandomHorizontalFlip(p=1.0), images()
    for container in (lambda *m: K.AugmentationSequential(*m, data_keys=["input"]), K.ImageSequential, torch.nn.Sequential):
        pipe, alone = pipeline(), pipeline()
        y = container(pipe, flip)(x) if first else container(flip, pipe)(x)
        want = alone(x).flip(-1) if first else alone(x.flip(-1))
        assert torch.equal(y, want), container


def test_photometric_augmentations_before_and_after():
    """Both keep shape, dtype and range, so either order runs; a pipeline refuses what was normalised."""
    x = images()
    jitter, normalise = K.ColorJiggle(0.1, 0.1, 0.1, 0.1, p=1.0), K.Normalize(0.5, 0.25)
    y = pipeline()(jitter(x), ids=range(4))
    assert y.shape == x.shape and y.dtype == x.dtype and 0 <= y.min() and y.max() <= 1
    assert normalise(y).min() < 0
    with pytest.raises(ValueError, match="Degrade before normalising"):
        pipeline()(normalise(x), ids=range(4))
