"""Cells: the parts of a partition of the frame, of which each pixel lies in one at most. `degrade.cells` draws them.

All cells of one partition share a map, made at the call, of each pixel's cell: its number, or −1 where it lies in none. What the map is
made of stands in the numbers of every cell.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import quadruples

from ._maps import MapMask, pieces, read
from .base import Numbers, box
from .segments import LABELS, allowed, areas_of, values_of

MOST = 128  # cells of one partition
ROW, INDEX, COUNT, FIRST, SECOND = range(5)  # of the numbers: the map's row, the cell's own, how many there are, two of the kind's own
BOX, RUNS = slice(5, 9), slice(9, 16)  # where the cell lies, y0 y1 x0 x1; and of segments the labels that count
BLOCKS = 32  # along each side at most, by which is found where a Voronoi cell may lie


class Cell(MapMask):
    """One cell of a partition: weight 1 in it and 0 elsewhere."""

    made_of = "cells"

    def __init__(self) -> None:
        self.values = {}

    def draw(self, u: Array, height: int, width: int) -> Array:
        raise ValueError(
            f"mask={type(self).__name__}() is a part of a partition; accepted: Partition(child, cells.Voronoi()), which draws all of them."
        )

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        return (read(y, x, numbers[0], maps) == numbers[1]).to(torch.float32)

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        pointer, height, width = maps
        first = numbers[0].to(tl.int64) * (height * width)
        own = tl.load(pointer + first + tl.floor(y).to(tl.int32) * width + tl.floor(x).to(tl.int32))
        return tl.where(own == numbers[1], 1.0, 0.0)

    @classmethod
    def support(cls, numbers: Array, height: int, width: int) -> Array:
        y0, y1, x0, x1 = numbers[:, BOX].astype(np.float64).T
        return box(y0, y1, x0, x1, height, width)

    @classmethod
    def boxes(cls, numbers: Array, height: int, width: int) -> Array:
        """Rectangles (n, MOST, 4), y0 y1 x0 x1, that hold the cells of partitions with these numbers (n, columns)."""
        return np.tile(np.array([0, height, 0, width], dtype=np.float64), (len(numbers), MOST, 1))

    @classmethod
    def paint(cls, numbers: Array, height: int, width: int, device: torch.device, segments: torch.Tensor | None) -> torch.Tensor:
        """The map of each partition, (n, h, w) float32 of cell numbers, without waiting for the device.

        Args:
            numbers: (n, columns), those of any cell of each.
            segments: of each sample, n h w or n k h w; None if none were given.
        """
        raise NotImplementedError


class VoronoiCell(Cell):
    """All that is nearer to one of random points than to the others."""

    @classmethod
    def points(cls, numbers: Array, height: int, width: int) -> tuple[Array, Array, Array]:
        """y and x of MOST points for each partition, in pixels, float32, and which of them count: (n, MOST)."""
        n, index = len(numbers), np.arange(MOST)
        low, high = (numbers[:, i].astype(np.int64).repeat(MOST) for i in (FIRST, SECOND))
        u = quadruples(0, np.tile(index, n), np.zeros(n * MOST, dtype=np.int64), low, high).reshape(n, MOST, 4)
        y, x = ((u[:, :, i] * size).astype(np.float32) for i, size in enumerate((height, width)))
        return y, x, index < numbers[:, COUNT, None]

    @classmethod
    def boxes(cls, numbers: Array, height: int, width: int) -> Array:
        most = int(numbers[:, COUNT].max(initial=1))
        out = np.zeros((len(numbers), MOST, 4))
        ys, xs, real = (v[:, :most] for v in cls.points(numbers, height, width))
        blocks = int(np.clip(3 * np.sqrt(most), 6, BLOCKS))
        tall, wide = -(-height // blocks), -(-width // blocks)
        top, left = np.arange(0, height, tall), np.arange(0, width, wide)
        middle_y, middle_x = ((at + np.minimum(at + step, size)) * 0.5 for at, step, size in ((top, tall, height), (left, wide, width)))
        slack = np.hypot(tall, wide) + 1e-3 * (height + width)  # what is in a block is as near as its middle, by half its diagonal both ways
        for i in range(len(numbers)):
            away = np.hypot(middle_y[:, None] - ys[i, :, None, None], middle_x - xs[i, :, None, None])
            away[~real[i]] = np.inf
            near = away <= away.min(0) + slack
            for axis, at, step, size, column in ((2, top, tall, height, 0), (1, left, wide, width, 2)):
                some = near.any(axis)
                out[i, :most, column] = at[some.argmax(1)]
                out[i, :most, column + 1] = np.minimum(at[some.shape[1] - 1 - some[:, ::-1].argmax(1)] + step, size) * some.any(1)
        return out

    @classmethod
    def paint(cls, numbers: Array, height: int, width: int, device: torch.device, segments: torch.Tensor | None) -> torch.Tensor:
        if device.type == "cpu":
            return torch.from_numpy(cls.painted(numbers, height, width))
        most = int(numbers[:, COUNT].max())
        ys, xs, real = cls.points(numbers, height, width)
        far = np.where(real, ys, np.float32(np.inf))
        points = torch.from_numpy(np.stack([far, xs])[:, :, :most].copy()).to(device, non_blocking=True)[..., None, None]
        y = torch.arange(height, dtype=torch.float32, device=device)[:, None] + 0.5
        x = torch.arange(width, dtype=torch.float32, device=device) + 0.5
        out = torch.zeros((len(numbers), height, width), dtype=torch.float32, device=device)
        for part in pieces(len(numbers), height * width):
            nearest = None
            for i in range(most):
                down, across = y - points[0, part, i], x - points[1, part, i]
                square = down * down + across * across
                if nearest is None:
                    nearest = square
                    continue
                nearer = square < nearest
                nearest = torch.where(nearer, square, nearest)
                out[part].masked_fill_(nearer, float(i))
        return out

    @classmethod
    def painted(cls, numbers: Array, height: int, width: int) -> Array:
        """The same on the host, where each point is held against only those pixels to which it may be the nearest."""
        ys, xs, _ = cls.points(numbers, height, width)
        y, x = (np.arange(length, dtype=np.float32) + np.float32(0.5) for length in (height, width))
        boxes, out = cls.boxes(numbers, height, width).astype(np.int64), np.zeros((len(numbers), height, width), dtype=np.float32)
        for sample, count in enumerate(numbers[:, COUNT].astype(np.int64).tolist()):
            nearest = np.full((height, width), np.inf, dtype=np.float32)
            for i, (top, below, left, after) in enumerate(boxes[sample, :count].tolist()):
                square = np.square(y[top:below] - ys[sample, i])[:, None] + np.square(x[left:after] - xs[sample, i])
                found = nearest[top:below, left:after]
                np.copyto(out[sample, top:below, left:after], i, where=square < found)
                np.minimum(found, square, out=found)
        return out


class GridCell(Cell):
    """A rectangle of a grid."""

    @classmethod
    def edges(cls, count: Array, size: int) -> Array:
        """Where the rows or columns of a grid begin and end: (n, MOST + 1) whole pixels."""
        at = np.minimum(np.arange(MOST + 1), count[:, None])
        return np.asarray(np.floor(at * size / np.maximum(count[:, None], 1)))

    @classmethod
    def boxes(cls, numbers: Array, height: int, width: int) -> Array:
        rows, columns, index = numbers[:, FIRST, None], numbers[:, SECOND, None], np.arange(MOST)
        down, across = (index // columns).astype(np.int64).clip(0, MOST - 1), (index % columns).astype(np.int64)
        y, x = cls.edges(rows[:, 0], height), cls.edges(columns[:, 0], width)
        at = np.arange(len(numbers))[:, None]
        return np.stack([y[at, down], y[at, down + 1], x[at, across], x[at, across + 1]], 2)

    @classmethod
    def paint(cls, numbers: Array, height: int, width: int, device: torch.device, segments: torch.Tensor | None) -> torch.Tensor:
        rows, columns = numbers[:, FIRST], numbers[:, SECOND]
        # Each pixel's row is the last that begins at it or before.
        y, x = (
            (cls.edges(count, size)[:, None, 1:] <= np.arange(size)[:, None]).sum(2).clip(max=count[:, None] - 1)
            for count, size in ((rows, height), (columns, width))
        )
        y, x = (torch.from_numpy(v.astype(np.float32)).to(device, non_blocking=True) for v in (y * columns[:, None], x))
        return y[:, :, None] + x[:, None, :]


class SegmentCell(Cell):
    """A segment of what comes with the call."""

    made_of = "segments"

    @classmethod
    def paint(cls, numbers: Array, height: int, width: int, device: torch.device, segments: torch.Tensor | None) -> torch.Tensor:
        assert segments is not None
        runs = torch.from_numpy(numbers[:, RUNS].copy()).to(device, non_blocking=True)
        fits = allowed(runs) & torch.nn.functional.pad(areas_of(segments) > 0, (0, LABELS))[:, :LABELS]
        rank = torch.where(fits, fits.to(torch.int64).cumsum(1) - 1, -1).to(torch.float32)
        out = torch.empty((len(numbers), height, width), dtype=torch.float32, device=device)
        for part in pieces(len(numbers), height * width):
            labels = segments[part].to(torch.int64) if segments.dim() == 3 else first_of(values_of(segments[part]))
            known = (labels >= 0) & (labels < LABELS)
            of = rank[part].gather(1, labels.clamp(0, LABELS - 1).flatten(1)).reshape(labels.shape)
            out[part] = torch.where(known, of, -1.0)
        return out


def first_of(masks: torch.Tensor) -> torch.Tensor:
    """The first of the masks (n, k, h, w) that holds half of a pixel or more, (n, h, w) int64; −1 where none does."""
    count = masks.shape[1]
    place = torch.arange(count, device=masks.device)[:, None, None]
    first = torch.where(masks >= 0.5, place, count).amin(1)
    return torch.where(first < count, first, -1)


def bounds_of(maps: torch.Tensor) -> Array:
    """Rectangles (n, MOST, 4) that just hold the cells of maps (n, h, w) on the host; empty for cells that are not there."""
    n, height, width = maps.shape
    cell = torch.where(maps >= 0, maps, MOST).to(torch.int64).flatten(1)
    y, x = torch.arange(height)[:, None].expand(height, width), torch.arange(width).expand(height, width)
    out = torch.zeros((n, MOST + 1, 4), dtype=torch.int64)
    for column, (at, how) in enumerate(((y, "amin"), (y + 1, "amax"), (x, "amin"), (x + 1, "amax"))):
        out[:, :, column].scatter_reduce_(1, cell, at.reshape(1, -1).expand(n, -1), how, include_self=False)
    boxes: Array = out[:, :MOST].numpy().astype(np.float64)
    return boxes
