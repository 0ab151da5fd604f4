"""Re-IQA: 26 types at five levels, one type per image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from degrade.distributions import Choice, Levels
from degrade.ops import find

from .base import Bank, Fault, Type, by_severity, check_profile, kadis_scale, roots, with_faults

CITATION = """@inproceedings{reiqa,
  author    = {Avinab Saha and Sandeep Mishra and Alan C. Bovik},
  title     = {{Re-IQA}: Unsupervised Learning for Image Quality Assessment in the Wild},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2023},
  pages     = {5846--5855}
}"""


def meant() -> tuple[Type, ...]:
    """The 26 types as they are meant."""

    def kind(name: str, op: str, arguments: dict[str, Any], conformance: str, note: str = "", **more: Any) -> Type:
        return Type(name, find(op), arguments, conformance, note, **more)

    def resize(name: str, method: str, *factors: float) -> Type:
        return kind(name, "resize", {"factor": Levels(*factors), "filter": method}, "tolerance")

    return (
        kind("gaussian_blur", "gaussian_blur", {"sigma": Levels(0.1, 0.5, 1, 2, 5), "cut": 4.0}, "tolerance", "level 1 is the identity"),
        kind("lens_blur", "lens_blur", {"radius": Levels(1, 2, 4, 6, 8)}, "tolerance"),
        kind("motion_blur", "box_motion_blur", {"length": Levels(12, 16, 20, 24, 28), "axis": Choice(["horizontal", "vertical"]), "shift": "scipy"}, "tolerance", "along rows or columns"),
        kind("colour_diffusion", "colour_diffusion", {"amount": Levels(1, 3, 6, 8, 12), "cut": 4.0}, "tolerance"),
        kind("colour_shift", "colour_shift", {"amount": Levels(1, 3, 6, 8, 12)}, "reconstruction", "border rule not published"),
        kind("colour_saturation_1", "saturation_hsv", {"factor": Levels(0.4, 0.2, 0.1, 0, -0.4)}, "tolerance"),
        kind("colour_saturation_2", "saturation_lab", {"factor": Levels(1, 2, 3, 6, 9)}, "tolerance", "level 1 is the identity"),
        kind("jpeg", "jpeg", {"quality": Levels(70, 43, 36, 24, 7)}, "bit-equal"),
        kind("white_noise", "gaussian_noise", {"std": roots(0.001, 0.002, 0.003, 0.005, 0.01)}, "statistical"),
        kind("white_noise_in_colour_components", "ycbcr_noise", {"std": roots(0.0001, 0.0005, 0.001, 0.002, 0.003), "chroma": 1.0}, "statistical"),
        kind("impulse_noise", "impulse_noise", {"density": Levels(0.001, 0.005, 0.01, 0.02, 0.03), "salt": 0.5, "per": "pixel"}, "statistical"),
        kind("multiplicative_noise", "speckle_noise", {"std": roots(0.001, 0.005, 0.01, 0.02, 0.05)}, "statistical"),
        kind(
            "denoise", "denoise_residue", {"std": roots(0.001, 0.002, 0.003, 0.005, 0.01)}, "statistical", "Gaussian(3) or Box(2), by chance",
            variants=({"filter": "gaussian", "sigma": 3.0}, {"filter": "box", "sigma": 2.0}),
        ),
        kind("brighten", "brighten", {"amount": Levels(0.1, 0.2, 0.4, 0.7, 1.1)}, "tolerance"),
        kind("darken", "darken", {"amount": Levels(0.05, 0.1, 0.2, 0.4, 0.8)}, "tolerance"),
        kind("mean_shift", "mean_shift", {"amount": Levels(0.15, 0.08, 0, -0.08, -0.15)}, "tolerance", "level 3 is the identity"),
        resize("resize_bicubic", "bicubic", 2, 3, 4, 8, 16),
        resize("resize_bilinear", "bilinear", 2, 3, 4, 8, 16),
        resize("resize_lanczos", "lanczos", 2, 3, 4, 8, 16),
        resize("resize_nearest", "nearest", 2, 3, 4, 5, 6),
        kind("high_sharpen", "unsharp_mask", {"amount": Levels(1, 2, 3, 6, 12), "sigma": 3.0}, "reconstruction", "KADIS's, of which it is a port"),
        kind("contrast_change", "contrast_curve", {"amount": Levels(0.3, 0.15, 0, -0.4, -0.6)}, "tolerance", "not monotone: the identity is -0.2"),
        kind("colour_block", "colour_blocks", {"count": Levels(2, 4, 6, 8, 10)}, "statistical"),
        kind("pixelate", "pixelate", {"scale": kadis_scale(0.01, 0.05, 0.1, 0.2, 0.5)}, "tolerance"),
        kind("non_eccentricity_patches", "non_eccentricity_patches", {"count": Levels(20, 40, 60, 80, 100)}, "statistical"),
        kind("jitter", "jitter", {"sigma": Levels(0.05, 0.1, 0.2, 0.5, 1), "iterations": 5}, "reconstruction", "cubic convolution for a cubic spline"),
    )  # fmt: skip


def types(profile: str) -> tuple[Type, ...]:
    """The types of a profile. As published, every one ends in truncation to 8 bits."""
    if check_profile(profile) == "fixed":
        return meant()
    after = (find("eight_bit")(1.0, mode="truncate"),)
    faults = {
        "gaussian_blur": Fault("Pillow's three boxes, for which the Gaussian stands", conformance="reconstruction"),
        "colour_shift": Fault("the shift flattens the image: along rows by the sum of both components, into the next row", {"variant": "reiqa"}),
        "high_sharpen": Fault(
            "0…255 is handed to a function for 0…1: L reaches thousands and is clipped to 100, about 6 dB",
            {"amount": Levels(1, 2, 3, 6, 12), "scale": "0..255"}, op=find("laplacian_sharpen"), conformance="reconstruction",
        ),
    }  # fmt: skip
    return tuple(
        replace(t, after=after, note=f"{t.note}; truncated to 8 bits" if t.note else "truncated to 8 bits") for t in with_faults(meant(), faults)
    )


def reiqa(profile: str = "fixed", severity: str = "published", reference_size: int | None = None, **options: Any) -> Bank:
    """Re-IQA's bank: one of 26 types per image, at one of five levels, all equally likely.

    The published training draws 11 different types for each image and makes 11 distorted copies; use 11 views.

    Args:
        profile: "fixed", what the bank meant, or "faithful", what its published code does, errors included.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold; None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError: an unknown profile.

    Source: Saha, Mishra, Bovik, CVPR 2023, and its published code.
    """
    return Bank("reiqa", by_severity(types(profile), severity), None, CITATION, reference_size, **options)
