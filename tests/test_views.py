"""Views of one image: what of a draw they share, by ids for programs, masks and noise."""

import numpy as np
import pytest
import torch

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Labels, Local, MeanShift, OneOf, Pipeline, Together, masks

SIZE = (25, 34)
RECIPE = Compose(
    Local(OneOf(GaussianBlur(), MeanShift(), Jpeg()), masks.Blob()),
    Local(MeanShift(p=0.7), masks.Difference(masks.Ellipse(), masks.Voronoi())),
    GaussianNoise(std=(0.02, 0.2)),
)
IDS, OTHERS, THIRD = np.arange(30), np.arange(1000, 1030), np.arange(2000, 2030)


def pipeline(recipe=RECIPE):
    return Pipeline(recipe, seed=3)


def grey(b=30):
    return torch.full((b, 3, *SIZE), 0.5)


def done(program):
    """What is done, without where and with what noise."""
    return program.code, program.theta, program.severity, np.nan_to_num(program.level)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b))


def test_equal_mask_ids_share_masks_and_nothing_else():
    pipe = pipeline()
    a, b = (pipe.sample(ids, SIZE, mask_ids=THIRD) for ids in (IDS, OTHERS))
    own, theirs = pipe.sample(IDS, SIZE), pipe.sample(THIRD, SIZE)
    assert same(done(a), done(own)) and not same(done(a), done(b))
    assert a.ids.tolist() == IDS.tolist() and np.array_equal(a.first, own.first) and np.array_equal(a.family, own.family)
    both = (a.family >= 0) & (b.family >= 0)
    assert 40 < both.sum() < both.size and np.array_equal(a.numbers[both], b.numbers[both])
    here = (a.family >= 0) & (theirs.family >= 0)
    assert np.array_equal(a.numbers[here], theirs.numbers[here]) and not np.array_equal(a.numbers, own.numbers)
    one, other = Labels(a).masks[:, 0], Labels(b).masks[:, 0]
    assert torch.equal(one, other) and not torch.equal(one, Labels(own).masks[:, 0])


def test_masks_go_with_the_program_unless_told():
    pipe = pipeline()
    shared, alone = pipe.sample(IDS, SIZE, program_ids=OTHERS), pipe.sample(OTHERS, SIZE)
    assert same(done(shared), done(alone)) and np.array_equal(shared.numbers, alone.numbers) and shared.ids.tolist() == IDS.tolist()
    told = pipe.sample(IDS, SIZE, program_ids=OTHERS, mask_ids=IDS)
    assert same(done(told), done(alone)) and torch.equal(Labels(told).masks[:, 0], Labels(pipe.sample(IDS, SIZE)).masks[:, 0])


@pytest.mark.parametrize(
    "op",
    [GaussianNoise(0.03, colour="colour"), degrade.LineNoise(0.03, lines="rows", colour="grey"), degrade.PinkNoise(0.03, exponent=1, colour="grey")],
)
def test_equal_noise_ids_share_noise_under_other_programs(op):
    pipe = pipeline(Compose(op, MeanShift((-0.1, 0.1), space="rgb")))
    noise = []
    for ids in (IDS, OTHERS):
        y, labels = pipe(grey(), ids=ids, noise_ids=THIRD, labels=True)
        assert labels.ids.tolist() == ids.tolist() and labels.program.ids.tolist() == THIRD.tolist()
        assert same(done(labels.program), done(pipe.sample(ids, SIZE)))
        noise.append(y - 0.5 - labels.params[:, 1, 0, None, None, None])
    assert torch.allclose(noise[0], noise[1], atol=1e-6) and noise[0].std() > 0.02 and noise[0].abs().max() < 0.4
    assert not torch.allclose(noise[0], pipe(grey(), ids=IDS) - 0.5 - labels.params[:, 1, 0, None, None, None], atol=1e-3)


@pytest.mark.parametrize("op", [degrade.ColourBlocks(4), degrade.PlasmaShade(0.5), degrade.ElasticTransform(0.3), degrade.RowShift(3.0)])
def test_what_else_a_sample_draws_for_its_pixels_goes_with_the_noise(op):
    x = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).expand(4, -1, -1, -1)
    y = pipeline(op)(x, ids=[1, 2, 3, 4], program_ids=[5, 5, 5, 5], noise_ids=[8, 8, 9, 4])
    assert torch.equal(y[0], y[1]) and not torch.equal(y[0], y[2])
    assert torch.equal(y[3:], pipeline(op)(x[:1], ids=[4], program_ids=[5]))


def test_equal_noise_in_one_batch_and_noise_of_each_own():
    pipe = pipeline(GaussianNoise(0.05))
    y = pipe(grey(3), ids=[1, 2, 3], noise_ids=[9, 9, 3])
    assert torch.equal(y[0], y[1]) and torch.equal(y[2:], pipe(grey(1), ids=[3])) and not torch.equal(y[0], y[2])
    shared = pipe(grey(2), ids=[1, 2], program_ids=[7, 7])
    assert not torch.equal(shared[0], shared[1]) and torch.equal(shared, pipe(grey(2), ids=[5, 6], program_ids=[7, 7], noise_ids=[1, 2]))


def test_a_call_draws_what_sample_draws_and_labels_replay_it(tmp_path):
    pipe, x = pipeline(), torch.rand(30, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    given = {"program_ids": OTHERS, "mask_ids": THIRD, "noise_ids": IDS[::-1].copy()}
    y, labels = pipe(x, ids=IDS, labels=True, **given)
    assert torch.equal(pipe(x, ids=IDS, **given), y)
    assert labels.program.equals(pipe.sample(IDS, SIZE, **given)) and torch.equal(degrade.apply(labels.program, x), y)
    labels.program.save(tmp_path / "p.json")
    assert torch.equal(degrade.apply(degrade.load(tmp_path / "p.json"), x), y)
    assert labels.ids.tolist() == IDS.tolist() and labels[[4, 2]].ids.tolist() == [4, 2] and labels.to("cpu").ids.tolist() == IDS.tolist()
    assert Labels.collate([labels[3:], labels[:3]]).ids.tolist() == [*range(3, 30), 0, 1, 2]
    assert {row["id"] for row in labels.rows()} == set(range(30))


def test_alone_as_in_a_batch():
    pipe, x = pipeline(), torch.rand(30, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    given = {"ids": IDS, "program_ids": IDS // 2, "mask_ids": IDS % 3, "noise_ids": IDS // 5}
    y = pipe(x, **given)
    for rows in ([7], [29, 3, 3, 11]):
        assert torch.equal(pipe(x[rows], **{name: ids[rows] for name, ids in given.items()}), y[rows])


def test_masks_that_keep_to_each_other_are_shared_too():
    """Candidates for their places are drawn with the ids of masks."""
    pipe = pipeline(Together(*[Local(MeanShift(), masks.Ellipse(area=0.05)) for _ in range(3)], overlap="disjoint"))
    a, b = (pipe.sample(ids, SIZE, mask_ids=THIRD) for ids in (IDS, OTHERS))
    assert np.array_equal(a.numbers, b.numbers) and np.array_equal(a.numbers, pipe.sample(THIRD, SIZE).numbers)
    assert not same(done(a), done(b))


def test_made_masks_are_drawn_alike_and_made_of_each_image():
    pipe = pipeline(Local(MeanShift(), masks.Saliency()))
    x = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    _, labels = pipe(x[[0, 0, 1]], ids=[1, 2, 3], mask_ids=[5, 5, 5], labels=True)
    assert torch.equal(labels.masks[0], labels.masks[1]) and not torch.equal(labels.masks[0], labels.masks[2])


@pytest.mark.parametrize("name", ["program_ids", "mask_ids", "noise_ids"])
def test_bad_ids(name):
    pipe = pipeline()
    for wrong, error, message in (
        ([1], ValueError, rf"{name} has shape \(1,\); accepted: \(2,\), one id per image"),
        ([1.5, 2.5], TypeError, f"{name} has dtype float64; accepted: whole numbers"),
        (torch.zeros(2, dtype=torch.int64, device="meta"), ValueError, f"{name} is on meta; accepted: a host tensor"),
    ):
        with pytest.raises(error, match=message):
            pipe(grey(2), ids=[1, 2], **{name: wrong})
        with pytest.raises(error, match=message):
            pipe.sample([1, 2], SIZE, **{name: wrong})
