"""Banks: each type is what it claims, as measured in `conformance` and listed in docs/conformance.md, at the published levels."""

import re
from pathlib import Path

import conformance
import numpy as np
import pytest
from bank_programs import WITH_TYPES, make

from degrade import banks
from degrade.banks.base import CONFORMANCES

pytestmark = pytest.mark.filterwarnings("ignore:.*negative Z")
DOCUMENT = Path(__file__).parent.parent / "docs" / "conformance.md"


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
