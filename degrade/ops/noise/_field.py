"""White noise averaged over a square window, with deviation 1 everywhere: what the spatially filtered noises share.

The window is cut at the frame, and a sum over c pixels is divided by √c, not by c, so that noise near the border is as
strong as elsewhere. It is summed along rows in the reach and along columns in the settle; the scratch holds values within
± 6 as 0..1.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context

LARGEST = 8  # radius


def root_table(radius: Array) -> Array:
    """For n samples of these radii, 1 / √c for c from 0 (unused) to the side of the window, zeros behind."""
    count = np.arange(2 * int(radius.max(initial=0)) + 2)
    roots = 1.0 / np.sqrt(np.maximum(count, 1))
    return np.where(count <= 2 * radius[:, None] + 1, roots, 0.0).astype(np.float32)


def reach_of(table: torch.Tensor) -> int:
    """The largest radius in a batch with this table of roots."""
    return (table.shape[1] - 2) // 2


def window_sum(v: torch.Tensor, radius: torch.Tensor, reach: int, axis: int, mode: str = "constant") -> torch.Tensor:
    """Sums within ± radius (n, 1, 1, 1), at most `reach`, along an axis, in the device's order; beyond the frame as `pad` has it."""
    padded = torch.nn.functional.pad(v, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach), mode=mode)
    total = torch.zeros_like(v)
    for d in range(-reach, reach + 1):
        total = total + torch.where(radius >= abs(d), padded.narrow(axis, reach + d, v.shape[axis]), 0.0)
    return total


def roots(table: torch.Tensor, radius: torch.Tensor, size: int, axis: int) -> torch.Tensor:
    """1 / √(pixels of the frame within ± radius) along an axis, from the table."""
    at, reach = torch.arange(size, device=table.device), radius.flatten()[:, None].to(torch.int64)
    found = table.gather(1, (at + reach).clamp(max=size - 1) - (at - reach).clamp(min=0) + 1)
    return found[:, None, None, :] if axis == 3 else found[:, None, :, None]


def field(n: torch.Tensor, radius: torch.Tensor, table: torch.Tensor, context: Context) -> torch.Tensor:
    """The filtered noise (n, 3, h, w) of deviation 1, from normals of the same shape."""
    reach = reach_of(table)
    rows = window_sum(n, radius, reach, 3) * roots(table, radius, n.shape[3], 3)
    rows = (context.round(rows * 0.083333333 + 0.5) - 0.5) * 12.0
    return window_sum(rows, radius, reach, 2) * roots(table, radius, n.shape[2], 2)


@jit
def device_root(at, size, radius, table):
    """The device function of `roots`, at coordinates."""
    return tl.load(table + (tl.minimum(at + radius, size - 1) - tl.maximum(at - radius, 0) + 1))


@jit
def device_rows(y, x, width, radius, grey, table, rng):
    """Row sums of white noise over √count, as 0..1 for the scratch."""
    r = (y * 0 + x * 0).to(tl.float32)
    g, b = r, r
    for d in range(-radius, radius + 1):
        inside = (x + d >= 0) & (x + d < width)
        n0, n1, n2 = device_normals(uniform4(rng, (y << 16) | tl.where(inside, x + d, x)), grey)
        r += tl.where(inside, n0, 0.0)
        g += tl.where(inside, n1, 0.0)
        b += tl.where(inside, n2, 0.0)
    root = device_root(x, width, radius, table)
    return r * root * 0.083333333 + 0.5, g * root * 0.083333333 + 0.5, b * root * 0.083333333 + 0.5


@jit
def device_field(scratch, y, x, radius, table):
    """Column sums of what `device_rows` stored: the filtered noise of deviation 1."""
    height = scratch[1]
    r = (y * 0 + x * 0).to(tl.float32)
    g, b = r, r
    for d in range(-radius, radius + 1):
        inside = (y + d >= 0) & (y + d < height)
        r0, g0, b0 = fetch(scratch, y + d, x)
        r += tl.where(inside, (r0 - 0.5) * 12.0, 0.0)
        g += tl.where(inside, (g0 - 0.5) * 12.0, 0.0)
        b += tl.where(inside, (b0 - 0.5) * 12.0, 0.0)
    root = device_root(y, height, radius, table)
    return r * root, g * root, b * root
