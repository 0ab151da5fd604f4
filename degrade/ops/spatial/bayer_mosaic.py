"""Bayer mosaic: keep one colour per pixel, as a colour filter array does, and fill in the others from the eight neighbours.

Bilinear demosaicing: a missing green is the mean of the four greens beside it; a missing red or blue is the mean of the two or
four nearest. The frame is mirrored about its border pixels, which keeps the pattern; an axis of one pixel repeats it. strength
blends with the image. The pattern names the colours of the first two rows, from the image's origin.
Source: B. E. Bayer, US patent 3971065 (1976); BSRGAN's camera pipeline.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch, fetch_column_plane, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp


class BayerMosaic(TwoStrokeOp):
    """Sample the image through a colour filter array and interpolate."""

    strength = Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the mosaic")
    pattern = Param(choices=("rggb", "bggr", "grbg", "gbrg"), default="rggb")
    tolerance = 1e-6
    modulates = True
    settle_warps = 4

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.ones(len(theta), dtype=np.int64)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        y, column = torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)
        odd_y, odd_x = (v[:, 0] for v in _phase(theta[1]))
        red_row, red_column = (y & 1) == odd_y, (column & 1) == odd_x  # rows and columns in which red stands
        plain = context.round(torch.where(red_row & red_column, x[:, 0], torch.where(red_row | red_column, x[:, 1], x[:, 2])))
        up, down = (plain[:, _mirror(torch.arange(height, device=x.device) + d, height)] for d in (-1, 1))
        before, after = (_mirror(torch.arange(width, device=x.device) + d, width) for d in (-1, 1))
        beside = (plain[:, :, before] + plain[:, :, after]) * 0.5
        above = (up + down) * 0.5
        cross = (beside + above) * 0.5
        corners = ((up[:, :, before] + up[:, :, after]) + (down[:, :, before] + down[:, :, after])) * 0.25
        same = torch.where(red_row, beside, above), torch.where(red_row, above, beside)  # of red and of blue, at a green pixel
        green = red_row ^ red_column
        red = torch.where(green, same[0], torch.where(red_row, plain, corners))
        blue = torch.where(green, same[1], torch.where(red_row, corners, plain))
        full = torch.stack([red, torch.where(green, plain, cross), blue], 1)
        return x + theta[0] * (full - x)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch(image, y, x)
        red_row, red_column = _stands(y, x, theta[1])
        v = tl.where((red_row + red_column) == 2, r, tl.where((red_row + red_column) == 1, g, b))
        return v, v, v

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        red_row, red_column = _stands(y, x, theta[1])
        up, down = _device_mirror(y - 1, scratch[1]), _device_mirror(y + 1, scratch[1])
        left, right = _device_mirror(x - 1, scratch[2]), _device_mirror(x + 1, scratch[2])
        plain = fetch_column_plane(scratch, 0, y, x)
        beside = (fetch_plane(scratch, 0, y, left) + fetch_plane(scratch, 0, y, right)) * 0.5
        above = (fetch_plane(scratch, 0, up, x) + fetch_plane(scratch, 0, down, x)) * 0.5
        top = fetch_plane(scratch, 0, up, left) + fetch_plane(scratch, 0, up, right)
        bottom = fetch_plane(scratch, 0, down, left) + fetch_plane(scratch, 0, down, right)
        corners = (top + bottom) * 0.25
        green = (red_row + red_column) == 1
        in_red_row = red_row + red_column * 0 == 1
        red = tl.where(green, tl.where(in_red_row, beside, above), tl.where(in_red_row, plain, corners))
        blue = tl.where(green, tl.where(in_red_row, above, beside), tl.where(in_red_row, corners, plain))
        middle = tl.where(green, plain, (beside + above) * 0.5)
        strength = theta[0]
        return r + strength * (red - r), g + strength * (middle - g), b + strength * (blue - b)


def _phase(pattern: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of red in the square of four pixels: 0, 0 in rggb, 1, 1 in bggr, 0, 1 in grbg, 1, 0 in gbrg."""
    return ((pattern == 1.0) | (pattern == 3.0)).to(torch.int64), ((pattern == 1.0) | (pattern == 2.0)).to(torch.int64)


@jit
def _stands(y, x, pattern):
    """1 where red stands in this row, and where it does in this column."""
    odd_y = tl.where(pattern == 1.0, 1, tl.where(pattern == 3.0, 1, 0))
    odd_x = tl.where(pattern == 1.0, 1, tl.where(pattern == 2.0, 1, 0))
    return tl.where((y & 1) == odd_y, 1, 0), tl.where((x & 1) == odd_x, 1, 0)


def _mirror(i: torch.Tensor, size: int) -> torch.Tensor:
    """Positions one beyond the border, reflected about the border pixel."""
    return (size - 1 - (size - 1 - i.abs()).abs()).clamp_min(0)


@jit
def _device_mirror(i, size):
    """The device function of `_mirror`."""
    return tl.maximum(size - 1 - tl.abs(size - 1 - tl.abs(i)), 0)
