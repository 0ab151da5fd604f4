"""Transforms of samples: the kind that came goes back, only images are touched, and ids say who they are."""

import collections
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import degrade
from degrade import Compose, GaussianNoise, Local, MeanShift, Pipeline, masks
from degrade.data import Transform
from degrade.data.images import images_in

PIL = pytest.importorskip("PIL.Image")
Pair = collections.namedtuple("Pair", "image label")


def pixels(seed=0, size=(13, 18)):
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def noise(seed=3):
    return Pipeline(GaussianNoise((0.1, 0.2)), seed=seed, backend="torch")


def array(x):
    return np.ascontiguousarray(x.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("kind", ["tensor", "float", "batch", "array", "float array", "grey array", "PIL"])
def test_the_kind_that_came_goes_back_with_the_same_pixels(kind):
    pipe, x = Pipeline(MeanShift(0.25), backend="torch"), pixels()
    want = pipe(x, ids=[0])
    given, expected = {
        "tensor": (x, want),
        "float": (x / 255, pipe(x / 255, ids=[0])),
        "batch": (x.expand(2, -1, -1, -1), want.expand(2, -1, -1, -1)),
        "array": (array(x), array(want)),
        "float array": (array(x / 255), array(pipe(x / 255, ids=[0]))),
        "grey array": (array(x)[..., 0], array(want)[..., 0]),
        "PIL": (PIL.fromarray(array(x)), PIL.fromarray(array(want))),
    }[kind]
    got = Transform(pipe)(given)
    assert type(got) is type(given)
    if kind == "PIL":
        assert got.mode == "RGB" and np.array_equal(np.asarray(got), np.asarray(expected))
    else:
        assert got.shape == given.shape and got.dtype == given.dtype and np.array_equal(np.asarray(got), np.asarray(expected))
    assert not np.array_equal(np.asarray(got), np.asarray(given))


def test_modes_of_pil():
    transform, x = Transform(Pipeline(MeanShift(0.25), backend="torch")), array(pixels())
    grey = transform(PIL.fromarray(x).convert("L"))
    assert grey.mode == "L" and grey.size == (18, 13)
    alpha = PIL.fromarray(x).convert("RGBA")
    alpha.putalpha(PIL.fromarray(x[..., 1]))
    got = transform(alpha)
    assert got.mode == "RGBA" and np.array_equal(np.asarray(got)[..., 3], x[..., 1])
    assert np.array_equal(np.asarray(got.convert("RGB")), np.asarray(transform(PIL.fromarray(x))))
    with pytest.raises(ValueError, match=r"mode P; accepted: RGB.*key="):
        transform(PIL.fromarray(x).convert("P"))


def test_what_is_no_image_passes_untouched():
    x = pixels()
    box, boxes, target = object(), torch.rand(3, 3), torch.tensor(4)
    sample = {"image": x, "target": (target, "cat", [box, None]), "boxes": boxes, "pair": Pair(1, 2.5), "map": torch.zeros(13, 18, dtype=torch.int64)}
    got = Transform(noise())(sample)
    assert not torch.equal(got["image"], x) and list(got) == list(sample)
    assert got["target"][0] is target and got["target"][1:] == ("cat", [box, None]) and got["boxes"] is boxes and got["map"] is sample["map"]
    assert got["pair"] == (1, 2.5) and type(got["pair"]) is Pair
    named = Transform(noise())(Pair(PIL.fromarray(array(x)), x))  # a plain tensor beside a PIL image
    assert type(named) is Pair and named.label is x and not np.array_equal(np.asarray(named.image), array(x))
    kept = Transform(noise())(collections.OrderedDict(image=x, n=1))
    assert type(kept) is collections.OrderedDict and kept["n"] == 1
    parts = Transform(noise())(x, 7)  # as v2.Compose calls
    assert isinstance(parts, tuple) and parts[1] == 7


def test_which_leaves_are_images():
    x, flow, p = pixels(), torch.rand(2, 13, 18), PIL.fromarray(array(pixels()))
    assert images_in(x) == [()] and images_in((x, 3)) == [(0,)] and images_in((x, x, 3)) == [(0,), (1,)]
    assert images_in(([x, x], [{"masks": x}])) == [(0, 0), (0, 1)]  # three masks of a detection target
    assert images_in([[x, x], [x]]) == [(0, 0), (0, 1), (1, 0)]
    assert images_in({"image": x, "masks": x}) == [("image",)] and images_in({"crops": [x, x], "flow": flow}) == [("crops", 0), ("crops", 1)]
    assert images_in({"a": p, "b": [p], "c": x}) == [("a",), ("b", 0)]
    assert images_in({"a": x, "b": [x]}, ["a", ("b", 0)]) == [("a",), ("b", 0)] and images_in((x, {"b": x}), key=(1, "b")) == [(1, "b")]
    with pytest.raises(ValueError, match=r"several entries.*'a', 'b'; accepted: key="):
        images_in({"a": x, "b": x})
    with pytest.raises(ValueError, match=r"holds no image; accepted"):
        images_in({"a": flow, "b": 3})
    with pytest.raises(ValueError, match=r"key='image' is not in the sample, which has keys 'a'"):
        images_in({"a": x}, "image")
    with pytest.raises(ValueError, match=r"ids=2 is not in the sample, which has a tuple of 2"):
        Transform(noise(), ids=2)((x, 1))
    with pytest.raises(TypeError, match=r"the image is a str"):
        Transform(noise(), key=1)((x, "cat"))
    with pytest.raises(ValueError, match=r"the image is a tensor of shape \(3, 3\)"):
        Transform(noise(), key="boxes")({"image": x, "boxes": torch.rand(3, 3)})


def test_who_an_image_is():
    pipe, x = noise(), pixels()
    by_counter = Transform(noise())
    assert not torch.equal(by_counter(x), by_counter(x))
    again = Transform(noise())
    assert not torch.equal(again(x), pipe(x, ids=[0])) and torch.equal(Transform(noise())(x), again.pipeline(x, ids=[1 << 62]))
    by_content = Transform(pipe, ids="content")
    assert torch.equal(by_content(x), by_content(x)) and torch.equal(by_content(x), pipe(x, ids="content"))
    assert np.array_equal(by_content(array(x)), array(pipe(x, ids="content")))
    by_key = Transform(pipe, ids="index")
    assert torch.equal(by_key({"image": x, "index": 5})["image"], pipe(x, ids=[5]))
    assert torch.equal(Transform(pipe, ids=(1, "id"))((x, {"id": torch.tensor(5)}))[0], pipe(x, ids=[5]))


def test_a_column_of_images_holds_samples_and_one_id_for_several_images_makes_views():
    pipe = noise()
    xs = [pixels(0), pixels(1, (9, 9)), pixels(2)]
    got = Transform(pipe, ids="id")({"image": xs, "id": [4, 5, 6]})
    assert all(torch.equal(y, pipe(x, ids=[i])) for y, x, i in zip(got["image"], xs, (4, 5, 6)))
    got = Transform(pipe, ids=1)((xs, 4))
    assert all(torch.equal(y, pipe(x, ids=[4], view=v)) for v, (y, x) in enumerate(zip(got[0], xs)))
    with pytest.raises(ValueError, match=r"ids='id' holds 2 ids for 3 images"):
        Transform(pipe, ids="id")({"image": xs, "id": [4, 5]})
    with pytest.raises(TypeError, match=r"ids is a list; accepted"):
        Transform(pipe, ids=[1, 2])


def test_labels_go_into_a_dict_or_nowhere():
    pipe = Pipeline(Local(GaussianNoise(0.1), masks.Ellipse()), backend="torch")
    x = pixels()
    _, labels = pipe(x, ids=[5], labels=True)
    transform = Transform(pipe, ids="id", labels=True)
    told = transform({"image": x, "id": 5})["degradation"]
    assert set(told) == {"type", "severity", "level", "params", "area", "masks"}
    assert (
        told["masks"].shape == (1, 13, 18)
        and torch.equal(torch.as_tensor(told["masks"]), labels.masks[0])
        and torch.equal(told["area"], labels.area[0])
    )
    column = transform({"image": [x, x], "id": [5, 6]})["degradation"]
    assert len(column) == 2 and torch.equal(column[0]["params"][:, 0], labels.params[0, :, 0])
    batch = transform({"image": x[None], "id": [5]})["degradation"]
    assert batch["masks"].shape == (1, 1, 13, 18)
    for sample in (x, (x, 3), PIL.fromarray(array(x))):
        with pytest.raises(ValueError, match=r"labels=True, and the sample is a .*cannot carry.*Indexed"):
            Transform(pipe, labels=True)(sample)


class Transformed(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.transform({"image": pixels(index), "id": index})


def test_in_workers():
    data = Transformed(Transform(noise(), ids="id", labels=True))
    want = torch.stack([data[i]["image"] for i in range(6)])
    batches = list(DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context="fork"))
    assert torch.equal(torch.cat([b["image"] for b in batches]), want) and batches[0]["degradation"]["masks"].shape == (4, 1, 13, 18)


def test_it_is_a_module_that_tells_what_it_does_and_keeps_its_state():
    transform = pickle.loads(pickle.dumps(Transform(noise(), ids="content")))
    assert "ids='content'" in repr(transform) and "gaussian" in repr(transform).lower()
    one, other = Transform(noise()), Transform(noise(9))
    one(pixels())
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(pixels()), other(pixels()))
    with pytest.raises(TypeError, match=r"pipeline is a GaussianNoise; accepted: degrade.Pipeline"):
        degrade.data.Transform(GaussianNoise())
    for name in ("tiny", "clip"):
        x = torch.rand(1, 2, 3, 5, 4) if name == "clip" else torch.rand(3, 1, 1)
        assert Transform(Pipeline(Compose(MeanShift(0.1)), backend="torch"))(x).shape == x.shape
