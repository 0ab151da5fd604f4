"""Views: who shares what, read from the labels and the pixels."""

import numpy as np
import pytest
import torch

import degrade
from degrade import Compose, GaussianNoise, Local, MeanShift, Pipeline, masks
from degrade.data import views

IDS = np.arange(6) + 50


def pipeline(seed=3):
    recipe = Compose(Local(MeanShift((-0.2, 0.2)), masks.Blob(area=(0.1, 0.4))), GaussianNoise((0.05, 0.1)))
    return Pipeline(recipe, seed=seed, backend="torch")


def grey(b=6, size=(15, 19)):
    return torch.full((b, 3, *size), 0.5)


def params(labels):
    return labels.params.nan_to_num()


def test_two_views_are_two_draws_of_the_same_samples():
    (a, b), (told, other) = views.two_views(pipeline(), grey(), IDS, labels=True)
    assert torch.equal(a, pipeline()(grey(), ids=IDS)) and torch.equal(b, pipeline()(grey(), ids=IDS, view=1))
    assert told.ids.tolist() == other.ids.tolist() == IDS.tolist() and not torch.equal(params(told), params(other))
    assert all(torch.equal(x, y) for x, y in zip(views.two_views(pipeline(), grey(), IDS), (a, b)))


def test_crops_of_different_sizes_and_ids_that_are_drawn_once_for_all():
    crops = [grey(size=(24, 24)), grey(size=(24, 24)), grey(size=(9, 11))]
    got, told = views.multi_crop(pipeline(), crops, labels=True)
    assert [y.shape for y in got] == [x.shape for x in crops] and len({tuple(t.ids.tolist()) for t in told}) == 1
    assert torch.equal(got[2], pipeline()(crops[2], ids=told[0].ids, view=2)) and told[2].masks.shape == (6, 2, 9, 11)
    with pytest.raises(ValueError, match=r"the batches hold \[6, 5\] images; accepted: .* of one length"):
        views.multi_crop(pipeline(), [grey(), grey(5)])
    with pytest.raises(ValueError, match=r"the batches hold \[\]"):
        views.multi_crop(pipeline(), [])


def test_positives_share_all_but_the_noise_whatever_their_sizes():
    pipe = pipeline()
    half = grey(size=(8, 10))
    got, told = views.positives(pipe, [grey(), 1 - grey(), half], IDS, labels=True)
    assert (
        torch.equal(params(told[0]), params(told[1])) and torch.equal(params(told[0]), params(told[2])) and torch.equal(told[0].masks, told[1].masks)
    )
    assert torch.equal(got[0], pipe(grey(), ids=IDS))
    noise = [y - 0.5 for y in got[:2]]
    assert not torch.isclose(noise[0], noise[1]).any(dim=1).all(dim=(1, 2)).any()
    whole = np.concatenate([t.ids.numpy() for t in told])
    assert len(set(whole.tolist())) == 18
    again = views.positives(pipe, [grey(2), 1 - grey(2)], IDS[[4, 1]])
    assert torch.equal(again[1], got[1][[4, 1]])  # of the ids alone, not of the batch


def test_ids_of_any_size_are_told_apart():
    ids = np.asarray([0, 1, -1, (1 << 63) - 1, -(1 << 63), 1 << 62])
    assert len({int(i) for k in range(5) for i in views._apart(ids, k)}) == 30 and np.array_equal(views._apart(ids, 0), ids)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_half_swap(count):
    a, b = torch.arange(count).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2), -1 - torch.arange(count).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    one, other = views.half_swap(a, b)
    half = -(-count // 2)
    assert one[:, 0, 0, 0].tolist() == [*range(half), *(-1 - i for i in range(half, count))]
    assert torch.equal(one + other, a + b) and len(one) == count  # row i keeps its degradation
    with pytest.raises(ValueError, match=r"the batches have shapes .*accepted: equal shapes"):
        views.half_swap(a, b[:, :1])


def test_ordered_severities_differ_in_severity_alone():
    pipes = [Pipeline(Local(MeanShift(severity=s, direction="up"), masks.Blob(area=0.4)), seed=7, backend="torch") for s in (0.2, 0.5, 1.0)]
    got, told = views.ordered(pipes, grey(), IDS, labels=True)
    assert [float(t.severity.mean()) for t in told] == pytest.approx([0.2, 0.5, 1.0])
    assert all(torch.equal(t.masks, told[0].masks) for t in told) and told[0].masks.std() > 0.1
    gone = torch.stack([(y - 0.5).abs().mean((1, 2, 3)) for y in got])
    assert (gone[0] < gone[1]).all() and (gone[1] < gone[2]).all()
    levels = [degrade.banks.kadid10k().single("mean_shift", level=n) for n in (1, 2)]
    assert len(views.ordered(levels, grey())) == 2
    with pytest.raises(ValueError, match=r"pipelines have the seeds and epochs \[\(0, 0\), \(8, 0\)\]"):
        views.ordered([levels[0], Pipeline(MeanShift(), seed=8)], grey())


def test_pairs_for_restoration():
    pipe, x = pipeline(), grey()
    y, reference = views.pair(pipe, x, IDS)
    assert reference is x and torch.equal(x, grey()) and torch.equal(y, pipe(x, ids=IDS))
    y, reference, labels = views.pair(pipe, x, IDS, labels=True)
    assert reference is x and labels.ids.tolist() == IDS.tolist()
