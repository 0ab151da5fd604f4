"""What colour ops and sharpening share: channel order, and symmetric taps along an axis of one plane.

A table of taps holds its radius, then the weights from the centre outwards.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_column_plane, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import ordered_sum


def in_order(x: torch.Tensor, swap: torch.Tensor) -> torch.Tensor:
    """x (n, 3, h, w) with the channels of those samples reversed where swap (n, 1, 1, 1) is 1; its own inverse."""
    channel = torch.arange(3, device=x.device)
    source = torch.where(swap.reshape(-1, 1) == 1.0, 2 - channel, channel)
    return x[torch.arange(len(x), device=x.device)[:, None], source]


@jit
def device_in_order(r, g, b, swap):
    """The device function of `in_order`."""
    return tl.where(swap == 1.0, b, r), g, tl.where(swap == 1.0, r, b)


def gaussian_taps(sigma: Array, radius: Array) -> Array:
    """Rows (radius, weights…) of Gaussians of standard deviation sigma (n,), cut at radius (n,) and made to sum to 1."""
    i = np.arange(radius.max(initial=0) + 1)
    taps = np.where(i > radius[:, None], 0.0, np.exp(-0.5 * (i / sigma[:, None]) ** 2))
    taps /= taps[:, :1] + 2.0 * ordered_sum(taps[:, 1:])
    return np.concatenate([radius[:, None], taps], 1)


def along(x: torch.Tensor, table: torch.Tensor, axis: int) -> torch.Tensor:
    """x (n, c, h, w) convolved along one axis with the taps of each sample's table, in the device's order of additions."""
    reach = table.shape[1] - 2
    size = x.shape[axis]
    pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = torch.nn.functional.pad(x, pad, mode="replicate") if reach else x
    weights = table[:, 1:, None, None, None]
    total, pair = x * weights[:, 0], None
    for d in range(1, reach + 1):
        before, after = padded.narrow(axis, reach - d, size), padded.narrow(axis, reach + d, size)
        pair = torch.add(before, after, out=None if x.requires_grad else pair)
        total += pair.mul_(weights[:, d])
    return total


@jit
def _weight(table, d):
    """That of the taps at distance d; 0 beyond the radius."""
    radius = tl.load(table).to(tl.int32)
    return tl.where(d <= radius, tl.load(table + 1 + tl.minimum(d, radius)), 0.0)


@jit
def device_along_x(image, c, y, x, table):
    """The device function of `along` for axis 3 of plane c; (y, x) lies in the frame.

    Four taps at a time: what neighbours in a row read at neighbouring distances is the same, and is loaded once for a thread's pixels.
    """
    total = tl.load(table + 1) * fetch_column_plane(image, c, y, x)
    for begin in range(1, tl.load(table).to(tl.int32) + 1, 4):
        for k in tl.static_range(4):
            d = begin + k
            total += _weight(table, d) * (fetch_plane(image, c, y, x - d) + fetch_plane(image, c, y, x + d))
    return total


@jit
def device_along_y(image, c, y, x, table):
    """The device function of `along` for axis 2 of plane c; (y, x) lies in the frame."""
    total = tl.load(table + 1) * fetch_column_plane(image, c, y, x)
    for d in range(1, tl.load(table).to(tl.int32) + 1):
        total += tl.load(table + 1 + d) * (fetch_column_plane(image, c, y - d, x) + fetch_column_plane(image, c, y + d, x))
    return total


@jit
def device_both_along_x(image, y, x, table):
    """`device_along_x` of the first two planes, which share their places and weights."""
    weight = tl.load(table + 1)
    a, b = weight * fetch_column_plane(image, 0, y, x), weight * fetch_column_plane(image, 1, y, x)
    for begin in range(1, tl.load(table).to(tl.int32) + 1, 4):
        for k in tl.static_range(4):
            d = begin + k
            weight = _weight(table, d)
            a += weight * (fetch_plane(image, 0, y, x - d) + fetch_plane(image, 0, y, x + d))
            b += weight * (fetch_plane(image, 1, y, x - d) + fetch_plane(image, 1, y, x + d))
    return a, b


@jit
def device_both_along_y(image, y, x, table):
    """`device_along_y` of the first two planes."""
    weight = tl.load(table + 1)
    a, b = weight * fetch_column_plane(image, 0, y, x), weight * fetch_column_plane(image, 1, y, x)
    for d in range(1, tl.load(table).to(tl.int32) + 1):
        weight = tl.load(table + 1 + d)
        a += weight * (fetch_column_plane(image, 0, y - d, x) + fetch_column_plane(image, 0, y + d, x))
        b += weight * (fetch_column_plane(image, 1, y - d, x) + fetch_column_plane(image, 1, y + d, x))
    return a, b
