"""ARNIQA: 24 types in seven groups at five levels; up to four groups per image, in the order drawn."""

from __future__ import annotations

import math
from typing import Any

from degrade.distributions import Choice, Levels
from degrade.ops import find
from degrade.recipe import OneOf, SomeOf

from .base import Bank, Fault, Type, by_severity, check_profile, kadis_scale, roots, up_to, with_faults

CITATION = """@inproceedings{arniqa,
  author    = {Lorenzo Agnolucci and Leonardo Galteri and Marco Bertini and Alberto Del Bimbo},
  title     = {{ARNIQA}: Learning Distortion Manifold for Image Quality Assessment},
  booktitle = {Proceedings of the IEEE/CVF Winter Conference on Applications of Computer Vision (WACV)},
  year      = {2024},
  pages     = {189--198}
}"""

GROUPS = ("blur", "colour", "jpeg", "noise", "brightness", "spatial", "sharpness and contrast")
PRISTINE = 0.05
LEVEL = Choice(range(1, 6), [math.exp(-(i**2) / 12.5) for i in range(5)])  # .293 .270 .213 .143 .081


def meant() -> tuple[Type, ...]:
    """The 24 types, group by group, as they are meant."""
    quantization = {"thresholds": Levels(20, 16, 13, 10, 7)}
    last = "sharpness and contrast"
    return (
        Type("gaublur", find("gaussian_blur"), {"sigma": Levels(0.1, 0.5, 1, 2, 5)}, "tolerance", "level 1 is the identity", "blur"),
        Type("lensblur", find("lens_blur"), {"radius": Levels(1, 2, 4, 6, 8)}, "tolerance", group="blur"),
        Type("motionblur", find("motion_blur"), {"length": Levels(1, 2, 4, 6, 10)}, "tolerance", "level 1 is the identity", "blur"),
        Type("colordiff", find("colour_diffusion"), {"amount": Levels(1, 3, 6, 8, 12)}, "tolerance", group="colour"),
        Type("colorshift", find("colour_shift"), {"amount": Levels(1, 3, 6, 8, 12)}, "reconstruction", "border rule not published", "colour"),
        Type("colorsat1", find("saturation_hsv"), {"factor": Levels(0.4, 0.2, 0.1, 0, -0.4)}, "tolerance", group="colour"),
        Type("colorsat2", find("saturation_lab"), {"factor": Levels(1, 2, 3, 6, 9)}, "tolerance", "level 1 is the identity", "colour"),
        Type("jpeg2000", find("jpeg2000"), {"ratio": Levels(16, 32, 45, 120, 170), "resolutions": 8}, "reconstruction", "wavelet path, rate estimated", "jpeg"),
        Type("jpeg", find("jpeg"), {"quality": Levels(43, 36, 24, 7, 4)}, "bit-equal", group="jpeg"),
        Type("whitenoise", find("gaussian_noise"), {"std": roots(0.001, 0.002, 0.003, 0.005, 0.01)}, "statistical", group="noise"),
        Type("whitenoiseCC", find("ycbcr_noise"), {"std": roots(0.0001, 0.0005, 0.001, 0.002, 0.003), "chroma": 1.0}, "statistical", group="noise"),
        Type("impulsenoise", find("impulse_noise"), {"density": Levels(0.001, 0.005, 0.01, 0.02, 0.03), "salt": 0.5}, "statistical", group="noise"),
        Type("multnoise", find("speckle_noise"), {"std": roots(0.001, 0.005, 0.01, 0.02, 0.05)}, "statistical", group="noise"),
        Type("brighten", find("brighten"), {"amount": Levels(0.1, 0.2, 0.4, 0.7, 1.1)}, "tolerance", group="brightness"),
        Type("darken", find("darken"), {"amount": Levels(0.05, 0.1, 0.2, 0.4, 0.8)}, "tolerance", group="brightness"),
        Type("meanshift", find("mean_shift"), {"amount": Levels(0, 0.08, -0.08, 0.15, -0.15)}, "tolerance", "level 1 is the identity", "brightness"),
        Type("jitter", find("jitter"), {"sigma": Levels(0.05, 0.1, 0.2, 0.5, 1), "iterations": 5}, "statistical", group="spatial"),
        Type("noneccpatch", find("non_eccentricity_patches"), {"count": Levels(20, 40, 60, 80, 100)}, "statistical", group="spatial"),
        Type("pixelate", find("pixelate"), {"scale": kadis_scale(0.01, 0.05, 0.1, 0.2, 0.5)}, "tolerance", group="spatial"),
        Type("quantization", find("otsu_quantization"), quantization, "tolerance", group="spatial"),
        Type("colorblock", find("colour_blocks"), {"count": Levels(2, 4, 6, 8, 10)}, "statistical", group="spatial"),
        Type("highsharpen", find("unsharp_mask"), {"amount": Levels(1, 2, 3, 6, 12), "sigma": 3.0}, "tolerance", group=last),
        Type(
            "lincontrchange", find("contrast_curve"), {"amount": Levels(-0.2, -0.05, -0.6, 0.1, -0.8)}, "tolerance",
            "amounts counted from the identity, -0.2, which is level 1", last,
        ),
        Type("nonlincontrchange", find("contrast_squeeze"), {"half_width": Levels(0.4, 0.3, 0.2, 0.1, 0.05)}, "tolerance", group=last),
    )  # fmt: skip


def faults() -> dict[str, Fault]:
    """Where the published code does something else."""
    to_bytes = (find("eight_bit")(1.0, mode="truncate"),)
    bgr = {"order": "bgr"}
    swapped = "blue, green and red are handed to a function for red, green and blue"
    return {
        "lensblur": Fault("rim taps are dropped unless every root on the grid is real: negative taps from radius 2", {"kernel": "clipped"}),
        "colordiff": Fault(f"{swapped}; truncated to 8 bits", bgr, after=to_bytes),
        "colorshift": Fault("no percentile clip, no floor under the edge map, rows wrap around", {"variant": "arniqa"}),
        "colorsat2": Fault(f"{swapped}; truncated to 8 bits", bgr, after=to_bytes),
        "jpeg2000": Fault("5/3 wavelet without a colour transform for the 9/7 with one; truncated to 8 bits first", {"wavelet": "5/3", "colour": "rgb"}, before=to_bytes),
        "jpeg": Fault("truncated to 8 bits first, not rounded", before=to_bytes),
        "whitenoiseCC": Fault("full-range for studio-range components, not clipped there", {"range": "full"}),
        "impulsenoise": Fault("drawn with replacement; stops with an error on current torch, so the nearest defined thing"),
        "brighten": Fault(swapped, bgr),
        "jitter": Fault(
            "bilinear for bicubic; rows are padded by the columns' margin and the reverse: drifts by whole pixels",
            {"interpolation": "bilinear", "drift": "arniqa"},
        ),
        "noneccpatch": Fault("copies overlap themselves, which is undefined: here each copy is whole"),
        "pixelate": Fault("nearest by corners, twice: drifts by half a pixel", {"coordinates": "corner", "rounding": "floor"}),
        "quantization": Fault(
            "uniform thresholds and a stretch for Otsu's thresholds", {"thresholds": Levels(20, 16, 13, 10, 7), "variant": "arniqa"},
            op=find("uniform_quantization"),
        ),
        "highsharpen": Fault(f"σ 6 for 3; {swapped}", {"sigma": 6.0, **bgr}),
        "lincontrchange": Fault("amounts counted from 0, where the identity is -0.2: level 1 changes the image", {"amount": Levels(0, 0.15, -0.4, 0.3, -0.6)}),
    }  # fmt: skip


def types(profile: str) -> tuple[Type, ...]:
    """The types of a profile."""
    return with_faults(meant(), faults()) if check_profile(profile) == "faithful" else meant()


def arniqa(profile: str = "fixed", max_distortions: int = 4, severity: str = "published", reference_size: int | None = None, **options: Any) -> Bank:
    """ARNIQA's degradation model: 5 % of the images stay pristine; the others get 1 to 4 of the 7 groups, one type of each.

    Groups are drawn without replacement and applied in the order drawn, the type in a group uniformly, level i = 0…4 with
    probability ∝ exp(−i² / 12.5). Angles, noise and positions are a sample's own.

    Args:
        profile: "fixed", what the bank meant, or "faithful", what its published code does, errors included.
        max_distortions: the most groups per image, 1 to 7.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold; None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError: an unknown profile, or a number of groups out of range.

    Source: Agnolucci et al., WACV 2024, and its published code.
    """
    all_types = by_severity(types(profile), severity)
    groups = [OneOf(*(t.at(LEVEL) for t in all_types if t.group == group)) for group in GROUPS]
    recipe = SomeOf(*groups, n=up_to(max_distortions, groups), p=1.0 - PRISTINE)
    return Bank("arniqa", all_types, recipe, CITATION, reference_size, **options)
