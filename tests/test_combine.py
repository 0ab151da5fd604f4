"""Masks made of masks: what they weigh, on every path, and what they cost."""

import numpy as np
import pytest
import torch
from test_engine import photo

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, Pipeline, masks
from degrade.backends.masking import Masks
from degrade.backends.plan import make_plan
from degrade.masks import combine
from degrade.masks.combine import mask_numbers
from degrade.program import Program

SIZE = (33, 47)
IDS = np.arange(7)


def ellipse(area=0.3):
    return masks.Ellipse(area=area, feather=0.1)


def boxes():
    return masks.Boxes(area=0.25, feather=0.05)


def gradient():
    return masks.Gradient(area=0.5)


def weights(mask, ids=IDS, size=SIZE):
    """What the labels say was applied, and each family's own weights in the order in which they are drawn."""
    program = Pipeline(Local(MeanShift(0.1), mask=mask), seed=3).sample(ids, size)
    single = Masks(program, None, torch.device("cpu"))
    every = np.arange(len(ids))
    return degrade.Labels(program).masks[:, 0], [single.region(r, every) for r in range(len(program.parent))]


EXPRESSIONS = {
    "union": (masks.Union(ellipse(), boxes(), gradient()), lambda a, b, c: torch.maximum(torch.maximum(a, b), c)),
    "intersection": (masks.Intersection(ellipse(), gradient()), torch.minimum),
    "difference": (masks.Difference(ellipse(), boxes()), lambda a, b: torch.minimum(a, 1 - b)),
    "product": (masks.Product(ellipse(), gradient()), lambda a, b: a * b),
    "invert": (masks.Invert(ellipse()), lambda a: 1 - a),
    "twice": (masks.Invert(masks.Invert(boxes())), lambda a: 1 - (1 - a)),
    "difference of unions": (
        masks.Difference(masks.Union(ellipse(), boxes()), masks.Union(gradient(), ellipse(0.1))),
        lambda a, b, c, d: torch.minimum(torch.maximum(a, b), 1 - torch.maximum(c, d)),
    ),
    "de morgan": (masks.Invert(masks.Intersection(masks.Invert(ellipse()), masks.Invert(boxes()))), lambda a, b: 1 - torch.minimum(1 - a, 1 - b)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_weights(name):
    mask, expected = EXPRESSIONS[name]
    got, parts = weights(mask)
    assert torch.equal(got, expected(*parts))
    assert 0.01 < got.mean() < 0.99


def test_what_holds_most_is_worked_out_first():
    """Nested to the right, five masks need no more of the stack than nested to the left; the first part drawn is then the innermost."""
    nested = masks.Union(ellipse(), masks.Intersection(boxes(), masks.Union(gradient(), masks.Product(ellipse(0.1), boxes()))))
    assert nested.held == 2
    got, (a, b, c, d, e) = weights(nested)
    assert torch.equal(got, torch.maximum(torch.minimum(torch.maximum(a * b, c), d), e))


def test_a_mask_united_with_itself_and_cut_by_itself():
    t = photo(1, *SIZE, torch.float32)[0, 0].contiguous()
    same = masks.FromTensor(t)
    for mask, expected in (
        (masks.Union(same, same), t),
        (masks.Intersection(same, same), t),
        (masks.Difference(same, same), torch.minimum(t, 1 - t)),
    ):
        assert torch.equal(weights(mask)[0], expected[None].expand(len(IDS), -1, -1))


def test_nested_locals_multiply():
    inner, outer = masks.Difference(ellipse(), boxes()), masks.Union(gradient(), boxes())
    program = Pipeline(Local(Local(MeanShift(0.1), mask=inner), mask=outer), seed=3).sample(IDS, SIZE)
    assert program.parent.tolist() == [-1, 0, 1, 2]
    single = Masks(program, None, torch.device("cpu"))
    a, b, c, d = (single.region(r, IDS) for r in range(4))
    assert torch.equal(degrade.Labels(program).masks[:, 0], torch.maximum(a, b) * torch.minimum(c, 1 - d))


def mixed():
    """Combined masks around one op and around chains, one in the other, and beside plain ones."""
    chain = Compose(GaussianBlur((0.5, 3.0)), Local(MeanShift((-0.3, 0.3)), mask=masks.Invert(ellipse())), p=0.8)
    return Compose(
        OneOf(
            Local(chain, mask=masks.Difference(masks.Union(ellipse(), boxes()), masks.Union(gradient(), ellipse(0.1)))),
            Local(Jpeg((10, 50)), mask=boxes()),
            Local(Local(GaussianBlur(2.0), mask=masks.Union(ellipse(), ellipse())), mask=gradient()),
        ),
        Local(GaussianNoise(0.1), mask=masks.Intersection(masks.Invert(boxes()), ellipse()), p=0.7),
    )


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_twin(dtype, device):
    x = photo(7, *SIZE, dtype).to(device)
    pipe = Pipeline(mixed(), seed=5)
    program = pipe.sample(IDS, SIZE)
    got, want = (degrade.apply(program, x, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x)
    order = [4, 2, 0]
    assert torch.equal(degrade.apply(program[order], x[order], backend="triton"), got[order])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_outside_nothing_changes(dtype):
    x = photo(7, *SIZE, dtype)
    y, labels = Pipeline(mixed(), seed=5)(x, ids=IDS, labels=True)
    outside = (labels.masks == 0).all(1)[:, None].expand_as(x)
    assert outside.any() and torch.equal(y[outside], x[outside])


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_rectangle_around_every_mask(name):
    """The engine works on no tile outside it, so it must hold all that is not 0, and no more than the parts' own."""
    mask, _ = EXPRESSIONS[name]
    program = Pipeline(Local(GaussianBlur(2.0), mask=mask), seed=3).sample(IDS, (96, 160))
    from degrade.backends.arena import Arena
    from degrade.backends.regions import Regions
    from degrade.backends.steps import Steps
    from degrade.backends.vocabulary import vocabulary_of
    from degrade.ops import find

    regions = Regions(program, program.numbers, Steps(program, vocabulary_of(tuple(map(find, program.ops))), 0), Arena())
    for rect, weight in zip(regions.rect[:, 0].T, degrade.Labels(program).masks[:, 0]):
        y, x = weight.nonzero().T
        assert -rect[0] <= y.min() and y.max() < rect[1] and -rect[2] <= x.min() and x.max() < rect[3]


def test_cost_follows_what_is_left():
    """A difference lies within its first mask; an intersection within both."""

    def moved(mask):
        return Pipeline(Local(GaussianBlur(2.0), mask=mask), seed=1).explain((224, 224), batch=16).bytes

    small, large = masks.Ellipse(area=0.05, feather=0.02), masks.Ellipse(area=0.8, feather=0.02)
    assert moved(masks.Intersection(small, large)) <= moved(small) == moved(masks.Difference(small, large)) < moved(masks.Union(small, large))
    assert moved(masks.Union(small, large)) <= moved(masks.Invert(small))


def test_files(tmp_path):
    pipe = Pipeline(mixed(), seed=5)
    pipe.save(tmp_path / "pipe.yaml")
    again = degrade.load(tmp_path / "pipe.yaml")
    program = pipe.sample(IDS, SIZE)
    assert repr(again) == repr(pipe) and again.sample(IDS, SIZE).equals(program)
    program.save(tmp_path / "p.json")
    assert degrade.load(tmp_path / "p.json").equals(program)
    assert "in (ellipse ∪ boxes) \\ (gradient ∪ ellipse)" in repr(program) and "¬boxes ∩ ellipse" in repr(program)


def test_damaged_programs_are_refused():
    data = Pipeline(Local(MeanShift(0.1), mask=masks.Union(ellipse(), boxes()))).sample([0], SIZE).to_dict()
    for fold in ([2], [1, 1, 1], [0, 0], [0, 6], [0, 1 + 64], [0, 1 + 8 + 64]):
        with pytest.raises(ValueError, match="damaged"):
            Program.from_dict({**data, "fold": fold})
    data["samples"][0]["regions"].pop()
    with pytest.raises(ValueError, match="lacks some of its parts"):
        Program.from_dict(data)


def test_folds():
    expression = masks.Difference(masks.Union(ellipse(), boxes()), masks.Invert(gradient()))
    folds = [leaf.fold for leaf in combine.leaves(expression)]
    assert [combine.operations(fold) for fold in folds] == [[], [2], [5, 4, 1]]
    assert mask_numbers([*folds, 1, *folds]) == [0, 0, 0, 1, 2, 2, 2]


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"Union of 0\.3 is not understood"):
        masks.Union(ellipse(), 0.3)
    with pytest.raises(ValueError, match="Union of 1 masks; accepted: 2 to 64"):
        masks.Union(ellipse())
    with pytest.raises(ValueError, match="Difference of 3 masks; accepted: 2"):
        masks.Difference(ellipse(), boxes(), gradient())
    deep = ellipse()
    for _ in range(2):
        deep = masks.Difference(ellipse(), deep)
    with pytest.raises(ValueError, match="at most 3"):
        masks.Difference(ellipse(), deep)
    with pytest.raises(TypeError, match="not a mask"):
        Local(MeanShift(0.1), mask=masks.Union)
    with pytest.raises(ValueError, match="list of masks"):
        masks.from_dict("Union", {"masks": 3})


def test_a_call_mask_may_be_a_part():
    x, given = photo(2, *SIZE, torch.uint8), torch.rand(2, 1, *SIZE)
    pipe = Pipeline(Local(MeanShift(0.2), mask=masks.Difference(masks.FromTensor(), boxes())))
    y, labels = pipe(x, ids=[1, 2], mask=given, labels=True)
    assert (labels.masks[:, 0] <= given[:, 0]).all() and not torch.equal(x, y)


def test_plans_say_whether_masks_combine():
    for mask, folds in ((ellipse(), False), (masks.Invert(ellipse()), True)):
        program = Pipeline(Local(MeanShift(0.1), mask=mask)).sample([0], SIZE)
        assert make_plan(program, program.numbers).folds is folds


# ---- other ramps --------------------------------------------------------------------------------------------------------


def test_feather_is_that_of_every_part():
    plain = masks.Union(
        masks.Ellipse(area=0.2, feather=0.0), masks.Difference(masks.Rectangle(area=0.3, feather=0.0), masks.Gradient(area=0.4, feather=0.0))
    )
    soft = masks.Union(
        masks.Ellipse(area=0.2, feather=0.3), masks.Difference(masks.Rectangle(area=0.3, feather=0.3), masks.Gradient(area=0.4, feather=0.3))
    )
    (got, _), (expected, _), (hard, _) = (weights(mask) for mask in (masks.Feather(plain, 0.3), soft, plain))
    assert torch.equal(got, expected) and not torch.equal(got, hard)
    assert torch.equal(weights(masks.Feather(masks.Ellipse(area=0.2), 0.1))[0], weights(masks.Ellipse(area=0.2, feather=0.1))[0])
    inside = masks.Union(masks.Boxes(area=0.1), masks.Feather(masks.Ellipse(area=0.2), (0.1, 0.2)))
    assert weights(inside)[0].amax() == 1.0
    assert [leaf.mask.values["feather"].to_dict() for leaf in inside.leaves][1] == [0.1, 0.2]


def test_feather_keeps_what_it_was_made_of():
    inner = masks.Ellipse(area=0.2, feather=0.0)
    masks.Feather(inner, 0.3)
    assert inner.values["feather"].value == 0.0


def test_feather_is_saved(tmp_path):
    pipe = Pipeline(Local(MeanShift(0.1), masks.Feather(masks.Union(ellipse(), boxes()), (0.1, 0.3))), seed=2)
    pipe.save(tmp_path / "pipe.yaml")
    again = Pipeline.load(tmp_path / "pipe.yaml")
    assert repr(again) == repr(pipe) and "Feather(Union(" in repr(pipe)
    assert again.sample(IDS, SIZE).equals(pipe.sample(IDS, SIZE))


def test_feather_refuses():
    with pytest.raises(ValueError, match=r"Feather of FromTensor.* has no feather"):
        masks.Feather(masks.FromTensor(torch.ones(4, 4)), 0.1)
    with pytest.raises(ValueError, match=r"feather=3 is out of range"):
        masks.Feather(ellipse(), 3.0)
    with pytest.raises(TypeError, match="Feather of 'ellipse' is not understood"):
        masks.Feather("ellipse", 0.1)
    with pytest.raises(ValueError, match="'fether' is unknown; did you mean 'feather'"):
        masks.from_dict("Feather", {"masks": [{"Ellipse": {}}], "fether": 0.1})
