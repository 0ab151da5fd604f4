"""Banks: what their arguments do, from sizes of reference to files and citations."""

import re

import numpy as np
import pytest
import skimage.data
import torch
from bank_programs import VARIANT_IDS, VARIANTS, make, names

import degrade
from degrade import Pipeline, banks
from degrade.ops import find


def test_final_stretch_is_before_and_after_each_type():
    bank = banks.kadid10k(final_stretch=True, seed=5)
    program = bank.sample(range(200), (24, 30))
    assert (names(program)[:, [0, 2]] == "range_stretch").all()
    x = torch.from_numpy(skimage.data.astronaut()[60:84, 170:200].transpose(2, 0, 1).copy()).float()[None] / 255 * 0.5 + 0.2
    y = bank(x.expand(50, -1, -1, -1), ids=range(50))
    flat = y.amin((1, 2, 3)) == y.amax((1, 2, 3))
    assert y.amin((1, 2, 3))[~flat].max() < 1e-4 and y.amax((1, 2, 3))[~flat].min() > 1 - 1e-4


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


@pytest.mark.parametrize("name", ["arniqa", "shamisa"])
def test_a_number_of_groups_out_of_range_is_named(name):
    make = getattr(degrade.banks, name)
    for wrong in (0, 8, 2.5):
        with pytest.raises(ValueError, match=r"max_distortions=.* accepted: whole numbers from 1 to 7"):
            make(max_distortions=wrong)
    assert ((make(max_distortions=1).sample(range(50), (8, 8)).code >= 0).sum(1) <= 1).all()
