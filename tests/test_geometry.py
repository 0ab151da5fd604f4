"""Labels follow crops, flips and resizes: held against torch's own, one sample at a time."""

import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

import degrade
from degrade import Compose, GaussianBlur, Jpeg, Labels, Local, MeanShift, OneOf, Pipeline, label_maps, masks

SIZE = (23, 37)
BOXES = torch.tensor([[0, 0, 23, 37], [3, 5, 9, 30], [14, 20, 9, 17], [22, 36, 1, 1], [1, 0, 20, 13]])  # top, left, height, width
SAME = torch.tensor([[0, 0, 11, 16], [12, 21, 11, 16], [5, 7, 11, 16], [12, 0, 11, 16], [1, 1, 11, 16]])


def recipe():
    first = Local(OneOf(GaussianBlur(severity=(0.1, 1.0)), Jpeg(), p=0.8), masks.Blob(area=0.3))
    return Compose(first, MeanShift(severity=(0.1, 1.0), p=0.7), Local(Jpeg(), masks.Union(masks.Ellipse(), masks.FromTensor()), p=0.8))


def labels(batch=5):
    mask = torch.rand(batch, 1, *SIZE, generator=torch.Generator().manual_seed(0)).round()
    return Labels(Pipeline(recipe(), seed=8).sample(range(batch), SIZE), mask)


def resized(x, size, interpolation):
    options = {"mode": "bilinear", "antialias": True, "align_corners": False} if interpolation == "bilinear" else {"mode": "nearest"}
    return functional.interpolate(x, size, **options)


def one_by_one(x, steps):
    """The steps as anybody would write them, for each sample alone."""
    out = []
    for i in range(len(x)):
        own = x[i : i + 1]
        for name, *given in steps:
            here = [v[i] if isinstance(v, torch.Tensor) and v.dim() else v for v in given]
            if name in ("crop", "resized_crop"):
                top, left, height, width = (int(v) for v in here[:4])
                own = own[:, :, top : top + height, left : left + width]
            if name in ("resize", "resized_crop"):
                own = resized(own, *here[-2:])
            if name in ("hflip", "vflip") and bool(here[0]):
                own = own.flip(3 if name == "hflip" else 2)
        out.append(own)
    return torch.cat(out)


FLIPS, OTHER_FLIPS = torch.tensor([True, False, True, True, False]), torch.tensor([False, False, True, False, True])
CHAINS = {
    "crop": [("crop", 4, 6, 13, 20)],
    "crops": [("crop", *SAME.T)],
    "flips": [("hflip", FLIPS), ("vflip", OTHER_FLIPS), ("hflip", True)],
    "flipped crops of crops": [
        ("crop", *SAME.T),
        ("hflip", FLIPS),
        ("vflip", FLIPS),
        ("crop", 2, 3, 7, 5),
        ("crop", torch.tensor([0, 1, 2, 3, 4]), 1, 3, 4),
    ],
    "smaller": [("resize", (9, 10), "bilinear")],
    "larger": [("resize", (40, 61), "bilinear")],
    "taller and narrower": [("resize", (50, 8), "bilinear")],
    "nearest": [("resize", (17, 50), "nearest")],
    "the same size": [("resize", SIZE, "bilinear"), ("resize", SIZE, "nearest")],
    "resized crops": [("resized_crop", *BOXES.T, (12, 10), "bilinear"), ("hflip", FLIPS)],
    "nearest resized crops": [("hflip", FLIPS), ("resized_crop", *BOXES.T, (12, 10), "nearest"), ("vflip", FLIPS)],
    "everything": [
        ("vflip", OTHER_FLIPS),
        ("resized_crop", *BOXES.T, (32, 20), "bilinear"),
        ("hflip", FLIPS),
        ("crop", *SAME.T[:2].clamp(max=5), 20, 9),
        ("resize", (14, 14), "bilinear"),
        ("hflip", True),
    ],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_masks_follow(chain):
    followed, want = labels(), one_by_one(labels().masks, CHAINS[chain])
    for name, *given in CHAINS[chain]:
        followed = getattr(followed, name)(*given)
    assert followed.size == tuple(want.shape[2:]) and followed.masks.dtype == torch.float32 and followed.masks.is_contiguous()
    soft = any("bilinear" in step for step in CHAINS[chain])
    assert torch.allclose(followed.masks, want, atol=2e-5) if soft else torch.equal(followed.masks, want)
    assert followed.masks.min() >= 0 and followed.masks.max() <= 1
    whole = (followed.type[:, 1] >= 0).nonzero()[:, 0]
    assert len(whole) and (followed.masks[whole, 1] == 1).all()  # exactly: no mask is no mask in every crop


@pytest.mark.parametrize("chain", ["crops", "resized crops", "everything"])
def test_all_that_is_derived_is_of_what_is_seen(chain):
    followed = labels()
    for name, *given in CHAINS[chain]:
        followed = getattr(followed, name)(*given)
    weights, own = followed.masks, labels()
    want = {
        "boxes": label_maps.boxes(weights),
        "overlap": label_maps.overlap(weights),
        "area": weights.double().mean((2, 3)).float(),
        "severity_maps": label_maps.severity_maps(weights, own.severity, own.type, len(own.types)),
        "composite_severity": label_maps.composite_severity(weights, own.severity),
        "dominant": label_maps.dominant(weights, own.severity, own.type),
    }
    assert all(torch.equal(getattr(followed, name), value) for name, value in want.items())
    assert torch.equal(followed.coverage(4), label_maps.coverage(weights, 4)) and torch.equal(
        followed.area_above(0.5), label_maps.area_above(weights, 0.5)
    )
    assert torch.equal(followed.severity, own.severity) and torch.equal(followed.type, own.type) and torch.equal(followed.ids, own.ids)
    assert [row["area"] for row in followed.rows()] == [float(a) for a in followed.area[followed.type >= 0]]


def test_a_mask_of_the_whole_image_is_right_in_every_crop():
    """Cropped images differ from cropped originals just where the cropped labels have weight."""
    x = torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(2))
    y, told = Pipeline(Local(MeanShift(0.4), masks.Ellipse(area=0.5)), seed=1)(x, ids=range(5), labels=True)
    for i, (top, left, height, width) in enumerate(SAME.tolist()):
        part = (..., slice(top, top + height), slice(left, left + width))
        changed = (x[i][part] != y[i][part]).any(0).flip(1)
        weight = told.crop(*SAME.T).hflip().masks[i, 0]
        assert 5 < changed.sum() and (weight[changed] > 0).all() and changed[weight > 0.01].float().mean() > 0.95


def test_nothing_is_rendered_until_it_is_read_or_without_masks(monkeypatch):
    import degrade.labels

    monkeypatch.setattr(degrade.labels, "slot_weights", lambda *a: pytest.fail("rendered"))
    labels().crop(*SAME.T).hflip(FLIPS).resize((8, 8))[:2]
    whole = Labels(Pipeline(Compose(MeanShift(0.1), Jpeg(p=0.5))).sample(range(9), SIZE)).crop(1, 2, 10, 20).resize((7, 6))
    assert whole.composite_severity.shape == whole.dominant.shape == (9, 7, 6) and whole.coverage(3).shape == (9, 2, 3, 2)
    assert whole.boxes[0, 0].tolist() == [0, 0, 6, 7] and torch.equal(whole.area, (whole.type >= 0).float())


@pytest.mark.parametrize("chain", CHAINS)
def test_samples_and_batches(chain):
    """One sample's labels follow as they do in a batch, to the bit; and slices, copies and joins keep what they are of."""
    followed, apart = labels(), list(labels())
    for name, *given in CHAINS[chain]:
        followed = getattr(followed, name)(*given)
        apart = [getattr(own, name)(*[v[i : i + 1] if isinstance(v, torch.Tensor) and v.dim() else v for v in given]) for i, own in enumerate(apart)]
    joined = Labels.collate(apart)
    assert joined.size == followed.size and torch.equal(joined.masks, followed.masks)
    assert torch.equal(followed[[3, 0, 0]].masks, followed.masks[[3, 0, 0]]) and torch.equal(joined[1:4].masks, followed.masks[1:4])
    assert torch.equal(followed.to("cpu").masks, followed.masks) and followed.to("meta").resize((4, 4)).masks.shape == (5, 3, 4, 4)
    again = followed.hflip()  # after reading
    assert torch.equal(again.masks, followed.masks.flip(3)) and torch.equal(labels().masks, labels().resize(SIZE).masks)


def test_samples_that_were_flipped_join_those_that_were_not():
    own = list(labels())
    flipped = [one.resized_crop(*box, (9, 9)) for one, box in zip(own, BOXES.tolist())]
    flipped = [one.hflip() if yes else one for one, yes in zip(flipped, FLIPS.tolist())]
    assert torch.equal(Labels.collate(flipped).masks, labels().resized_crop(*BOXES.T, (9, 9)).hflip(FLIPS).masks)
    assert torch.equal(Labels.collate([own[0].vflip(), own[1]]).masks, labels()[:2].vflip(torch.tensor([True, False])).masks)


def test_no_samples():
    none = labels()[:0].crop(0, 0, 10, 12).hflip().resize((5, 6))
    assert none.masks.shape == (0, 3, 5, 6) and none.boxes.shape == (0, 3, 4) and len(Labels.collate([none, none])) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda own: own.crop(0, 0, 24, 10), r"top=0 with height=24 \(sample 0\) is no part of 23x37 pixels; accepted: a crop inside them"),
        (lambda own: own.crop(0, [0, 0, 30, 0, 0], 5, 10), r"left=30 with width=10 \(sample 2\) is no part of 23x37"),
        (lambda own: own.crop(-1, 0, 5, 5), "top=-1 with height=5"),
        (lambda own: own.crop(0, 0, 0, 5), "top=0 with height=0"),
        (lambda own: own.crop(0, 0, 5, 20).crop(0, 15, 5, 6), r"left=15 with width=6 \(sample 0\) is no part of 5x20 pixels"),
        (lambda own: own.crop(0.5, 0, 5, 5), r"top=0.5 is not accepted; accepted: a whole number of pixels, or \(5,\), one for each sample"),
        (lambda own: own.crop(0, [1, 2], 5, 5), r"left=\[1, 2\] is not accepted"),
        (lambda own: own.crop(*BOXES.T), r"height and width differ between samples; accepted: one crop size, or resized_crop\(…, size=\)"),
        (lambda own: own.resize(8), r"size=8 is not accepted; accepted: \(height, width\)"),
        (lambda own: own.resize((0, 8)), r"size=\(0, 8\) is not accepted"),
        (lambda own: own.resize((4, 8), "bicubic"), "interpolation 'bicubic' is unknown; .*bilinear, nearest"),
        (lambda own: own.hflip(1), r"where=1 is not accepted; accepted: True, False, or \(5,\) of them"),
        (lambda own: own.vflip([True, False]), "where=.* is not accepted"),
        (lambda own: own.hflip().effect(torch.zeros(5, 3, *SIZE)), "effect replays the program on whole images.* accepted: those before"),
        (
            lambda own: Labels.collate([own, own.crop(0, 0, 5, 6)]),
            "number 1 was cropped or resized to 5x6 and number 0 to 23x37.* accepted: one size",
        ),
        (lambda own: Labels.collate([own.resize((5, 6)), own.crop(0, 0, 5, 6)]), "not by the same steps"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(labels())


# ---- torchvision --------------------------------------------------------------------------------------------------------


def test_without_torchvision_there_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.tv_tensors", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs torchvision, which is not installed: pip install torchvision\.$"):
        labels().tv_masks()


@pytest.mark.parametrize("seed", range(4))
def test_transforms_of_torchvision_take_masks_along(seed):
    tv_tensors, v2 = pytest.importorskip("torchvision.tv_tensors"), pytest.importorskip("torchvision.transforms.v2")
    own, x = labels(), torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    crop, flip = v2.RandomResizedCrop((12, 15), antialias=True), v2.RandomHorizontalFlip(0.5)
    torch.manual_seed(seed)
    image, mask = flip(*crop(tv_tensors.Image(x), own.tv_masks()))
    torch.manual_seed(seed)
    drawn = crop.make_params([x])
    flipped = bool(torch.rand(1) < 0.5)
    box = [drawn[name] for name in ("top", "left", "height", "width")]
    assert isinstance(mask, tv_tensors.Mask) and mask.shape == (5, 3, 12, 15) and image.shape == (5, 3, 12, 15)
    assert torch.equal(mask.as_subclass(torch.Tensor), own.resized_crop(*box, (12, 15), "nearest").hflip(flipped).masks)
    soft = v2.functional.resized_crop(tv_tensors.Image(own.masks), *box, size=[12, 15], antialias=True)
    soft = v2.functional.horizontal_flip(soft) if flipped else soft
    assert torch.allclose(own.resized_crop(*box, (12, 15)).hflip(flipped).masks, soft.as_subclass(torch.Tensor), atol=2e-5)


# ---- datasets -----------------------------------------------------------------------------------------------------------


def indexed(transform, **options):
    images = torch.randint(0, 256, (3, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    pipe = Pipeline(Compose(Local(MeanShift(0.3), masks.Ellipse()), Jpeg(quality=(5, 20))), seed=2)
    return images, pipe, degrade.data.Indexed([(image, i) for i, image in enumerate(images)], pipe, transform=transform, **options)


def corner(*given):
    """A crop of all that it gets."""
    got = tuple(v[..., 3:14, 5:25] for v in given)
    return got if len(got) > 1 else got[0]


def test_degrading_before_a_transform():
    images, pipe, data = indexed(corner, labels=True)
    plain = indexed(corner)[2]
    for i in range(3):
        y, whole = pipe(images[i], ids=[i], labels=True)
        (got, target), told = data[i]
        assert torch.equal(got, corner(y)) and target == i and torch.equal(plain[i][0], got) and type(got) is torch.Tensor
        want = whole.crop(3, 5, 11, 20)
        assert torch.equal(told["masks"], want.masks[0]) and torch.equal(told["area"], want.area[0]) and type(told["masks"]) is torch.Tensor
        assert torch.equal(told["type"], want.type[0]) and torch.equal(told["params"].nan_to_num(), want.params[0].nan_to_num())


def test_degrading_after_a_transform_is_one_flag():
    images, pipe, data = indexed(corner, labels=True, order="after")
    before = indexed(corner)[2]
    for i in range(3):
        y, want = pipe(corner(images[i]), ids=[i], labels=True)
        (got, _), told = data[i]
        assert torch.equal(got, y) and not torch.equal(got, before[i][0])
        assert torch.equal(told["masks"], want.masks[0]) and torch.equal(told["area"], want.area[0])
    assert torch.equal(indexed(corner, order="after")[2][1][0], data[1][0][0])


def test_both_orders_with_torchvision():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    transform = v2.Compose([v2.RandomResizedCrop((12, 15), antialias=True), v2.RandomHorizontalFlip(1.0), v2.ToDtype(torch.float32, scale=True)])
    images, pipe, data = indexed(transform, labels=True)
    y, whole = pipe(images[1], ids=[1], labels=True)
    torch.manual_seed(4)
    (got, _), told = data[1]
    torch.manual_seed(4)
    drawn = transform.transforms[0].make_params([y])
    box = [drawn[name] for name in ("top", "left", "height", "width")]
    assert torch.equal(told["masks"], whole.resized_crop(*box, (12, 15), "nearest").hflip().masks[0])
    torch.manual_seed(4)
    assert torch.equal(got, transform(y)) and got.dtype == torch.float32 and type(got) is torch.Tensor
    _, pipe, data = indexed(transform, labels=True, order="after")
    torch.manual_seed(4)
    small = transform(images[1])
    torch.manual_seed(4)
    assert torch.equal(data[1][0][0], pipe(small, ids=[1])) and data[1][1]["masks"].shape == (2, 12, 15)


@pytest.mark.parametrize(
    ("transform", "options", "error", "message"),
    [
        ("crop", {}, TypeError, "transform is a str; accepted: a callable"),
        (corner, {"order": "later"}, ValueError, "order 'later' is unknown; .*after, before"),
        (
            lambda image, mask: image,
            {"labels": True},
            ValueError,
            "transform gave a (Tensor|Image); accepted with order='before' and labels=True: the image and",
        ),
        (
            lambda image, mask: (corner(image), mask),
            {"labels": True},
            ValueError,
            r"masks \(2, 23, 37\) for an image \(3, 11, 20\); accepted: 2 masks",
        ),
        (lambda image: None, {}, ValueError, "transform gave a NoneType; accepted: a torch tensor 3 h w"),
    ],
)
def test_bad_transforms(transform, options, error, message):
    with pytest.raises(error, match=message):
        indexed(transform, **options)[2][0]


def test_a_flag_without_a_transform_changes_nothing():
    data, other = indexed(None)[2], indexed(None, order="after")[2]
    assert torch.equal(data[2][0], other[2][0]) and np.array_equal(data[2][1], 2)
