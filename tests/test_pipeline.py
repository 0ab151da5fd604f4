"""Recipes and drawing: distributions, probabilities, order, levels, banks; and what is frozen."""

import json
import math

import numpy as np
import pytest
import torch

import degrade
from degrade import Choice, Compose, Levels, Local, LogUniform, Normal, OneOf, Pipeline, SomeOf, masks
from degrade.ops import REGISTRY

IDS = np.arange(4000)  # samples of every distribution test


def draws(recipe, seed=0):
    return Pipeline(recipe, seed=seed).sample(IDS, (8, 8))


def close(count, p, total=4000):
    """Within 4.5 standard errors of a binomial."""
    return abs(count / total - p) < 4.5 * math.sqrt(max(p * (1 - p), 1e-9) / total) + 1e-9


@pytest.mark.parametrize(
    "given, mean, std, low, high",
    [
        (0.25, 0.25, 0.0, 0.25, 0.25),
        ((0.1, 0.5), 0.3, 0.4 / math.sqrt(12), 0.1, 0.5),
        (LogUniform(0.01, 1.0), 0.99 / math.log(100), None, 0.01, 1.0),
        (Normal(0.5, 0.1), 0.5, 0.0987, 0.2, 0.8),
        (Normal(0.5, 0.5, low=0.0, high=1.0), 0.5, None, 0.0, 1.0),
        (Normal(-10.0, 1.0, low=0.5, high=0.9), 0.58822, None, 0.5, 0.9),
        (Choice([0.1, 0.2, 0.7], weights=[1, 1, 2]), 0.425, None, 0.1, 0.7),
    ],
    ids=str,
)
def test_distributions(given, mean, std, low, high):
    value = draws(degrade.GaussianNoise(std=given)).theta[:, 0, 0].astype(np.float64)
    assert low - 1e-7 <= value.min() and value.max() <= high + 1e-7
    assert abs(value.mean() - mean) < 4.5 * max(value.std(), 1e-8) / math.sqrt(len(value)) + 1e-7
    if std is not None:
        assert abs(value.std() - std) < 0.05 * std + 1e-7


def test_probabilities_and_weights():
    assert close((draws(degrade.Jpeg(p=0.3)).code >= 0).sum(), 0.3)
    program = draws(OneOf(degrade.Jpeg(), degrade.Contrast(), degrade.MeanShift(), weights=[5, 3, 2], p=0.5))
    assert program.slots == 1
    for name, weight in (("jpeg", 0.5), ("contrast", 0.3), ("mean_shift", 0.2)):
        assert close((program.code == program.ops.index(name)).sum(), 0.5 * weight)


def test_some_of_draws_without_replacement_in_random_order():
    ops = [op() for op in REGISTRY.values()]
    program = draws(SomeOf(*ops, n=(1, 3)))
    assert program.slots == 3
    count = (program.code >= 0).sum(1)
    for n in (1, 2, 3):
        assert close((count == n).sum(), 1 / 3)
    for row in program.code:
        used = row[row >= 0]
        assert len(set(used)) == len(used) and (row[: len(used)] >= 0).all()
    for slot in (0, 1):
        for code in range(len(ops)):
            total = (program.code[:, slot] >= 0).sum()
            assert close((program.code[:, slot] == code).sum(), 1 / len(ops), total)
    ordered = draws(SomeOf(*ops, n=3, order="recipe")).code
    assert (np.diff(ordered.astype(int), axis=1) != 0).all()
    where = {op.name: i for i, op in enumerate(ops)}
    position = np.asarray([where[name] for name in draws(SomeOf(*ops, n=3, order="recipe")).ops])[ordered]
    assert (np.diff(position, axis=1) > 0).all()
    heavy = draws(SomeOf(degrade.Jpeg(), degrade.Contrast(), degrade.MeanShift(), n=1, weights=[8, 1, 1]))
    assert close((heavy.code[:, 0] == heavy.ops.index("jpeg")).sum(), 0.8)


def test_some_of_with_chains_keeps_each_chain_together():
    pair = Compose(degrade.MeanShift(), degrade.Contrast())
    program = draws(SomeOf(pair, degrade.Jpeg(), n=2))
    assert program.slots == 4
    names = {tuple(program.ops[c] for c in row if c >= 0) for row in program.code}
    assert names == {("mean_shift", "contrast", "jpeg"), ("jpeg", "mean_shift", "contrast")}


def test_a_skipped_op_shifts_nobodys_numbers():
    """The noise of slot 1 and its parameters are the same whether slot 0 is taken or not, and whatever it does."""
    noise = degrade.GaussianNoise(std=(0.01, 0.2))
    x = torch.full((6, 3, 16, 16), 0.5)
    results = []
    for first in (degrade.MeanShift(0.0), degrade.MeanShift(0.0, p=0.0), degrade.MeanShift(0.0, p=0.5), degrade.Contrast(1.0, p=0.5)):
        program = Pipeline(Compose(first, noise), seed=4).sample(range(6), (16, 16))
        results.append((program.theta[:, 1], degrade.apply(program, x)))
    for theta, y in results[1:]:
        assert np.array_equal(theta, results[0][0])
        assert torch.equal(y, results[0][1])


def test_a_draw_depends_on_seed_epoch_view_and_id_alone():
    pipe = Pipeline(Compose(degrade.GaussianBlur(), Local(degrade.Jpeg(), masks.Blob())), seed=3)
    whole = pipe.sample([5, -9, 2**50, 7], (32, 40))
    assert whole[[2, 0]].equals(pipe.sample([2**50, 5], (32, 40)))
    assert not whole.equals(pipe.sample([5, -9, 2**50, 7], (32, 40), view=1))
    pipe.set_epoch(1)
    assert not whole.equals(pipe.sample([5, -9, 2**50, 7], (32, 40)))
    pipe.set_epoch(0)
    assert whole.equals(pipe.sample(torch.tensor([5, -9, 2**50, 7]), (32, 40)))
    assert len(np.unique(whole.theta[:, 0, 0])) == 4


def test_no_global_random_state_is_touched():
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    degrade.banks.kadid10k()(torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)), ids=[1, 2, 3])
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])


def test_severity_and_direction():
    up = draws(degrade.MeanShift(severity=0.5, direction="up"))
    assert np.allclose(up.theta[:, 0, 0], 0.15) and np.allclose(up.severity, 0.5)
    both = draws(degrade.MeanShift(severity=1.0)).theta[:, 0, 0]
    assert close((both > 0).sum(), 0.5) and np.allclose(np.abs(both), 0.3)
    none = draws(degrade.Jpeg(severity=0.0))
    assert (none.code == -1).all()
    for name, op in REGISTRY.items():
        program = draws(op(severity=(0.05, 1.0)))
        first = next(iter(op.parameters.values()))
        ends = first.harsh if isinstance(first.harsh, tuple) else (first.harsh,)
        slack = 0.5 / min(abs(e - first.neutral) for e in ends) + 1e-6 if first.integer else 1e-5
        assert np.abs(first.severity(program.theta[:, 0, 0]) - program.severity[:, 0]).max() < slack, name


def test_whole_numbers_of_a_range_are_equally_likely():
    quality = draws(degrade.Jpeg(quality=(1, 3))).theta[:, 0, 0]
    for value in (1, 2, 3):
        assert close((quality == value).sum(), 1 / 3)
    assert set(draws(degrade.Jpeg(quality=(9.5, 11.2))).theta[:, 0, 0]) == {10, 11}
    with pytest.raises(ValueError, match="holds no whole number"):
        degrade.Jpeg(quality=(9.2, 9.8))


def test_levels():
    table = Levels(43, 36, 24, 7, 4)
    assert set(draws(degrade.Jpeg(quality=table)).theta[:, 0, 0]) == {43, 36, 24, 7, 4}
    program = draws(degrade.GaussianBlur(sigma=Levels(1, 2, 4), level=2.5))
    assert (program.theta[:, 0, 0] == 3.0).all() and (program.level == 2.5).all()
    with pytest.raises(ValueError, match=r"bank.*kadid10k"):
        degrade.Jpeg(level=3)


def test_a_bank_is_a_pipeline_and_gives_single_types():
    bank = degrade.banks.kadid10k(seed=2)
    program = bank.sample(IDS, (8, 8))
    assert len(program.ops) == len(bank.types) == 25
    for i in range(25):
        assert close((program.code == i).sum(), 1 / 25)
    assert set(np.unique(program.level)) == {1, 2, 3, 4, 5}
    x = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(bank.single("jpeg", level=4)(x), degrade.functional.jpeg(x, quality=7))
    with pytest.raises(ValueError, match="did you mean 'jpeg'"):
        bank.single("jpg", level=4)
    with pytest.raises(ValueError, match="accepted: 1 to 5"):
        bank.single("jpeg", level=6)


def everything():
    bank = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(5))
    return Compose(
        SomeOf(*(op(p=0.9) for op in REGISTRY.values()), n=Choice([1, 3], weights=[1, 2]), weights=range(1, len(REGISTRY) + 1)),
        Local(
            Compose(degrade.Jpeg(quality=LogUniform(5, 50), subsampling=Choice(["4:2:0", "4:4:4"])), degrade.GaussianBlur(severity=(0.1, 0.3))),
            masks.Blob(),
            p=0.7,
        ),
        Local(OneOf(degrade.MeanShift(Normal(0.1, 0.02)), degrade.Contrast(Levels(0.5, 0.3), level=(1, 2)), weights=[1, 3]), masks.FromTensor(bank)),
        Local(Local(degrade.MeanShift(severity=0.4, direction="down"), masks.Rectangle(area=(0.3, 0.6))), masks.Gradient(angle=30.0)),
    )


def test_golden_programs_and_results():
    """What this STREAM draws. If this fails, existing seeds give other results: bump STREAM and say so in the CHANGELOG."""
    import hashlib
    from pathlib import Path

    pipe = Pipeline(everything(), seed=20)
    pipe.set_epoch(3)
    program = pipe.sample([0, 1, 2**40, -7], (20, 24), view=1)
    drawn = hashlib.sha256(json.dumps(program.to_dict()["samples"]).encode()).hexdigest()
    ramp = torch.arange(4 * 3 * 20 * 24).reshape(4, 3, 20, 24)
    noise = Pipeline(Compose(degrade.GaussianNoise(0.1), degrade.ImpulseNoise(0.1), degrade.Jpeg(20)), seed=20)(
        (ramp % 251).to(torch.uint8), ids=[0, 1, 2**40, -7]
    )
    made = hashlib.sha256(noise.numpy().tobytes()).hexdigest()
    golden = Path(__file__).with_name("golden.json")
    found = {"stream": degrade.STREAM, "key": program.key, "programs": drawn, "noise_and_jpeg": made}
    assert found == json.loads(golden.read_text())


def test_equal_ops_and_masks_are_drawn_at_once_and_as_ever(monkeypatch):
    """Which changes nothing but the number of calls: each draws as it does beside another one that is not its equal."""

    def recipe(low):
        return Compose(*(Local(degrade.GaussianBlur((0.5, 2.0)), masks.Ellipse(area=(own, 0.3), feather=0.1)) for own in (0.1, low)))

    calls = []
    solve = masks.Ellipse.solve
    monkeypatch.setattr(masks.Ellipse, "solve", lambda self, u, *given, **drawn: calls.append(len(u)) or solve(self, u, *given, **drawn))
    equal, other = (Pipeline(recipe(low), seed=3).sample(range(5), (40, 48)) for low in (0.1, 0.2))
    assert calls == [10, 5, 5]
    assert np.array_equal(equal.numbers[:, 0], other.numbers[:, 0]) and not np.array_equal(equal.numbers[:, 1], other.numbers[:, 1])
    assert np.array_equal(equal.theta, other.theta)
