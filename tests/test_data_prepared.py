"""Batches that are drawn and planned in the workers: the same results, with less for the process that trains to do."""

import pickle

import pytest
import torch
from test_data_loaders import Photos, Views, by_index, gathered, order, pixels
from torch.utils.data import DataLoader

from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, Partition, Pipeline, cells, masks
from degrade.data import Collate, DeviceLoader, Numbered, Prepare

RECIPES = {
    "ops": OneOf(GaussianBlur((0.5, 2.0)), Jpeg((5, 50)), GaussianNoise((0.1, 0.2))),
    "masks": Compose(Local(OneOf(GaussianBlur(1.5), MeanShift(0.2)), masks.Blob()), GaussianNoise(0.1, p=0.5)),
    "stored masks": Local(GaussianNoise(0.2), masks.FromTensor(torch.rand(5, 10, 12, generator=torch.Generator().manual_seed(1)))),
    "masks of the image": Local(MeanShift(0.2), masks.Edges(area=0.4)),
    "cells": Partition(OneOf(MeanShift(0.1), GaussianNoise(0.1)), cells.Grid(2, 2)),
}


def pipeline(recipe="masks", seed=3, **options):
    return Pipeline(RECIPES[recipe], seed=seed, **{"backend": "torch", **options})


@pytest.mark.parametrize("recipe, workers, start", [*((recipe, 0, None) for recipe in RECIPES), ("masks", 2, "fork"), ("stored masks", 2, "spawn")])
def test_what_comes_out_is_the_same(recipe, workers, start):
    pipe = pipeline(recipe)
    loader = DataLoader(
        Numbered(Photos()),
        batch_size=5,
        sampler=order(workers),
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context=start,
        collate_fn=Prepare(pipe, ids=1),
    )
    for epoch in (0, 1):
        pipe.set_epoch(epoch)
        assert torch.equal(gathered(list(DeviceLoader(loader, pipe, "cpu"))), by_index(pipe, epoch))


@pytest.mark.device
@pytest.mark.parametrize("recipe", RECIPES)
def test_and_by_the_kernels(recipe, device):
    pipe = pipeline(recipe, backend="triton").to(device)
    batches = [Prepare(pipeline(recipe), ids=1)([(pixels(i), i) for i in own]) for own in ((0, 1, 2), (7, 4))]
    for (y, ids), again in zip(DeviceLoader(batches, pipe, device), DeviceLoader([b.batch for b in batches], pipe, device, ids=1)):
        assert (
            y.device.type == device
            and torch.equal(y, again[0])
            and torch.equal(y, pipe(torch.stack([pixels(int(i)) for i in ids]).to(device), ids=ids))
        )


@pytest.mark.parametrize("recipe", ["ops", "masks", "stored masks"])
def test_nothing_is_drawn_or_planned_by_the_process_that_trains(recipe, monkeypatch):
    pipe = pipeline(recipe)
    batches = [Prepare(pipe, ids=1)([(pixels(i), i) for i in range(4)])]
    want = pipe(batches[0].batch[0], ids=range(4))
    assert len(pickle.dumps(batches)) < 40_000  # no stored masks, no kernels

    def refuse(*given, **named):
        raise AssertionError("drawn again")

    monkeypatch.setattr(Pipeline, "_draw", refuse)
    ((y, _),) = DeviceLoader(batches, pipe, "cpu")
    assert torch.equal(y, want)


def test_structure_views_sizes_and_labels():
    pipe = pipeline()
    crops = Views((torch.stack([pixels(i) for i in range(3)]), torch.stack([pixels(i, (6, 8)) for i in range(3)])), {"id": torch.tensor([5, 6, 7])})
    singles = {"image": [pixels(0), pixels(1, (5, 9)), pixels(2)], "id": [8, 9, 10], "name": "kept"}
    clips = {"image": torch.stack([torch.stack([pixels(i), pixels(i + 1)]) for i in range(2)]), "id": [3, 4]}
    for batch, ids in ((crops, ("meta", "id")), (singles, "id"), (clips, "id")):
        ids = (1, "id") if batch is crops else ids
        key = "image" if batch is not crops else None
        prepared = pickle.loads(pickle.dumps(Prepare(pipe, collate_fn=lambda items: items[0], key=key, ids=ids)([batch])))
        for labels in (False, True):
            ((got, *told),) = [b if labels else (b,) for b in DeviceLoader([prepared], pipe, "cpu", key=key, labels=labels)]
            ((want, *said),) = [b if labels else (b,) for b in DeviceLoader([batch], pipe, "cpu", key=key, ids=ids, labels=labels)]
            assert type(got) is type(want)
            for a, b in zip(torch.utils._pytree.tree_leaves(got), torch.utils._pytree.tree_leaves(want), strict=True):
                assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
            for a, b in zip(*(own if isinstance(own, list) else [own] for own in (told[0], said[0]))) if labels else ():
                assert torch.equal(a.masks, b.masks) and a.ids.tolist() == b.ids.tolist() and a.program.equals(b.program)


def test_ids_that_nobody_gives_are_the_workers():
    pipe = pipeline()
    loader = DataLoader(Photos(), batch_size=4, num_workers=2, collate_fn=Prepare(pipe), multiprocessing_context="fork")
    told = [labels for _ in range(2) for _, labels in DeviceLoader(loader, pipe, "cpu", labels=True)]
    assert len({int(i) for labels in told for i in labels.ids}) == 24
    again = pipeline()
    loader = DataLoader(Photos(), batch_size=4, num_workers=2, collate_fn=Collate(again), multiprocessing_context="fork")
    first = [x for x, _ in loader]
    pipe = pipeline()
    loader = DataLoader(Photos(), batch_size=4, num_workers=2, collate_fn=Prepare(pipe), multiprocessing_context="fork")
    assert all(torch.equal(a, b) for a, (b, _) in zip(first, DeviceLoader(loader, pipe, "cpu")))


def test_values_are_checked_where_they_are_prepared():
    bright = [(torch.full((3, 4, 4), 7.0), 0)]
    with pytest.raises(ValueError, match=r"x holds values from 7 to 7"):
        Prepare(pipeline(), ids=1)(bright)
    assert Prepare(pipeline(check="never"), ids=1)(bright).prepared[0] is not None
    first, always = Prepare(pipeline(), ids=1), Prepare(pipeline(check="always"), ids=1)
    for each in (first, always):
        each([(torch.rand(3, 4, 4), 0)])
    first(bright)
    with pytest.raises(ValueError, match="x holds values"):
        always(bright)


def test_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    batch = Prepare(pipeline(), ids=1)([(pixels(i), i) for i in range(4)])
    pinned = batch.pin_memory()
    assert torch.equal(pinned.batch[0], batch.batch[0] + 1) and pinned.prepared is batch.prepared


def test_bad_input():
    pipe = pipeline()
    batch = Prepare(pipe, ids=1)([(pixels(i), i) for i in range(4)])
    for other in (pipeline(seed=4), pipeline("ops")):
        with pytest.raises(ValueError, match=r"prepared by another pipeline; accepted: Prepare\(pipeline\) with this one"):
            list(DeviceLoader([batch], other, "cpu"))
    restored = pipeline()
    loader = DeviceLoader([batch], restored, "cpu")
    restored.set_extra_state(pipeline(seed=4).get_extra_state())
    with pytest.raises(ValueError, match="prepared by another pipeline"):
        list(loader)
    with pytest.raises(TypeError, match=r"collate_fn is a int"):
        Prepare(pipe, 3)
    with pytest.raises(TypeError, match=r"pipeline is a MeanShift"):
        Prepare(MeanShift(0.1))
    with pytest.raises(ValueError, match=r"cannot be stacked.*\[3, 4, 4\].*accepted"):
        Prepare(pipe)([torch.zeros(3, 4, 4), torch.zeros(3, 5, 5)])
    with pytest.raises(ValueError, match=r"ids=3 is not in the sample"):
        Prepare(pipe, ids=3)([(pixels(0), 0)])
