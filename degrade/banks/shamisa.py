"""SHAMISA: ARNIQA's functions with continuous severities, 26 types in seven groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from degrade.distributions import HalfNormal, Levels, Uniform
from degrade.errors import unknown
from degrade.recipe import OneOf, SomeOf

from .arniqa import GROUPS
from .arniqa import types as arniqa_types
from .base import Bank, Type, by_severity, check_profile, up_to

CITATION = """@article{shamisa,
  title   = {{SHAMISA}: SHAped Modeling of Implicit Structural Associations for Self-supervised No-Reference Image Quality Assessment},
  author  = {Mahdi Naseri and Zhou Wang},
  journal = {arXiv preprint arXiv:2603.13669},
  year    = {2026}
}"""

SEVERITIES = {"normal": HalfNormal(2.5, 1, 5), "uniform": Uniform(1, 5)}
NEGATIVE, POSITIVE = (0, -0.08, -0.115, -0.15, -0.185), (0, 0.08, 0.115, 0.15, 0.185)
SOFTER, HARDER = (0, -0.15, -0.3, -0.4, -0.6), (0, 0.15, 0.3, 0.4, 0.6)


def types(profile: str) -> tuple[Type, ...]:
    """ARNIQA's types, with mean shift and contrast apart in the two directions."""
    faithful = check_profile(profile) == "faithful"
    identity = 0.0 if faithful else -0.2  # of the contrast curve; the published amounts are counted from 0
    out = []
    for t in arniqa_types(profile):
        if t.name == "meanshift":
            out += [replace(t, name=n, arguments={"amount": Levels(*v)}) for n, v in (("meanshift_neg", NEGATIVE), ("meanshift_pos", POSITIVE))]
        elif t.name == "lincontrchange":
            tables = (("lincontrchange_neg", SOFTER), ("lincontrchange_pos", HARDER))
            out += [replace(t, name=n, arguments={"amount": Levels(*(max(identity + a, -0.8) for a in v))}) for n, v in tables]
        elif t.name == "impulsenoise" and faithful:
            note = "pepper is set to white, like salt"
            out.append(replace(t, arguments={**t.arguments, "salt": 1.0}, note=note))
        else:
            out.append(t)
    return tuple(out)


def shamisa(
    profile: str = "fixed",
    severities: str = "normal",
    max_distortions: int = 7,
    severity: str = "published",
    reference_size: int | None = None,
    **options: Any,
) -> Bank:
    """SHAMISA's degradation model: 1 to 7 of the 7 groups per image, each at a fractional level.

    The level is 1 + min(|n|, 4), n normal with deviation 2.5, so about 11 % of the draws are exactly level 5; the parameter is
    interpolated between the neighbouring levels. Whole-numbered parameters are rounded.

    Args:
        profile: "fixed", what the bank meant, or "faithful", what its published code does, errors included.
        severities: "normal" as described, or "uniform" in 1…5.
        max_distortions: the most groups per image, 1 to 7.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold; None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError: an unknown profile or kind of severities, or a number of groups out of range.

    Source: arXiv 2603.13669 and its published code.
    """
    if severities not in SEVERITIES:
        raise ValueError(unknown("severities", severities, SEVERITIES))
    all_types = by_severity(types(profile), severity)
    groups = [OneOf(*(t.at(SEVERITIES[severities]) for t in all_types if t.group == group)) for group in GROUPS]
    recipe = SomeOf(*groups, n=up_to(max_distortions, groups))
    return Bank("shamisa", all_types, recipe, CITATION, reference_size, **options)
