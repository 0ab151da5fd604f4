"""torchvision's Compose: images are degraded, and the boxes, masks and labels beside them pass."""

import importlib

import pytest
import torch

from degrade import GaussianNoise, Local, MeanShift, Pipeline, masks
from degrade.data import Indexed, Transform

tv_tensors = pytest.importorskip("torchvision.tv_tensors")
v1, v2, F = (importlib.import_module(f"torchvision.transforms{name}") for name in ("", ".v2", ".v2.functional"))


def pixels(seed=0, size=(30, 40)):
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def pipeline(op=None):
    return Pipeline(op or GaussianNoise((0.1, 0.2)), seed=3, backend="torch")


def sample(image):
    boxes = tv_tensors.BoundingBoxes([[1, 2, 9, 8]], format="XYXY", canvas_size=(30, 40))
    return image, {"boxes": boxes, "masks": tv_tensors.Mask(pixels(1)), "labels": torch.tensor([3]), "id": 7, "name": "a"}


@pytest.mark.parametrize("kind", ["image", "PIL", "tensor"])
def test_in_a_compose_with_everything_that_a_detector_needs(kind):
    image = {"image": tv_tensors.Image, "PIL": F.to_pil_image, "tensor": lambda x: x}[kind](pixels())
    compose = v2.Compose([v2.RandomHorizontalFlip(1.0), Transform(pipeline(), ids=(1, "id")), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    without = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    (got, target), (clean, other) = compose(sample(image)), without(sample(image))
    want = pipeline()(pixels().flip(2), ids=[7]).float() / 255
    assert torch.allclose(got.as_subclass(torch.Tensor).float(), want, atol=1e-6) and not torch.equal(got, clean)
    assert type(target["boxes"]) is tv_tensors.BoundingBoxes and torch.equal(target["boxes"], other["boxes"]) and target["name"] == "a"
    assert (
        type(target["masks"]) is tv_tensors.Mask and torch.equal(target["masks"], other["masks"]) and torch.equal(target["labels"], other["labels"])
    )


def test_types_come_back():
    transform = Transform(pipeline(MeanShift(0.2)))
    got = transform({"a": [tv_tensors.Image(pixels())], "b": F.to_pil_image(pixels()), "c": pixels()})
    assert type(got["a"][0]) is tv_tensors.Image and got["b"].mode == "RGB" and torch.equal(got["c"], pixels())
    assert torch.equal(F.pil_to_tensor(got["b"]), got["a"][0])
    with pytest.raises(ValueError, match="holds no image"):
        transform(tv_tensors.Mask(pixels()))


def test_several_arguments_and_the_first_version():
    compose = v2.Compose([Transform(pipeline(MeanShift(0.2))), v2.RandomVerticalFlip(1.0)])
    image, label = compose(pixels(), 5)
    assert label == 5 and torch.equal(image, pipeline(MeanShift(0.2))(pixels(), ids=[0]).flip(1))
    old = v1.Compose([v1.CenterCrop(20), Transform(pipeline(), ids="content"), v1.ToTensor()])
    cut = F.center_crop(pixels(), 20)
    assert torch.equal(old(F.to_pil_image(pixels())), pipeline()(cut, ids="content").float() / 255)


def test_masks_of_labels_go_through_later_transforms():
    pipe = pipeline(Local(MeanShift(0.3), masks.Ellipse(area=0.2)))
    compose = v2.Compose([Transform(pipe, ids="id", labels=True), v2.RandomHorizontalFlip(1.0), v2.CenterCrop(20)])
    got = compose({"image": tv_tensors.Image(torch.full((3, 30, 40), 0.5)), "id": 4})
    told = got["degradation"]
    assert type(told["masks"]) is tv_tensors.Mask and told["masks"].shape == (1, 20, 20)
    assert torch.allclose(got["image"].as_subclass(torch.Tensor) - 0.5, 0.3 * told["masks"].expand(3, -1, -1), atol=1e-5) and told["masks"].std() > 0
    with pytest.raises(ValueError, match="cannot carry labels through a Compose"):
        v2.Compose([Transform(pipe, labels=True), v2.CenterCrop(20)])(pixels())


def test_inside_indexed_it_is_a_transform_like_others():
    data = Indexed([pixels()], pipeline(MeanShift(0.1)), transform=Transform(pipeline(MeanShift(0.1))), order="after")
    assert torch.equal(data[0], pipeline(MeanShift(0.1))(pipeline(MeanShift(0.1))(pixels(), ids=[0]), ids=[0]))
