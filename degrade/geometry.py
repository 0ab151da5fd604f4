"""Crops, flips and resizes, as labels follow them: what is seen of the frame for which a program was drawn.

Whatever the chain, it is a few windows, with numbers of its own for every sample. Rows and columns are each resampled by themselves: an
output pixel is the weighted mean of a few input pixels, summed in one order, so a sample never depends on its batch, and a weight of 1
everywhere stays 1.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from .distributions import Array
from .errors import unknown
from .inputs import check_size

INTERPOLATIONS = ("bilinear", "nearest")
Own = TypeVar("Own", bound="Followed")


@dataclass(frozen=True, eq=False)
class Axis:
    """The rows or the columns of a window, for b samples: of those before, which are taken, mirrored or not, and then resized or not."""

    start: Array  # (b,) int64
    length: Array  # (b,) int64
    mirrored: Array  # (b,) bool
    size: int  # equals the lengths where nothing is resized

    @classmethod
    def whole(cls, count: int, size: int) -> Axis:
        return cls(np.zeros(count, np.int64), np.full(count, size, np.int64), np.zeros(count, bool), size)

    @classmethod
    def join(cls, axes: Sequence[Axis]) -> Axis:
        start, length, mirrored = (np.concatenate([getattr(axis, name) for axis in axes]) for name in ("start", "length", "mirrored"))
        return cls(start, length, mirrored, axes[0].size)

    def select(self, rows: Array) -> Axis:
        return Axis(self.start[rows], self.length[rows], self.mirrored[rows], self.size)

    def part(self, start: Array, length: Array, size: int) -> Axis:
        """A part of what is taken so far, at another size; of an axis that is not resized."""
        behind = self.length - start - length
        return Axis(self.start + np.where(self.mirrored, behind, start), length, self.mirrored, size)

    def flip(self, where: Array) -> Axis:
        return replace(self, mirrored=self.mirrored ^ where)

    def taps(self, interpolation: str | None) -> tuple[Array, Array | None]:
        """Which of the input pixels each output pixel reads, (b, size, taps), and their weights where there are several."""
        at, length = np.arange(self.size), self.length[:, None]
        weight = None
        if interpolation == "bilinear":
            # A triangle as wide as an output pixel is large, or an input pixel where it is enlarged: as torch does with antialias=True.
            scale = length / self.size
            reach, centre = np.maximum(scale, 1.0), (at + 0.5) * scale
            first = np.floor(centre - reach + 0.5)
            position = first[:, :, None] + np.arange(2 * int(np.ceil(reach.max(initial=1.0))) + 1)
            inside = (position >= 0) & (position < length[:, :, None])
            triangle = np.maximum(1.0 - np.abs(position + 0.5 - centre[:, :, None]) / reach[:, :, None], 0.0)
            weight = (triangle * inside).astype(np.float32)
        elif interpolation == "nearest":
            # In float32, as torch does.
            position = np.floor(at.astype(np.float32) * (length.astype(np.float32) / np.float32(self.size)))[:, :, None]
        else:
            position = np.broadcast_to(at, (len(self.start), self.size))[:, :, None]
        position = np.clip(position.astype(np.int64), 0, length[:, :, None] - 1)
        mirrored = np.where(self.mirrored[:, None, None], length[:, :, None] - 1 - position, position)
        return self.start[:, None, None] + mirrored, weight

    def look(self, x: torch.Tensor, dim: int, interpolation: str | None) -> torch.Tensor:
        """x, b s h w, along rows (dim 2) or columns (dim 3)."""
        if interpolation is None and self.size == x.shape[dim] and not self.mirrored.any():
            return x
        b, n = len(x), x.shape[dim]
        lines = x.movedim(dim, 1)
        rest = lines.shape[2:]
        lines = lines.reshape(b * n, rest.numel())  # whole lines are copied fast
        position, weights = self.taps(interpolation)
        flat = torch.from_numpy(position + n * np.arange(b)[:, None, None]).to(x.device).flatten(0, 1)
        if weights is None:
            out = lines[flat[:, 0]]
        else:
            weight = torch.from_numpy(weights).to(x.device).flatten(0, 1)
            out, norm = torch.zeros((len(flat), rest.numel()), device=x.device), torch.zeros((len(flat), 1), device=x.device)
            for tap in range(flat.shape[1]):
                own = weight[:, tap, None]
                out += own * lines[flat[:, tap]]
                norm += own
            out /= norm
        return out.reshape(b, self.size, *rest).movedim(1, dim)


@dataclass(frozen=True, eq=False)
class Window:
    """A part of the frame, mirrored or not, then resized unless `interpolation` is None."""

    rows: Axis
    columns: Axis
    interpolation: str | None = None

    @property
    def kind(self) -> tuple[int, int, str | None]:
        """What windows of one batch have in common."""
        return self.rows.size, self.columns.size, self.interpolation


@dataclass(frozen=True, eq=False)
class Windows:
    """What is seen of frames of one size after some windows, one upon the other."""

    count: int
    frame: tuple[int, int]
    steps: tuple[Window, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what is seen, in pixels."""
        return self.steps[-1].kind[:2] if self.steps else self.frame

    def look(self, x: torch.Tensor) -> torch.Tensor:
        """Maps b s h w of the frame, as they are seen."""
        for window in self.steps:
            x = window.columns.look(window.rows.look(x, 2, window.interpolation), 3, window.interpolation)
        return x.contiguous()

    def select(self, rows: Array) -> Windows:
        return Windows(len(rows), self.frame, tuple(Window(w.rows.select(rows), w.columns.select(rows), w.interpolation) for w in self.steps))

    def resized_crop(self, top: Any, left: Any, height: Any, width: Any, size: Any, interpolation: Any) -> Windows:
        """Crops that may differ in size, at one size; of `crop` and `resize` too, where size or interpolation is None."""
        rows = self._span("top", top, "height", height, 0)
        columns = self._span("left", left, "width", width, 1)
        if size is None:
            if (rows[1] != rows[1][:1]).any() or (columns[1] != columns[1][:1]).any():
                raise ValueError(
                    "height and width differ between samples; accepted: one crop size, or resized_crop(…, size=), which brings all to one."
                )
            size = tuple(int(np.max(np.asarray(given), initial=1)) for given in (height, width))
        elif interpolation not in INTERPOLATIONS:
            raise ValueError(unknown("interpolation", interpolation, INTERPOLATIONS))
        height, width = check_size(size)
        before, last = self._open()
        return self._with(before, Window(last.rows.part(*rows, height), last.columns.part(*columns, width), interpolation))

    def flip(self, where: Any, rows: bool) -> Windows:
        """Mirrored top to bottom (rows) or left to right, where `where`, one bool or (b,), says so."""
        values = where.cpu().numpy() if isinstance(where, torch.Tensor) else np.asarray(where)
        if values.dtype != bool or values.shape not in ((), (self.count,)):
            raise ValueError(f"where={where!r} is not accepted; accepted: True, False, or ({self.count},) of them, one for each sample.")
        before, last = self._open()
        return self._with(before, replace(last, rows=last.rows.flip(values)) if rows else replace(last, columns=last.columns.flip(values)))

    def _open(self) -> tuple[tuple[Window, ...], Window]:
        """The windows, and one after them that is not resized, in which crops and flips can be done: the last, or the whole of what is seen."""
        if self.steps and self.steps[-1].interpolation is None:
            return self.steps[:-1], self.steps[-1]
        return self.steps, self._whole()

    def _whole(self) -> Window:
        """All of what is seen, as it is."""
        height, width = self.size
        return Window(Axis.whole(self.count, height), Axis.whole(self.count, width))

    def _with(self, before: tuple[Window, ...], last: Window) -> Windows:
        return Windows(self.count, self.frame, (*before, last))

    def _span(self, first: str, start: Any, second: str, length: Any, axis: int) -> tuple[Array, Array]:
        """Where each sample's crop starts along an axis and how long it is, (b,) int64."""
        values = {}
        for name, given in ((first, start), (second, length)):
            array = given.cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)
            if array.dtype.kind not in "iu" or array.shape not in ((), (self.count,)):
                raise ValueError(f"{name}={given!r} is not accepted; accepted: a whole number of pixels, or ({self.count},), one for each sample.")
            values[name] = np.broadcast_to(array.astype(np.int64), (self.count,))
        begin, span = values[first], values[second]
        wrong = np.flatnonzero((begin < 0) | (span < 1) | (begin + span > self.size[axis]))
        if len(wrong):
            i = int(wrong[0])
            raise ValueError(
                f"{first}={begin[i]} with {second}={span[i]} (sample {i}) is no part of {self.size[0]}x{self.size[1]} pixels; accepted: a crop inside them."
            )
        return begin, span

    @classmethod
    def join(cls, batches: Sequence[Windows]) -> Windows:
        """The samples of several batches, one after the other.

        Raises:
            ValueError: samples that were not brought to the same sizes by the same steps.
        """
        longest = max(len(batch.steps) for batch in batches)
        # Where some samples were flipped at the end, the others were seen whole.
        chains = [[*batch.steps, *[batch._whole()] * (longest - len(batch.steps))] for batch in batches]
        for number, chain in enumerate(chains):
            if batches[number].size != batches[0].size or [w.kind for w in chain] != [w.kind for w in chains[0]]:
                a, b = ("x".join(map(str, batches[i].size)) for i in (number, 0))
                raise ValueError(
                    f"number {number} was cropped or resized to {a} and number 0 to {b}, or not by the same steps; accepted: one size, by the same steps."
                )
        windows = [Window(Axis.join([w.rows for w in step]), Axis.join([w.columns for w in step]), step[0].interpolation) for step in zip(*chains)]
        return cls(sum(batch.count for batch in batches), batches[0].frame, tuple(windows))


class Followed:
    """What follows images through crops, flips and resizes. `_windows` says where they are, and `_seen` gives the same after others."""

    _windows: Windows

    def _seen(self: Own, windows: Windows) -> Own:
        raise NotImplementedError

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what is seen, in pixels."""
        return self._windows.size

    def crop(self: Own, top: Any, left: Any, height: Any, width: Any) -> Own:
        """A part of each image, as `torchvision.transforms.v2.functional.crop` takes it.

        Args:
            top, left, height, width: in pixels of what is seen now, inside it; each one number, or (b,) with one for each sample, on the
                host: `labels.crop(*boxes.T)` for boxes (b, 4). Height and width are then all equal.

        Raises:
            ValueError: what is not of whole pixels, or not inside; crops of several sizes.
        """
        return self._seen(self._windows.resized_crop(top, left, height, width, None, None))

    def resized_crop(self: Own, top: Any, left: Any, height: Any, width: Any, size: tuple[int, int], interpolation: str = "bilinear") -> Own:
        """`crop`, where sizes may differ, then `resize`: what `RandomResizedCrop.get_params` draws, for the batch or for each sample."""
        return self._seen(self._windows.resized_crop(top, left, height, width, size, interpolation))

    def resize(self: Own, size: tuple[int, int], interpolation: str = "bilinear") -> Own:
        """Resized images.

        Args:
            size: (height, width) in pixels.
            interpolation: "bilinear", antialiased, or "nearest", which is what torchvision does to a `tv_tensors.Mask`.

        Raises:
            ValueError: a size or an interpolation that is none.
        """
        return self._seen(self._windows.resized_crop(0, 0, *self.size, size, interpolation))

    def hflip(self: Own, where: Any = True) -> Own:
        """Images mirrored left to right; where: one bool, or (b,) with one for each sample.

        Raises:
            ValueError: what is not bool, or does not fit the samples.
        """
        return self._seen(self._windows.flip(where, rows=False))

    def vflip(self: Own, where: Any = True) -> Own:
        """Images mirrored top to bottom, as `hflip`."""
        return self._seen(self._windows.flip(where, rows=True))


def tv_mask(masks: torch.Tensor) -> Any:
    """Maps as a `torchvision.tv_tensors.Mask`.

    Raises:
        ModuleNotFoundError: if torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision.tv_tensors").Mask(masks)
    except ModuleNotFoundError:
        raise ModuleNotFoundError("tv_tensors.Mask needs torchvision, which is not installed: pip install torchvision.") from None
