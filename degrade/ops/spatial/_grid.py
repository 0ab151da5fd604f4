"""Coordinates of nearest-neighbour resizing, equal on twin and device, shared by the ops of this folder."""

import torch

from degrade.kernels.lang import jit, tl


def nearest(i: torch.Tensor, source: torch.Tensor, target: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """The element of an axis of `source` elements that element i of one of `target` takes; shift is 0.5 for centres, 0 for corners.

    All are int64 but for the float32 shift; the float32 product, rounded twice, is torch.nn.functional.interpolate's.
    """
    scale = source.to(torch.float32) / target.to(torch.float32)
    return torch.minimum(torch.floor((i.to(torch.float32) + shift) * scale).to(torch.int64), source - 1)


@jit
def device_nearest(i, source, target, shift):
    """The device function of `nearest`, in int32."""
    scale = tl.div_rn(source.to(tl.float32), target.to(tl.float32))
    return tl.minimum(tl.floor((i.to(tl.float32) + shift) * scale).to(tl.int32), source - 1)


def cell(i: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The first pixel whose centre lies in cell i when `source` pixels are cut into `target` cells; exact integers."""
    return (2 * i * source + target) // (2 * target)


@jit
def device_cell(i, source, target):
    """The device function of `cell`; the product may need more than 32 bits."""
    wide = target.to(tl.int64)
    return ((2 * i.to(tl.int64) * source + wide) // (2 * wide)).to(tl.int32)


def take(x: torch.Tensor, index: torch.Tensor, axis: int) -> torch.Tensor:
    """Rows (axis 2) or columns (axis 3) of images (n, c, h, w), each sample its own: index (n, k)."""
    n, c, h, w = x.shape
    if axis == 3:
        return x.gather(3, index[:, None, None].expand(n, c, h, index.shape[1]))
    rows = torch.arange(n * c, device=x.device).reshape(n, c, 1) * h + index[:, None]  # whole rows are copied faster than a gather does
    return x.reshape(n * c * h, w).index_select(0, rows.flatten()).reshape(n, c, index.shape[1], w)
