"""Large images go tile by tile, and come out as the whole would."""

import numpy as np
import pytest
import torch

import degrade
from degrade import Compose, Contrast, GaussianBlur, GaussianNoise, Jpeg, Local, MedianBlur, OneOf, Pipeline, masks
from degrade.datasets import shard
from degrade.datasets.tiles import surroundings, tiled

SIZE = (75, 110)
RECIPES = {
    "a chain under a mask": Local(Compose(GaussianBlur(2.0), Jpeg(20), GaussianNoise(0.1)), masks.Blob(area=0.3, feather=0.1)),
    "different chains": Compose(
        OneOf(Jpeg(30, subsampling="4:2:0"), MedianBlur(2)), Local(GaussianBlur((0.5, 3.0)), masks.Ellipse()), GaussianNoise(0.05, p=0.5)
    ),
    "clouds": Local(Jpeg((5, 90)), masks.Clouds()),
    "nothing": GaussianNoise(0.1, p=0.0),
}


@pytest.fixture
def x():
    return torch.randint(0, 256, (3, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("tile", [16, 40, 33, 200])
def test_tiles_make_the_whole(name, tile, x):
    program = Pipeline(RECIPES[name], seed=4).sample(range(3), SIZE)
    assert surroundings(program) is not None
    assert torch.equal(tiled(program, x, tile), degrade.apply(program, x))


def test_surroundings_are_needed(x, monkeypatch):
    from degrade.datasets import tiles

    program = Pipeline(GaussianBlur(3.0)).sample(range(3), SIZE)
    least = surroundings(program)
    monkeypatch.setattr(tiles, "surroundings", lambda program: least - 1)
    monkeypatch.setattr(tiles, "ALIGNED", 1)
    assert not torch.equal(tiled(program, x, 40), degrade.apply(program, x))


@pytest.mark.parametrize(
    "recipe", [Contrast(0.5), Local(GaussianBlur(2.0), masks.Edges(area=0.2)), degrade.Partition(GaussianBlur(2.0), degrade.cells.Grid(2, 2))]
)
def test_what_needs_the_whole_frame_gets_it(recipe, x):
    pipe = Pipeline(recipe)
    program = pipe.sample(range(3), SIZE)
    assert surroundings(program) is None
    assert torch.equal(tiled(program, x, 40), degrade.apply(program, x))


def test_a_large_image_of_a_job_goes_in_tiles(x, monkeypatch):
    calls = []
    pipe = Pipeline(RECIPES["a chain under a mask"], seed=4)
    want, labels = pipe(x, ids=range(3), labels=True)
    monkeypatch.setattr(shard, "LARGE", 1000)
    monkeypatch.setattr(shard, "tiled", lambda program, images: calls.append(len(images)) or tiled(program, images, 32))
    y, told = shard.degraded(pipe, pipe.sample(range(3), SIZE), x, [0, 1, 2])
    assert calls == [3] and torch.equal(y, want) and np.array_equal(told.area, labels.area)


@pytest.mark.parametrize("strip", [1, 1000, 10**9])
def test_masks_are_rendered_in_strips(strip, x, monkeypatch):
    _, labels = Pipeline(RECIPES["different chains"], seed=4)(x, ids=range(3), labels=True)
    monkeypatch.setattr(shard, "STRIP", strip)
    assert torch.equal(shard.covered(labels), (labels.masks.amax(1) * 255 + 0.5).to(torch.uint8))
