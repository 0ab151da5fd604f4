"""Real-ESRGAN: blur, resize, noise and JPEG, twice, with a final sinc filter."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
# Of the kernels, in the published order: round and turned Gaussian, generalized Gaussian, plateau.
FAMILY = {"iso": 0.45, "aniso": 0.25, "generalized_iso": 0.12, "generalized_aniso": 0.03, "plateau_iso": 0.12, "plateau_aniso": 0.03}
BETA_G, BETA_P = (0.5, 4.0), (1.0, 2.0)


def blur(
    sigma: tuple[float, float],
    p: float = 1.0,
    sinc: float = SINC,
    family: Mapping[str, float] = FAMILY,
    beta_g: tuple[float, float] = BETA_G,
    beta_p: tuple[float, float] = BETA_P,
) -> Node:
    """One kernel of the family, or a sinc filter in one case of ten.

    Args:
        sigma: of the kernels, in pixels.
        p: probability of any blur.
        sinc: probability of a sinc filter in place of a kernel.
        family: probabilities of the kernels.
        beta_g, beta_p: exponents of generalized Gaussian and of plateau kernels.
    """
    iso, aniso = {"sigma_x": sigma, "sigma_y": sigma}, {"sigma_x": sigma, "sigma_y": sigma, "angle": ANGLE}
    generalized = Choice([0, 1])  # β below or above 1, a coin's flip
    small, large = [s for s in SIZES.values if s < 13], [s for s in SIZES.values if s >= 13]

    def of(op: str, given: dict[str, Any], **more: Any) -> Node:
        return find(op)(size=SIZES, **given, **more)

    def both(op: str, given: dict[str, Any], below: tuple[float, float] | float, above: tuple[float, float]) -> Node:
        return OneOf(of(op, given, beta=below), of(op, given, beta=above), weights=[1] * len(generalized.values))

    round_ = {"isotropic": "on"}
    (lowest, highest), (_, steepest) = beta_g, beta_p
    kernels = {
        "iso": of("anisotropic_gaussian_blur", iso, **round_),
        "aniso": of("anisotropic_gaussian_blur", aniso),
        "generalized_iso": both("generalized_gaussian_blur", {**iso, **round_}, (lowest, 1.0), (1.0, highest)),
        "generalized_aniso": both("generalized_gaussian_blur", aniso, (lowest, 1.0), (1.0, highest)),
        "plateau_iso": both("plateau_blur", {**iso, **round_}, beta_p[0], (1.0, steepest)),
        "plateau_aniso": both("plateau_blur", aniso, beta_p[0], (1.0, steepest)),
    }
    drawn = OneOf(*(kernels[name] for name in family), weights=list(family.values()))
    cut = find("sinc_filter")
    ringing = OneOf(
        cut(cutoff=(math.pi / 3, math.pi), size=Choice(small)),
        cut(cutoff=(math.pi / 5, math.pi), size=Choice(large)),
        weights=[len(small), len(large)],
    )
    return OneOf(drawn, ringing, weights=[1 - sinc, sinc], p=p)


def resize(up: float, down: float, largest: float, smallest: float) -> Node:
    """Larger, smaller or as it is, and back to the size of the image."""
    op = find("resize")
    return OneOf(
        op(factor=(1 / largest, 1.0), filter=FILTERS, antialias="off"),
        op(factor=Uniform(1.0, 1 / smallest), filter=FILTERS, antialias="off"),
        weights=[up, down],
        p=up + down,
    )


def noise(std: tuple[float, float], scale: tuple[float, float], gaussian: float = 0.5, grey: float = GREY) -> Node:
    """Gaussian or Poisson noise, grey in four cases of ten.

    Args:
        std: of Gaussian noise, of 255.
        scale: of Poisson noise, times what counts of 1/256 would have.
        gaussian, grey: probabilities of Gaussian and of grey noise.
    """
    colour = Choice(["colour", "grey"], [1 - grey, grey])
    return OneOf(
        find("gaussian_noise")(std=(std[0] / 255, std[1] / 255), colour=colour),
        find("poisson_noise")(gain=1 / 256, scale=scale, colour=colour),
        weights=[gaussian, 1 - gaussian],
    )


def recipe() -> Node:
    """The published order, at one frame size throughout."""
    final = find("sinc_filter")(cutoff=(math.pi / 3, math.pi), size=SIZES, p=FINAL_SINC)
    jpeg = find("jpeg")(quality=(30, 95))
    return Compose(
        Compose(blur((0.2, 3.0)), resize(0.2, 0.7, 1.5, 0.15), noise((1, 30), (0.05, 3.0)), jpeg),
        Compose(blur((0.2, 1.5), SECOND_BLUR), resize(0.3, 0.4, 1.2, 0.3), noise((1, 25), (0.05, 2.5))),
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
