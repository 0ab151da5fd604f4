"""Masks that read a map: stored ones, and those that a call makes from what it is given.

What a call makes is made of whole numbers, whose sums have no order, and of single operations: a sample's map is the same to the bit alone
and in a batch, and on every device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.codec import to_byte_twin
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import smoothstep
from degrade.parameter import Param

from .base import Mask, Numbers

PIECE = 1 << 22  # pixels that are worked on at a time, of whole samples


def read(y: torch.Tensor, x: torch.Tensor, row: torch.Tensor, maps: torch.Tensor | None) -> torch.Tensor:
    """The values of maps at pixel centres; the twin of `device_read`."""
    assert maps is not None
    return maps[row.long(), torch.floor(y).long(), torch.floor(x).long()]


@jit
def device_read(y, x, row, maps):
    """The values of a map at pixel centres."""
    pointer, height, width = maps
    first = row.to(tl.int64) * (height * width)
    return tl.load(pointer + first + tl.floor(y).to(tl.int32) * width + tl.floor(x).to(tl.int32))


class MapMask(Mask):
    """A family whose weights are a map's values; numbers[:, 0] is the map's row."""

    reads_map = True

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        return read(y, x, numbers[0], maps)

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        return device_read(y, x, numbers[0], maps)


class MadeMask(MapMask):
    """A family whose map is made at the call, for each sample its own, of what `made_of` says."""

    @classmethod
    def render(cls, given: torch.Tensor, rows: torch.Tensor, numbers: torch.Tensor, drawn: Array) -> torch.Tensor:
        """Maps (n, h, w) float32 in [0, 1], without waiting for the device.

        Args:
            given: the images b 3 h w, or the segments b h w or b k h w.
            rows: (n,) int64, the sample of each map.
            numbers: (n, columns) float32, what was drawn for each.
            drawn: the same on the host.
        """
        raise NotImplementedError


class RankedMask(MadeMask):
    """A family that weighs each pixel by the rank of its score within the image, so that the area is met."""

    made_of = "image"
    columns = 16

    feather = Param(0.0, 2.0, unit="of the frame's area", default=(0.02, 0.2))

    @staticmethod
    def scores(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """(n, h, w) int32, greater where the mask shall be, from images (n, 3, h, w)."""
        raise NotImplementedError

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        area = drawn["area"]
        return np.stack([np.zeros(len(u)), area, np.minimum(drawn["feather"], 2.0 * np.minimum(area, 1.0 - area))], 1)

    @classmethod
    def render(cls, given: torch.Tensor, rows: torch.Tensor, numbers: torch.Tensor, drawn: Array) -> torch.Tensor:
        made = [
            ramp(ranks(cls.scores(given[rows[part]], numbers[part])), numbers[part, 1, None, None], numbers[part, 2, None, None])
            for part in pieces(len(drawn), given[0, 0].numel())
        ]
        return torch.cat(made)


def pieces(count: int, pixels: int) -> Iterator[slice]:
    """Samples of so many pixels, a piece at a time, so that what is in between needs little memory."""
    step = max(1, PIECE // max(1, pixels))
    return (slice(at, at + step) for at in range(0, count, step))


def ranks(scores: torch.Tensor) -> torch.Tensor:
    """Each value's rank within its map, in (0, 1), float32; equal values share their mean rank."""
    flat = scores.flatten(1)
    count = flat.shape[1]
    ordered, at = flat.sort(1)
    place = torch.arange(count + 1, device=flat.device)
    differs = torch.nn.functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 1), value=True)
    first = torch.where(differs[:, :-1], place[:-1], 0).cummax(1).values
    end = torch.where(differs[:, 1:], place[1:], count).flip(1).cummin(1).values.flip(1)
    mean = (first + end).to(torch.float32) / float(2 * count)
    return torch.empty_like(mean).scatter_(1, at, mean).reshape(scores.shape)


def ramp(rank: torch.Tensor, area: torch.Tensor, feather: torch.Tensor) -> torch.Tensor:
    """Weights whose sum is the area, from ranks; the ramp ends under the highest rank, as `masks.FromTensor` has it."""
    top = rank.flatten(1).amax(1)[:, None, None] - 2e-7  # a few float32 steps, so that the peak is 1
    f = torch.minimum(feather, (top - (1.0 - area)) * 2.0).clamp(min=0.5 / (rank.shape[1] * rank.shape[2]))  # a hard cut falls between two ranks
    cut = torch.minimum(1.0 - area, top - f * 0.5)
    return smoothstep((rank - cut) / f + 0.5)


def radius_of(share: Array | float, height: int, width: int) -> Array:
    """The radius in whole pixels of a square whose side is a fraction of √(h · w)."""
    return np.floor(np.asarray(share) * math.sqrt(height * width) * 0.5 + 0.5)


def box(values: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Sums over squares of 2 · radius + 1 pixels a side; the border pixels repeat.

    Args:
        values: (n, h, w) int64.
        radius: (n,) int64 in pixels.
    """
    return _slide(_slide(values, radius).mT, radius).mT


def _slide(values: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """The same along x alone."""
    last = values.shape[2] - 1
    at, r = torch.arange(last + 1, device=values.device), radius[:, None]
    total = torch.nn.functional.pad(values.to(torch.int64).cumsum(2), (1, 0))
    begin, end = ((at - r).clamp(min=0, max=last), (at + r + 1).clamp(min=0, max=last + 1))
    inside = total.gather(2, end[:, None].expand(values.shape)) - total.gather(2, begin[:, None].expand(values.shape))
    before, after = ((r - at).clamp(min=0)[:, None], (at + r - last).clamp(min=0)[:, None])
    return inside + before * values[..., :1] + after * values[..., -1:]


def channels(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Images (n, 3, h, w) of any accepted dtype as 8-bit values: red, green and blue, (n, h, w) int64."""
    bytes_ = x if x.dtype == torch.uint8 else to_byte_twin(x.to(torch.float32)).clamp(0, 255)
    return tuple(bytes_.to(torch.int64).unbind(1))


def luma(r: torch.Tensor, g: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The luma of 8-bit values, 256 times as large."""
    return r * 77 + g * 150 + b * 29
