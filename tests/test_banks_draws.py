"""How banks of types are drawn: groups, levels and pairs as published; and every id of any bank by itself."""

from collections import Counter

import numpy as np
import pytest
import scipy.stats
from bank_programs import COUNT, VARIANT_IDS, VARIANTS, equally_likely, likely, make, names, option, parameter

from degrade import banks
from degrade.ops import find


@pytest.fixture(scope="module")
def arniqa():
    return banks.arniqa().sample(range(COUNT), (224, 224))


def test_arniqa_leaves_5_per_cent_and_draws_1_to_4_groups(arniqa):
    count = (arniqa.code >= 0).sum(1)
    assert likely(count == 0, 0.05)
    assert equally_likely(count[count > 0], 4) and count.max() == 4


def test_arniqa_draws_no_group_twice_and_types_uniformly(arniqa):
    bank = banks.arniqa()
    group_of = {t.op.name: t.group for t in bank.types.values()}
    found = [[group_of[n] for n in row if n] for row in names(arniqa)]
    assert all(len(set(row)) == len(row) for row in found)
    assert equally_likely([g for row in found for g in row], 7)
    drawn = Counter(n for row in names(arniqa) for n in row if n)
    for members in bank.groups.values():
        assert scipy.stats.chisquare([drawn[bank.types[t].op.name] for t in members]).pvalue > 1e-4


def test_arniqa_applies_groups_in_the_order_drawn(arniqa):
    group_of = {t.op.name: t.group for t in banks.arniqa().types.values()}
    for first, second in (("blur", "jpeg"), ("noise", "colour"), ("spatial", "brightness")):
        rows = [[group_of[n] for n in row if n] for row in names(arniqa)]
        assert likely([row.index(first) < row.index(second) for row in rows if first in row and second in row], 0.5)


def test_arniqa_prefers_mild_levels(arniqa):
    levels = arniqa.level[arniqa.code >= 0]
    for level, share in zip(range(1, 6), (0.293, 0.270, 0.213, 0.143, 0.081)):
        weights = np.exp(-(np.arange(5) ** 2) / 12.5)
        assert abs(weights[level - 1] / weights.sum() - share) < 6e-4
        assert likely(levels == level, weights[level - 1] / weights.sum())


def test_arniqa_with_other_numbers_of_groups():
    for most in (2, 7):
        count = (banks.arniqa(max_distortions=most).sample(range(4000), (224, 224)).code >= 0).sum(1)
        assert equally_likely(count[count > 0], most) and count.max() == most
    assert set((banks.arniqa(max_distortions=1).sample(range(400), (224, 224)).code >= 0).sum(1)) == {0, 1}


def test_shamisa_draws_fractional_levels():
    program = banks.shamisa().sample(range(COUNT), (224, 224))
    count = (program.code >= 0).sum(1)
    assert equally_likely(count, 7) and count.min() == 1
    levels = program.level[program.code >= 0].astype(np.float64)
    at_end = 2 * scipy.stats.norm.sf(4 / 2.5)
    assert abs(at_end - 0.11) < 0.001 and likely(levels == 5, at_end)
    below = levels[levels < 5]
    law = scipy.stats.halfnorm(loc=1, scale=2.5)
    assert scipy.stats.kstest(below, lambda v: law.cdf(v) / law.cdf(5)).pvalue > 1e-4
    assert (below != np.floor(below)).mean() > 0.999


def test_shamisa_splits_shift_and_contrast():
    bank = banks.shamisa()
    assert len(bank.types) == 26 and sorted(map(len, bank.groups.values())) == [2, 3, 4, 4, 4, 4, 5]
    program = bank.sample(range(COUNT), (224, 224))
    amount = parameter(program, "amount", "mean_shift")[names(program) == "mean_shift"]
    assert likely(amount > 0, 0.5) and abs(np.abs(amount).max() - 0.185) < 1e-6
    brightness = [n for row in names(program) for n in row if n in ("brighten", "darken", "mean_shift")]
    assert likely([n == "mean_shift" for n in brightness], 0.5)


def test_shamisa_interpolates_and_rounds_whole_numbers():
    program = banks.shamisa().sample(range(4000), (224, 224))
    table = banks.shamisa().types["gaublur"].arguments["sigma"].table
    here = names(program) == "gaussian_blur"
    np.testing.assert_allclose(program.theta[here, 0], np.interp(program.level[here], range(1, 6), table), rtol=1e-6)
    for name in ("jpeg", "non_eccentricity_patches", "colour_blocks", "otsu_quantization"):
        values = program.theta[names(program) == name, 0]
        assert len(np.unique(values)) > 5 and (values == np.floor(values)).all()


def test_shamisa_with_uniform_severities():
    program = banks.shamisa(severities="uniform").sample(range(4000), (224, 224))
    assert scipy.stats.kstest(program.level[program.code >= 0], scipy.stats.uniform(1, 4).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name, count", [("kadid10k", 25), ("reiqa", 26), ("tid2013", 20), ("imagenet_c", 15)])
def test_one_type_at_one_level_all_equally_likely(name, count):
    bank = make(name)
    program = bank.sample(range(COUNT), (224, 224))
    used = program.code >= 0
    assert np.isfinite(program.level[used]).any() and equally_likely(program.level[np.isfinite(program.level)], 5)
    drawn = [t for t in bank.types.values() if name != "imagenet_c" or t.group == "common"]
    assert len(drawn) == count
    ops = Counter(t.op.name for t in drawn)
    last = names(program)[np.arange(COUNT), used.sum(1) - 1]
    for op, of in ops.items():
        assert likely(last == op, of / count)
    assert likely(used.sum(1) == 2, 1 / 20) if name == "tid2013" else (used.sum(1) == 1).all()


def test_reiqa_draws_each_filter_of_a_resize_and_of_a_residue():
    program = banks.reiqa().sample(range(COUNT), (224, 224))
    filters = parameter(program, "filter", "resize")[names(program) == "resize"]
    assert equally_likely(filters, 4)
    residue = names(program) == "denoise_residue"
    box = parameter(program, "filter", "denoise_residue")[residue] == option("denoise_residue", "filter", "box")
    assert likely(box, 0.5)
    assert (parameter(program, "sigma", "denoise_residue")[residue] == np.where(box, 2, 3)).all()


def test_imagenet_c_draws_held_out_types_when_asked():
    held_out = {"speckle_noise", "gaussian_blur", "spatter", "saturate"}
    bank = banks.imagenet_c(held_out=True)
    assert set(bank.groups["held out"]) == held_out and held_out <= set(banks.imagenet_c().types)
    ops = {bank.types[t].op.name for t in held_out}
    assert ops <= set(names(bank.sample(range(4000), (64, 64)))[:, 0])
    assert not ops & set(names(banks.imagenet_c().sample(range(4000), (64, 64)))[:, 0])


def family(op, theta):
    """The family of X-Distortion that an op with these parameters belongs to."""
    group = find(op).group
    if op in ("mean_shift", "gamma"):
        return "brighten" if (theta[0] > 0 if op == "mean_shift" else theta[0] < 1) else "darken"
    if op in ("contrast", "contrast_sigmoid"):
        return "contrast_strengthen" if theta[0] > 1 else "contrast_weaken"
    if op.startswith("saturation"):
        return "saturate_strengthen" if theta[0] > 1 else "saturate_weaken"
    if op.endswith("quantization"):
        return "quantization"
    return {"pixel_scatter": "blur", "pixelate": "pixelate", "unsharp_mask": "oversharpen"}.get(op, group)


def test_xdistortion_draws_one_type_or_an_ordered_pair():
    program = banks.xdistortion().sample(range(COUNT), (224, 224))
    count = (program.code >= 0).sum(1)
    assert likely(count > 0, 0.95) and likely(count[count > 0] == 2, 0.5) and count.max() == 2
    found = [[family(n, theta) for n, theta in zip(row, thetas) if n] for row, thetas in zip(names(program), program.theta)]
    single, pairs = [row[0] for row in found if len(row) == 1], [tuple(row) for row in found if len(row) == 2]
    assert equally_likely(single, 12) and equally_likely(program.level[count == 1, 0], 5)
    assert equally_likely(pairs, 78)
    assert equally_likely(program.level[count == 2].ravel(), 3) and program.level[count == 2].max() == 3
    after = {first: {second for f, second in pairs if f == first} for first, _ in pairs}
    assert len(after) == 12 and not any(first in seconds for first, seconds in after.items())
    for tone in ("brighten", "darken", "contrast_weaken", "contrast_strengthen"):
        assert after[tone] == {"blur", "compression", "noise", "pixelate", "quantization"}
    assert after["oversharpen"] == {"brighten"} and "pixelate" not in after["blur"] and "quantization" not in after["compression"]


@pytest.mark.parametrize("pairs", [0, 1])
def test_xdistortion_without_pairs_or_without_singles(pairs):
    count = (banks.xdistortion(pairs=pairs).sample(range(4000), (224, 224)).code >= 0).sum(1)
    assert set(count) == {0, pairs + 1} and likely(count > 0, 0.95)


@pytest.mark.parametrize("name, given", VARIANTS, ids=VARIANT_IDS)
def test_every_draw_is_a_samples_own(name, given):
    """Ids of one batch draw apart, and an id draws the same in any batch."""
    bank = make(name, **given)
    program = bank.sample(range(400), (96, 128))
    rows = np.concatenate([program.code[:, :, None], program.theta], 2).reshape(400, -1)
    assert len(np.unique(rows, axis=0)) > (395 if name in ("realesrgan", "bsrgan") else 50)
    assert program[[17, 3]].equals(bank.sample([17, 3], (96, 128)))
