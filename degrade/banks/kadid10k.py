"""KADID-10k and KADIS-700k: 25 types at five levels, one type per image."""

from __future__ import annotations

from typing import Any

from degrade.distributions import Levels
from degrade.ops import find
from degrade.recipe import Compose, OneOf

from .base import Bank, Type, by_severity, kadis_scale, roots

CITATION = """@inproceedings{kadid10k,
  author    = {Hanhe Lin and Vlad Hosu and Dietmar Saupe},
  title     = {{KADID-10k}: A Large-scale Artificially Distorted {IQA} Database},
  booktitle = {Eleventh International Conference on Quality of Multimedia Experience (QoMEX)},
  year      = {2019},
  pages     = {1--3}
}
@article{deepfl_iqa,
  author  = {Hanhe Lin and Vlad Hosu and Dietmar Saupe},
  title   = {{DeepFL-IQA}: Weak Supervision for Deep {IQA} Feature Learning},
  journal = {arXiv preprint arXiv:2001.08113},
  year    = {2020}
}"""


def types() -> tuple[Type, ...]:
    """The 25 types in the published order."""
    return (
        Type("gaussian_blur", find("gaussian_blur"), {"sigma": Levels(0.1, 0.5, 1, 2, 5)}, "tolerance", "level 1 is the identity", "blur"),
        Type("lens_blur", find("lens_blur"), {"radius": Levels(1, 2, 4, 6, 8)}, "tolerance", group="blur"),
        Type("motion_blur", find("motion_blur"), {"length": Levels(1, 2, 4, 6, 10)}, "tolerance", "level 1 is the identity", "blur"),
        Type("colour_diffusion", find("colour_diffusion"), {"amount": Levels(1, 3, 6, 8, 12)}, "tolerance", group="colour"),
        Type("colour_shift", find("colour_shift"), {"amount": Levels(1, 3, 6, 8, 12)}, "reconstruction", "border rule not published", "colour"),
        Type(
            "colour_quantization", find("palette"), {"colours": Levels(64, 48, 32, 16, 8), "dither": "ordered"}, "reconstruction",
            "ordered dither for error diffusion", "colour",
        ),
        Type("colour_saturation_1", find("saturation_hsv"), {"factor": Levels(0.4, 0.2, 0.1, 0, -0.4)}, "tolerance", group="colour"),
        Type("colour_saturation_2", find("saturation_lab"), {"factor": Levels(1, 2, 3, 6, 9)}, "tolerance", "level 1 is the identity", "colour"),
        Type("jpeg2000", find("jpeg2000"), {"ratio": Levels(16, 32, 45, 120, 400)}, "reconstruction", "wavelet path, rate estimated", "compression"),
        Type("jpeg", find("jpeg"), {"quality": Levels(43, 36, 24, 7, 4)}, "bit-equal", group="compression"),
        Type("white_noise", find("gaussian_noise"), {"std": roots(0.001, 0.002, 0.003, 0.005, 0.01)}, "statistical", group="noise"),
        Type(
            "white_noise_in_colour_components", find("ycbcr_noise"), {"std": roots(0.0001, 0.0005, 0.001, 0.002, 0.003), "chroma": 1.0}, "statistical",
            group="noise",
        ),
        Type("impulse_noise", find("impulse_noise"), {"density": Levels(0.001, 0.005, 0.01, 0.02, 0.03), "salt": 0.5}, "statistical", group="noise"),
        Type(
            "multiplicative_noise", find("speckle_noise"), {"std": roots(0.001, 0.005, 0.01, 0.02, 0.05)}, "reconstruction",
            "Gaussian, as both ports have it", "noise",
        ),
        Type(
            "denoise", find("denoise_residue"), {"std": roots(0.01, 0.03, 0.05, 0.1, 0.15)}, "reconstruction", "a linear filter for the DnCNN network",
            "noise",
        ),
        Type("brighten", find("brighten"), {"amount": Levels(0.1, 0.2, 0.4, 0.7, 1.1)}, "tolerance", group="brightness"),
        Type("darken", find("darken"), {"amount": Levels(0.05, 0.1, 0.2, 0.4, 0.8)}, "tolerance", group="brightness"),
        Type("mean_shift", find("mean_shift"), {"amount": Levels(0.15, 0.08, 0, -0.08, -0.15)}, "tolerance", "level 3 is the identity", "brightness"),
        Type("jitter", find("jitter"), {"sigma": Levels(0.05, 0.1, 0.2, 0.5, 1), "iterations": 5}, "statistical", group="spatial"),
        Type("non_eccentricity_patches", find("non_eccentricity_patches"), {"count": Levels(20, 40, 60, 80, 100)}, "statistical", group="spatial"),
        Type("pixelate", find("pixelate"), {"scale": kadis_scale(0.01, 0.05, 0.1, 0.2, 0.5)}, "tolerance", group="spatial"),
        Type("quantization", find("otsu_quantization"), {"thresholds": Levels(20, 16, 13, 10, 7)}, "reconstruction", "the optimum, of which MATLAB's search may fall short", "spatial"),
        Type("colour_block", find("colour_blocks"), {"count": Levels(2, 4, 6, 8, 10)}, "statistical", group="spatial"),
        Type("high_sharpen", find("unsharp_mask"), {"amount": Levels(1, 2, 3, 6, 12), "sigma": 3.0}, "tolerance", group="sharpness and contrast"),
        Type(
            "contrast_change", find("contrast_curve"), {"amount": Levels(0.3, 0.15, 0, -0.4, -0.6)}, "tolerance", "not monotone: the identity is -0.2",
            "sharpness and contrast",
        ),
    )  # fmt: skip


def kadid10k(final_stretch: bool = False, severity: str = "published", reference_size: int | None = None, **options: Any) -> Bank:
    """KADID-10k as a pipeline: one of 25 types per image, at one of five levels, all equally likely.

    Args:
        final_stretch: stretch the range to 0…1 before and after each type, as the published script says. No image of the data
            set has been seen that shows whether it was done; no port does it.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold (KADIS has 384); None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Source: Lin, Hosu, Saupe, QoMEX 2019, and the script published with KADIS-700k.
    """
    all_types = by_severity(types(), severity)
    recipe = OneOf(*(t.at() for t in all_types))
    stretch = find("range_stretch")(1.0)
    return Bank("kadid10k", all_types, Compose(stretch, recipe, stretch) if final_stretch else recipe, CITATION, reference_size, **options)
