"""One shard of a job: decoded by threads, degraded in batches of one size, written by threads, and committed by its part of the manifest.

Pillow's codecs, zlib and the kernels all let other threads run, so one process keeps the cores of a machine busy. What is held at a time is
bounded, whatever the number of images: `HELD` pixels that wait for others of their size, as many whose results are being written, and, decoded
ahead, two images for each worker.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.labels import Labels
from degrade.pipeline import Pipeline
from degrade.program import Program
from degrade.stream import STREAM

from . import manifest
from .decode import Decoded, Unwanted
from .encode import encode
from .job import Job, Variant, sample_id
from .tiles import LARGE, surroundings, tiled
from .write import WRITERS, Made

HELD = 24_000_000  # pixels of decoded images that wait for others of their size
BATCH = 4_000_000  # pixels that are degraded at once
STRIP = 16_000_000  # weights of masks that are rendered at once


@dataclass
class Done:
    """What a shard came to."""

    shard: int
    images: int = 0  # written
    errors: int = 0
    skipped: int = 0  # as asked


@dataclass
class Waiting:
    """Decoded images of one size."""

    entries: list[int] = field(default_factory=list)
    images: list[Decoded] = field(default_factory=list)


class Shard:
    """The work on one shard."""

    def __init__(self, job: Job, number: int, out: Path, pipelines: list[Pipeline], workers: int, device: str) -> None:
        self.job, self.number, self.out, self.pipelines, self.device = job, number, out, pipelines, device
        self.workers = workers
        self.rows: dict[tuple[int, int], dict[str, Any]] = {}
        self.errors: list[dict[str, Any]] = []
        self.written: deque[tuple[int, int, int, Future[Made]]] = deque()
        self.writer = WRITERS[job.format](out, number, job.format)

    def run(self, progress: Callable[[int, int], None] = lambda images, errors: None) -> Done:
        """Do it all. progress: called with how many images were written and how many entries failed since the last time."""
        self.progress = progress
        with ThreadPoolExecutor(self.workers) as self.pool:
            waiting: dict[tuple[int, ...], Waiting] = {}
            for entry, decoded in self._decoded():
                own = waiting.setdefault(decoded.pixels.shape, Waiting())
                own.entries.append(entry)
                own.images.append(decoded)
                if len(own.images) * decoded.pixels.shape[0] * decoded.pixels.shape[1] * len(self.job.variants) >= BATCH:
                    self._flush(waiting.pop(decoded.pixels.shape))
                elif sum(len(w.images) * shape[0] * shape[1] for shape, w in waiting.items()) > HELD:
                    self._flush(waiting.pop(max(waiting, key=lambda shape: len(waiting[shape].images) * shape[0] * shape[1])))
            for own in waiting.values():
                self._flush(own)
            self._settle(0)
        return self._commit()

    def _decoded(self) -> Iterator[tuple[int, Decoded]]:
        """The entries that can be read, in order, a few of them ahead."""
        ahead: deque[tuple[int, Future[Decoded]]] = deque()
        for number in (*self.job.shard(self.number), None):
            if number is not None:
                ahead.append((number, self.pool.submit(self._load, number)))
            while ahead and (number is None or len(ahead) > 2 * self.workers):
                entry, future = ahead.popleft()
                try:
                    yield entry, future.result()
                except (ValueError, OSError) as error:
                    self._refuse(entry, error)

    def _load(self, entry: int) -> Decoded:
        return self.job.decoder(self.job.entries[entry].read())

    def _refuse(self, entry: int, error: Exception) -> None:
        what, asked = self.job.entries[entry], isinstance(error, Unwanted)
        if self.job.strict and not asked:
            raise ValueError(f"{what.path!r} ({what.key}): {error}")
        reason = getattr(error, "strerror", None) or str(error)
        self.errors.append({"key": what.key, "source": what.path, "kind": "skipped" if asked else "error", "reason": reason})
        self.progress(0, not asked)

    # ---- degrading -------------------------------------------------------------------------------------------------------

    def _flush(self, waiting: Waiting) -> None:
        """All variants of the images, in batches; each by all images that its pipeline does."""
        height, width, _ = waiting.images[0].pixels.shape
        most = max(1, BATCH // (height * width))
        pairs: dict[int, list[tuple[int, Variant, str]]] = {}
        for at, entry in enumerate(waiting.entries):
            for variant, name in self.job.outputs(entry):
                pairs.setdefault(variant.pipeline, []).append((at, variant, name))
        for pipeline, own in pairs.items():
            for begin in range(0, len(own), most):
                self._degrade(self.pipelines[pipeline], waiting, own[begin : begin + most])

    def _degrade(self, pipe: Pipeline, waiting: Waiting, wanted: list[tuple[int, Variant, str]]) -> None:
        pixels = np.stack([waiting.images[at].pixels for at, _, _ in wanted])
        ids = [sample_id(self.job.entries[waiting.entries[at]].key, variant.number) for at, variant, _ in wanted]
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        program = pipe.sample(ids, (x.shape[2], x.shape[3]))
        y, labels = degraded(pipe, program, x.to(self.device), ids)
        results, columns = y.permute(0, 2, 3, 1).contiguous().cpu().numpy(), manifest.told(labels)
        masks = covered(labels).numpy() if program.family.size else None
        for i, (at, variant, name) in enumerate(wanted):
            entry, source = waiting.entries[at], waiting.images[at]
            what = self.job.entries[entry]
            row = {
                "key": what.key, "source": what.path, "codec": source.codec, "jpeg_quality": source.quality,
                "height": x.shape[2], "width": x.shape[3], "variant": variant.name, "pipeline": variant.pipeline, "id": ids[i], "seed": pipe.seed,
                "stream": STREAM, **columns[i],
            }  # fmt: skip
            self._write(entry, variant, name, row, source.pixels, results[i], None if masks is None else masks[i], program.select([i]))

    def _write(
        self, entry: int, variant: Variant, name: str, row: dict[str, Any], source: Array, result: Array, mask: Array | None, one: Any
    ) -> None:
        self._settle(HELD)

        def work() -> Made:
            made = Made(row, name, encode(result, self.job.format), None if mask is None else encode(mask, "png"))
            row.update(program=json.dumps(one.to_dict(), separators=(",", ":")), psnr=manifest.psnr(source, result), sha256=_hash(made.image))
            if made.mask is not None:
                row.update(coverage=float(mask.mean() / 255), mask_sha256=_hash(made.mask))  # type: ignore[union-attr]
            self.writer.early(made)
            return made

        self.written.append((entry, variant.number, source.size // 3, self.pool.submit(work)))

    def _settle(self, held: int) -> None:
        """Wait until the results that are still being written have at most so many pixels. A batch is degraded while the last one is written."""
        while sum(size for _, _, size, _ in self.written) > held:
            entry, variant, _, future = self.written.popleft()
            made = future.result()
            self.writer.add(made)
            self.rows[entry, variant] = made.row
            self.progress(1, 0)

    def _commit(self) -> Done:
        """The shard is done when its part of the manifest has its name."""
        self.writer.close()
        manifest.write(part_of(self.out, self.number, "errors"), sorted(self.errors, key=lambda e: e["key"]), manifest.error_schema())
        manifest.write(part_of(self.out, self.number), [self.rows[at] for at in sorted(self.rows)], manifest.schema())
        skipped = sum(error["kind"] == "skipped" for error in self.errors)
        return Done(self.number, len(self.rows), len(self.errors) - skipped, skipped)


def degraded(pipe: Pipeline, program: Program, x: torch.Tensor, ids: list[int]) -> tuple[torch.Tensor, Labels]:
    """The results for images b 3 h w and what was done; large ones go tile by tile where that gives the same."""
    if x.shape[2] * x.shape[3] > LARGE and surroundings(program) is not None:
        return tiled(program, x), Labels(program, ids=np.array(ids))
    y, labels = pipe(x, ids=ids, labels=True)
    return y, labels


def covered(labels: Labels) -> torch.Tensor:
    """The largest weight of any slot at every pixel, as b h w uint8 on the CPU. Of large frames strip by strip: a slot takes four bytes a pixel."""
    height, width = labels.program.size
    rows = max(1, STRIP // (len(labels) * max(1, labels.program.slots) * width))
    if rows >= height:
        return (labels.masks.amax(1) * 255 + 0.5).to(torch.uint8)  # which are there: areas are reckoned from them
    out = torch.empty((len(labels), height, width), dtype=torch.uint8)
    for top in range(0, height, rows):
        strip = labels.crop(top, 0, min(rows, height - top), width).masks.amax(1)
        out[:, top : top + rows] = (strip * 255 + 0.5).to(torch.uint8)
    return out


def part_of(out: Path, number: int, what: str = "rows") -> Path:
    return out / manifest.PARTS / f"{number:06d}.{what}.parquet"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
