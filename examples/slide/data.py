"""Photographs as crops, and crops as a degraded batch. What a sample is depends on its number alone, not on workers, processes or where a run was cut.

Samples are numbered through the whole training: number p is the (p mod n)-th photograph of the permutation of epoch p // n. Two crops are cut
of it. Number and seed draw everything: the crops, their flips, and, as sample id, the degradation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from degrade import Pipeline, banks
from degrade.datasets.decode import Decoder
from degrade.datasets.sources import Entry, entries
from degrade.labels import Labels

DEGRADATIONS = ("local", "whole", "arniqa")
Request = tuple[int, int]  # a sample's number, and that of the program of its second crop


def pipeline(degradations: str, seed: int, k: int = 3) -> Pipeline:
    """The degradations of a training: "local" is `banks.slide`, "whole" the same types, levels and counts on whole frames, "arniqa" ARNIQA's.

    Raises:
        ValueError: another name.
    """
    if degradations not in DEGRADATIONS:
        raise ValueError(f"degradations={degradations!r} is not accepted; accepted: {', '.join(DEGRADATIONS)}.")
    if degradations == "arniqa":
        return banks.arniqa(seed=seed)
    return banks.slide(k=k, seed=seed) if degradations == "local" else banks.slide(k=k, whole=1.0, seed=seed)


class Photographs:
    """All images under some folders, decoded when first asked for and kept while they fit.

    Args:
        sources: as `degrade generate` takes them: folders, files, globs, tar, Parquet.
        size: side of the crops, in pixels.
        short_side: reduce larger images to this short side first; None leaves them.
        keep: bytes of decoded images that are kept in memory.

    Raises:
        ValueError: no image, or one that is smaller than the crop, when it is read.
    """

    def __init__(self, sources: Sequence[str], size: int, short_side: int | None = None, keep: int = 4 << 30) -> None:
        if short_side is not None and short_side < size:
            raise ValueError(f"short_side={short_side} is smaller than the crops of {size} pixels; accepted: {size} or more, or None.")
        self.found, refused = entries(sources)
        if not self.found:
            raise ValueError(
                f"images={list(sources)} holds no image{f' ({refused[0][1]})' if refused else ''}; accepted: a folder with at least one."
            )
        self.size, self.short_side, self.keep, self.kept = size, short_side, keep, 0
        self.pixels: dict[int, Tensor] = {}
        self.decoder = Decoder()

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> Tensor:
        """3 h w uint8."""
        if index in self.pixels:
            return self.pixels[index]
        image = self._decoded(self.found[index])
        if self.kept + image.numel() <= self.keep:
            self.pixels[index] = image
            self.kept += image.numel()
        return image

    def _decoded(self, entry: Entry) -> Tensor:
        try:
            pixels = self.decoder(entry.read()).pixels
        except ValueError as error:
            raise ValueError(f"image {entry.key!r} cannot be used: {error}; accepted: image files that Pillow reads.") from None
        if min(pixels.shape[:2]) < self.size:
            height, width = pixels.shape[:2]
            raise ValueError(
                f"image {entry.key!r} is {width}x{height} pixels, smaller than the crops of {self.size}; accepted: a smaller --size, or larger images."
            )
        if self.short_side is not None and min(pixels.shape[:2]) > self.short_side:
            from PIL import Image

            factor = self.short_side / min(pixels.shape[:2])
            height, width = (max(self.short_side, round(v * factor)) for v in pixels.shape[:2])
            pixels = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
        return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()


class Crops(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Two crops of a photograph, 2 3 size size uint8, with the sample's number and those of the crops' programs."""

    def __init__(self, photographs: Photographs, seed: int) -> None:
        self.photographs, self.seed, self.size = photographs, seed, photographs.size
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def __getitem__(self, request: Request) -> tuple[Tensor, Tensor, Tensor]:
        number, other = request
        image = self.photographs[self.photograph(number)]
        draws = np.random.default_rng((self.seed, 1, number))
        crops = []
        for _ in range(2):
            top, left = (int(draws.integers(extent - self.size + 1)) for extent in image.shape[1:])
            crop = image[:, top : top + self.size, left : left + self.size]
            crops.append(crop.flip(2) if draws.integers(2) else crop)
        return torch.stack(crops), torch.tensor(number), torch.tensor([number, other])

    def photograph(self, number: int) -> int:
        """Which photograph a sample is of."""
        epoch, at = divmod(number, len(self.photographs))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.photographs))
        return int(self._order[at])


class Steps(Sampler[list[Request]]):
    """The samples of each step from `start` to before `stop`, of which this process takes its part.

    With `swap` the second crop of a sample gets the program of the sample before it in the batch: each program is on two photographs, and each
    photograph has two programs, so that content tells nothing. Otherwise both crops of a photograph get one program.
    """

    def __init__(self, start: int, stop: int, batch: int, swap: bool, rank: int = 0, world: int = 1) -> None:
        self.start, self.stop, self.batch, self.swap, self.rank, self.world = start, stop, batch, swap, rank, world

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Request]]:
        own = self.batch // self.world
        for step in range(self.start, self.stop):
            numbers = range(step * self.batch, (step + 1) * self.batch)
            requests = [(p, numbers[(i - 1) % self.batch] if self.swap else p) for i, p in enumerate(numbers)]
            yield requests[self.rank * own : (self.rank + 1) * own]


def loader(crops: Crops, steps: Steps, workers: int = 0, pinned: bool = False) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
    """Batches (crops b 2 3 h w uint8, numbers (b,), programs (b, 2)) of each step."""
    return DataLoader(
        crops, batch_sampler=steps, num_workers=workers, pin_memory=pinned, generator=torch.Generator()
    )  # of its own: global random numbers stay as they were


class Batch(NamedTuple):
    """x: (2·b) 3 h w uint8, the first crops, then the second; programs: (2·b,) int64; labels: of each program once; of: (2·b,) whose row each has."""

    x: Tensor
    programs: Tensor
    labels: Labels
    of: Tensor


def degrade_batch(pipe: Pipeline, crops: Tensor, numbers: Tensor, programs: Tensor) -> Batch:
    """Degrade the crops of a loader's batch, on their device: programs are shared as they say, and noise is each crop's own."""
    x, drawn_with = crops.transpose(0, 1).flatten(0, 1), programs.T.flatten()
    y, labels = pipe(x, ids=torch.cat([2 * numbers, 2 * numbers + 1]), program_ids=drawn_with, labels=True)
    _, first, of = np.unique(drawn_with.numpy(), return_index=True, return_inverse=True)
    return Batch(y, drawn_with, labels[first], torch.from_numpy(of.reshape(-1)))
