"""An op whose parameter cannot differ from pixel to pixel, under a mask that is its strength.

It runs at several *levels* of its parameter, 1 to `count`; level 0 changes nothing. Between two levels a pixel mixes their results in
proportion. Steps are finer for small strengths, whose effect grows faster: the position among the levels is count · √strength. Parameters
that are whole numbers have a level for each, or as many as there may be, and a pixel takes the nearest: count · strength, rounded. Ops that
work on blocks take the mean strength of each block.
"""

from __future__ import annotations

import torch

from .exact import sqrt
from .lang import jit, tl

ONE = 65535.0  # a strength of 1 in the sums of a block, which have no order and fit float32


def position(strength: torch.Tensor, count: torch.Tensor, hard: bool, block: int) -> torch.Tensor:
    """Where pixels lie among the levels, 0 to count; the twin of `device_position`.

    Args:
        strength: (n, h, w).
        count: (n, 1, 1), how many levels there are.
        hard: whether a pixel takes the nearest.
        block: side of the blocks whose mean counts, or 1.
    """
    if block > 1:
        strength = _block_means(strength, block)
    if hard:
        return torch.floor(strength * count + 0.5)
    some = strength > 0.0  # where there is none, the root has no derivative
    return torch.where(some, sqrt(torch.where(some, strength, 1.0)), 0.0) * count


def _block_means(strength: torch.Tensor, block: int) -> torch.Tensor:
    n, height, width = strength.shape
    whole = torch.floor(strength * ONE + 0.5).to(torch.int64)
    one = torch.ones_like(whole)
    down, across = (torch.arange(length, device=strength.device) // block for length in (height, width))
    at = (down[:, None] * (width // block + 1) + across).reshape(1, -1).expand(n, -1)
    sums, counts = (torch.zeros_like(v.flatten(1)).scatter_add_(1, at, v.flatten(1)).gather(1, at) for v in (whole, one))
    means = sums.to(torch.float32) / counts.to(torch.float32) * (1.0 / ONE)
    return means.reshape(strength.shape)


def share(at: torch.Tensor, level: int) -> torch.Tensor:
    """The weight of a level; the twin of `device_share`. Even levels replace what is there, odd ones are mixed with it."""
    near = 1.0 - (at - float(level)).abs()
    return (near > 0.0).to(torch.float32) if level % 2 == 0 else near.clamp(min=0.0)


@jit
def _mean_of(whole, counted, some):
    """The mean over some lanes."""
    total, number = tl.sum(tl.sum(tl.where(some, whole, 0), 1), 0), tl.sum(tl.sum(tl.where(some, counted, 0), 1), 0)
    return tl.div_rn(total.to(tl.float32), tl.maximum(number, 1).to(tl.float32)) * (1.0 / 65535.0)


@jit
def _device_block_means(strength, inside, ROWS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    """The means over blocks of a tile; lanes that are not inside the frame do not count."""
    counted = inside.to(tl.int32)
    whole = tl.floor(strength * 65535.0 + 0.5).to(tl.int32) * counted
    down, across = tl.arange(0, ROWS)[:, None] // BLOCK, tl.arange(0, COLUMNS)[None, :] // BLOCK
    out = strength * 0.0
    for i in tl.static_range(ROWS // BLOCK):
        for j in tl.static_range(COLUMNS // BLOCK):
            some = (down == i) & (across == j)
            out = tl.where(some, _mean_of(whole, counted, some), out)
    return out


@jit
def device_position(strength, inside, count, hard, block, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Where the pixels of a tile lie among the levels."""
    if block == 16:
        strength = _device_block_means(strength, inside, ROWS, COLUMNS, 16)
    if block == 8:
        strength = _device_block_means(strength, inside, ROWS, COLUMNS, 8)
    levels = count.to(tl.float32)
    return tl.where(hard > 0, tl.floor(strength * levels + 0.5), tl.sqrt_rn(strength) * levels)


@jit
def device_share(at, level):
    """The weight of a level."""
    near = 1.0 - tl.abs(at - level.to(tl.float32))
    return tl.where(level % 2 == 0, tl.where(near > 0.0, 1.0, 0.0), tl.maximum(near, 0.0))
