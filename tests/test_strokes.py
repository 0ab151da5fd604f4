"""Ops of several strokes: order, buffers, repeated and skipped passes, statistics that a solo pass works on."""

import numpy as np
import pytest
import torch

import degrade
from degrade import Local, OneOf, Pipeline, Stroke, functional, masks
from degrade.backends.native import interpreted
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.ops import REGISTRY


class Slide(degrade.TwoStrokeOp):
    """Move the image to the right by `steps` pixels, one a pass; each pass halves red, and adds half of the first image's."""

    steps = degrade.Param(0, 7, neutral=0, harsh=7, unit="px", integer=True)

    @classmethod
    def radius(cls, theta):
        return theta[:, 0].astype(np.int64)

    @classmethod
    def schedule(cls, theta, frame):
        return np.where(np.arange(7) < theta[:, :1], 0, -1)

    @staticmethod
    def twin(x, theta, context):
        y, right = x, (torch.arange(x.shape[3]) - 1).clamp(min=0)
        for i in range(7):
            moved = y[..., right].clone()
            moved[:, :1] = context.round(moved[:, :1] * 0.5 + x[:, :1] * 0.5)
            y = torch.where(theta[0] > i, moved, y)
        return y

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch(before, y, x - 1)
        own, _, _ = fetch(image, y, x)
        return r * 0.5 + own * 0.5, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        return fetch(scratch, y, x)


class Subtract(degrade.TwoStrokeOp):
    """Subtract, from an inverted copy, the share of the largest value: a pass that stores, one that adds up, one that solves."""

    share = degrade.Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the largest value")
    whole_frame = True
    words = 2

    @staticmethod
    def twin(x, theta, context):
        inverted = context.round(1.0 - x)
        largest = torch.floor(inverted * 65535.0 + 0.5).amax((1, 2, 3), keepdim=True).to(torch.int64)
        return inverted - theta[0] * ((largest // 2).to(torch.float32) * (1.0 / 65536.0))

    @staticmethod
    @jit
    def invert(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch(before, y, x)
        return 1.0 - r, 1.0 - g, 1.0 - b

    @staticmethod
    @jit
    def find(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch(before, y, x)
        largest = tl.floor(tl.maximum(tl.maximum(r, g), b) * 65535.0 + 0.5)
        tl.atomic_max(words, tl.max(tl.max(largest, 1), 0).to(tl.int64))
        return r, g, b

    @staticmethod
    @jit
    def solve(image, before, y, x, theta, table, words, rng, stage, inside):
        tl.store(words + 1, tl.load(words) // 2)
        return fetch(image, y, x)

    strokes = (Stroke(invert), Stroke(find, stores=False), Stroke(solve, solo=True))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        offset = theta[0] * (tl.load(words + 1).to(tl.float32) * (1.0 / 65536.0))
        r, g, b = fetch(scratch, y, x)
        return r - offset, g - offset, b - offset


@pytest.fixture(autouse=True)
def registered():
    degrade.register(Slide)
    degrade.register(Subtract)
    yield
    for name in ("slide", "subtract"):
        REGISTRY.pop(name, None)
        vars(functional).pop(name, None)


def images(count, dtype=torch.uint8):
    x = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (count, 3, 21, 37), dtype=np.uint8))
    return x if dtype == torch.uint8 else (x / 255).to(dtype)


def test_a_pass_reads_what_the_one_before_it_left():
    x = images(3, torch.float32)
    y = functional.slide(x, steps=torch.tensor([1, 4, 7]))
    for i, steps in enumerate((1, 4, 7)):
        assert torch.equal(y[i, 1:, :, steps:], x[i, 1:, :, : 37 - steps])
        assert torch.equal(y[i, 1:, :, 0], x[i, 1:, :, 0])


@pytest.mark.device
@pytest.mark.parametrize("dtype", (torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)), ids=str)
def test_device_equals_twin(dtype, device):
    """Samples with other numbers of passes, of several ops, in one batch; under masks and in chains."""
    count = 6 if interpreted() else 40
    x = images(count, dtype).to(device)
    step = degrade.OneOf(Slide(), Subtract(0.7), degrade.GaussianBlur(1.0), degrade.Contrast(0.5))
    pipe = Pipeline(degrade.Compose(step, Local(step, masks.Ellipse(area=0.3)), Local(degrade.Compose(step, step), masks.Blob(area=0.2))), seed=5)
    program = pipe.sample(range(count), (21, 37))
    fast, slow = (degrade.apply(program, x, backend=b) for b in ("triton", "torch"))
    if device == "cpu":
        assert torch.equal(fast, slow)
    else:
        assert ((fast.float() - slow.float()).abs() > (1 if dtype == torch.uint8 else 1e-5)).float().mean() < 2e-3


def test_passes_end_together_and_alternate_between_two_buffers():
    from degrade.backends.plan import make_plan
    from degrade.kernels import plan as layout

    program = Pipeline(OneOf(Slide((1, 5)), Subtract(1.0))).sample(range(16), (21, 37))
    plan = make_plan(program, program.numbers)
    slide, subtract = program.ops.index("slide"), program.ops.index("subtract")
    most = int(program.theta[..., 0][program.code == slide].max())
    assert [(launch.kind, launch.kernel) for launch in plan.launches] == [
        ("settle", 0), *[("reach", 1)] * most, *[("reach", 2)] * 3, ("settle", 0)
    ] and plan.buffers == 2  # fmt: skip
    assert (program.code == subtract).any()
    last = {}
    for launch in plan.launches[1:-1]:
        for item in plan.arena[launch.items :][: layout.ITEM * 16].reshape(-1, layout.ITEM)[: len(set(launch.item_of_tiles(plan.arena)))]:
            n = item[layout.SAMPLE]
            assert item[layout.SOURCE] == last.get(n, 0) and item[layout.TARGET] != item[layout.SOURCE]
            if item[layout.TARGET]:
                last[n] = item[layout.TARGET]
    assert set(last.values()) == {1}, "the settle reads the first"
