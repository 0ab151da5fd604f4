"""From pixels to files: the formats in which results are written. PNG unless asked: a lossy format degrades once more."""

from __future__ import annotations

import io

from degrade.distributions import Array
from degrade.errors import unknown

from .decode import _pillow

FORMATS = {"png": ".png", "jpg": ".jpg", "webp": ".webp"}
LOSSY = ("jpg",)
CONTAINERS = ("webdataset", "parquet")  # of PNG files
JPEG_QUALITY = 95


def check_format(name: str) -> str:
    """Raises: ValueError: an unknown one."""
    if name not in FORMATS and name not in CONTAINERS:
        raise ValueError(unknown("format", name, (*FORMATS, *CONTAINERS)))
    return name


def encode(pixels: Array, kind: str) -> bytes:
    """h w 3 or h w uint8 as a file: PNG and WebP without loss, JPEG at quality 95 without subsampling of colour."""
    image = _pillow("Image").fromarray(pixels)
    data = io.BytesIO()
    if kind == "jpg":
        image.save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    elif kind == "webp":
        image.save(data, "WEBP", lossless=True, quality=50, exact=True)
    else:
        image.save(data, "PNG", compress_level=3)
    return data.getvalue()
