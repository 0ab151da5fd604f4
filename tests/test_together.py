"""Together: masks that keep to each other, measured on the pixels that were masked."""

import warnings

import numpy as np
import pytest
import torch
from test_engine import photo

import degrade
from degrade import Compose, GaussianBlur, Jpeg, Labels, Local, MeanShift, OneOf, Pipeline, Together, masks

SIZE = (64, 80)


def locals_of(*given, **options):
    return [Local(MeanShift(0.1 * (i + 1)), mask, **options) for i, mask in enumerate(given)]


def drawn(*given, n=40, size=SIZE, seed=1, **options):
    """The masks (n, s, h, w) that labels report."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Labels(Pipeline(Together(*locals_of(*given), **options), seed=seed).sample(range(n), size)).masks


def shares(a, b):
    """Σ min over the lesser sum, over the second's sum, and over Σ max, each (n,)."""
    both = torch.minimum(a, b).sum((1, 2))
    return both / torch.minimum(a.sum((1, 2)), b.sum((1, 2))), both / b.sum((1, 2)), both / torch.maximum(a, b).sum((1, 2))


def test_disjoint():
    got = drawn(masks.Ellipse(area=0.12), masks.Rectangle(area=(0.05, 0.1)), masks.Blob(area=0.05), overlap="disjoint", tries=128)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        apart = shares(got[:, i], got[:, j])[0]
        assert apart.max() < 0.08 and apart.mean() < 0.01


def test_nested():
    got = drawn(masks.Ellipse(area=0.5), masks.Ellipse(area=0.2), masks.Rectangle(area=0.05), overlap="nested")
    for outer, inner in ((0, 1), (1, 2)):
        inside = shares(got[:, outer], got[:, inner])[1]
        assert inside.min() > 0.85 and inside.mean() > 0.97


@pytest.mark.parametrize("target", [0.1, 0.5, 0.8])
def test_target(target):
    got = drawn(masks.Ellipse(area=0.2), masks.Ellipse(area=0.2), overlap=target, tries=128)
    reached = shares(got[:, 0], got[:, 1])[2]
    assert (reached - target).abs().max() < 0.06 and (reached - target).abs().mean() < 0.02


def test_targets_follow_their_distribution():
    got = drawn(masks.Ellipse(area=0.2), masks.Ellipse(area=0.2), overlap=(0.1, 0.7), n=300, size=(32, 32))
    reached = np.sort(shares(got[:, 0], got[:, 1])[2].numpy())
    assert np.abs(reached - np.linspace(0.1, 0.7, 300)).max() < 0.08


def test_the_target_is_of_the_mask_before():
    got = drawn(*[masks.Ellipse(area=0.2)] * 3, overlap=0.6, tries=64)
    for i, j in ((0, 1), (1, 2)):
        assert (shares(got[:, i], got[:, j])[2] - 0.6).abs().mean() < 0.03


@pytest.mark.parametrize("overlap", ["disjoint", "nested", 0.4])
def test_areas_and_feathers_stay_as_drawn(overlap):
    """So their distributions stay, too: only places and shapes are chosen."""
    given = masks.Ellipse(area=(0.05, 0.4), feather=(0.0, 0.3)), masks.Boxes(area=(0.02, 0.3)), masks.Polygon(area=0.1)
    free, got = drawn(*given, size=(96, 128)), drawn(*given, size=(96, 128), overlap=overlap)
    assert (free.mean((2, 3)) - got.mean((2, 3))).abs().max() < 0.02
    assert not torch.equal(free, got)


def test_free_is_compose():
    given = locals_of(masks.Ellipse(), masks.Blob(), masks.Stripes())
    first, second = (Pipeline(node, seed=3).sample(range(20), SIZE) for node in (Compose(*given), Together(*given)))
    assert first.equals(second)


def mixed(p=0.7, overlap="disjoint"):
    """Chance, chains, choices, masks made of masks, stored maps, and another mask around the whole."""
    bank = torch.rand(4, *SIZE, generator=torch.Generator().manual_seed(0))
    other = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(1))
    return Compose(
        Local(MeanShift(0.05), masks.FromTensor(other)),
        Local(
            Together(
                Local(Compose(GaussianBlur(sigma=1.0), MeanShift(0.1)), masks.Union(masks.Ellipse(area=0.1), masks.Boxes(area=0.1)), p=p),
                Local(OneOf(Jpeg(quality=20), MeanShift(0.2)), masks.FromTensor(bank, area=0.1), p=p),
                Local(Local(MeanShift(-0.1), masks.Gradient()), masks.Checker(area=0.3), p=p),
                overlap=overlap,
                tries=12,
                p=0.9,
            ),
            masks.Ellipse(area=0.8),
        ),
    )


@pytest.mark.parametrize("overlap", ["disjoint", "nested", 0.3])
def test_alone_and_in_a_batch(overlap):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = Pipeline(mixed(overlap=overlap), seed=2)
        ids = np.array([3, 900, 2**40, 17, 5, 6, 7, 8, 9, 10, 11, 12])
        whole = pipe.sample(ids, SIZE)
        whole.check()
        order = np.array([7, 2, 0, 11, 5])
        assert whole[order].equals(pipe.sample(ids[order], SIZE))
        for i in (1, 4):
            assert whole[[i]].equals(pipe.sample(ids[[i]], SIZE))


def test_pieces_change_nothing(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = Pipeline(mixed(), seed=2).sample(range(20), SIZE)
        monkeypatch.setattr(degrade.together, "PIECE", 7)
        assert whole.equals(Pipeline(mixed(), seed=2).sample(range(20), SIZE))


def test_a_mask_that_is_skipped_is_not_there_for_others():
    given = locals_of(masks.Ellipse(area=0.4), masks.Ellipse(area=0.4), p=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = Pipeline(Together(*given, overlap="disjoint"), seed=1)
        program, free = pipe.sample(range(60), SIZE), Pipeline(Together(*given), seed=1).sample(range(60), SIZE)
    alone = (program.code >= 0).sum(1) == 1
    assert 10 < alone.sum() < 50
    assert program[alone].equals(free[alone])
    assert not program.equals(free)


def test_stored_maps_are_picked():
    """Of maps that each cover a quarter, one that does not touch the other mask's."""
    quarters = torch.zeros(4, *SIZE)
    for i, (y, x) in enumerate(((0, 0), (0, 40), (32, 0), (32, 40))):
        quarters[i, y : y + 32, x : x + 40] = 1
    got = drawn(masks.FromTensor(quarters), masks.FromTensor(quarters), overlap="disjoint")
    assert shares(got[:, 0], got[:, 1])[0].max() == 0.0
    got = drawn(masks.FromTensor(quarters), masks.FromTensor(quarters), overlap=1.0, tries=200)
    assert shares(got[:, 0], got[:, 1])[2].min() == 1.0


def test_it_warns_once_and_says_what_was_reached():
    pipe = Pipeline(Together(*locals_of(masks.Ellipse(area=0.6), masks.Ellipse(area=0.6)), overlap="disjoint", tries=4), seed=1)
    with pytest.warns(
        UserWarning, match=r"overlap='disjoint'\) is missed in 5 of 5 samples: at worst masks share 0\.\d\d of the smaller one\. Give more tries"
    ):
        program = pipe.sample(range(5), SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.sample(range(5), SIZE)
        Pipeline(Together(*locals_of(masks.Ellipse(area=0.02), masks.Ellipse(area=0.02)), overlap="disjoint"), seed=1).sample(range(5), SIZE)
    assert Labels(program).overlap[0, 0, 1] > 0.0
    with pytest.warns(UserWarning, match=r"at worst 0\.\d\d of a mask lies in the one before"):
        Pipeline(Together(*locals_of(masks.Ellipse(area=0.1), masks.Ellipse(area=0.6)), overlap="nested", tries=4), seed=1).sample(range(5), SIZE)
    with pytest.warns(UserWarning, match=r"Together\(overlap=0\.9\).*the IoU is off by 0\.\d\d"):
        Pipeline(Together(*locals_of(masks.Ellipse(area=0.1), masks.Ellipse(area=0.6)), overlap=0.9, tries=4), seed=1).sample(range(5), SIZE)


def test_one_try_is_what_was_drawn():
    given = masks.Ellipse(), masks.Blob()
    assert torch.equal(drawn(*given, overlap="disjoint", tries=1), drawn(*given))


@pytest.mark.parametrize("overlap", ["free", "disjoint", 0.3, (0.1, 0.4)])
def test_files(tmp_path, overlap):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = Pipeline(Together(*locals_of(masks.Ellipse(), masks.Blob()), overlap=overlap, tries=9, p=0.8), seed=4)
        pipe.save(tmp_path / "pipe.yaml")
        again = Pipeline.load(tmp_path / "pipe.yaml")
        assert repr(again) == repr(pipe) and "Together(" in repr(pipe)
        assert again.sample(range(30), SIZE).equals(pipe.sample(range(30), SIZE))


def test_images():
    x = photo(6, *SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y, labels = Pipeline(mixed(), seed=2)(x, ids=range(6), labels=True)
    outside = (labels.masks.amax(1) == 0)[:, None].expand_as(x)
    assert torch.equal(y[outside], x[outside]) and not torch.equal(y, x)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (500, 3)], ids=str)
def test_odd_frames(size):
    got = drawn(masks.Ellipse(area=0.1), masks.Rectangle(area=0.1), size=size, n=3, overlap="disjoint", tries=3)
    assert got.shape == (3, 2, *size) and torch.isfinite(got).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"overlap": "apart"}, ValueError, "'apart' is unknown"),
        ({"overlap": 1.5}, ValueError, r"overlap=1\.5 is out of range; accepted: 0 to 1"),
        ({"overlap": None}, TypeError, "overlap=None"),
        ({"tries": 0}, ValueError, "tries=0 is not accepted; accepted: a whole number from 1 to 4096"),
        ({"tries": 2.5}, ValueError, r"tries=2\.5"),
        ({"tries": True}, ValueError, "tries=True"),
        ({"p": 2}, ValueError, "p=2"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Together(*locals_of(masks.Ellipse(), masks.Blob()), **arguments)


def test_bad_children():
    with pytest.raises(TypeError, match=r"Together child .* accepted: Local\(op, mask=\.\.\.\)"):
        Together(MeanShift())
    for mask, name in ((masks.FromTensor(), "from_tensor"), (masks.Edges(), "edges"), (masks.Union(masks.Ellipse(), masks.Segments()), "segments")):
        with pytest.raises(ValueError, match=f"overlap='nested' needs masks that are known when they are drawn, and {name} waits for the call"):
            Together(*locals_of(masks.Ellipse(), mask), overlap="nested")
        Together(*locals_of(masks.Ellipse(), mask))
