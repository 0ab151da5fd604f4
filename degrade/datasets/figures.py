"""What a manifest comes to: counts and means, taken batch by batch, so that memory does not grow with the data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from degrade.distributions import Array

from . import manifest

BINS = 20  # of severities and areas, from 0 to 1
STEPS = 10  # of severity, along which PSNR is averaged
SAMPLE = 200  # rows that are looked at one by one
ROWS = 1 << 14  # that are held at a time
COLUMNS = ("codec", "jpeg_quality", "height", "width", "variant", "id", "types", "severities", "levels", "areas", "psnr")


class Curve:
    """Mean, least and most of a value along the severity, in `STEPS` steps."""

    def __init__(self) -> None:
        self.count, self.severity, self.total = np.zeros(STEPS, dtype=np.int64), np.zeros(STEPS), np.zeros(STEPS)
        self.least, self.most = np.full(STEPS, np.inf), np.full(STEPS, -np.inf)

    def add(self, severity: Array, value: Array) -> None:
        step = np.minimum((severity * STEPS).astype(np.int64), STEPS - 1)
        self.count += np.bincount(step, minlength=STEPS)
        self.severity += np.bincount(step, severity, minlength=STEPS)
        self.total += np.bincount(step, value, minlength=STEPS)
        np.minimum.at(self.least, step, value)
        np.maximum.at(self.most, step, value)

    def points(self) -> list[tuple[float, float, float, float]]:
        """The steps that hold values: mean severity; mean, least and most value."""
        at = np.flatnonzero(self.count)
        columns = self.severity[at] / self.count[at], self.total[at] / self.count[at], self.least[at], self.most[at]
        return list(zip(*(c.tolist() for c in columns)))


@dataclass
class Figures:
    """Counts of a manifest.

    images       rows
    sources      images that results were made of, and `codecs` and `qualities` (of 1 to 100, of JPEG files) count them
    slots        index n: rows in which n things were done
    types, levels  how often each was done; levels to two decimals
    severities, areas  histograms of `BINS` bins from 0 to 1
    alone, mixed   PSNR of each type in rows where it alone was done, and in those where others were too
    unchanged    rows that are equal to their source, of which there is no PSNR
    smallest, largest  (height, width) of the fewest and of the most pixels
    sample       (id, row) of up to `SAMPLE` rows, those of the smallest ids: ids are hashes of names, so this is a random choice, always the same
    """

    images: int = 0
    sources: int = 0
    codecs: Counter[str] = field(default_factory=Counter)
    qualities: Array = field(default_factory=lambda: np.zeros(101, dtype=np.int64))
    slots: Array = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    types: Counter[str] = field(default_factory=Counter)
    levels: Counter[float] = field(default_factory=Counter)
    severities: Array = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    areas: Array = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    alone: dict[str, Curve] = field(default_factory=dict)
    mixed: dict[str, Curve] = field(default_factory=dict)
    unchanged: int = 0
    smallest: tuple[int, int] = (0, 0)
    largest: tuple[int, int] = (0, 0)
    sample: Array = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def add(self, batch: Any, first: str) -> None:
        """Count the rows of a batch of `COLUMNS`; first: the variant by which sources are counted."""
        if not len(batch):
            return
        ids = np.stack([_plain(batch.column("id")), self.images + np.arange(len(batch))], 1)
        both = np.concatenate([self.sample, ids])
        self.sample = both[np.argsort(both[:, 0], kind="stable")[:SAMPLE]]
        self.images += len(batch)
        self._sources(batch, first)
        size = np.stack([_plain(batch.column("height")), _plain(batch.column("width"))], 1)
        order = np.argsort(size.prod(1))
        sizes = [size[order[0]], size[order[-1]], *([self.smallest, self.largest] if any(self.smallest) else [])]
        by_pixels = sorted(((int(h), int(w)) for h, w in sizes), key=lambda s: s[0] * s[1])
        self.smallest, self.largest = by_pixels[0], by_pixels[-1]
        self._slots(batch)

    def _sources(self, batch: Any, first: str) -> None:
        own = batch.filter(manifest.arrow("pyarrow.compute").equal(batch.column("variant"), first))
        self.sources += len(own)
        self.codecs.update(own.column("codec").to_pylist())
        self.qualities += np.bincount(_plain(own.column("jpeg_quality").drop_null()), minlength=101)

    def _slots(self, batch: Any) -> None:
        lengths, psnr = _plain(batch.column("types").value_lengths()), _real(batch.column("psnr"))
        self.unchanged += int(np.isnan(psnr).sum())
        counts = np.bincount(lengths, minlength=len(self.slots))
        counts[: len(self.slots)] += self.slots
        self.slots = counts
        severity, area, level = (_real(batch.column(name).flatten()) for name in ("severities", "areas", "levels"))
        self.severities += np.histogram(severity, BINS, (0, 1))[0]
        self.areas += np.histogram(area.clip(0, 1), BINS, (0, 1))[0]
        self.levels.update(np.round(level[~np.isnan(level)], 2).tolist())
        kinds = batch.column("types").flatten().dictionary_encode()
        codes, psnr, alone = _plain(kinds.indices), psnr.repeat(lengths), (lengths == 1).repeat(lengths)
        for code, name in enumerate(kinds.dictionary.to_pylist()):
            own = codes == code
            self.types[name] += int(own.sum())
            for curves, where in ((self.alone, alone), (self.mixed, ~alone)):
                if (here := own & where & ~np.isnan(psnr)).any():
                    curves.setdefault(name, Curve()).add(severity[here], psnr[here])


def _plain(values: Any, kind: str = "int64") -> Array:
    """An Arrow array of numbers, none of which is missing."""
    array: Array = values.cast(kind).to_numpy(zero_copy_only=False)
    return array


def _real(values: Any) -> Array:
    """An Arrow array of numbers, NaN where there is none."""
    return _plain(values.cast("float64").fill_null(float("nan")), "float64")


def figures(path: Path, first: str = "") -> Figures:
    """The figures of a manifest.

    Args:
        path: of the manifest.
        first: the variant by which sources are counted: any of those that each source has.

    Raises:
        OSError: if it cannot be read.
    """
    made = Figures()
    with manifest.arrow("pyarrow.parquet").ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=list(COLUMNS)):
            made.add(batch, first)
    return made


def rows_at(path: Path, numbers: Array, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Some rows of a manifest, in the order of the manifest; row groups that hold none of them are not read."""
    out: list[dict[str, Any]] = []
    begin, wanted = 0, np.sort(numbers)
    with manifest.arrow("pyarrow.parquet").ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            end = begin + file.metadata.row_group(group).num_rows
            own = wanted[(wanted >= begin) & (wanted < end)]
            if len(own):
                out += file.read_row_group(group, columns=list(columns)).take((own - begin).tolist()).to_pylist()
            begin = end
    return out
