"""Pixelate: reduce to `scale` of the size, then enlarge with nearest neighbours.

The small image has ⌈scale · size⌉ (or ⌊⌋) pixels along each axis, at least one; scale is read to six decimals, so that
products such as 0.6 · 225 are what the decimal says. "nearest" takes one pixel of each cell, "box" the mean of the pixels
whose centres lie in it, as Pillow's BOX does. Coordinates: "centre" compares the centres of pixels (torch's nearest-exact,
Pillow), "corner" their upper left corners, which moves the image towards the lower right (torch's legacy nearest). Where a
centre falls on the edge between two pixels, the float32 product decides, as on torch's GPUs; Pillow may take the other one.
Enlarging with BOX is the same as with nearest neighbours. Source: KADID-10k type 21, whose levels s give scale 0.95 − s^0.6
(ARNIQA's have "corner" and "floor"); ImageNet-C pixelate, "box" and "floor".
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

from ._grid import cell, device_cell, device_nearest, nearest, take

BOX, CORNER = 1.0, 1.0  # positions among the choices of `down` and `coordinates`


class Pixelate(TwoStrokeOp):
    """Show the image with `scale` of its pixels along each axis."""

    on_grid = True

    scale = Param(0.01, 1.0, neutral=1.0, harsh=0.05, unit="of the size")
    down = Param(choices=("nearest", "box"), default="nearest")
    coordinates = Param(choices=("centre", "corner"), default="centre")
    rounding = Param(choices=("ceil", "floor"), default="ceil")
    steps = ("scale",)
    tolerance = 1e-6

    @classmethod
    def radius(cls, theta: Array) -> Array:
        """A cell has at most 2 / scale pixels, when 1.9 of them are rounded down to one."""
        return np.ceil(2.0 / np.maximum(theta[:, 0].astype(np.float64), 1e-3)).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """Height and width of the small image."""
        size = np.round(theta[:, :1].astype(np.float64), 6) * [frame.height, frame.width]
        return np.maximum(np.where(theta[:, 3:4] == 1.0, np.floor(size), np.ceil(size)), 1.0).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        small = context.table.to(torch.int64)
        shift = torch.where(theta[2].flatten()[:, None] == CORNER, 0.0, 0.5)
        box = theta[1].flatten() == BOX
        up, at = [], []
        for axis in (2, 3):
            size = torch.full_like(small[:, :1], x.shape[axis])
            i = nearest(torch.arange(x.shape[axis], device=x.device)[None], small[:, axis - 2, None], size, shift)
            up.append(i)
            at.append(nearest(i, size, small[:, axis - 2, None], shift))
        out = take(take(x, at[0], 2), at[1], 3)
        longest = torch.stack([-(-x.shape[axis] // small[:, axis - 2]) for axis in (2, 3)], 1).amax(1)
        for length in torch.unique(longest[box]).tolist():  # samples whose cells are alike in size run together
            these = (box & (longest == length)).nonzero().flatten()
            across = context.round(_means(x[these], small[these], 3))
            mean = _means(across, small[these], 2)
            out = out.index_put((these,), take(take(mean, up[0][these], 2), up[1][these], 3))
        return out

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        first, last, longest = _span(x, image[2], tl.load(table + 1).to(tl.int32), theta[1], theta[2])
        r, g, b = fetch(image, y, first)
        for d in range(1, longest):
            r0, g0, b0 = fetch(image, y, first + d)
            more = first + d < last
            r, g, b = tl.where(more, r + r0, r), tl.where(more, g + g0, g), tl.where(more, b + b0, b)
        count = (last - first).to(tl.float32)
        return tl.div_rn(r, count), tl.div_rn(g, count), tl.div_rn(b, count)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        first, last, longest = _span(y, scratch[1], tl.load(table).to(tl.int32), theta[1], theta[2])
        r, g, b = fetch(scratch, first, x)
        for d in range(1, longest):
            r0, g0, b0 = fetch(scratch, first + d, x)
            more = first + d < last
            r, g, b = tl.where(more, r + r0, r), tl.where(more, g + g0, g), tl.where(more, b + b0, b)
        count = (last - first).to(tl.float32)
        return tl.div_rn(r, count), tl.div_rn(g, count), tl.div_rn(b, count)


@jit
def _span(at, size, small, down, coordinates):
    """First pixel and the one after the last that are averaged for position `at`, and the longest such span of the axis."""
    shift = tl.where(coordinates == 1.0, 0.0, 0.5)
    i = device_nearest(at, small, size, shift)
    first = device_nearest(i, size, small, shift)
    last = first + 1
    longest = 1
    if down == 1.0:
        first, last = device_cell(i, size, small), device_cell(i + 1, size, small)
        longest = (size + small - 1) // small
    return first, last, longest


def _means(x: torch.Tensor, small: torch.Tensor, axis: int) -> torch.Tensor:
    """The mean of each cell along one axis, in the device's order of additions; cells beyond a sample's last are whatever."""
    target = small[:, axis - 2, None]
    source = torch.full_like(target, x.shape[axis])
    i = torch.minimum(torch.arange(int(target.max()), device=x.device)[None], target - 1)
    first, last = cell(i, source, target), cell(i + 1, source, target)
    total = take(x, first, axis)
    shape = (slice(None), None, slice(None), None) if axis == 2 else (slice(None), None, None, slice(None))
    for d in range(1, int((last - first).max())):
        total = torch.where((first + d < last)[shape], total + take(x, torch.minimum(first + d, last - 1), axis), total)
    return total / (last - first).to(torch.float32)[shape]
