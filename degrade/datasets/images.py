"""A data set that `generate` wrote, as a torch Dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from . import manifest
from .decode import Decoder
from .job import read_job
from .rebuild import source_of
from .write import read_file

FILES = Decoder(colour="raw", alpha="drop", most_pixels=1 << 62)  # our own, of whatever size was asked for


class DegradedImages(Dataset[Any]):
    """Degraded images with their masks and labels, from the files or made on the fly from the sources.

    An item is a dict: `image` 3 h w uint8, `mask` 1 h w uint8 (of the frame where nothing is masked: 255), `id`, `types`, `severities`, `levels`, `areas`
    (lists with an entry for each slot taken) and `row`, the manifest's; with `reference=True` also `reference`, the source 3 h w.

    Args:
        path: the folder that `generate` wrote, or its manifest.
        regenerate: make images from the sources, in place of reading the files.
        reference: also give the source of each.
    """

    def __init__(self, path: str | os.PathLike[str], regenerate: bool = False, reference: bool = False) -> None:
        self.root = Path(path) if Path(path).is_dir() else Path(path).parent
        self.job, self.rows = read_job(self.root), manifest.read(self.root / manifest.FILE)
        self.regenerate, self.reference = regenerate, reference
        self._pipelines = self.job.made() if regenerate else []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        out = {name: row[name] for name in ("id", "types", "severities", "levels", "areas")} | {"row": row}
        source = _tensor(source_of(self.job, row)) if self.regenerate or self.reference else None
        if self.reference:
            out["reference"] = source
        if self.regenerate:
            y, labels = self._pipelines[row["pipeline"]](source, ids=[row["id"]], labels=True)
            masks = (labels.masks.amax(1) * 255 + 0.5).to(torch.uint8) if row["mask"] else torch.full((1, *y.shape[1:]), 255, dtype=torch.uint8)
            return {**out, "image": y, "mask": masks}
        image = _tensor(FILES(read_file(self.root, row["file"])).pixels)
        if not row["mask"]:
            return {**out, "image": image, "mask": torch.full((1, *image.shape[1:]), 255, dtype=torch.uint8)}
        return {**out, "image": image, "mask": _tensor(FILES(read_file(self.root, row["mask"], "mask")).pixels)[:1]}


def _tensor(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()
