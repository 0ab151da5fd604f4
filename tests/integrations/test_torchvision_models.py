"""torchvision: a pipeline among its transforms v2 on batches, labels beside tv_tensors, and a model that learns from both."""

import pytest
import torch

import degrade
from degrade import Local, masks

torchvision = pytest.importorskip("torchvision")

from torchvision import tv_tensors  # noqa: E402
from torchvision.transforms import v2  # noqa: E402


def images(b=4, size=64):
    return torch.randint(0, 256, (b, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def pipeline():
    return degrade.Pipeline(Local(degrade.MeanShift(0.3), masks.Ellipse(area=(0.1, 0.3), feather=0.0)), seed=4)


def test_a_module_among_transforms_v2_on_batches():
    x = images()
    stage = v2.Compose([v2.RandomHorizontalFlip(p=1.0), pipeline(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)])
    want = (pipeline()(x.flip(-1)).float() / 255 - 0.5) / 0.25
    assert torch.allclose(stage(x), want, atol=1e-6)


@pytest.mark.parametrize(
    "wrapper", [lambda p: v2.RandomApply(torch.nn.ModuleList([p]), p=1.0), lambda p: v2.RandomChoice([p]), lambda p: v2.RandomOrder([p])]
)
def test_inside_v2_s_containers(wrapper):
    x = images()
    assert torch.equal(wrapper(pipeline())(x), pipeline()(x))


def test_masks_of_labels_follow_the_images():
    """Degrade, then crop and flip jointly: the pixels that differ are those of the mask."""
    x = images()
    y, labels = pipeline()(x, ids=range(4), labels=True)
    crop = v2.Compose([v2.RandomHorizontalFlip(p=0.5), v2.RandomCrop(40)])
    torch.manual_seed(1)
    seen, clean, mask = crop(tv_tensors.Image(y), tv_tensors.Image(x), labels.tv_masks())
    differ, bright = (seen != clean).any(1), (clean > 250).all(1)  # a shift that is clipped may change nothing
    assert mask.shape == (4, 1, 40, 40) and 0 < mask.mean() < 1
    assert not differ[mask[:, 0] == 0].any() and (differ | bright)[mask[:, 0] > 0.1].all()


def test_a_torchvision_model_trains_behind_a_stage():
    """The area of the degraded region is learnt from; gradients reach the first layer, and the stage holds no parameters."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(v2.ToDtype(torch.float32, scale=True), torchvision.models.mobilenet_v3_small(num_classes=1))
    pipe = pipeline()
    assert not list(pipe.parameters())
    optimiser = torch.optim.SGD(net.parameters(), 0.01)
    for step in range(2):
        y, labels = pipe(images(), ids=range(4 * step, 4 * step + 4), labels=True)
        loss = (net(y)[:, 0] - labels.area[:, 0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert torch.isfinite(loss)
    assert next(net[1].parameters()).grad.abs().sum() > 0
