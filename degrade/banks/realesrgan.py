"""Real-ESRGAN: blur, resize, noise and JPEG, twice, with a final sinc filter."""

from __future__ import annotations

import math
from typing import Any

from degrade.distributions import Choice, Uniform
from degrade.ops import find
from degrade.recipe import Compose, Node, OneOf

from .base import Bank

CITATION = """@inproceedings{realesrgan,
  author    = {Xintao Wang and Liangbin Xie and Chao Dong and Ying Shan},
  title     = {{Real-ESRGAN}: Training Real-World Blind Super-Resolution with Pure Synthetic Data},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision Workshops (ICCVW)},
  year      = {2021},
  pages     = {1905--1914}
}"""

SIZES = Choice(range(7, 22, 2))
ANGLE = (-180.0, 180.0)
FILTERS = Choice(["area", "bilinear", "bicubic"])
SINC, FINAL_SINC, SECOND_BLUR, GREY = 0.1, 0.8, 0.8, 0.4


def blur(sigma: tuple[float, float], p: float = 1.0) -> Node:
    """One kernel of the family, or a sinc filter in one case of ten."""
    iso, aniso = {"sigma_x": sigma, "sigma_y": sigma}, {"sigma_x": sigma, "sigma_y": sigma, "angle": ANGLE}
    generalized = Choice([0, 1])  # β below or above 1, a coin's flip
    small, large = [s for s in SIZES.values if s < 13], [s for s in SIZES.values if s >= 13]

    def of(op: str, given: dict[str, Any], **more: Any) -> Node:
        return find(op)(size=SIZES, **given, **more)

    def both(op: str, given: dict[str, Any], below: tuple[float, float] | float, above: tuple[float, float]) -> Node:
        return OneOf(of(op, given, beta=below), of(op, given, beta=above), weights=[1] * len(generalized.values))

    round_ = {"isotropic": "on"}
    family = OneOf(
        of("anisotropic_gaussian_blur", iso, **round_),
        of("anisotropic_gaussian_blur", aniso),
        both("generalized_gaussian_blur", {**iso, **round_}, (0.5, 1.0), (1.0, 4.0)),
        both("generalized_gaussian_blur", aniso, (0.5, 1.0), (1.0, 4.0)),
        both("plateau_blur", {**iso, **round_}, 1.0, (1.0, 2.0)),
        both("plateau_blur", aniso, 1.0, (1.0, 2.0)),
        weights=[0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
    )
    sinc = find("sinc_filter")
    ringing = OneOf(
        sinc(cutoff=(math.pi / 3, math.pi), size=Choice(small)),
        sinc(cutoff=(math.pi / 5, math.pi), size=Choice(large)),
        weights=[len(small), len(large)],
    )
    return OneOf(family, ringing, weights=[1 - SINC, SINC], p=p)


def resize(up: float, down: float, largest: float, smallest: float) -> Node:
    """Larger, smaller or as it is, and back to the size of the image."""
    op = find("resize")
    return OneOf(
        op(factor=(1 / largest, 1.0), filter=FILTERS, antialias="off"),
        op(factor=Uniform(1.0, 1 / smallest), filter=FILTERS, antialias="off"),
        weights=[up, down],
        p=up + down,
    )


def noise(std: float, scale: float) -> Node:
    """Gaussian or Poisson noise, grey in four cases of ten."""
    colour = Choice(["colour", "grey"], [1 - GREY, GREY])
    return OneOf(
        find("gaussian_noise")(std=(1 / 255, std / 255), colour=colour),
        find("poisson_noise")(gain=1 / 256, scale=(0.05, scale), colour=colour),
    )


def recipe() -> Node:
    """The published order, at one frame size throughout."""
    final = find("sinc_filter")(cutoff=(math.pi / 3, math.pi), size=SIZES, p=FINAL_SINC)
    jpeg = find("jpeg")(quality=(30, 95))
    return Compose(
        Compose(blur((0.2, 3.0)), resize(0.2, 0.7, 1.5, 0.15), noise(30, 3.0), jpeg),
        Compose(blur((0.2, 1.5), SECOND_BLUR), resize(0.3, 0.4, 1.2, 0.3), noise(25, 2.5)),
        OneOf(Compose(final, jpeg), Compose(jpeg, final)),
        find("eight_bit")(1.0, mode="round"),
    )


def realesrgan(reference_size: int | None = None, **options: Any) -> Bank:
    """Real-ESRGAN's degradation process, with every draw a sample's own, at the size of the image.

    The published process shrinks the image as it goes and ends at a quarter of its size. Here every resize returns to the
    frame's size, so that noise and JPEG blocks keep the size of the frame's pixels; degrade an image that is already small to
    have them as there. Borders repeat the last pixel (there: are mirrored); Poisson counts have 256 levels (there: as many as
    the image has values); a factor is uniform in the enlargement (there: in the scale).

    Args:
        reference_size: the short side, in pixels, for which lengths hold; None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    It has no single types. Source: Wang et al., ICCVW 2021, and its published code (BSD-3).
    """
    return Bank("realesrgan", (), recipe(), CITATION, reference_size, **options)
