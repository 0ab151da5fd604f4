"""`Pipeline.explain`: what it counts is what is launched."""

import math

import numpy as np
import pytest
import torch
from test_engine import mixed

import degrade
from degrade import Local, Pipeline, masks
from degrade.backends import engine
from degrade.explain import H100
from degrade.made_masks import resolve


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_counts_the_launches_and_tiles_that_run(dtype, monkeypatch):
    launched = []
    monkeypatch.setattr(engine, "launch_on", lambda x, kernel, grid, *_, **__: launched.append((kernel.__name__, math.prod(grid))))
    pipe = mixed()
    told = pipe.explain((40, 70), batch=5, dtype=dtype)
    program = pipe.sample(range(5), (40, 70))
    x = torch.zeros(5, 3, 40, 70, dtype=dtype)
    engine.execute(resolve(program, x), x)
    assert [(row.kind.split()[0], row.tiles) for row in told.rows] == launched


def test_a_point_op_reads_and_writes_each_pixel_once():
    told = Pipeline(degrade.MeanShift()).explain((37, 50), batch=4)
    (row,) = told.rows
    assert (row.kind, row.samples, row.read, row.written) == ("settle", 4, 4 * 3 * 37 * 50, 4 * 3 * 37 * 50)
    assert told.bytes == 2 * 4 * 3 * 37 * 50 and told.floor == told.bytes / H100


def test_a_two_stroke_op_goes_through_the_canvas_and_the_scratch():
    told = Pipeline(degrade.GaussianBlur(2.0)).explain((64, 96), batch=2, dtype=torch.float16)
    values = 2 * 3 * 64 * 96
    assert [(r.read, r.written) for r in told.rows] == [(2 * values, 2 * values), (2 * values, 2 * values), (4 * values, 2 * values)]


def test_bytes_follow_the_area():
    def moved(area):
        return Pipeline(Local(degrade.GaussianBlur(2.0), masks.Rectangle(area=area, feather=0.0, aspect=1.0))).explain(batch=16).bytes

    copied = 2 * 16 * 3 * 224 * 224
    small, large = moved(0.02) - copied, moved(0.5) - copied
    assert 0 < small < 0.25 * large


def test_reads_well():
    told = mixed().explain((40, 70), batch=3)
    text = str(told)
    assert f"{len(told.rows)} launches" in text and "floor at 3 TB/s" in text and "3 images of 40x70" in text
    assert len({len(line) for line in text.splitlines()[: 1 + len(told.rows)]}) == 1
    assert "nothing to do" not in text
    assert np.isclose(told.floor * 1e3, sum(r.read + r.written for r in told.rows) / H100 * 1e3)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"batch": 0}, "the batch is empty"),
        ({"batch": -3}, "the batch is empty"),
        ({"size": (0, 5)}, r"size=\(0, 5\) is not accepted"),
        ({"dtype": torch.int32}, "dtype=torch.int32 is not one of images"),
        ({"dtype": "uint8"}, "dtype=uint8 is not one of images"),
        ({"bandwidth": 0}, "bandwidth=0 is not positive"),
    ],
)
def test_bad_arguments_get_one_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(degrade.MeanShift()).explain(**given)
