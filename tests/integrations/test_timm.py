"""timm: its transforms behind `Indexed`, and a stage between its PrefetchLoader and the normalisation."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import degrade
from degrade import GaussianBlur, Local, masks

pytest.importorskip("timm")

from timm.data import create_loader, create_transform
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.loader import PrefetchLoader

SIZE = 32


def pipeline():
    return degrade.Pipeline(Local(GaussianBlur(sigma=(1, 4)), masks.Blob(area=(0.2, 0.6))), seed=2)


class Photos(Dataset):
    """PIL images, as timm's datasets have them, with the index as the target."""

    def __init__(self, transform=None):
        self.images = np.random.default_rng(0).integers(0, 256, (6, 48, 40, 3), dtype=np.uint8)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index])
        return (self.transform(image) if self.transform else image), index


def test_timm_s_transform_before_the_degradation():
    """`normalize=False` gives uint8 tensors; what the network sees is degraded."""
    plain = Photos(create_transform(SIZE, is_training=False, normalize=False, crop_pct=1.0))
    pipe = pipeline()
    train = degrade.data.Indexed(plain, pipe)
    for x, index in DataLoader(train, batch_size=4):
        want = torch.stack([plain[int(i)][0] for i in index])
        assert x.dtype == torch.uint8 and torch.equal(x, pipe(want, ids=index)) and not torch.equal(x, want)


def test_timm_s_transform_after_the_degradation():
    """Of PIL images the degradation comes first, and timm's transform gets one back."""

    class Degraded(Dataset):
        def __init__(self):
            self.dataset = degrade.data.Indexed(Photos(), pipeline())
            self.transform = create_transform(SIZE, is_training=True)

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            image, target = self.dataset[index]
            return self.transform(Image.fromarray(image.permute(1, 2, 0).numpy())), target

    x, target = next(iter(DataLoader(Degraded(), batch_size=6)))
    assert x.shape == (6, 3, SIZE, SIZE) and x.min() < 0 and target.tolist() == list(range(6))


def test_a_stage_after_the_prefetch_loader():
    """Its mean of 0 and deviation of 1 leave values in 0…1 on the device; the pipeline comes next, then the normalisation."""
    plain, pipe = Photos(create_transform(SIZE, is_training=False, normalize=False, crop_pct=1.0)), pipeline()
    loader = PrefetchLoader(DataLoader(plain, batch_size=3), mean=(0.0,) * 3, std=(1.0,) * 3, device=torch.device("cpu"))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    seen = 0
    for x, target in loader:
        y = (pipe(x, ids=target.cpu()) - mean) / std
        whole = torch.stack([plain[int(i)][0] for i in target])
        assert torch.equal(x, whole.float() / 255)
        assert (y - (pipe(whole.float() / 255, ids=target) - mean) / std).abs().max() == 0 and y.min() < 0
        seen += len(y)
    assert seen == 6


def test_create_loader_with_a_degraded_dataset():
    """`create_loader` sets its transform on the dataset that `Indexed` wraps, so the order is: timm's crop, degradation, timm's normalisation."""
    plain, pipe = Photos(), pipeline()
    loader = create_loader(plain, SIZE, 3, is_training=False, use_prefetcher=False, num_workers=0, crop_pct=1.0, mean=(0.0,) * 3, std=(1.0,) * 3,
                           persistent_workers=False)  # fmt: skip
    degraded = DataLoader(degrade.data.Indexed(plain, pipe), batch_size=3)
    for (x, target), (y, again) in zip(loader, degraded):
        assert torch.equal(target, again) and torch.equal(y, pipe(x, ids=target)) and not torch.equal(x, y)
