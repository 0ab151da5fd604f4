"""lightly: its views over images degraded by index, and its batches of views degraded in the training step."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import degrade
from degrade import Compose, GaussianNoise, Jpeg, Local, masks

pytest.importorskip("lightly")

from lightly.data import LightlyDataset
from lightly.data.multi_view_collate import MultiViewCollate
from lightly.loss import NTXentLoss
from lightly.transforms import SimCLRTransform

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = 32


def pipeline():
    return degrade.Pipeline(Compose(Local(Jpeg(quality=(5, 40)), masks.Ellipse(area=(0.2, 0.6))), GaussianNoise(std=(0.02, 0.1))), seed=5)


class Photos(Dataset):
    def __init__(self):
        self.images = torch.randint(0, 256, (6, 3, 40, 44), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], index


class Views(Dataset):
    """lightly's transform over any dataset."""

    def __init__(self, dataset, transform):
        self.dataset, self.transform = dataset, transform

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        image, label = self.dataset[index]
        return self.transform(image), label


def crops():
    """Two random views in 0…1: degradation comes before normalisation."""
    return SimCLRTransform(input_size=SIZE, cj_prob=0.0, gaussian_blur=0.0, random_gray_scale=0.0, normalize=None)


def centre():
    """One view that is the image's middle, so that what was done to the image can be told from it."""
    from lightly.transforms.multi_view_transform import MultiViewTransform

    return MultiViewTransform([lambda image: image[:, 4:36, 6:38]] * 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_views_of_images_that_are_degraded_by_index(workers):
    """Both views show one degradation, which is the index's whatever the workers and the order."""
    photos, pipe = Photos(), pipeline()
    dataset = LightlyDataset.from_torch_dataset(Views(degrade.data.Indexed(photos, pipe), centre()))
    loader = DataLoader(
        dataset, batch_size=3, shuffle=True, num_workers=workers, collate_fn=MultiViewCollate(), generator=torch.Generator().manual_seed(1)
    )
    seen = []
    for (a, b), labels, names in loader:
        want = pipe(photos.images[labels], ids=labels)[:, :, 4:36, 6:38]
        assert torch.equal(a, want) and torch.equal(b, want) and [int(n) for n in names] == labels.tolist()
        seen += labels.tolist()
    assert sorted(seen) == list(range(6))


def test_a_stage_in_the_training_step():
    """lightly's loader makes the views, names tell the ids, and each view is degraded on its own, before it is normalised."""
    pipe = pipeline()
    dataset = LightlyDataset.from_torch_dataset(Views(Photos(), crops()))
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 8))
    for views, _, names in DataLoader(dataset, batch_size=3, collate_fn=MultiViewCollate()):
        ids = [int(name) for name in names]
        assert all(v.dtype == torch.float32 and 0 <= v.min() and v.max() <= 1 for v in views)
        degraded = [pipe(v, ids=ids, view=i) for i, v in enumerate(views)]
        for i, (v, y) in enumerate(zip(views, degraded)):
            assert y.shape == v.shape and not torch.equal(y, v)
            assert torch.equal(y[1:2], pipe(v[1:2], ids=ids[1:2], view=i))  # the same alone
        same = pipe(views[0], ids=ids, view=1)
        assert not torch.equal(same, degraded[0])  # another view draws anew
        loss = NTXentLoss()(*(net((y - 0.5) / 0.25) for y in degraded))
        loss.backward()
        assert torch.isfinite(loss) and net[0].weight.grad.abs().sum() > 0
