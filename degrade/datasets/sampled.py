"""Some results of a data set beside their sources: small pictures, what was done in words, and their structural similarity."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from degrade import draw, pictures
from degrade.distributions import Array
from degrade.draw import Note
from degrade.ops import find

from .decode import Decoder, _pillow
from .job import Job
from .write import read_file

COLUMNS = ("key", "variant", "id", "height", "width", "types", "severities", "levels", "areas", "params", "psnr", "file", "mask")
SIDE = 288  # of the longer side of a small picture, at most
QUALITY = 85  # of small pictures
WINDOW = 11  # pixels, of SSIM
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Seen:
    """A row with what was asked for of it. Pictures are data URIs; a file that cannot be read leaves none."""

    row: dict[str, Any]
    source: str = ""
    result: str = ""  # with the outline of its mask
    ssim: float | None = None


def look(out: Path, job: Job, rows: list[dict[str, Any]], shown: Collection[int], compared: Collection[int]) -> Iterator[Seen]:
    """Rows of a manifest with their pictures and similarities.

    Args:
        rows: with `COLUMNS`, in the manifest's order, in which containers are read fastest.
        shown, compared: ids of the rows of which pictures, and of which the SSIM, are made.
    """
    wanted = {row["key"] for row in rows}
    entries = {entry.key: entry for entry in job.entries if entry.key in wanted}
    files = Decoder(colour="raw", alpha="drop", most_pixels=job.decoder.most_pixels)
    for row in rows:
        if row["id"] not in shown and row["id"] not in compared:
            continue
        size = row["height"], row["width"]
        source = _pixels(lambda key=row["key"]: job.decoder(entries[key].read()), size)
        result = _pixels(lambda file=row["file"]: files(read_file(out, file)), size)
        similar = ssim(source, result) if row["id"] in compared and source is not None and result is not None else None
        before = after = ""
        if row["id"] in shown:
            mask = _pixels(lambda file=row["mask"]: files(read_file(out, file, "mask")), size) if row["mask"] else None
            before, after = data_uri(source), data_uri(result, mask)
        yield Seen(row, before, after, similar)


def _pixels(read: Any, size: tuple[int, int]) -> Array | None:
    """h w 3 uint8; None of what is gone, damaged, or of another size than it was."""
    try:
        pixels: Array = read().pixels
    except Exception:  # whatever a damaged container raises: the page is about the others too
        return None
    return pixels if pixels.shape[:2] == size else None


def measures_ssim() -> bool:
    """Whether scikit-image is installed, which is three times as fast here as `degrade.effect.ssim_map`."""
    return importlib.util.find_spec("skimage") is not None


def ssim(a: Array, b: Array) -> float | None:
    """The mean structural similarity of the luma of two images h w 3 uint8, with a Gaussian window of σ 1.5; None of images smaller than that."""
    if min(a.shape[:2]) < WINDOW:
        return None
    metrics = importlib.import_module("skimage.metrics")
    x, y = (v @ np.asarray(LUMA, dtype=np.float32) for v in (a, b))
    return float(metrics.structural_similarity(x, y, data_range=255.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False))


def data_uri(pixels: Array | None, mask: Array | None = None) -> str:
    """A small picture of an image h w 3 uint8, with the outline of a mask, as a WebP that a page can hold; "" of none."""
    if pixels is None:
        return ""
    by = SIDE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * by)), max(1, round(pixels.shape[0] * by)))
    kind = _pillow("Image")
    how = kind.Resampling.LANCZOS if by < 1 else kind.Resampling.NEAREST
    small = np.asarray(kind.fromarray(pixels).resize(size, how))
    if mask is not None:
        weight = np.asarray(kind.fromarray(mask[:, :, 0]).resize(size, kind.Resampling.BOX), dtype=np.float32) / 255
        small = pictures.outlined(small, weight[None], pictures.COLOURS[:1])
    file = io.BytesIO()
    kind.fromarray(small).save(file, "WEBP", quality=QUALITY, method=1)  # fast: pages are made after every run
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def words(row: dict[str, Any]) -> list[Note]:
    """What was done to a row, in order."""
    told = []
    for name, severity, level, area, given in zip(row["types"], row["severities"], row["levels"], row["areas"], json.loads(row["params"])):
        known = find(name).parameters
        parts = [f"{key.replace('_', ' ')} {draw._value(value, key, known[key].unit)}" for key, value in given.items()]
        parts += [f"severity {severity:.2f}", *([] if level is None else [f"level {level:.3g}"])]
        where = "whole frame" if area == 1 else f"{draw._percent(area)} of the frame"
        told.append(Note(name.replace("_", " "), where, tuple(parts)))
    return told or [Note("nothing", "left as it is")]
