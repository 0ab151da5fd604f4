"""What blurs share: taps in a table, a device loop over them, and a twin that adds in the same order.

`Separable` holds one symmetric half of a 1-D kernel for both axes, `Window` half of a square kernel that is equal under a turn
by 180°, and `Listed` any list of taps. A sample's table does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch, fetch_column
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Theta, ordered_sum

Twin = Callable[[torch.Tensor, Theta, Context], torch.Tensor]


class Taps:
    """The part of the three kinds that is the same; to be mixed with TwoStrokeOp."""

    tolerance: ClassVar[float] = 2e-6

    @classmethod
    def extent(cls, theta: Array) -> Array:
        """How far the outermost taps lie from the centre, along either axis: (n,) int."""
        raise NotImplementedError

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return cls.extent(theta)


def _one_axis(x: torch.Tensor, table: torch.Tensor, axis: int) -> torch.Tensor:
    """Symmetric taps along one axis, one filter per sample, in the device's order of additions."""
    reach = table.shape[1] - 2
    size = x.shape[axis]
    pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = torch.nn.functional.pad(x, pad, mode="replicate") if reach else x
    taps = table[:, 1:, None, None, None]
    total = x * taps[:, 0]
    for d in range(1, reach + 1):
        pair = padded.narrow(axis, reach - d, size) + padded.narrow(axis, reach + d, size)
        total += pair.mul_(taps[:, d])
    return total


def _separable(x: torch.Tensor, theta: Theta, context: Context) -> torch.Tensor:
    """Both axes, in the device's order."""
    columns = context.round(_one_axis(x, context.table, 3))
    return _one_axis(columns, context.table, 2)


class Separable(Taps):
    """A symmetric kernel along x, then along y."""

    twin: ClassVar[Twin] = staticmethod(_separable)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        weight = tl.load(table + 1)
        r, g, b = fetch_column(image, y, x)
        r, g, b = weight * r, weight * g, weight * b
        for d in range(1, tl.load(table).to(tl.int32) + 1):
            weight = tl.load(table + 1 + d)
            r0, g0, b0 = fetch(image, y, x - d)
            r1, g1, b1 = fetch(image, y, x + d)
            r += weight * (r0 + r1)
            g += weight * (g0 + g1)
            b += weight * (b0 + b1)
        return r, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        weight = tl.load(table + 1)
        r, g, b = fetch_column(scratch, y, x)
        r, g, b = weight * r, weight * g, weight * b
        for d in range(1, tl.load(table).to(tl.int32) + 1):
            weight = tl.load(table + 1 + d)
            r0, g0, b0 = fetch_column(scratch, y - d, x)
            r1, g1, b1 = fetch_column(scratch, y + d, x)
            r += weight * (r0 + r1)
            g += weight * (g0 + g1)
            b += weight * (b0 + b1)
        return r, g, b


def separable(extent: Array, weights: Callable[[Array], Array]) -> Array:
    """The rows of a `Separable` table: the extent, then the weights from the centre outwards, made to sum to 1.

    Args:
        weights: from offsets (k,) to weights (n, k), which are used up to each sample's extent.
    """
    i = np.arange(extent.max(initial=0) + 1)
    taps = np.where(i > extent[:, None], 0.0, weights(i))
    taps /= taps[:, :1] + 2.0 * ordered_sum(taps[:, 1:])
    return np.concatenate([extent[:, None], taps], 1).astype(np.float32)


def _window(x: torch.Tensor, theta: Theta, context: Context) -> torch.Tensor:
    """The half planes' pairs in the device's order. Samples run by falling extent, so that each pair needs but the first few."""
    table = context.table
    n, _, height, width = x.shape
    order = torch.argsort(table[:, 0], descending=True, stable=True)
    x, table = x[order], table[order]
    extent = table[:, :1].to(torch.int64)
    largest = int(table[0, 0])
    side = 2 * largest + 1
    place = torch.arange(1, side * largest + largest + 1, device=x.device)
    dy = (place + largest) // side
    dx = place - dy * side
    own = 1 + dy * (2 * extent + 1) + dx  # the column of a pair in the table of each sample
    weights = torch.where((dy <= extent) & (dx.abs() <= extent), table.gather(1, own.clamp(0, table.shape[1] - 1)), 0.0)
    ranks = torch.arange(1, n + 1, device=x.device)[:, None]
    needed = ((weights != 0.0) * ranks).amax(0) if largest else place
    padded = torch.nn.functional.pad(x, (largest,) * 4, mode="replicate") if largest else x
    total = x * table[:, 1, None, None, None]
    for i, (count, v, u) in enumerate(torch.stack([needed, dy, dx], 1).tolist()):
        if count:
            before = padded[:count, :, largest - v : largest - v + height, largest - u : largest - u + width]
            after = padded[:count, :, largest + v : largest + v + height, largest + u : largest + u + width]
            total[:count] += (before + after).mul_(weights[:count, i, None, None, None])
    return context.round(total[torch.argsort(order)])  # as the scratch holds it


class Window(Taps):
    """A square kernel with w(−y, −x) = w(y, x)."""

    twin: ClassVar[Twin] = staticmethod(_window)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        extent = tl.load(table).to(tl.int32)
        side = 2 * extent + 1
        weight = tl.load(table + 1)
        r, g, b = fetch_column(image, y, x)
        r, g, b = weight * r, weight * g, weight * b
        for i in range(1, side * extent + extent + 1):
            weight = tl.load(table + 1 + i)
            if weight != 0.0:
                dy = (i + extent) // side
                dx = i - dy * side
                r0, g0, b0 = fetch(image, y - dy, x - dx)
                r1, g1, b1 = fetch(image, y + dy, x + dx)
                r += weight * (r0 + r1)
                g += weight * (g0 + g1)
                b += weight * (b0 + b1)
        return r, g, b


def window(extent: Array, weights: Callable[[Array, Array], Array], normalise: bool = True) -> Array:
    """The rows of a `Window` table: the extent e, the weight of the centre, then those of the half plane after it.

    The half plane runs row by row from (0, 1) to (e, e).

    Args:
        weights: from y and x, each (n, k), y pointing down, to weights (n, k); places beyond the extent are not used.
        normalise: make the weights sum to 1.
    """
    extent = extent[:, None]
    side = 2 * extent + 1
    count = side * extent + extent
    i = np.arange(count.max(initial=0) + 1)
    y = (i + extent) // side
    taps = np.where(i <= count, weights(y, i - y * side), 0.0)
    if normalise:
        taps /= taps[:, :1] + 2.0 * ordered_sum(taps[:, 1:])
    return np.concatenate([extent, taps], 1).astype(np.float32)


def _listed(x: torch.Tensor, theta: Theta, context: Context) -> torch.Tensor:
    """Each place where some sample has a tap, in the device's order."""
    height, width = x.shape[2:]
    dy, dx, weight = context.table[:, 1:].reshape(len(x), -1, 3).unbind(2)
    reach = int(torch.maximum(dy.abs(), dx.abs()).max())
    padded = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate") if reach else x
    places = (dy * (2 * reach + 1) + dx).to(torch.int64).contiguous()
    used, samples = torch.unique(places[weight > 0], return_counts=True)  # sorted: the device adds in the same order
    column = torch.searchsorted(used, places).clamp(max=len(used) - 1)
    weights = weight.new_zeros(len(x), len(used)).scatter_add(1, column, weight)
    owners = (weights > 0).T.nonzero()[:, 1].split(samples.tolist())
    total = torch.zeros_like(x)
    for i, (place, rows) in enumerate(zip(used.tolist(), owners)):
        v = (place + reach) // (2 * reach + 1)
        u = place - v * (2 * reach + 1)
        moved = padded[:, :, reach + v : reach + v + height, reach + u : reach + u + width]
        if len(rows) == len(x):
            total += weights[:, i, None, None, None] * moved
        else:
            total.index_add_(0, rows, weights[rows, i, None, None, None] * moved[rows])
    return context.round(total)  # as the scratch holds it


class Listed(Taps):
    """Any taps."""

    twin: ClassVar[Twin] = staticmethod(_listed)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch_column(image, y, x)
        r, g, b = r * 0.0, g * 0.0, b * 0.0
        for i in range(tl.load(table).to(tl.int32)):
            dy, dx = tl.load(table + 1 + 3 * i).to(tl.int32), tl.load(table + 2 + 3 * i).to(tl.int32)
            weight = tl.load(table + 3 + 3 * i)
            r0, g0, b0 = fetch(image, y + dy, x + dx)
            r += weight * r0
            g += weight * g0
            b += weight * b0
        return r, g, b


def packed(dy: Array, dx: Array, weight: Array) -> Array:
    """The rows of a `Listed` table: the number of taps with weight, then (dy, dx, weight) of each, sorted by dy, then dx.

    The weights are made to sum to 1.
    """
    used = weight > 0
    count = used.sum(1)[:, None]
    order = np.where(used, dy * 1024 + dx, np.inf).argsort(axis=1, kind="stable")[:, : count.max(initial=0)]
    order += np.arange(len(order))[:, None] * weight.shape[1]  # among the taps of all
    real, share = used.take(order), np.where(used, weight, 0.0).take(order)
    out = np.zeros((len(order), 1 + 3 * order.shape[1]), dtype=np.float32)
    np.copyto(out[:, 1::3], dy.take(order), where=real)
    np.copyto(out[:, 2::3], dx.take(order), where=real)
    out[:, :1], out[:, 3::3] = count, share / ordered_sum(share)
    return out
