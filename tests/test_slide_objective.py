"""examples/slide's objective: against loops over all pairs, and against pairs made by hand. And `banks.slide`."""

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

import degrade
from degrade import GaussianBlur, Jpeg, Local, Pipeline, banks, masks
from degrade.labels import Labels

sys.path.insert(0, str(Path(__file__).parents[1]))
objective = importlib.import_module("examples.slide.objective")
Description, Thresholds = objective.Description, objective.Thresholds
LOOSE = Thresholds(area=0, visible=0, severity=(0.1, 0.3), scale=(0.5, 1.5))


def sample(**types):
    """A sample with types by name: (area, severity) or (area, severity, "faint")."""
    names = ("blur", "jpeg", "noise")
    given = [types.get(name, (0.0, 0.0)) for name in names]
    return Description(
        torch.tensor([[g[0] for g in given]]),
        torch.tensor([[g[1] for g in given]]),
        torch.tensor([[len(g) > 2 for g in given]]),
        torch.tensor([False]),
    )


def related(a, b, thresholds=LOOSE):
    found = objective.relations(a, b, thresholds)
    assert all(torch.equal(x, y.T) for x, y in zip(found, objective.relations(b, a, thresholds)))
    return tuple(bool(v) for v in found)


# ---- pairs made by hand ------------------------------------------------------------------------------------------------------------

MATCHING, DIFFERING, DOUBTFUL = (True, False, False), (False, True, False), (False, False, True)


@pytest.mark.parametrize(
    "a, b, want",
    [
        ({}, {}, MATCHING),  # clean and clean
        ({"blur": (0.2, 0.5)}, {"blur": (0.2, 0.5)}, MATCHING),
        ({"blur": (0.2, 0.5)}, {"blur": (0.28, 0.59)}, MATCHING),  # within half an octave and a tenth
        ({"blur": (0.2, 0.5)}, {"blur": (0.2, 0.7)}, DOUBTFUL),  # the band of severity
        ({"blur": (0.2, 0.5)}, {"blur": (0.2, 0.81)}, DIFFERING),
        ({"blur": (0.1, 0.5)}, {"blur": (0.2, 0.5)}, DOUBTFUL),  # an octave, in the band of scale
        ({"blur": (0.1, 0.5)}, {"blur": (0.4, 0.5)}, DIFFERING),  # two octaves
        ({"blur": (0.2, 0.5)}, {}, DIFFERING),
        ({"blur": (0.2, 0.5)}, {"jpeg": (0.2, 0.5)}, DIFFERING),
        ({"blur": (0.2, 0.5)}, {"blur": (0.2, 0.5), "jpeg": (0.2, 0.5)}, DIFFERING),
        ({"blur": (0.02, 0.5, "faint")}, {}, DOUBTFUL),  # nearly clean against clean
        ({"blur": (0.02, 0.5, "faint")}, {"jpeg": (0.02, 0.5, "faint")}, DOUBTFUL),
        ({"blur": (0.02, 0.5, "faint")}, {"blur": (0.02, 0.5, "faint")}, (True, False, True)),  # a positive only if doubt is allowed
        ({"blur": (0.02, 0.5, "faint")}, {"jpeg": (0.2, 0.5)}, DIFFERING),
        ({"blur": (0.02, 0.5, "faint")}, {"blur": (0.4, 0.5)}, DIFFERING),  # small against large: a difference of scale
        ({"blur": (0.2, 0.5), "jpeg": (0.02, 0.5, "faint")}, {"blur": (0.2, 0.5)}, DOUBTFUL),
        ({"blur": (0.2, 0.5), "jpeg": (0.02, 0.5, "faint")}, {"noise": (0.2, 0.5)}, DIFFERING),
    ],
)
def test_how_two_samples_stand_to_each_other(a, b, want):
    assert related(sample(**a), sample(**b)) == want


def test_crowded_samples_are_doubtful_where_they_share_some_types_but_not_all():
    crowded = sample(blur=(0.2, 0.5), jpeg=(0.2, 0.5)).changed(lambda v: torch.ones_like(v) if v.dim() == 1 else v)
    assert related(crowded, crowded) == MATCHING
    assert related(crowded, sample(blur=(0.2, 0.5))) == (False, True, True)
    assert related(crowded, sample(noise=(0.2, 0.5))) == DIFFERING
    assert related(crowded, sample()) == DIFFERING


def joined(*samples):
    return Description(*(torch.cat([getattr(s, name) for s in samples]) for name in ("area", "severity", "faint", "crowded")))


def test_modes_drop_doubtful_pairs_from_negatives_or_from_both():
    clean, small, blurred = sample(), sample(blur=(0.02, 0.5, "faint")), sample(blur=(0.2, 0.5))
    batch = joined(clean, small, small, blurred, blurred)
    positives, negatives = {}, {}
    for mode in objective.MODES:
        positives[mode], negatives[mode] = objective.exclusion(batch, mode=mode)
        assert not (positives[mode] & negatives[mode]).any()
        for found in (positives[mode], negatives[mode]):
            assert torch.equal(found, found.T) and not found.diagonal().any()
    assert sorted(map(tuple, positives["off"].nonzero().tolist())) == [(1, 2), (2, 1), (3, 4), (4, 3)]
    assert torch.equal(positives["off"] | negatives["off"], ~torch.eye(5, dtype=torch.bool))
    assert torch.equal(positives["negatives"], positives["off"])
    assert not negatives["negatives"][0, 1] and negatives["negatives"][0, 3]  # clean against small, and against blurred
    assert sorted(map(tuple, positives["both"].nonzero().tolist())) == [(3, 4), (4, 3)]
    assert torch.equal(negatives["both"], negatives["negatives"])
    assert negatives["negatives"].sum() < negatives["off"].sum()


def test_excluding_nothing_is_off():
    """Bands without width, and thresholds of 0, leave nothing in doubt but what overlaps."""
    labels = banks.slide(seed=3).sample(range(200), (64, 64))
    sharp = dict(area=0.0, visible=0.0, severity=(0.2, 0.2), scale=(1.0, 1.0), overlap=1.0)
    found = [objective.exclusion(Labels(labels), mode=mode, **sharp) for mode in objective.MODES]
    for other in found[1:]:
        assert torch.equal(found[0][0], other[0]) and torch.equal(found[0][1], other[1])


# ---- from labels -------------------------------------------------------------------------------------------------------------------


def brute(labels, thresholds):
    """What `describe` finds, slot by slot."""
    out = []
    for row in range(len(labels)):
        types = {}
        for slot in range(labels.type.shape[1]):
            if labels.type[row, slot] < 0 or labels.identity[row, slot] or labels.area[row, slot] == 0:
                continue
            level, strength, area = (float(v[row, slot]) for v in (labels.level, labels.severity, labels.area))
            types[int(labels.type[row, slot])] = (
                area,
                strength if math.isnan(level) else (level - 1) / 4,
                area < thresholds.area or strength < thresholds.visible,
                slot,
            )
        plain = [t[3] for t in types.values() if not t[2]]
        out.append((types, any(labels.overlap[row, i, j] > thresholds.overlap for i in plain for j in plain if i != j)))
    return out


def brute_relation(one, other, thresholds):
    (a, crowded_a), (b, crowded_b) = one, other
    match, differ, faint = True, False, False
    for t in {*a, *b}:
        faint = faint or any(s[t][2] for s in (a, b) if t in s)
        if t in a and t in b:
            severity, scale = abs(a[t][1] - b[t][1]), abs(math.log2(a[t][0]) - math.log2(b[t][0]))
            match = match and severity <= thresholds.severity[0] and scale <= thresholds.scale[0]
            differ = differ or severity > thresholds.severity[1] or scale > thresholds.scale[1]
        else:
            match = False
            differ = differ or not (a.get(t) or b.get(t))[2]
    crowd = (crowded_a or crowded_b) and bool(set(a) & set(b)) and set(a) != set(b)
    return match, differ, crowd or (not differ and (not match or faint))


@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(area=0.2, visible=0.2, severity=(0.3, 0.6), scale=(1, 2), overlap=0.1)])
def test_relations_are_those_of_a_loop_over_all_pairs(thresholds):
    recipe = banks.slide(seed=1).recipe
    few = Pipeline(
        degrade.SomeOf(
            *(Local(op, masks.Ellipse(area=(0.01, 0.6)), p=0.9) for op in (GaussianBlur(severity=(0, 1)), Jpeg(severity=(0, 1)))), n=(0, 2)
        )
    )
    for pipe in (few, Pipeline(recipe)):
        labels = Labels(pipe.sample(range(60), (48, 64)))
        found = objective.relations(*[objective.describe(labels, thresholds)] * 2, thresholds)
        loop = brute(labels, thresholds)
        want = torch.tensor([[brute_relation(a, b, thresholds) for b in loop] for a in loop]).permute(2, 0, 1)
        assert all(torch.equal(f, w) for f, w in zip(found, want))
        assert min(int(w.sum()) for w in want) > 0


def test_regions_are_described_by_what_covers_them():
    """The left half of a frame is degraded; the third column of four is by a fifth."""
    half = masks.Boxes(boxes=[(0, 0, 1, 0.55)], feather=0.0)
    labels = Labels(Pipeline(Local(Jpeg(severity=0.5), half)).sample([0], (64, 64)))
    cover = labels.coverage(16)[0, 0]
    found = objective.describe_regions(labels, 4, Thresholds(coverage=(0.1, 0.6)))
    assert len(found) == 16
    assert torch.equal(found.area[:, 0].view(4, 4), (cover >= 0.1).float()) and 0.1 < cover[0, 2] < 0.6
    assert found.area[:, 0].view(4, 4)[0].tolist() == [1, 1, 1, 0]
    assert found.faint[:, 0].view(4, 4)[0].tolist() == [False, False, True, False]
    with pytest.raises(ValueError, match="grid=5 does not divide frames of 64x64 pixels"):
        objective.describe_regions(labels, 5)


def test_regions_of_two_types_are_crowded():
    both = Pipeline(
        degrade.Compose(
            *(
                Local(op, masks.Boxes(boxes=[box], feather=0.0))
                for op, box in ((Jpeg(severity=0.5), (0, 0, 1, 0.5)), (GaussianBlur(severity=0.5), (0, 0, 0.5, 1)))
            )
        )
    )
    found = objective.describe_regions(Labels(both.sample([0], (64, 64))), 2)
    assert found.crowded.tolist() == [True, False, False, False]


# ---- the loss ----------------------------------------------------------------------------------------------------------------------


def loop_loss(z, positives, negatives, temperature):
    z = z.double() / z.double().norm(dim=1, keepdim=True)
    anchors = []
    for i in range(len(z)):
        others = [math.exp(float(z[i] @ z[n]) / temperature) for n in range(len(z)) if negatives[i, n]]
        terms = []
        for p in range(len(z)):
            if positives[i, p] and others:
                e = math.exp(float(z[i] @ z[p]) / temperature)
                terms.append(-math.log(e / (e + sum(others))))
        if terms:
            anchors.append(sum(terms) / len(terms))
    return sum(anchors) / len(anchors), len(anchors)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_a_double_loop(seed):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(13, 5, generator=g)
    kind = torch.randint(0, 3, (13, 13), generator=g)
    kind[:2] = 2  # rows without pairs are no anchors
    positives, negatives = kind == 0, kind == 1
    positives.fill_diagonal_(False)
    negatives.fill_diagonal_(False)
    want, anchors = loop_loss(z, positives, negatives, 0.3)
    found = objective.contrast(z, positives, negatives, 0.3)
    assert found.anchors == anchors < 13 and float(found.loss) == pytest.approx(want, rel=1e-5)


def test_with_twins_alone_it_is_nt_xent():
    z = torch.randn(12, 7, generator=torch.Generator().manual_seed(0))
    n = torch.nn.functional.normalize(z)
    logits = (n @ n.T / 0.1).fill_diagonal_(float("-inf"))
    want = torch.nn.functional.cross_entropy(logits, torch.arange(12).roll(6))
    found = objective.contrast(z, *objective.twins(torch.arange(6).repeat(2)))
    torch.testing.assert_close(found.loss, want)


def test_excluded_pairs_are_in_no_gradient():
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    positives, negatives = torch.zeros(4, 4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)
    positives[0, 1] = positives[1, 0] = negatives[0, 2] = negatives[1, 2] = True
    objective.contrast(z, positives, negatives).loss.backward()
    assert z.grad[3].abs().max() == 0 < z.grad[:3].abs().min() and z.grad.isfinite().all()


def test_a_batch_without_pairs_has_no_loss():
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    assert objective.contrast(torch.randn(3, 2), nothing, ~nothing) == (None, 0)
    assert objective.contrast(torch.randn(3, 2), ~nothing, nothing) == (None, 0)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"area": 1.5}, r"area=1\.5 is not accepted; accepted: a number from 0 to 1\."),
        ({"severity": 0.2}, r"severity=0\.2 is not accepted; accepted: two numbers, the lower first, from 0 to 1\."),
        ({"scale": (2, 1)}, r"scale=\(2, 1\) is not accepted; accepted: two numbers, the lower first, from 0 to 16\."),
        ({"overlap": (0.1, 0.2)}, r"overlap=\(0\.1, 0\.2\) is not accepted; accepted: a number"),
        ({"mode": "positives"}, r"exclusion='positives' is not accepted; accepted: off, negatives, both\."),
    ],
)
def test_bad_thresholds_get_one_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        objective.exclusion(sample(), **given)


# ---- banks.slide -------------------------------------------------------------------------------------------------------------------

COUNT = 6000


@pytest.fixture(scope="module")
def drawn():
    return Labels(banks.slide(seed=5).sample(range(COUNT), (64, 64)))


def likely(hits, p):
    hits = np.asarray(hits)
    return abs(hits.mean() - p) <= 4.5 * math.sqrt(p * (1 - p) / len(hits))


def test_slide_has_the_types_of_kadid10k():
    assert banks.slide().types == banks.kadid10k().types
    assert banks.slide(severity="perceptual").types == banks.kadid10k(severity="perceptual").types


def test_slide_draws_different_types_each_as_likely(drawn):
    rows = [[t for t in row if t >= 0] for row in drawn.type.tolist()]
    assert likely([len(row) == 0 for row in rows], 0.05)
    for n in (1, 2, 3):
        assert likely([len(row) == n for row in rows], 0.95 / 3)
    assert all(len(set(row)) == len(row) for row in rows)
    counts = np.bincount([t for row in rows for t in row], minlength=25)
    assert len(counts) == 25 and scipy.stats.chisquare(counts).pvalue > 1e-4


def test_slide_draws_shapes_areas_and_levels(drawn):
    program = drawn.program
    used = program.family[program.family >= 0]
    assert sorted(program.families) == sorted(banks.slide.__globals__["SHAPES"]) and scipy.stats.chisquare(np.bincount(used)).pvalue > 1e-4
    some = (drawn.type >= 0).any(1)
    whole = (program.family < 0).all(1)
    assert likely(whole[some.numpy()], 0.2)
    levels = drawn.level[drawn.type >= 0]
    assert scipy.stats.kstest(levels.numpy(), scipy.stats.uniform(1, 4).cdf).pvalue > 1e-4
    few = drawn[np.flatnonzero(some.numpy() & ~whole)[:600]]
    areas = few.area[few.type >= 0].numpy()
    assert 0.01 < areas.min() < 0.03 and 0.45 < areas.max() < 0.51
    assert scipy.stats.kstest(np.log(areas), scipy.stats.uniform(math.log(0.02), math.log(25)).cdf).statistic < 0.05


def test_slide_takes_other_numbers():
    whole = banks.slide(whole=1.0, clean=0.0, k=1).sample(range(200), (32, 32))
    assert (whole.family.size == 0 or (whole.family < 0).all()) and ((whole.code >= 0).sum(1) == 1).all()
    local = banks.slide(whole=0.0, clean=0.0, k=2, shapes=["rectangle"], area=0.3, levels=3).sample(range(200), (32, 32))
    assert local.families == ("rectangle",) and set((local.code >= 0).sum(1)) == {1, 2} and set(local.level[local.code >= 0]) == {3}
    assert ((local.family >= 0).sum(1) == (local.code >= 0).sum(1)).all()
    assert (banks.slide(clean=1.0).sample(range(50), (32, 32)).code < 0).all()


@pytest.mark.parametrize(
    "given, message",
    [
        ({"k": 0}, r"k=0 is out of range; accepted: whole numbers from 1 to 25"),
        ({"k": 26}, r"k=26 is out of range"),
        ({"whole": 1.5}, r"whole=1\.5 is not a probability"),
        ({"clean": -0.1}, r"clean=-0\.1 is not a probability"),
        ({"shapes": ["blobb"]}, r"shape 'blobb' is unknown; did you mean 'blob'"),
        ({"shapes": ["saliency"]}, r"shape 'saliency' is unknown"),
        ({"shapes": []}, r"shapes=\[\] is not accepted; accepted: a list of at least one of blob"),
        ({"shapes": "blob"}, r"shapes='blob' is not accepted"),
        ({"levels": (0, 5)}, r"level.*accepted: 1 to 5"),
        ({"area": (0.1, 1.2)}, r"area.*accepted"),
    ],
)
def test_slide_refuses_bad_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        banks.slide(**given)
