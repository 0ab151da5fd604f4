"""From a file's bytes to RGB: upright, in sRGB, with alpha treated as asked, and with what is known of how the file was made."""

from __future__ import annotations

import importlib
import io
import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from degrade.distributions import Array
from degrade.errors import unknown
from degrade.kernels.codec import quantisation_tables

COLOURS = ("srgb", "raw")
ALPHAS = ("white", "black", "drop")
MOST_PIXELS = 100_000_000


class Unwanted(ValueError):
    """A file that is sound, and was asked to be left out."""


class Decoded(NamedTuple):
    """An image and where it comes from."""

    pixels: Array  # h w 3 uint8
    codec: str  # JPEG, PNG, …
    quality: int | None  # of a JPEG, as estimated from its tables


class Decoder(NamedTuple):
    """How files are read.

    Args:
        colour: "srgb" converts by the file's ICC profile, if it has one; "raw" takes the values as they stand.
        alpha: what shows through: "white" or "black" paper, or "drop" takes the colours without their alpha.
        most_pixels: larger images are refused before they are decoded.
        min_quality: JPEG files whose estimated quality is lower are refused.
    """

    colour: str = "srgb"
    alpha: str = "white"
    most_pixels: int = MOST_PIXELS
    min_quality: int = 0

    def check(self) -> Decoder:
        """Raises: ValueError: an unknown choice or a number out of range."""
        for name, value, accepted in (("color", self.colour, COLOURS), ("alpha", self.alpha, ALPHAS)):
            if value not in accepted:
                raise ValueError(unknown(name, value, accepted))
        if self.most_pixels < 1:
            raise ValueError(f"max_pixels={self.most_pixels} is not positive; accepted: a number of pixels.")
        if not 0 <= self.min_quality <= 100:
            raise ValueError(f"min_quality={self.min_quality} is out of range; accepted: 0 to 100.")
        return self

    def __call__(self, data: bytes) -> Decoded:
        """Decode a file.

        Raises:
            Unwanted: if it was asked to be left out. ValueError: saying what is wrong with it.
        """
        image_module = _pillow("Image")
        if not data:
            raise ValueError("the file is empty")
        try:
            with image_module.open(io.BytesIO(data)) as file:
                codec, (width, height) = file.format or "unknown", file.size
                if width * height > self.most_pixels:
                    raise ValueError(f"{width}x{height} pixels are more than --max-pixels {self.most_pixels}")
                quality = estimated_quality(file)
                if quality is not None and quality < self.min_quality:
                    raise Unwanted(f"JPEG quality {quality} is below --min-quality {self.min_quality}")
                file.load()
                pixels = np.asarray(self._rgb(_upright(file)))
        except image_module.DecompressionBombError as error:  # on the header alone, like our own limit
            raise ValueError(f"Pillow refuses it as a decompression bomb: {error}") from None
        except image_module.UnidentifiedImageError:
            raise ValueError("no image that Pillow knows") from None
        except (ValueError, ImportError):
            raise
        except Exception as error:  # whatever a damaged file makes a codec raise: one file must not end a run
            raise ValueError(f"damaged: {error or type(error).__name__}") from None
        return Decoded(pixels, codec, quality)

    def _rgb(self, image: Any) -> Any:
        image_module = _pillow("Image")
        profile = image.info.get("icc_profile") if self.colour == "srgb" else None
        if image.mode.startswith("I;16") or image.mode == "I":
            values = np.asarray(image).astype(np.int64)
            if values.min() < 0 or values.max() > 65535:
                raise ValueError("its values are beyond 16 bits")
            return image_module.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
        if image.mode == "F":
            raise ValueError("its values are floating-point numbers of no known range")
        alpha, grey = None, image.mode in ("L", "LA")
        if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
            image = image.convert("RGBA")
            alpha = image.getchannel("A")
            image = image.convert("RGB")
        elif image.mode in ("P", "1", "L"):
            image = image.convert("RGB")
        image = _in_srgb(image, profile, grey).convert("RGB")
        if alpha is None or self.alpha == "drop":
            return image
        return image_module.composite(image, image_module.new("RGB", image.size, self.alpha), alpha)


def _upright(image: Any) -> Any:
    """By its EXIF orientation; EXIF data that cannot be read are as none."""
    try:
        return _pillow("ImageOps").exif_transpose(image)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return image


def _in_srgb(image: Any, profile: bytes | None, grey: bool) -> Any:
    """By its profile, where that is one of the image's own colour space, grey or not; a profile that cannot be read is as none."""
    if not profile:
        return image
    cms = _pillow("ImageCms")
    try:
        own = cms.ImageCmsProfile(io.BytesIO(profile))
        image = image.getchannel(0) if grey and own.profile.xcolor_space.strip() == "GRAY" else image
        return cms.profileToProfile(image, own, cms.createProfile("sRGB"), outputMode="RGB")
    except (cms.PyCMSError, OSError, ValueError):
        return image


def estimated_quality(file: Any) -> int | None:
    """The quality at which libjpeg's tables come nearest to those of a JPEG file; None for other files."""
    tables = getattr(file, "quantization", None)
    if not tables or file.format not in ("JPEG", "MPO"):
        return None
    own = np.sort(np.array(tables[min(tables)], dtype=np.float64))  # sorted: libraries differ in the order of entries
    return int(np.abs(_standard() - own).sum(1).argmin()) + 1


@cache
def _standard() -> Array:
    """The sorted luma tables of qualities 1 to 100."""
    steps: Array = quantisation_tables(np.arange(1, 101))[:, :64].astype(np.float64)
    return np.sort(steps, axis=1)


def _pillow(name: str) -> Any:
    try:
        return importlib.import_module(f"PIL.{name}")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("reading and writing images needs Pillow, which is not installed: pip install 'degrade[datasets]'.") from None
