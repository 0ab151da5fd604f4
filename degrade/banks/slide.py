"""Local degradations in the spirit of SLIDE-IQA: KADID-10k's types, each in a region of its own. Our reading: the ranges are not public."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from degrade import masks
from degrade.distributions import LogUniform, Uniform, parse
from degrade.errors import unknown
from degrade.op import probability
from degrade.recipe import Local, Node, OneOf, SomeOf

from .base import Bank, Type, by_severity
from .kadid10k import CITATION as KADID10K
from .kadid10k import types

CITATION = (
    """@article{slide_iqa,
  author  = {Krishna Srikar Durbha and Hassene Tmar and Ping-Hao Wu and Ioannis Katsavounidis and Alan C. Bovik},
  title   = {Spatially Localized Image Degradation Embeddings for Image Quality Assessment},
  journal = {arXiv preprint arXiv:2606.29162},
  year    = {2026}
}
"""
    + KADID10K
)

SHAPES = ("blob", "ellipse", "polygon", "brush")
AREA = LogUniform(0.02, 0.5)
LEVELS = Uniform(1, 5)


def slide(
    k: int = 3,
    area: Any = AREA,
    levels: Any = LEVELS,
    shapes: Sequence[str] = SHAPES,
    feather: Any = (0.02, 0.2),
    whole: float = 0.2,
    clean: float = 0.05,
    severity: str = "published",
    reference_size: int | None = None,
    **options: Any,
) -> Bank:
    """Local degradations: 1 to k of KADID-10k's 25 types per image, all different, each in a soft region of its own.

    Of the paper only the abstract is public: it degrades bounded regions that may occur together, and says nothing of shapes, areas, levels or
    counts. Every default below is our reading, with its reason; none is the paper's number.

    Regions are drawn independently and may overlap, and types follow each other in the order drawn; `labels.overlap` tells by how much.

    Args:
        k: the most regions of an image, each number from 1 as likely. Three, for real images seldom have more faults of different kinds, and
            three regions of the mean area still leave most of the frame as it was.
        area: of a region, as a fraction of the frame. Uniform in the logarithm over 0.02 to 0.5 by default: each doubling is as likely, so that
            small regions are met as often as large ones. Less than 0.02 is less than one to two patches of 16 pixels at 128 pixels; more than
            0.5 is hardly local.
        levels: of the bank's tables, from 1 to 5, fractional ones interpolated. Uniform in 1…5 by default, as severity is a scale to be learned
            and not five classes. Five types do nothing at level 1, mean_shift at 3 and contrast_change at 3.5.
        shapes: mask families by name, each as likely; those that `degrade.masks` has in snake_case with an area and a feather. By default
            organic, round, angular and stroke-like outlines, so that no outline tells the type.
        feather: full width of the soft ramp, in √(h·w). Soft by default, so that no edge of a region betrays it.
        whole: the share of degraded images whose types cover the whole frame. 0.2 by default: real faults are often global, and the largest
            scale belongs to the scale that is learned. 1 is the usual whole-frame pretraining with the same types, levels and counts.
        clean: the share of images that are left as they are; 0.05 by default, ARNIQA's share.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold (KADIS has 384); None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError, TypeError: k out of range, a share that is no probability, an unknown shape, or an area, feather or level out of range.

    Source: Durbha et al., arXiv 2606.29162, of which only the abstract is public; Lin, Hosu, Saupe, QoMEX 2019, for types and levels.
    """
    all_types = by_severity(types(), severity)
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= len(all_types):
        raise ValueError(f"k={k!r} is out of range; accepted: whole numbers from 1 to {len(all_types)}, the number of types.")
    probability("whole", whole)
    probability("clean", clean)
    chosen, drawn = families(shapes, area, feather), parse("levels", levels)

    def confined(t: Type) -> Node:
        return OneOf(*(Local(t.at(drawn), mask) for mask in chosen))

    n = (1, k)
    recipes = [SomeOf(*map(confined, all_types), n=n)] if whole < 1 else []
    recipes += [SomeOf(*(t.at(drawn) for t in all_types), n=n)] if whole > 0 else []
    recipe = OneOf(*recipes, weights=[1.0 - whole, whole] if len(recipes) > 1 else None, p=1.0 - clean)
    return Bank("slide", all_types, recipe, CITATION, reference_size, **options)


def families(shapes: Sequence[str], area: Any, feather: Any) -> list[masks.Mask]:
    """The mask families of these names.

    Raises:
        ValueError: none, an unknown one, or one that is given or made at the call.
    """
    known = {name: family for name, family in masks.FAMILIES.items() if not family.reads_map}
    if isinstance(shapes, str) or not shapes:
        raise ValueError(f"shapes={shapes!r} is not accepted; accepted: a list of at least one of {', '.join(sorted(known))}.")
    for shape in shapes:
        if shape not in known:
            raise ValueError(unknown("shape", shape, known))
    return [known[shape](area=area, feather=feather) for shape in shapes]
