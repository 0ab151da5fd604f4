"""Programs that are planned before their images are there."""

import pickle

import pytest
import torch

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, Partition, Pipeline, cells, masks

RECIPE = Compose(Local(OneOf(GaussianBlur(2.0), Jpeg(20)), masks.Ellipse()), GaussianNoise(0.1, p=0.5))
SIZE = (33, 40)


@pytest.fixture
def x():
    return torch.randint(0, 256, (4, 3, *SIZE), dtype=torch.uint8)


def drawn(recipe, count=4):
    return Pipeline(recipe, seed=3).sample(range(count), SIZE)


@pytest.mark.device
def test_a_prepared_program_gives_the_same_bits(x, device):
    program = drawn(RECIPE)
    prepared = degrade.prepare(program)
    want = degrade.apply(program, x.to(device))
    assert prepared.plan is not None and len(prepared) == 4
    for each in (prepared, pickle.loads(pickle.dumps(prepared))):
        for backend in ("auto", "torch"):
            assert torch.equal(degrade.apply(each, x.to(device), backend=backend), want)
    assert torch.equal(degrade.apply(prepared, (x / 255).to(device)), degrade.apply(program, (x / 255).to(device)))


def test_nothing_is_planned_at_the_call(x, monkeypatch):
    from degrade.backends import engine

    program, calls = drawn(RECIPE), []
    prepared = degrade.prepare(program)
    monkeypatch.setattr(engine, "make_plan", lambda *given: calls.append(given))
    monkeypatch.setattr(engine, "run_plan", lambda plan, x, out, maps, frame: calls.append(plan) or out)
    engine.execute(prepared.program, x, plan=prepared.plan)
    assert len(calls) == 1 and calls[0] is prepared.plan


def test_another_process_gets_plain_arrays():
    """And finds the kernels of the ops by itself."""
    prepared = degrade.prepare(drawn(RECIPE))
    again = pickle.loads(pickle.dumps(prepared))
    assert again.plan.vocabulary is prepared.plan.vocabulary
    assert len(pickle.dumps(prepared)) < len(pickle.dumps(prepared.program)) + 2 * prepared.plan.arena.nbytes


@pytest.mark.parametrize(
    "recipe, options",
    [
        (Partition(MeanShift(0.1), cells.Grid(2, 2)), {}),
        (Local(MeanShift(0.1), masks.FromTensor()), {"mask": torch.rand(4, 1, *SIZE)}),
        (Local(MeanShift(0.1), masks.Edges(area=0.2)), {}),
        (Local(GaussianBlur(2.0), masks.Ellipse(), blend="modulate"), {}),
    ],
)
def test_what_cannot_be_planned_beforehand_is_planned_at_the_call(recipe, options, x):
    program = drawn(recipe)
    prepared = degrade.prepare(program)
    assert prepared.plan is None
    assert torch.equal(degrade.apply(prepared, x, **options), degrade.apply(program, x, **options))


def test_clips_are_planned_frame_by_frame(x):
    program = drawn(RECIPE, 2)
    clips = x.unflatten(0, (2, 2))
    assert torch.equal(degrade.apply(degrade.prepare(program), clips), degrade.apply(program, clips))


def test_parts_of_frames_are_planned_at_the_call(x):
    program = drawn(RECIPE)
    part = x[..., 5:25, 7:30]
    want = degrade.apply(program, part, origin=(5, 7))
    assert torch.equal(degrade.apply(degrade.prepare(program), part, origin=(5, 7)), want)


def test_none_of_no_images():
    assert degrade.apply(degrade.prepare(drawn(RECIPE, 0)), torch.zeros(0, 3, *SIZE, dtype=torch.uint8)).shape == (0, 3, *SIZE)


def test_images_that_do_not_fit_are_named(x):
    with pytest.raises(ValueError, match=r"holds 4 samples and x 2"):
        degrade.apply(degrade.prepare(drawn(RECIPE)), x[:2])
    with pytest.raises(TypeError, match=r"program is a dict.*degrade\.prepare"):
        degrade.apply({}, x)
    with pytest.raises(TypeError, match=r"program is a Pipeline.*accepted"):
        degrade.prepare(Pipeline(RECIPE))
