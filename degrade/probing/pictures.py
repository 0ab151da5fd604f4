"""The images of a probe: read from wherever data sets lie, and cut out of their middles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from degrade.datasets.decode import MOST_PIXELS, Decoder
from degrade.datasets.job import sample_id
from degrade.datasets.sources import SUFFIXES, entries
from degrade.distributions import Array

from .detection import FEWEST


class Pictures(NamedTuple):
    """What was read.

    images   (n, 3, size, size) uint8
    keys     of each, its name among the sources
    skipped  names of those that were looked at and left out, and why
    """

    images: torch.Tensor
    keys: list[str]
    skipped: list[tuple[str, str]]


def read(sources: Sequence[str | os.PathLike[str]] | str | os.PathLike[str], size: int, count: int) -> Pictures:
    """The middles of images.

    Of more than `count` images those are taken that come first by a hash of their names: a mixture of all, and the same whenever it is asked for.
    Nothing is scaled, for that would be a degradation.

    Args:
        sources: images, folders, globs, `.tar` and `.parquet` files, saved Hugging Face data sets, as for `datasets.generate`.
        size: side of the squares in pixels. Smaller images are skipped.
        count: how many at most.

    Raises:
        ValueError: sources that are nothing, or fewer than 4 images that can be used, naming one that cannot.
    """
    found, refused = entries([sources] if isinstance(sources, (str, os.PathLike)) else sources)
    skipped = list(refused)
    decode, images, keys = Decoder("srgb", "white", MOST_PIXELS), list[Array](), list[str]()
    seen: dict[bytes, str] = {}
    for entry in sorted(found, key=lambda one: sample_id(one.key, 0)):
        if len(images) == count:
            break
        try:
            image = middle(decode(entry.read()).pixels, size)
        except (ValueError, OSError) as error:
            skipped.append((entry.key, str(error)))
            continue
        if (data := image.tobytes()) in seen:
            skipped.append((entry.key, f"it equals {seen[data]!r}"))
            continue
        seen[data] = entry.key
        images.append(image)
        keys.append(entry.key)
    if len(images) < FEWEST:
        why = f"; {skipped[0][0]!r} was skipped: {skipped[0][1]}" if skipped else f"; images are files that end in {', '.join(SUFFIXES)}"
        raise ValueError(f"the sources hold {len(images)} images that can be used{why}; accepted: at least {FEWEST} of {size}x{size} pixels or more.")
    return Pictures(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), keys, skipped)


def middle(image: Array, size: int) -> Any:
    """The square in the middle of an image h w 3.

    Raises:
        ValueError: if the image is smaller.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise ValueError(f"{width}x{height} pixels are less than {size}x{size}")
    top, left = (height - size) // 2, (width - size) // 2
    return np.ascontiguousarray(image[top : top + size, left : left + size])
