"""KADID-10k: the types of which the ops exist, at the five published levels, one type per image.

Lin, Hosu, Saupe, "KADID-10k: A large-scale artificially distorted IQA database", QoMEX 2019.
"""

from __future__ import annotations

import math
from typing import Any

from degrade.distributions import Levels
from degrade.ops.blur.gaussian_blur import GaussianBlur
from degrade.ops.blur.motion_blur import MotionBlur
from degrade.ops.brightness.contrast import Contrast
from degrade.ops.brightness.mean_shift import MeanShift
from degrade.ops.colour.saturation_hsv import SaturationHsv
from degrade.ops.compression.jpeg import Jpeg
from degrade.ops.noise.gaussian_noise import GaussianNoise
from degrade.ops.noise.impulse_noise import ImpulseNoise

from .base import Bank, Type


def _slope(amount: float) -> float:
    """The slope at mid-grey of KADID's contrast curve: the cubic through (.3, .25 − a/4), (.5, .5), (.7, .75 + a/4)."""
    return 1 + (0.05 + amount / 4) / 0.042 / 4


TYPES = (
    Type(1, "Gaussian blur", GaussianBlur, {"sigma": Levels(0.1, 0.5, 1, 2, 5)}, "tolerance", "level 1 is the identity"),
    Type(3, "motion blur", MotionBlur, {"length": Levels(1, 2, 4, 6, 10)}, "tolerance", "level 1 is the identity"),
    Type(7, "colour saturation 1", SaturationHsv, {"factor": Levels(0.4, 0.2, 0.1, 0, -0.4)}, "tolerance"),
    Type(10, "JPEG", Jpeg, {"quality": Levels(43, 36, 24, 7, 4)}, "bit-equal"),
    Type(11, "white noise", GaussianNoise, {"std": Levels(*(math.sqrt(v) for v in (0.001, 0.002, 0.003, 0.005, 0.01)))}, "statistical"),
    Type(13, "impulse noise", ImpulseNoise, {"density": Levels(0.001, 0.005, 0.01, 0.02, 0.03)}, "statistical"),
    Type(18, "mean shift", MeanShift, {"amount": Levels(0.15, 0.08, 0, -0.08, -0.15)}, "tolerance", "level 3 is the identity"),
    Type(
        25,
        "contrast change",
        Contrast,
        {"factor": Levels(*(_slope(a) for a in (0.3, 0.15, 0, -0.4, -0.6)))},
        "reconstruction",
        "the published cubic curve about mid-grey, replaced by its slope there, about the image mean",
    ),
)


def kadid10k(**options: Any) -> Bank:
    """KADID-10k as a pipeline; options are `seed`, `backend` and `check`."""
    return Bank("kadid10k", TYPES, **options)
