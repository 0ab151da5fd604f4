"""Who a sample is: ids, epochs, workers, ranks, copies, and datasets by index."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import degrade
from degrade import Compose, Local, OneOf, Pipeline, masks


def test_without_ids_nothing_is_repeated_and_state_resumes():
    pipe = Pipeline(degrade.GaussianNoise(0.1))
    x = torch.full((2, 3, 8, 8), 0.5)
    first, second = pipe(x), pipe(x)
    state = pipe.state_dict()
    third = pipe(x)
    everything = torch.cat([first, second, third])
    assert len({tuple(y.flatten().tolist()) for y in everything}) == 6
    resumed = Pipeline(degrade.GaussianNoise(0.1))
    resumed.load_state_dict(state)
    assert torch.equal(resumed(x), third)


def test_copies_draw_alike_and_keep_to_themselves():
    pipe = Pipeline(degrade.GaussianNoise(0.1))
    pipe.set_epoch(4)
    for other in (copy.deepcopy(pipe), pickle.loads(pickle.dumps(pipe))):
        assert other.calls.epoch == 4 and other.calls._shared.is_shared()
        other.set_epoch(5)
        assert pipe.calls.epoch == 4


def test_ranks_get_other_ids(monkeypatch):
    ids = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        ids += Pipeline(degrade.Jpeg()).calls.next(3).tolist()
    assert len(set(ids)) == 6


def test_content_ids():
    pipe = Pipeline(degrade.GaussianNoise(0.1))
    x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    y = pipe(x, ids="content")
    assert torch.equal(pipe(x[[2, 0]], ids="content"), y[[2, 0]])
    other = x.clone()
    other[0, 0, 0, 0] += 0.01
    assert not torch.equal(pipe(other, ids="content")[0, :, 1:], y[0, :, 1:])


def test_program_ids_share_a_program_but_not_the_noise():
    pipe = Pipeline(Compose(degrade.MeanShift((-0.3, 0.3)), degrade.GaussianNoise(0.05)))
    x = torch.full((2, 3, 16, 16), 0.5)
    y, labels = pipe(x, ids=[1, 2], program_ids=[7, 7], labels=True)
    assert torch.equal(labels.params[0, :, 0], labels.params[1, :, 0])
    assert not torch.equal(y[0], y[1])


class Photos(Dataset):
    """Twelve images made from their index; module-level, so that spawned workers can import it."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return torch.randint(0, 256, (3, 20, 26), dtype=torch.uint8, generator=generator), index


def loaded(data, **options):
    order = torch.randperm(12, generator=torch.Generator().manual_seed(options.pop("order", 0))).tolist()
    return {int(i): image for images, index in DataLoader(data, batch_size=5, sampler=order, **options) for image, i in zip(images, index)}


@pytest.fixture
def indexed():
    pipe = Pipeline(
        Compose(Local(OneOf(degrade.GaussianBlur(), degrade.Jpeg(), degrade.Contrast()), masks.Blob()), degrade.GaussianNoise(p=0.5)), seed=1
    )
    return degrade.data.Indexed(Photos(), pipe)


@pytest.mark.parametrize("workers, start", [(1, "fork"), (4, "fork"), (1, "spawn"), (4, "spawn")])
def test_indexed_is_the_same_whatever_loads_it(indexed, workers, start):
    want = {i: indexed[i][0] for i in range(12)}
    got = loaded(indexed, num_workers=workers, multiprocessing_context=start, order=workers)
    assert sorted(got) == list(range(12)) and all(torch.equal(got[i], want[i]) for i in range(12))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_set_epoch_reaches_workers_that_already_run(indexed, start):
    order = list(range(12))
    loader = DataLoader(indexed, batch_size=4, sampler=order, num_workers=2, persistent_workers=True, multiprocessing_context=start)
    epochs = []
    for epoch in (0, 1, 0):
        indexed.pipeline.set_epoch(epoch)
        epochs.append(torch.cat([images for images, _ in loader]))
    assert torch.equal(epochs[0], epochs[2]) and not torch.equal(epochs[0], epochs[1])
    indexed.pipeline.set_epoch(1)
    assert torch.equal(torch.stack([indexed[i][0] for i in order]), epochs[1])


class Unnamed(Photos):
    """A user's own dataset that calls the pipeline without ids."""

    def __init__(self, pipe):
        self.pipe = pipe

    def __getitem__(self, index):
        return self.pipe(torch.full((3, 8, 8), 0.5)), index


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_without_ids_workers_and_their_successors_repeat_nothing(start):
    data = Unnamed(Pipeline(degrade.GaussianNoise(0.1)))
    seen = []
    for _ in range(2):  # the second loop starts new workers
        seen += [tuple(image.flatten().tolist()) for image in loaded(data, num_workers=2, multiprocessing_context=start).values()]
    assert len(set(seen)) == 24


def test_indexed_takes_what_datasets_give():
    from PIL import Image

    pipe = Pipeline(degrade.Jpeg(10))
    image = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    want = degrade.functional.jpeg(torch.from_numpy(image.transpose(2, 0, 1).copy()), quality=10)
    for item in (image, Image.fromarray(image), torch.from_numpy(image.transpose(2, 0, 1).copy())):
        assert torch.equal(degrade.data.Indexed([item], pipe)[0], want)
    y, target = degrade.data.Indexed([(Image.fromarray(image), 5)], pipe)[0]
    assert torch.equal(y, want) and target == 5
    item, labels = degrade.data.Indexed([{"image": image, "name": "a"}], pipe, labels=True)[-1]
    assert torch.equal(item["image"], want) and item["name"] == "a" and labels["type"].tolist() == [0]
    assert degrade.data.Indexed([Image.fromarray(image).convert("L")], pipe)[0].shape == (1, 12, 14)
    with pytest.raises(TypeError, match=r"dataset.*accepted"):
        degrade.data.Indexed(iter([]), pipe)


def test_a_loader_gets_images_of_one_size_degraded_together():
    """And each as it would be by itself, whatever lies beside it."""
    photos = [torch.randint(0, 256, (c, h, 20), dtype=torch.uint8) for c, h in ((3, 16), (3, 17), (3, 16), (1, 16), (3, 17))]
    items = [*((photo, i) for i, photo in enumerate(photos)), {"image": photos[0] / 255, "name": "a"}]
    pipe = Pipeline(Compose(Local(degrade.GaussianBlur(2.0), masks.Blob()), degrade.GaussianNoise(0.1)))
    indexed = degrade.data.Indexed(items, pipe, labels=True)
    sizes: list[int] = []
    pipe.register_forward_hook(lambda module, given, result: sizes.append(len(given[0])))
    loader = DataLoader(indexed, batch_size=6, sampler=[4, 3, 5, 2, 1, 0], collate_fn=list)
    (together,) = list(loader)
    assert sizes == [2, 1, 1, 2]  # 4 and 1, 3, 5, 2 and 0
    for i, (item, labels) in zip([4, 3, 5, 2, 1, 0], together):
        alone, told = indexed[i]
        image, lone = (x["image"] if isinstance(x, dict) else x[0] for x in (item, alone))
        assert torch.equal(image, lone) and set(labels) == set(told)
        torch.testing.assert_close(labels, told, rtol=0.0, atol=0.0, equal_nan=True)


def test_equal_indices_are_equal_samples():
    data = degrade.data.Indexed(Photos(), Pipeline(degrade.GaussianNoise(0.1)))
    assert torch.equal(data[-1][0], data[11][0])
    with pytest.raises(IndexError):
        data[12]
