"""X-Distortion, the bank of DepictQA: 35 types in 12 families at five levels, alone or in ordered pairs."""

from __future__ import annotations

from typing import Any

from degrade.distributions import Choice, Levels
from degrade.op import probability
from degrade.ops import find
from degrade.recipe import Compose, OneOf

from .base import Bank, Type, by_severity

CITATION = """@article{depictqa_wild,
  title   = {Descriptive Image Quality Assessment in the Wild},
  author  = {Zhiyuan You and Jinjin Gu and Zheyuan Li and Xin Cai and Kaiwen Zhu and Chao Dong and Tianfan Xue},
  journal = {arXiv preprint arXiv:2405.18842},
  year    = {2024}
}"""

DISTORTED = 0.95
MILD = Choice((1, 2, 3))  # levels in a pair

TONES = ("brighten", "darken", "contrast_strengthen", "contrast_weaken", "saturate_strengthen", "saturate_weaken")
DETAIL = ("blur", "compression", "noise", "pixelate", "quantization")
# The 78 ordered pairs of families: any of the first may be followed by any of the second.
PAIRS = (
    (TONES, DETAIL),
    (DETAIL, TONES),
    (("saturate_strengthen", "saturate_weaken"), ("oversharpen",)),
    (("pixelate", "quantization"), ("noise", "oversharpen")),
    (("pixelate",), ("quantization",)),
    (("quantization",), ("pixelate",)),
    (("blur",), ("compression", "noise", "quantization")),
    (("noise",), ("blur", "compression", "oversharpen", "pixelate")),
    (("compression",), ("blur", "noise")),
    (("oversharpen",), ("brighten",)),
)


def types() -> tuple[Type, ...]:
    """The 35 types, family by family, and the two soft-mask types beside them."""

    def kind(name: str, group: str, op: str, arguments: dict[str, Any], conformance: str = "tolerance", note: str = "") -> Type:
        return Type(name, find(op), arguments, conformance, note, group)

    return (
        kind("blur_gaussian", "blur", "gaussian_blur", {"sigma": Levels(1, 2, 3, 4, 5), "cut": 4.0}),
        kind(
            "blur_motion", "blur", "directional_blur",
            {"radius": Levels(5, 10, 15, 15, 20), "sigma": Levels(3, 5, 7, 9, 12), "angle": (-90, 90)}, "tolerance",
            "at an equal angle",
        ),
        kind(
            "blur_glass", "blur", "glass_blur",
            {"sigma": Levels(0.7, 0.9, 1.2, 1.4, 1.6), "delta": Levels(1, 2, 2, 3, 4), "passes": Levels(1, 1, 2, 2, 2)}, "reconstruction",
            "a parallel scatter for a sequential one",
        ),
        kind("blur_lens", "blur", "defocus_blur", {"radius": Levels(2, 3, 4, 6, 8), "smoothing": 0.0}, "tolerance", "inside the border"),
        kind("blur_zoom", "blur", "zoom_blur", {"amount": Levels(0.03, 0.06, 0.10, 0.15, 0.21), "step": 0.02}, "reconstruction", "zooms about the centre; the original cuts at whole pixels"),
        kind("blur_jitter", "blur", "pixel_scatter", {"distance": Levels(1, 2, 3, 4, 5)}, "reconstruction", "a parallel scatter for a sequential one"),
        kind("noise_rgb", "noise", "gaussian_noise", {"std": Levels(0.05, 0.1, 0.15, 0.2, 0.25)}, "statistical"),
        kind(
            "noise_ycrcb", "noise", "ycbcr_noise", {"std": Levels(0.05, 0.06, 0.07, 0.08, 0.09), "chroma": Levels(1, 1.45, 1.9, 2.35, 2.8), "range": "full"},
            "statistical",
        ),
        kind("noise_speckle", "noise", "speckle_noise", {"std": Levels(0.14, 0.21, 0.28, 0.35, 0.42)}, "statistical"),
        kind(
            "noise_spatially_correlated", "noise", "spatially_correlated_noise", {"std": Levels(0.08, 0.11, 0.14, 0.18, 0.22), "over": "image"}, "statistical",
        ),
        kind("noise_poisson", "noise", "poisson_noise", {"gain": Levels(1 / 80, 1 / 60, 1 / 40, 1 / 25, 1 / 15)}, "statistical"),
        kind("noise_impulse", "noise", "impulse_noise", {"density": Levels(0.01, 0.03, 0.05, 0.07, 0.10), "salt": 0.5}, "statistical"),
        kind("compression_jpeg", "compression", "jpeg", {"quality": Levels(25, 18, 12, 8, 5)}, "bit-equal"),
        kind(
            "compression_jpeg_2000", "compression", "jpeg2000",
            {"ratio": Levels(29, 38, 49, 70, 100), "psnr": Levels(29, 27.5, 26, 24.5, 23), "target": "psnr", "wavelet": "5/3", "colour": "rgb"},
            "reconstruction", "wavelet path at this PSNR; the ratio is for the label `severity` alone",
        ),
        kind("brighten_shift_hsv", "brighten", "mean_shift", {"amount": Levels(0.1, 0.2, 0.3, 0.4, 0.5), "space": "hsv"}, "reconstruction", "V is clipped before the way back to RGB, not after it"),
        kind("brighten_shift_rgb", "brighten", "mean_shift", {"amount": Levels(0.1, 0.15, 0.2, 0.27, 0.35)}),
        kind("brighten_gamma_hsv", "brighten", "gamma", {"gamma": Levels(0.7, 0.58, 0.47, 0.36, 0.25), "space": "hsv"}),
        kind("brighten_gamma_rgb", "brighten", "gamma", {"gamma": Levels(0.8, 0.7, 0.6, 0.45, 0.3)}),
        kind("darken_shift_hsv", "darken", "mean_shift", {"amount": Levels(-0.1, -0.2, -0.3, -0.4, -0.5), "space": "hsv"}),
        kind("darken_shift_rgb", "darken", "mean_shift", {"amount": Levels(-0.1, -0.15, -0.2, -0.27, -0.35)}),
        kind("darken_gamma_hsv", "darken", "gamma", {"gamma": Levels(1.5, 1.8, 2.2, 2.7, 3.5), "space": "hsv"}),
        kind("darken_gamma_rgb", "darken", "gamma", {"gamma": Levels(1.4, 1.7, 2.1, 2.6, 3.2)}),
        kind("contrast_weaken_scale", "contrast_weaken", "contrast", {"factor": Levels(0.75, 0.6, 0.45, 0.3, 0.2), "mean": "grey"}),
        kind("contrast_weaken_stretch", "contrast_weaken", "contrast_sigmoid", {"k": Levels(1.0, 0.9, 0.8, 0.6, 0.4)}),
        kind("contrast_strengthen_scale", "contrast_strengthen", "contrast", {"factor": Levels(1.4, 1.7, 2.1, 2.6, 4.0), "mean": "grey"}),
        kind("contrast_strengthen_stretch", "contrast_strengthen", "contrast_sigmoid", {"k": Levels(2, 4, 6, 8, 10)}),
        kind("saturate_weaken_hsv", "saturate_weaken", "saturation_hsv", {"factor": Levels(0.7, 0.55, 0.4, 0.2, 0)}),
        kind("saturate_weaken_ycrcb", "saturate_weaken", "saturation_ycbcr", {"factor": Levels(0.6, 0.4, 0.2, 0.1, 0)}),
        kind("saturate_strengthen_hsv", "saturate_strengthen", "saturation_hsv", {"factor": Levels(3, 6, 12, 20, 64)}),
        kind("saturate_strengthen_ycrcb", "saturate_strengthen", "saturation_ycbcr", {"factor": Levels(2, 3, 5, 8, 16)}),
        kind(
            "oversharpen", "oversharpen", "unsharp_mask", {"amount": Levels(2, 2.8, 4, 6, 8), "sigma": 1.06, "size": 5, "space": "rgb"}, "tolerance",
            "σ is the nearest to OpenCV's five taps, (1 4 6 4 1) / 16",
        ),
        kind("pixelate", "pixelate", "pixelate", {"scale": Levels(0.5, 0.4, 0.3, 0.25, 0.2), "down": "box", "rounding": "floor"}),
        kind(
            "quantization_otsu", "quantization", "otsu_quantization", {"thresholds": Levels(14, 10, 7, 4, 2), "output": "ramp", "channels": "each"},
            "reconstruction", "15 to 3 classes; thresholds of 256 bins for those of 30",
        ),
        kind(
            "quantization_median", "quantization", "histogram_quantization", {"levels": Levels(20, 15, 10, 6, 3), "channels": "each"}, "reconstruction",
            "quantiles for Pillow's median cut of each channel",
        ),
        kind("quantization_histogram", "quantization", "histogram_quantization", {"levels": Levels(24, 16, 8, 6, 4), "output": "equalised"}, "bit-equal"),
        kind("blur_lens_mask", "soft mask", "lens_mask_blur", {"sigma": Levels(2, 4, 6, 8, 10), "gamma": Levels(2, 2.4, 3, 3.8, 5)}, "reconstruction", "the mask is centred to half a pixel"),
        kind("vignette", "soft mask", "vignette", {"strength": 1.0, "gamma": Levels(0.5, 0.875, 1.25, 1.625, 2)}, "reconstruction", "the mask is centred to half a pixel"),
    )  # fmt: skip


def xdistortion(pairs: float = 0.5, severity: str = "published", reference_size: int | None = None, **options: Any) -> Bank:
    """X-Distortion: 95 % of the images are distorted, by one type at level 1 to 5 or by an ordered pair at levels 1 to 3.

    Args:
        pairs: the share of pairs among the distorted images.
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold; None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError: a share that is not a probability.

    The two soft-mask types, `blur_lens_mask` and `vignette`, lie beside the 35 and are had with `single`.

    Source: You et al., arXiv 2405.18842, and its published code (Apache-2.0).
    """
    probability("pairs", pairs)
    all_types = by_severity(types(), severity)
    drawn = [t for t in all_types if t.group != "soft mask"]
    families: dict[str, list[Type]] = {}
    for t in drawn:
        families.setdefault(t.group, []).append(t)

    def any_of(names: tuple[str, ...]) -> OneOf:
        return OneOf(*(OneOf(*(t.at(MILD) for t in families[name])) for name in names))

    weights = [len(first) * len(second) for first, second in PAIRS]  # every pair is as likely
    pair = OneOf(*(Compose(any_of(first), any_of(second)) for first, second in PAIRS), weights=weights)
    one = OneOf(*(OneOf(*(t.at() for t in members)) for members in families.values()))
    recipe = OneOf(one, pair, weights=[1.0 - pairs, pairs], p=DISTORTED) if 0 < pairs < 1 else Compose(pair if pairs else one, p=DISTORTED)
    return Bank("xdistortion", all_types, recipe, CITATION, reference_size, **options)
