"""`imagecorruptions`: `corrupt` and `get_corruption_names`, over `degrade.banks.imagenet_c`.

A corruption's randomness hangs on one id, drawn from NumPy's generator where none is given, which is what callers of that package seed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from degrade import banks
from degrade.errors import unknown
from degrade.pipeline import Pipeline

Image = np.ndarray[Any, Any]

NAMES = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise", "gaussian_blur", "spatter", "saturate",
)  # fmt: skip
SUBSETS = {
    "common": NAMES[:15],
    "validation": NAMES[15:],
    "all": NAMES,
    "noise": NAMES[:3],
    "blur": NAMES[3:7],
    "weather": NAMES[7:11],
    "digital": NAMES[11:15],
}
SMALLEST = 32  # pixels a side


def corrupt(image: Image, severity: int = 1, corruption_name: str | None = None, corruption_number: int = -1, *, ids: Any = None) -> Image:
    """A corrupted copy of an image.

    Args:
        image: h w 3, h w 1 or h w, uint8, at least 32 pixels a side.
        severity: 1 to 5.
        corruption_name: one of `get_corruption_names("all")`; goes before corruption_number.
        corruption_number: its place in that list, 0 to 18.
        ids: the sample's id, in place of one from NumPy's generator: equal ids, equal noise.

    Returns:
        h w 3 uint8; of a grey image all three channels.

    Raises:
        AttributeError: an image or a severity that is not accepted; KeyError: an unknown name; IndexError: a number out of range; ValueError:
            neither name nor number. The kinds are that package's.
    """
    rgb = _checked(image)
    if severity not in range(1, 6):
        raise AttributeError(f"severity={severity!r} is out of range; accepted: whole numbers from 1 to 5.")
    x = torch.from_numpy(np.array(rgb.transpose(2, 0, 1), order="C"))
    own = [np.random.randint(1 << 62, dtype=np.int64)] if ids is None else ids
    y: Image = _pipeline(_name(corruption_name, corruption_number), int(severity))(x, ids=own).numpy()
    return np.ascontiguousarray(y.transpose(1, 2, 0))


def get_corruption_names(subset: str = "common") -> list[str]:
    """The corruptions of a subset: "common" (15), "validation" (4 held out), "all", "noise", "blur", "weather" or "digital".

    Raises:
        ValueError: an unknown subset.
    """
    if subset not in SUBSETS:
        raise ValueError(unknown("subset", subset, SUBSETS))
    return list(SUBSETS[subset])


@lru_cache(maxsize=128)
def _pipeline(name: str, severity: int) -> Pipeline:
    return banks.imagenet_c().single(name, severity)


def _name(name: str | None, number: int) -> str:
    if name is not None:
        if name not in NAMES:
            raise KeyError(unknown("corruption_name", name, NAMES))
        return name
    if number == -1:
        raise ValueError("neither corruption_name nor corruption_number was given; accepted: one of them.")
    if not 0 <= number < len(NAMES):
        raise IndexError(f"corruption_number={number!r} is out of range; accepted: whole numbers from 0 to {len(NAMES) - 1}.")
    return NAMES[number]


def _checked(image: Image) -> Image:
    """The image as h w 3."""
    if not isinstance(image, np.ndarray):
        raise AttributeError(f"image is a {type(image).__name__}; accepted: a NumPy array h w 3, h w 1 or h w of uint8.")
    if image.dtype != np.uint8:
        raise AttributeError(f"image has dtype {image.dtype}; accepted: uint8.")
    rgb = image[..., None] if image.ndim == 2 else image
    if rgb.ndim != 3 or rgb.shape[2] not in (1, 3):
        raise AttributeError(f"image has shape {image.shape}; accepted: h w 3, h w 1 or h w.")
    if min(rgb.shape[:2]) < SMALLEST:
        raise AttributeError(f"image has {rgb.shape[0]}x{rgb.shape[1]} pixels; accepted: at least {SMALLEST} a side.")
    return np.broadcast_to(rgb, (*rgb.shape[:2], 3))
