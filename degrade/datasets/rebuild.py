"""Make one file of a data set again, from its source and the manifest alone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from degrade.distributions import Array

from . import manifest
from .encode import encode
from .job import Job, from_text, read_job


def rebuild(path: str | os.PathLike[str], row: int) -> bytes:
    """The bytes of the file of a row, made anew.

    Args:
        path: the manifest, in the folder that `generate` wrote, or that folder.
        row: from 0.

    Raises:
        ValueError: a row that is not there, a source that has changed, or another result than the manifest's.
    """
    root = Path(path) if Path(path).is_dir() else Path(path).parent
    job, rows = read_job(root), manifest.read(root / manifest.FILE)
    if not 0 <= row < len(rows):
        raise ValueError(f"row {row} is not in the manifest; accepted: {f'0 to {len(rows) - 1}' if rows else 'none, it has no rows'}.")
    data = encode(degraded(job, rows[row]), job.format)
    if hashlib.sha256(data).hexdigest() != rows[row]["sha256"]:
        raise ValueError(
            f"row {row} comes out otherwise than {rows[row]['file']!r} was: {rows[row]['source']!r} has changed, or the release is another; "
            "accepted: both as they were."
        )
    return data


def source_of(job: Job, row: dict[str, Any]) -> Array:
    """The source of a row, h w 3 uint8.

    Raises:
        ValueError: naming a source that cannot be read any more, or is of another size.
    """
    entry = job.by_key.get(row["key"])
    if entry is None:
        raise ValueError(f"the job knows no image {row['key']!r}; accepted: the manifest that was written with it.")
    try:
        pixels = job.decoder(entry.read()).pixels
    except (ValueError, OSError) as error:
        raise ValueError(f"source {entry.path!r} ({entry.key}) has changed: {getattr(error, 'strerror', None) or error}.") from None
    if pixels.shape[:2] != (row["height"], row["width"]):
        was, now = (f"{w}x{h}" for h, w in ((row["height"], row["width"]), pixels.shape[:2]))
        raise ValueError(f"source {entry.path!r} ({entry.key}) has changed: it was {was} pixels, and is {now}.")
    return pixels


def degraded(job: Job, row: dict[str, Any]) -> Array:
    """The result of a row, h w 3 uint8."""
    pixels = torch.from_numpy(source_of(job, row).copy()).permute(2, 0, 1).contiguous()
    y: torch.Tensor = from_text(job.pipelines[row["pipeline"]])(pixels, ids=[row["id"]])
    return y.permute(1, 2, 0).contiguous().numpy()
