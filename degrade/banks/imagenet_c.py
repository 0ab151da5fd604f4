"""ImageNet-C: 15 corruptions and four held-out ones at five severities."""

from __future__ import annotations

from typing import Any

from degrade.distributions import Levels
from degrade.errors import unknown
from degrade.ops import find
from degrade.recipe import OneOf

from .base import Bank, Type, by_severity

CITATION = """@inproceedings{imagenet_c,
  author    = {Dan Hendrycks and Thomas Dietterich},
  title     = {Benchmarking Neural Network Robustness to Common Corruptions and Perturbations},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year      = {2019}
}
@article{imagecorruptions,
  author  = {Claudio Michaelis and Benjamin Mitzkus and Robert Geirhos and Evgenia Rusak and Oliver Bringmann and Alexander S. Ecker and
             Matthias Bethge and Wieland Brendel},
  title   = {Benchmarking Robustness in Object Detection: Autonomous Driving when Winter is Coming},
  journal = {arXiv preprint arXiv:1907.07484},
  year    = {2019}
}"""

VERSIONS = ("imagecorruptions", "dataset")
HELD_OUT = ("speckle_noise", "gaussian_blur", "spatter", "saturate")


def types(version: str) -> tuple[Type, ...]:
    """The 19 types; in the data set each image was then saved as JPEG of quality 85."""
    dataset = version == "dataset"
    after = (find("eight_bit")(1.0, mode="truncate"), find("jpeg")(85)) if dataset else ()

    def kind(name: str, op: str, arguments: dict[str, Any], conformance: str, note: str = "") -> Type:
        return Type(name, find(op), arguments, conformance, note, "held out" if name in HELD_OUT else "common", after=after)

    if dataset:
        tables = {"amount": (2, 2, 0.05, 0.07, 0.12), "sigma": (0.7, 0.08, 0.01, 0.01, 0.01), "affine": (0.1, 0.2, 0.02, 0.02, 0.02)}
        # Published times 244 px, for images of 224.
        elastic: dict[str, Any] = {name: Levels(*(v * 244 / 224 for v in table)) for name, table in tables.items()}
    else:
        # α · U(±0.5 % of the side), blurred with σ = 1 % of it
        elastic = {"amount": Levels(*(0.005 * a for a in (12.5, 16.25, 21.25, 25, 30))), "sigma": 0.01, "affine": 0.0}
    return (
        kind("gaussian_noise", "gaussian_noise", {"std": Levels(0.08, 0.12, 0.18, 0.26, 0.38)}, "statistical"),
        kind("shot_noise", "poisson_noise", {"gain": Levels(*(1 / c for c in (60, 25, 12, 5, 3)))}, "statistical"),
        kind("impulse_noise", "impulse_noise", {"density": Levels(0.03, 0.06, 0.09, 0.17, 0.27), "salt": 0.5}, "statistical"),
        kind("speckle_noise", "speckle_noise", {"std": Levels(0.15, 0.2, 0.35, 0.45, 0.6)}, "statistical"),
        kind("gaussian_blur", "gaussian_blur", {"sigma": Levels(1, 2, 3, 4, 6), "cut": 4.0, "rule": "nearest"}, "tolerance"),
        kind("defocus_blur", "defocus_blur", {"radius": Levels(3, 4, 6, 8, 10), "smoothing": Levels(0.1, 0.5, 0.5, 0.5, 0.5)}, "tolerance", "inside the border"),
        kind(
            "glass_blur", "glass_blur", {"sigma": Levels(0.7, 0.9, 1, 1.1, 1.5), "delta": Levels(1, 2, 2, 3, 4), "passes": Levels(2, 1, 3, 2, 2)},
            "reconstruction", "a parallel scatter for a sequential one",
        ),
        kind(
            "motion_blur", "directional_blur",
            {"radius": Levels(10, 15, 15, 15, 20), "sigma": Levels(3, 5, 8, 12, 15), "angle": (-45, 45)},
            "reconstruction" if dataset else "tolerance", "shifted copies for ImageMagick's filter" if dataset else "at an equal angle",
        ),
        kind(
            "zoom_blur", "zoom_blur", {"amount": Levels(0.11, 0.15, 0.20, 0.24, 0.30), "step": Levels(0.01, 0.01, 0.02, 0.02, 0.03)}, "reconstruction",
            "zooms about the centre; the original cuts at whole pixels",
        ),
        kind("fog", "fog", {"amount": Levels(1.5, 2, 2.5, 2.5, 3), "decay": Levels(2, 2, 1.7, 1.5, 1.4)}, "reconstruction", "value noise for diamond-square"),
        kind("frost", "frost", {"amount": Levels(0.4, 0.6, 0.7, 0.7, 0.75), "keep": Levels(1, 0.8, 0.7, 0.65, 0.6)}, "reconstruction", "drawn crystals for photographs"),
        kind(
            "snow", "snow",
            {
                "mean": Levels(0.1, 0.2, 0.55, 0.55, 0.55), "std": 0.3, "zoom": Levels(3, 2, 4, 4.5, 2.5), "threshold": Levels(0.5, 0.5, 0.9, 0.85, 0.85),
                "length": Levels(10, 12, 12, 12, 12), "sigma": Levels(4, 4, 8, 8, 12), "keep": Levels(0.8, 0.7, 0.7, 0.65, 0.55),
            },
            "reconstruction", "a surrogate layer",
        ),
        kind(
            "spatter", "spatter",
            {
                "mean": Levels(0.65, 0.65, 0.65, 0.65, 0.67), "std": Levels(0.3, 0.3, 0.3, 0.3, 0.4), "sigma": Levels(4, 3, 2, 1, 1),
                "threshold": Levels(0.69, 0.68, 0.68, 0.65, 0.65), "opacity": Levels(0.6, 0.6, 0.5, 1.5, 1.5), "mud": Levels(0, 0, 0, 1, 1),
            },
            "reconstruction", "without edges, distance transform and equalisation",
        ),
        kind("brightness", "mean_shift", {"amount": Levels(0.1, 0.2, 0.3, 0.4, 0.5), "space": "hsv"}, "tolerance"),
        kind("contrast", "contrast", {"factor": Levels(0.4, 0.3, 0.2, 0.1, 0.05)}, "tolerance"),
        kind("saturate", "saturation_hsv", {"factor": Levels(0.3, 0.1, 2, 5, 20), "offset": Levels(0, 0, 0, 0.1, 0.2)}, "tolerance"),
        kind("jpeg_compression", "jpeg", {"quality": Levels(25, 18, 15, 10, 7)}, "bit-equal"),
        kind("pixelate", "pixelate", {"scale": Levels(0.6, 0.5, 0.4, 0.3, 0.25), "down": "box", "rounding": "floor"}, "tolerance"),
        kind("elastic_transform", "elastic_transform", elastic, "statistical"),
    )  # fmt: skip


def imagenet_c(
    version: str = "imagecorruptions", held_out: bool = False, severity: str = "published", reference_size: int | None = None, **options: Any
) -> Bank:
    """ImageNet-C's corruptions as a pipeline: one type per image, at one of five severities, all equally likely.

    Args:
        version: "imagecorruptions", the corruption alone, as the package of that name applies it at any size; or "dataset", as
            the published images are, which were saved as JPEG of quality 85 afterwards.
        held_out: also draw the four held-out types; `single` has them in any case.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold (ImageNet-C has 224); None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError: an unknown version.

    Source: Hendrycks and Dietterich, ICLR 2019; Michaelis et al., arXiv 1907.07484.
    """
    if version not in VERSIONS:
        raise ValueError(unknown("version", version, VERSIONS))
    all_types = by_severity(types(version), severity)
    recipe = OneOf(*(t.at() for t in all_types if held_out or t.group == "common"))
    return Bank("imagenet_c", all_types, recipe, CITATION, reference_size, **options)
