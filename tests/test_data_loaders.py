"""Loaders of batches: in the worker, and on the device. Structure, ids, epochs, checkpoints."""

import collections

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from degrade import GaussianNoise, Local, MeanShift, Pipeline, masks
from degrade.data import Collate, DeviceLoader, Numbered

Views = collections.namedtuple("Views", "image meta")


def pixels(index, size=(10, 12)):
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(index))


class Photos(Dataset):
    """Twelve images made from their index, each with a label."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return pixels(index), index % 3


def noise(seed=3):
    return Pipeline(Local(GaussianNoise((0.1, 0.2)), masks.Blob()), seed=seed, backend="torch")


def by_index(pipe, epoch=0):
    pipe.set_epoch(epoch)
    return torch.cat([pipe(pixels(i)[None], ids=[i]) for i in range(12)])


def order(seed):
    return torch.randperm(12, generator=torch.Generator().manual_seed(seed)).tolist()


def gathered(batches):
    """The images of ((image, label), index) batches in the order of their indices."""
    images = torch.cat([b[0][0] for b in batches])
    return images[torch.cat([b[1] for b in batches]).argsort()]


# ---- in the worker --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers, start", [(0, None), (2, "fork"), (2, "spawn")])
def test_collate_keeps_the_promise_of_the_index_whoever_loads(workers, start):
    pipe = noise()
    loader = DataLoader(
        Numbered(Photos()), batch_size=5, sampler=order(workers), num_workers=workers, multiprocessing_context=start, collate_fn=Collate(pipe, ids=1)
    )
    batches = list(loader)
    assert torch.equal(gathered(batches), by_index(pipe)) and batches[0][0][1].shape == (5,)


def test_collate_without_ids_repeats_nothing_and_gives_labels():
    collate = Collate(noise(), labels=True)
    loader = DataLoader(Photos(), batch_size=4, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    told = [labels for _ in range(2) for _, labels in loader]
    assert len({int(i) for labels in told for i in labels.ids}) == 24
    assert told[0].masks.shape == (4, 1, 10, 12) and told[0].severity.gt(0).all()
    (images, target), labels = collate([Photos()[i] for i in range(4)])
    assert images.shape == (4, 3, 10, 12) and target.tolist() == [0, 1, 2, 0] and labels.area.shape == (4, 1)


def as_lists(items):
    return {"image": [x for x, _ in items], "id": torch.tensor([i for _, i in items])}


def test_images_of_different_sizes_are_degraded_by_size(monkeypatch):
    pipe, calls = noise(), []
    sizes = [(9, 9), (10, 12), (9, 9), (10, 12), (7, 5)]
    items = [(pixels(i, size), i + 20) for i, size in enumerate(sizes)]
    want = [pipe(x, ids=[i]) for x, i in items]
    forward = Pipeline.forward
    monkeypatch.setattr(Pipeline, "forward", lambda self, x, **options: (calls.append(x.shape), forward(self, x, **options))[1])
    got, labels = Collate(pipe, as_lists, ids="id", labels=True)(items)
    assert isinstance(got["image"], list) and all(torch.equal(a, b) for a, b in zip(got["image"], want))
    assert [tuple(shape) for shape in calls] == [(2, 3, 9, 9), (2, 3, 10, 12), (1, 3, 7, 5)]
    assert [told.ids.tolist() for told in labels] == [[20], [21], [22], [23], [24]] and labels[4].masks.shape == (1, 1, 7, 5)


def test_crops_of_different_sizes_are_views_of_their_samples():
    pipe = noise()
    crops = [torch.stack([pixels(i + 100 * v, size) for i in range(3)]) for v, size in enumerate([(12, 12), (12, 12), (6, 6), (6, 6)])]
    ids = torch.tensor([7, 8, 9])
    (got, _), told = Collate(pipe, lambda batch: batch, ids=1, labels=True)((crops, ids))
    assert all(torch.equal(y, pipe(x, ids=ids, view=v)) for v, (y, x) in enumerate(zip(got, crops))) and len(told) == 4
    drawn, _ = Collate(noise(), lambda batch: batch)((crops, ids))
    assert all(torch.equal(y, noise()(x, ids=np.arange(3) + (1 << 62), view=v)) for v, (y, x) in enumerate(zip(drawn, crops)))
    uneven = [crops[0], torch.cat([crops[2], crops[3]]), crops[1]]
    got = Collate(noise(), lambda batch: batch)(uneven)
    assert torch.equal(got[2], drawn[1]) and torch.equal(got[1], noise()(uneven[1], ids=np.arange(3, 9) + (1 << 62)))
    with pytest.raises(ValueError, match=r"ids=1 holds 3 ids for 6 images"):
        Collate(pipe, lambda batch: batch, ids=1)((uneven, ids))


# ---- on the device --------------------------------------------------------------------------------------------------------


def test_batches_keep_their_structure():
    pipe, note = noise(), object()
    x, ids = torch.stack([pixels(0), pixels(1)]), torch.tensor([3, 4])
    want = pipe(x, ids=ids)
    shapes = {
        "bare": (x, None, None, lambda b: b),
        "tuple": ((x, ids), None, 1, lambda b: b[0]),
        "list": ([x, ids, "name"], 0, 1, lambda b: b[0]),
        "dict": ({"image": x, "id": ids, "note": note, "none": None}, None, "id", lambda b: b["image"]),
        "nested": ({"a": [{"x": x}], "meta": (ids, {"note": note})}, ("a", 0, "x"), ("meta", 0), lambda b: b["a"][0]["x"]),
        "named": (Views(x, {"id": ids}), 0, (1, "id"), lambda b: b.image),
    }
    for name, (batch, key, own, image) in shapes.items():
        loader = DeviceLoader([batch, batch], noise(), "cpu", key=key, ids=own)
        got = list(loader)
        assert len(got) == len(loader) == 2 and type(got[0]) is type(batch)
        if own is not None:
            assert torch.equal(image(got[0]), want) and torch.equal(image(got[1]), want), name
        assert torch.equal(image(batch), x)  # nothing is written into what the loader gave
    assert next(iter(DeviceLoader([shapes["dict"][0]], pipe, "cpu")))["note"] is note


def test_labels_and_hashes():
    pipe = noise()
    x = torch.stack([pixels(0), pixels(1), pixels(0)])
    (y, target), labels = next(iter(DeviceLoader([(x, 5)], pipe, "cpu", ids="content", labels=True)))
    assert torch.equal(y, pipe(x, ids="content")) and torch.equal(y[0], y[2]) and target == 5 and labels.masks.shape == (3, 1, 10, 12)


class Sampler(list):
    epoch = -1

    def set_epoch(self, epoch):
        self.epoch = epoch
        self[:] = order(epoch)


def test_set_epoch_reaches_sampler_and_pipeline():
    pipe, sampler = noise(), Sampler(range(12))
    loader = DeviceLoader(DataLoader(Numbered(Photos()), batch_size=5, sampler=sampler), pipe, "cpu", ids=1)
    for epoch in (2, 5):
        loader.set_epoch(epoch)
        batches = list(loader)
        assert sampler.epoch == pipe.calls.epoch == epoch and torch.cat([b[1] for b in batches]).tolist() == order(epoch)
        assert torch.equal(gathered(batches), by_index(noise(), epoch))
    inner = Sampler(range(12))
    batched = torch.utils.data.BatchSampler(inner, 5, False)
    DeviceLoader(DataLoader(Photos(), batch_sampler=batched), pipe, "cpu").set_epoch(4)
    assert inner.epoch == 4


@pytest.mark.parametrize("after", [0, 1, 2, 3])
@pytest.mark.parametrize("own", [None, 1])
def test_a_loop_that_was_cut_off_goes_on_as_if_it_had_not(own, after):
    def loader():
        sampler = Sampler(range(12))
        return DeviceLoader(DataLoader(Numbered(Photos()), batch_size=4, sampler=sampler), noise(), "cpu", ids=own)

    def epoch(loader, number):
        loader.set_epoch(number)
        return [b[0][0] for b in loader]

    whole = loader()
    want = [epoch(whole, number) for number in (0, 1, 2)]
    cut = loader()
    epoch(cut, 0)
    cut.set_epoch(1)
    state, seen = cut.state_dict(), []
    if after:
        for batch in cut:
            seen.append(batch[0][0])
            state = cut.state_dict()
            if len(seen) == after:
                break
    assert state["batches"] == after
    cut.set_epoch(2)
    assert cut.state_dict()["batches"] == 0 and cut.state_dict()["pipeline"]["epoch"] == 2
    resumed = loader()
    resumed.load_state_dict(state)
    seen += epoch(resumed, 1)
    assert len(seen) == 3 and all(torch.equal(a, b) for a, b in zip(seen, want[1]))
    assert all(torch.equal(a, b) for a, b in zip(epoch(resumed, 2), want[2])) and resumed.state_dict()["batches"] == 0


def test_bad_input():
    pipe, x = Pipeline(MeanShift(0.1), backend="torch"), torch.zeros(2, 3, 4, 4)
    with pytest.raises(TypeError, match=r"loader is a int; accepted: a DataLoader"):
        DeviceLoader(3, pipe, "cpu")
    with pytest.raises(TypeError, match=r"pipeline is a MeanShift"):
        DeviceLoader([x], MeanShift(0.1), "cpu")
    with pytest.raises(TypeError, match=r"collate_fn is a int"):
        Collate(pipe, 3)
    with pytest.raises(TypeError, match=r"dataset is a list_iterator"):
        Numbered(iter([]))
    with pytest.raises(ValueError, match=r"ids='id' is not in the sample, which has keys 'image', 'n'"):
        list(DeviceLoader([{"image": x, "n": 1}], pipe, "cpu", ids="id"))
    with pytest.raises(ValueError, match=r"ids=1 holds 3 ids for 2 images"):
        list(DeviceLoader([(x, torch.arange(3))], pipe, "cpu", ids=1))
    assert Numbered(Photos())[-1][1] == 11


def test_what_a_user_mistypes_is_named():
    pipe = Pipeline(MeanShift(0.1))
    with pytest.raises(ValueError, match=r"device='cudda'.*accepted"):
        DeviceLoader([], pipe, "cudda")
    with pytest.raises(ValueError, match=r"cannot be stacked.*\[3, 4, 4\].*accepted"):
        Collate(pipe)([torch.zeros(3, 4, 4), torch.zeros(3, 5, 5)])
