"""Banks: that each type is what it claims, that they are drawn as published, and what their arguments do."""

import dataclasses
import re
from collections import Counter
from pathlib import Path

import conformance
import numpy as np
import pytest
import scipy.stats
import skimage.data
import torch

import degrade
from degrade import Pipeline, banks
from degrade import functional as F
from degrade.banks.base import CONFORMANCES
from degrade.ops import find

DOCUMENT = Path(__file__).parent.parent / "docs" / "conformance.md"
COUNT = 20_000
WITH_TYPES = ("arniqa", "imagenet_c", "kadid10k", "reiqa", "shamisa", "tid2013", "xdistortion")
VARIANTS = [
    *((name, {}) for name in banks.__all__),
    *((name, {"profile": "faithful"}) for name in ("arniqa", "reiqa", "shamisa")),
    ("imagenet_c", {"version": "dataset", "held_out": True}),
    ("bsrgan", {"version": "plus"}),
    ("kadid10k", {"final_stretch": True}),
    ("shamisa", {"severities": "uniform"}),
]
VARIANT_IDS = ["-".join([name, *map(str, given.values())]) for name, given in VARIANTS]


def make(name, **given):
    return getattr(banks, name)(**given)


def names(program):
    """The op in each slot of each sample, "" where it is empty."""
    return np.asarray([*program.ops, ""])[program.code]


def parameter(program, name, op):
    """One parameter of an op at every slot, whatever the slot holds."""
    return program.theta[:, :, list(find(op).parameters).index(name)]


def option(op, name, value):
    return find(op).parameters[name].choices.index(value)


def likely(hits, p):
    """Whether this share of independent cases has the probability p, to 4.5 standard errors."""
    hits = np.asarray(hits)
    return abs(hits.mean() - p) <= 4.5 * np.sqrt(p * (1 - p) / len(hits))


def equally_likely(values, count):
    """Whether there are this many values, all as likely."""
    seen = np.asarray(list(Counter(values).values()))
    return len(seen) == count and scipy.stats.chisquare(seen).pvalue > 1e-4


pytestmark = pytest.mark.filterwarnings("ignore:.*negative Z")


# ---- conformance -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [pytest.param(c, marks=[pytest.mark.heavy] if c.heavy else [], id=c.id) for c in conformance.checks()])
def test_a_type_is_what_it_claims(check):
    assert check.measure() <= check.limit, check.against


def test_every_type_of_every_bank_has_a_check():
    found = {(c.bank, c.profile, c.name): c.kind for c in conformance.checks()}
    for (bank, profile), source in conformance.SOURCES.items():
        for t in source().types.values():
            assert found.pop((bank, profile, t.name)) == t.conformance
    assert not found
    assert {bank for bank, _ in conformance.SOURCES} == {name for name in banks.__all__ if make(name).types} - {"slide"} == set(WITH_TYPES)
    assert make("slide").types == make("kadid10k").types  # which are checked


@pytest.mark.parametrize("kind", CONFORMANCES)
def test_claims_are_measured_in_their_own_way(kind):
    """Equal bits allow no difference, a law is known to 1.5 %, and a tolerance is in values unless the original's PSNR is known."""
    of_kind = [c for c in conformance.checks() if c.kind == kind]
    assert of_kind and all(c.against and c.limit >= 0 for c in of_kind)
    for c in of_kind:
        if kind == "bit-equal":
            assert (c.limit, c.unit) == (0, "grey levels"), c.id
        elif kind == "statistical":
            assert c.limit <= 1.5 and c.unit.startswith("%"), c.id
        elif kind == "tolerance":
            assert (c.unit == "" and c.limit < 0.005) or (c.unit == "grey levels" and c.limit <= 8) or (c.unit == "dB" and c.limit <= 0.1), c.id
        else:
            assert c.note, c.id


def test_the_document_lists_these_types():
    """Numbers are not compared: they belong to one machine."""
    rows = [re.split(r" \| ", line.strip("| \n")) for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    found = [(bank, profile, name, kind, against) for bank, profile, name, kind, against, *_ in rows[1:]]
    assert found == [(c.bank, c.profile, c.name, c.kind, c.against) for c in conformance.checks()], "run: python tests/conformance.py"


PUBLISHED = {  # KADIS-700k's levels, of the first parameter
    "gaussian_blur": (0.1, 0.5, 1, 2, 5), "lens_blur": (1, 2, 4, 6, 8), "motion_blur": (1, 2, 4, 6, 10), "colour_diffusion": (1, 3, 6, 8, 12),
    "colour_shift": (1, 3, 6, 8, 12), "colour_quantization": (64, 48, 32, 16, 8), "colour_saturation_1": (0.4, 0.2, 0.1, 0, -0.4),
    "colour_saturation_2": (1, 2, 3, 6, 9), "jpeg2000": (16, 32, 45, 120, 400), "jpeg": (43, 36, 24, 7, 4),
    "white_noise": np.sqrt((0.001, 0.002, 0.003, 0.005, 0.01)), "white_noise_in_colour_components": np.sqrt((0.0001, 0.0005, 0.001, 0.002, 0.003)),
    "impulse_noise": (0.001, 0.005, 0.01, 0.02, 0.03), "multiplicative_noise": np.sqrt((0.001, 0.005, 0.01, 0.02, 0.05)),
    "denoise": np.sqrt((0.01, 0.03, 0.05, 0.1, 0.15)), "brighten": (0.1, 0.2, 0.4, 0.7, 1.1), "darken": (0.05, 0.1, 0.2, 0.4, 0.8),
    "mean_shift": (0.15, 0.08, 0, -0.08, -0.15), "jitter": (0.05, 0.1, 0.2, 0.5, 1), "non_eccentricity_patches": (20, 40, 60, 80, 100),
    "pixelate": (0.887, 0.784, 0.699, 0.569, 0.290), "quantization": (20, 16, 13, 10, 7), "colour_block": (2, 4, 6, 8, 10),
    "high_sharpen": (1, 2, 3, 6, 12), "contrast_change": (0.3, 0.15, 0, -0.4, -0.6),
}  # fmt: skip


def test_kadid10k_has_the_published_types_and_levels():
    bank = banks.kadid10k()
    assert list(bank.types) == list(PUBLISHED)
    for name, levels in PUBLISHED.items():
        found = [bank.single(name, level).sample([0], (224, 224)).theta[0, 0, 0] for level in range(1, 6)]
        np.testing.assert_allclose(found, levels, atol=6e-4 if name == "pixelate" else 1e-6)


@pytest.mark.parametrize("name", ["arniqa", "reiqa", "shamisa"])
def test_profiles_have_the_same_types(name):
    fixed, faithful = make(name), make(name, profile="faithful")
    assert list(fixed.types) == list(faithful.types) and fixed.groups == faithful.groups
    assert {n for n in fixed.types if fixed.types[n] != faithful.types[n]}


# ---- how they are drawn ------------------------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def realesrgan():
    return banks.realesrgan().sample(range(COUNT), (224, 224))


def test_realesrgan_has_the_published_kernels(realesrgan):
    found, size = names(realesrgan), list(find("sinc_filter").parameters)
    for slot, p, widest in ((0, 1.0, 3.0), (4, 0.8, 1.5)):
        kernel, theta = found[:, slot], realesrgan.theta[:, slot]
        assert likely(kernel != "", p) if p < 1 else (kernel != "").all()
        used = kernel != ""
        assert likely(kernel[used] == "sinc_filter", 0.1)
        for op, share, round_ in (("anisotropic_gaussian_blur", 0.70, 0.45), ("generalized_gaussian_blur", 0.15, 0.12), ("plateau_blur", 0.15, 0.12)):
            here, where = kernel == op, list(find(op).parameters).index
            assert likely(here[used], 0.9 * share)
            assert likely(theta[here, where("isotropic")] == 1, round_ / share)
            assert equally_likely(theta[here, where("size")], 8) and set(theta[here, where("size")]) == set(range(7, 22, 2))
            for axis in ("sigma_x", "sigma_y"):
                assert scipy.stats.kstest(theta[here, where(axis)], scipy.stats.uniform(0.2, widest - 0.2).cdf).pvalue > 1e-4
            if op != "anisotropic_gaussian_blur":
                beta = theta[here, where("beta")]
                assert likely(beta == 1 if op == "plateau_blur" else beta < 1, 0.5) and beta.max() > (1.9 if op == "plateau_blur" else 3.8)
        sinc = kernel == "sinc_filter"
        cutoff, side = theta[sinc, size.index("cutoff")], theta[sinc, size.index("size")]
        assert equally_likely(side, 8) and cutoff.max() > 3.1
        assert abs(cutoff[side < 13].min() - np.pi / 3) < 0.05 and abs(cutoff[side >= 13].min() - np.pi / 5) < 0.05


def test_realesrgan_resizes_and_adds_noise_twice(realesrgan):
    found = names(realesrgan)
    for slot, (up, down, keep), (largest, smallest) in ((1, (0.2, 0.7, 0.1), (1.5, 0.15)), (5, (0.3, 0.4, 0.3), (1.2, 0.3))):
        factor, used = realesrgan.theta[:, slot, 0], found[:, slot] == "resize"
        assert likely(~used, keep) and likely(used & (factor < 1), up) and likely(used & (factor > 1), down)
        assert abs(factor[used].min() - 1 / largest) < 0.01 and abs(factor[used].max() * smallest - 1) < 0.01
        assert equally_likely(parameter(realesrgan, "filter", "resize")[used, slot], 3)
    for slot, std, scale in ((2, 30, 3.0), (6, 25, 2.5)):
        for op, name, low, high in (("gaussian_noise", "std", 1 / 255, std / 255), ("poisson_noise", "scale", 0.05, scale)):
            here = found[:, slot] == op
            assert likely(here, 0.5)
            value = parameter(realesrgan, name, op)[here, slot]
            assert scipy.stats.kstest(value, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-4
            assert likely(parameter(realesrgan, "colour", op)[here, slot] == option(op, "colour", "grey"), 0.4)


def test_realesrgan_ends_with_jpeg_and_sinc_in_either_order(realesrgan):
    found = names(realesrgan)
    assert (found[:, 3] == "jpeg").all() and (found[:, 9] == "eight_bit").all() and found.shape[1] == 10
    quality = realesrgan.theta[:, 3, 0]
    assert quality.min() == 30 and quality.max() == 95
    first = found[:, 7] == "jpeg"
    assert likely(first, 0.5) and ((found[:, 8] == "jpeg") != first).all()
    sinc = np.where(first, found[:, 8], found[:, 7])
    assert likely(sinc == "sinc_filter", 0.8) and set(sinc) == {"sinc_filter", ""}


@pytest.fixture(scope="module")
def bsrgan():
    return banks.bsrgan().sample(range(COUNT), (224, 224))


def test_bsrgan_shuffles_seven_steps(bsrgan):
    found, factor = names(bsrgan), bsrgan.theta[:, :, 0]
    assert found.shape[1] == 16 and likely(found[:, 0] == "resize", 0.25) and (factor[found[:, 0] == "resize", 0] == 2).all()
    nearest = parameter(bsrgan, "filter", "resize") == option("resize", "filter", "nearest")
    to_size = (found == "resize") & (factor == 4) & ~nearest
    noise = np.isin(found, ("gaussian_noise", "channel_correlated_noise"))
    shrink = (found == "resize") & (factor != 4) | (found == "gaussian_blur")
    blur = found == "anisotropic_gaussian_blur"
    for place in range(1, 15, 2):  # two slots for each step; a step may be skipped by chance
        assert (
            likely(blur[:, place], 2 / 7) and likely(to_size[:, place], 1 / 7) and likely(noise[:, place], 1 / 7) and likely(shrink[:, place], 1 / 7)
        )
        assert likely(found[:, place] == "jpeg", 0.9 / 7) and likely(found[:, place] == "bayer_mosaic", 0.25 / 7)
    for step, count in ((blur, 2), (to_size, 1), (noise, 1), (shrink, 1)):
        assert (step[:, 1:15].sum(1) == count).all()
    assert (found[:, 15] == "jpeg").all() and likely((found[:, 1:15] == "jpeg").any(1), 0.9)
    camera = (found == "bayer_mosaic").any(1)
    assert likely(camera, 0.25) and np.array_equal(camera, (found == "camera_noise").any(1))


def test_bsrgan_draws_the_published_kinds(bsrgan):
    found, theta = names(bsrgan), bsrgan.theta
    blur = found == "anisotropic_gaussian_blur"
    round_ = parameter(bsrgan, "isotropic", "anisotropic_gaussian_blur")[blur] == 1
    assert likely(round_, 0.5)
    assert abs(theta[blur, 0][round_].max() - 2.8) < 0.01 and abs(theta[blur, 0][~round_].max() - 8**0.5) < 0.01
    assert equally_likely(parameter(bsrgan, "size", "anisotropic_gaussian_blur")[blur], 10)
    assert likely((found == "gaussian_blur").any(1), 0.25)
    noise = np.isin(found, ("gaussian_noise", "channel_correlated_noise"))
    grey = (found == "gaussian_noise") & (parameter(bsrgan, "colour", "gaussian_noise") == option("gaussian_noise", "colour", "grey"))
    assert likely(grey.any(1), 0.4) and likely((found == "channel_correlated_noise").any(1), 0.2)
    assert scipy.stats.kstest(theta[noise, 0], scipy.stats.uniform(2 / 255, 23 / 255).cdf).pvalue > 1e-4
    quality = theta[:, 15, 0]
    assert quality.min() == 30 and quality.max() == 95


def test_bsrgan_plus_has_two_stages():
    program = banks.bsrgan("plus").sample(range(COUNT), (224, 224))
    found = names(program)
    half = found.shape[1] // 2
    for stage in (found[:, :half], found[:, half:]):
        assert (stage[:, -1] == "jpeg").all() and ((stage == "jpeg").sum(1) == 1).all() and ((stage == "anisotropic_gaussian_blur").sum(1) == 1).all()
        assert likely((stage == "resize").any(1), 0.9)
        for op in ("poisson_noise", "speckle_noise", "bayer_mosaic"):
            assert likely((stage == op).any(1), 0.1)
        assert likely(stage[:, 0] == "anisotropic_gaussian_blur", 0.5 + 0.5 / 6)  # first unless shuffled


@pytest.mark.parametrize("name, given", VARIANTS, ids=VARIANT_IDS)
def test_every_draw_is_a_samples_own(name, given):
    """Ids of one batch draw apart, and an id draws the same in any batch."""
    bank = make(name, **given)
    program = bank.sample(range(400), (96, 128))
    rows = np.concatenate([program.code[:, :, None], program.theta], 2).reshape(400, -1)
    assert len(np.unique(rows, axis=0)) > (395 if name in ("realesrgan", "bsrgan") else 50)
    assert program[[17, 3]].equals(bank.sample([17, 3], (96, 128)))


# ---- single types ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_TYPES)
def test_an_unknown_type_gives_the_nearest(name):
    bank = make(name)
    known = next(iter(bank.types))
    with pytest.raises(ValueError, match=rf"{name} type '{known}x' is unknown; did you mean '{known}'\? Accepted: "):
        bank.single(known + "x")


@pytest.mark.parametrize("level", [0, 0.99, 5.01, 6, -1, float("nan")])
def test_a_level_outside_the_table_is_refused(level):
    with pytest.raises(ValueError, match=r"jpeg level=.* is out of range; accepted: 1 to 5\."):
        banks.kadid10k().single("jpeg", level)


def test_a_level_is_a_number_or_a_distribution():
    bank = banks.kadid10k()
    assert equally_likely(bank.single("jpeg").sample(range(4000), (8, 8)).level[:, 0], 5)
    drawn = bank.single("gaussian_blur", (2, 3)).sample(range(400), (8, 8))
    np.testing.assert_allclose(drawn.theta[:, 0, 0], np.interp(drawn.level[:, 0], (2, 3), (0.5, 1)), rtol=1e-6)
    assert set(bank.single("jpeg", degrade.Choice([1, 4])).sample(range(40), (8, 8)).theta[:, 0, 0]) == {43, 7}
    with pytest.raises(ValueError, match="accepted: 1 to 5"):
        bank.single("jpeg", (1, 6))


def test_fractional_levels_interpolate_and_whole_numbers_round():
    bank = banks.kadid10k()

    def first(name, level):
        return float(bank.single(name, level).sample([0], (8, 8)).theta[0, 0, 0])

    assert first("jpeg", 2.5) == 30 and first("jpeg", 1.5) == 40 and first("jpeg", 4.75) == 5
    assert first("gaussian_blur", 2.5) == 0.75 and first("mean_shift", 3.5) == pytest.approx(-0.04)
    x = torch.from_numpy(skimage.data.astronaut()[:40, :48].transpose(2, 0, 1).copy())[None]
    assert torch.equal(bank.single("jpeg", 2.5)(x), F.jpeg(x, quality=30))


@pytest.mark.parametrize("name", WITH_TYPES)
def test_whole_numbered_parameters_are_whole_at_every_level(name):
    bank = make(name)
    for t in bank.types:
        program = bank.single(t, (1, 5)).sample(range(50), (96, 96))
        for slot, op in enumerate(names(program)[0]):
            for i, q in enumerate(find(op).parameters.values()):
                if q.integer or q.choices:
                    assert (program.theta[:, slot, i] == np.floor(program.theta[:, slot, i])).all()


def test_single_takes_a_pipelines_options():
    x = torch.full((1, 3, 16, 16), 0.5)
    one, two = (banks.kadid10k().single("white_noise", 5, seed=s)(x, ids=[0]) for s in (1, 2))
    assert not torch.equal(one, two)


# ---- arguments of banks ------------------------------------------------------------------------------------------------------------


def test_final_stretch_is_before_and_after_each_type():
    bank = banks.kadid10k(final_stretch=True, seed=5)
    program = bank.sample(range(200), (24, 30))
    assert (names(program)[:, [0, 2]] == "range_stretch").all()
    x = torch.from_numpy(skimage.data.astronaut()[60:84, 170:200].transpose(2, 0, 1).copy()).float()[None] / 255 * 0.5 + 0.2
    y = bank(x.expand(50, -1, -1, -1), ids=range(50))
    flat = y.amin((1, 2, 3)) == y.amax((1, 2, 3))
    assert y.amin((1, 2, 3))[~flat].max() < 1e-4 and y.amax((1, 2, 3))[~flat].min() > 1 - 1e-4


@pytest.mark.parametrize("name", banks.imagenet_c().types)
def test_the_data_set_of_imagenet_c_is_cut_to_8_bits_and_saved_at_quality_85(name):
    x = torch.from_numpy(skimage.data.astronaut()[60:108, 170:234].transpose(2, 0, 1).copy()).float()[None] / 255
    saved = banks.imagenet_c("dataset").single(name, 3)
    program = saved.sample([0], (48, 64))
    assert list(names(program)[0][1:]) == ["eight_bit", "jpeg"] and program.theta[0, -1, 0] == 85
    corrupted = degrade.apply(dataclasses.replace(program, code=np.where([[True, False, False]], program.code, -1).astype(np.int16)), x)
    eight = torch.floor(corrupted * 255 + 1e-3).to(torch.uint8)
    want = conformance.pillow_jpeg(eight[0].permute(1, 2, 0).numpy(), {"quality": 85, "subsampling": "4:2:0"})
    got = (saved(x, ids=[0]) * 255).round()[0].permute(1, 2, 0).numpy()
    assert np.mean(got != want) < 0.05 and np.abs(got - want).max() < 12  # a value on an edge between two bytes moves its block


def lengths(op):
    return np.asarray([q.unit == "px" for q in find(op).parameters.values()] + [False] * (8 - len(find(op).parameters)))


@pytest.mark.parametrize("name", ["kadid10k", "arniqa", "shamisa", "reiqa"])
def test_lengths_alone_double_on_an_image_of_twice_the_short_side(name):
    plain, scaled = (make(name, reference_size=r, seed=4).sample(range(600), (768, 1000)) for r in (768, 384))
    assert np.array_equal(plain.code, scaled.code) and np.array_equal(plain.level, scaled.level, equal_nan=True)
    seen = set()
    for op in scaled.ops:
        here = names(scaled) == op
        factor = np.where(lengths(op), 2, 1)
        np.testing.assert_array_equal(scaled.theta[here], plain.theta[here] * factor)
        seen |= {op} if lengths(op).any() else set()
    assert {"gaussian_blur", "jitter", "non_eccentricity_patches"} <= seen


def test_single_types_are_scaled_too():
    bank = banks.kadid10k(reference_size=100)
    assert bank.single("gaussian_blur", 4).sample([0], (150, 400)).theta[0, 0, 0] == 3.0
    assert bank.single("jpeg", 4).sample([0], (150, 400)).theta[0, 0, 0] == 7.0


def test_a_length_out_of_range_says_so_in_one_sentence():
    pipe = banks.kadid10k(reference_size=64).single("lens_blur", 5)
    assert pipe.sample([0], (128, 128)).theta[0, 0, 0] == 16
    with pytest.raises(ValueError, match=r"^lens_blur radius=17 is out of range; accepted: 0 to 16 px\.$"):
        pipe.sample([0], (136, 200))


@pytest.mark.parametrize("name, given", VARIANTS, ids=VARIANT_IDS)
@pytest.mark.parametrize("reference_size", [None, 384])
def test_a_saved_bank_draws_the_same(name, given, reference_size, tmp_path):
    bank = make(name, **given, reference_size=reference_size, seed=9)
    bank.save(tmp_path / "bank.yaml")
    again = Pipeline.load(tmp_path / "bank.yaml")
    assert ("Relative" in (tmp_path / "bank.yaml").read_text()) == (reference_size is not None)
    assert bank.sample(range(200), (400, 500)).equals(again.sample(range(200), (400, 500)))


@pytest.mark.parametrize("name", banks.__all__)
def test_citations_are_bibtex(name):
    text = make(name).cite()
    assert text.count("{") == text.count("}") > 0
    depth = np.cumsum([{"{": 1, "}": -1}.get(c, 0) for c in text])
    assert depth.min() == 0 and depth[-1] == 0
    entries = re.findall(r"^@\w+\{(\w+),$", text, re.M)
    assert entries and len(set(entries)) == len(entries) == text.count("@")
    for field in ("author", "title", "year"):
        assert len(re.findall(rf"^  {field} *= ", text, re.M)) == len(entries)


def test_banks_know_their_names_and_ops():
    for name in banks.__all__:
        bank = make(name)
        assert bank.bank_name == name and bank.ops == set(bank.sample([0], (8, 8)).ops) | {t.op.name for t in bank.types.values()}
        assert sum(map(len, bank.groups.values())) == len(bank.types)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: banks.kadid, "bank 'kadid' is unknown; did you mean 'kadid10k'"),
        (lambda: banks.arniqa("fix"), "profile 'fix' is unknown; did you mean 'fixed'"),
        (lambda: banks.reiqa("faithfull"), "profile 'faithfull' is unknown; did you mean 'faithful'"),
        (lambda: banks.shamisa("x"), "profile 'x' is unknown; accepted: faithful, fixed"),
        (lambda: banks.shamisa(severities="normall"), "severities 'normall' is unknown; did you mean 'normal'"),
        (lambda: banks.imagenet_c("datasets"), "version 'datasets' is unknown; did you mean 'dataset'"),
        (lambda: banks.bsrgan("pluss"), "version 'pluss' is unknown; did you mean 'plus'"),
        (lambda: banks.kadid10k(severity="perceptive"), "severity 'perceptive' is unknown; did you mean 'perceptual'"),
        (lambda: banks.xdistortion(pairs=1.5), "pairs=1.5 is not a probability"),
        (lambda: banks.arniqa(max_distortions=8), "max_distortions=8 is out of range; accepted: whole numbers from 1 to 7"),
        (lambda: banks.shamisa(max_distortions=0), "max_distortions=0 is out of range; accepted: whole numbers from 1 to 7"),
        (lambda: banks.kadid10k(reference_size=0), "reference_size=0 is not a size"),
        (lambda: banks.realesrgan(backend="cuda"), "backend 'cuda' is unknown"),
    ],
)
def test_bad_arguments_get_one_sentence(call, message):
    with pytest.raises((ValueError, AttributeError), match=message):
        call()


# ---- images --------------------------------------------------------------------------------------------------------------------------


def unequal_types():
    """Every type of every profile, each once."""
    seen = {}
    for (bank, profile), source in conformance.SOURCES.items():
        for t in source().types.values():
            seen.setdefault(
                (t.op.name, repr(sorted(t.arguments.items())), repr(t.before), repr(t.after), repr(t.variants)), (f"{bank}-{profile}-{t.name}", t)
            )
    return seen.values()


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (5, 300)], ids=str)
def test_every_type_takes_small_images(size):
    shape = (2, 3, *size)
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    for name, t in unequal_types():
        pipe = Pipeline(t.at(t.levels), backend="torch")
        for images in (x, x.to(torch.float32) / 255):
            y = pipe(images, ids=[0, 1])
            assert y.shape == shape and torch.isfinite(y.float()).all(), name


@pytest.mark.parametrize("name, given", [v for v in VARIANTS if v[0] in ("realesrgan", "bsrgan")], ids=["bsrgan", "realesrgan", "plus"])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (5, 300)], ids=str)
def test_chains_take_small_images(name, given, size):
    x = torch.rand(24, 3, *size, generator=torch.Generator().manual_seed(0))
    y = make(name, **given, backend="torch")(x, ids=range(24))
    assert y.shape == x.shape and torch.isfinite(y).all() and y.min() >= 0 and y.max() <= 1


@pytest.mark.parametrize("name", WITH_TYPES)
def test_a_bank_degrades_a_batch_as_its_samples_alone(name):
    x = torch.from_numpy(skimage.data.astronaut()[60:92, 170:210].transpose(2, 0, 1).copy())[None].expand(6, -1, -1, -1)
    bank = make(name, backend="torch", seed=2)
    y = bank(x, ids=range(6))
    for i in range(6):
        assert torch.equal(bank(x[i : i + 1], ids=[i])[0], y[i])


@pytest.mark.parametrize("name", ["arniqa", "shamisa"])
def test_a_number_of_groups_out_of_range_is_named(name):
    make = getattr(degrade.banks, name)
    for wrong in (0, 8, 2.5):
        with pytest.raises(ValueError, match=r"max_distortions=.* accepted: whole numbers from 1 to 7"):
            make(max_distortions=wrong)
    assert ((make(max_distortions=1).sample(range(50), (8, 8)).code >= 0).sum(1) <= 1).all()
