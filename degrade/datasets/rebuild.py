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
from .job import Job, read_job


def rebuild(path: str | os.PathLike[str], row: int) -> bytes:
    """The bytes of the file of a row, made anew.

    Args:
        path: the manifest, in the folder that `generate` wrote, or that folder.
        row: from 0.

    Raises:
        ValueError: a row that is not there, a source that has changed, or another result than the manifest's.
    """
    root = Path(path) if Path(path).is_dir() else Path(path).parent
    rows = manifest.read(root / manifest.FILE)
    if not 0 <= row < len(rows):
        raise ValueError(f"row {row} is not in the manifest; accepted: 0 to {len(rows) - 1}.")
    job = read_job(root)
    data = encode(degraded(job, rows[row]), job.format)
    if hashlib.sha256(data).hexdigest() != rows[row]["sha256"]:
        raise ValueError(f"row {row} comes out otherwise than {rows[row]['file']!r} was; accepted: the source as it was, and the same release.")
    return data


def source_of(job: Job, row: dict[str, Any]) -> Array:
    """The source of a row, h w 3 uint8."""
    entry = next((e for e in job.entries if e.key == row["key"]), None)
    if entry is None:
        raise ValueError(f"the job knows no image {row['key']!r}.")
    return job.decoder(entry.read()).pixels


def degraded(job: Job, row: dict[str, Any]) -> Array:
    """The result of a row, h w 3 uint8."""
    pixels = torch.from_numpy(source_of(job, row).copy()).permute(2, 0, 1).contiguous()
    y: torch.Tensor = job.made()[row["pipeline"]](pixels, ids=[row["id"]])
    return y.permute(1, 2, 0).contiguous().numpy()
