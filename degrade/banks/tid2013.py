"""TID2013: 20 of its 24 types at five levels, rebuilt, since no generator was published."""

from __future__ import annotations

from typing import Any

from degrade.distributions import Levels
from degrade.ops import find

from .base import Bank, Type, by_severity

CITATION = """@article{tid2013,
  author  = {Nikolay Ponomarenko and Lina Jin and Oleg Ieremeiev and Vladimir Lukin and Karen Egiazarian and Jaakko Astola and
             Benoit Vozel and Kacem Chehdi and Marco Carli and Federica Battisti and C.-C. Jay Kuo},
  title   = {Image database {TID2013}: Peculiarities, results and perspectives},
  journal = {Signal Processing: Image Communication},
  volume  = {30},
  pages   = {57--77},
  year    = {2015}
}
@inproceedings{rankiqa,
  author    = {Xialei Liu and Joost van de Weijer and Andrew D. Bagdanov},
  title     = {{RankIQA}: Learning from Rankings for No-reference Image Quality Assessment},
  booktitle = {Proceedings of the IEEE International Conference on Computer Vision (ICCV)},
  year      = {2017}
}
@article{dbcnn,
  author  = {Weixia Zhang and Kede Ma and Jia Yan and Dexiang Deng and Zhou Wang},
  title   = {Blind Image Quality Assessment Using A Deep Bilinear Convolutional Neural Network},
  journal = {IEEE Transactions on Circuits and Systems for Video Technology},
  year    = {2020}
}"""

PSNR = (33.0, 30.0, 27.0, 24.0, 21.0)  # that the levels of most types were set to
JPEG2000 = {"ratio": Levels(16, 25, 41, 78, 168), "psnr": Levels(*PSNR), "target": "psnr"}  # the ratio is for the label `severity` alone
LEFT_OUT = ("jpeg_transmission_errors", "jpeg2000_transmission_errors", "comfort_noise", "sparse_sampling_and_reconstruction")


def at_psnr(factor: float = 1.0) -> Levels:
    """The deviation of noise of each target PSNR, times a factor."""
    return Levels(*(factor * 10 ** (-p / 20) for p in PSNR))


def types() -> tuple[Type, ...]:
    """The types in the published order, without those of LEFT_OUT."""

    def kind(name: str, op: str, arguments: dict[str, Any], note: str = "", **more: Any) -> Type:
        return Type(name, find(op), arguments, "reconstruction", note, **more)

    return (
        kind("additive_gaussian_noise", "gaussian_noise", {"std": at_psnr()}, "at the target PSNR"),
        kind("colour_noise", "ycbcr_noise", {"std": at_psnr(0.234), "chroma": 3.0, "range": "full"}, "at the target PSNR; three times stronger in chroma"),
        kind("spatially_correlated_noise", "spatially_correlated_noise", {"std": at_psnr()}, "3x3 mean of white noise"),
        kind("masked_noise", "masked_noise", {"std": at_psnr(2.0)}, "weighted by local activity"),
        kind("high_frequency_noise", "high_frequency_noise", {"std": at_psnr()}, "white noise less its local mean"),
        kind("impulse_noise", "impulse_noise", {"density": Levels(0.002, 0.005, 0.01, 0.05, 0.1), "salt": 0.5}, "RankIQA's levels and a milder one"),
        kind("quantization_noise", "otsu_quantization", {"thresholds": Levels(13, 9, 7, 5, 3)}, "RankIQA's levels and a milder one"),
        kind("gaussian_blur", "gaussian_blur", {"sigma": Levels(7 / 6, 15 / 6, 39 / 6, 91 / 6, 199 / 6), "cut": 2.97, "rule": "nearest"}, "RankIQA's and DBCNN's windows"),
        kind("image_denoising", "denoise_residue", {"std": at_psnr(1.5)}, "a linear filter"),
        kind("jpeg", "jpeg", {"quality": Levels(43, 12, 7, 4, 1)}, "RankIQA's and DBCNN's qualities"),
        kind("jpeg2000", "jpeg2000", JPEG2000, "at the target PSNR"),
        kind(
            "non_eccentricity_patches", "non_eccentricity_patches", {"count": Levels(30, 70, 150, 300, 400), "size": 15, "offset": 5, "source": "original", "shift": "diagonal"},
            "RankIQA's levels and a stronger one",
        ),
        kind("block_wise_distortions", "mean_blocks", {"count": Levels(2, 4, 8, 16, 32)}, "RankIQA's levels and a stronger one"),
        kind("mean_shift", "mean_shift", {"amount": Levels(*(v / 255 for v in (15, 30, 45, 60, 75)))}, "upwards only; RankIQA's levels and a stronger one"),
        kind("contrast_change", "contrast", {"factor": Levels(0.85, 0.7, 0.55, 0.4, 0.25)}, "about the mean, downwards only"),
        kind("saturation_change", "saturation_ycbcr", {"factor": Levels(0.7, 0.4, 0, -0.4, -0.8)}, "RankIQA's levels and a milder one"),
        kind("multiplicative_noise", "speckle_noise", {"std": Levels(0.03, 0.05, 0.09, 0.13, 0.2)}, "RankIQA's levels and a milder one"),
        kind(
            "compression_of_noisy_image", "jpeg2000", JPEG2000, "JPEG 2000 of an image with noise of 5 %",
            before=(find("gaussian_noise")(0.05),),
        ),
        kind("colour_quantization_with_dither", "palette", {"colours": Levels(64, 32, 16, 8, 4), "dither": "ordered"}, "ordered dither"),
        kind(
            "chromatic_aberration", "chromatic_aberration", {"shift": Levels(1, 5, 9, 13, 17), "green": Levels(0, 2 / 5, 4 / 9, 6 / 13, 8 / 17), "blue": 0.0, "sigma": 0.5},
            "RankIQA's levels and a stronger one",
        ),
    )  # fmt: skip


def tid2013(severity: str = "published", reference_size: int | None = None, **options: Any) -> Bank:
    """TID2013's types as a pipeline: one of 20 types per image, at one of five levels, all equally likely.

    The data set has no published generator; most of its levels were set to a PSNR of 33, 30, 27, 24 and 21 dB. Every type is a
    reconstruction, after RankIQA and DBCNN where those have it. JPEG and JPEG 2000 transmission errors, comfort noise and
    sparse sampling are left out.

    Args:
        severity: "published" levels, or "perceptual" ones, at which every type changes an image equally to the eye (median
            1 − MS-SSIM of .01, .03, .08, .18 and .35, as far as the type can go).
        reference_size: the short side, in pixels, for which lengths hold (TID2013 has 384); None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Source: Ponomarenko et al., 2015; Liu et al., ICCV 2017; Zhang et al., 2020.
    """
    return Bank("tid2013", by_severity(types(), severity), None, CITATION, reference_size, **options)
