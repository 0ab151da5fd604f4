"""Colour blocks: `count` squares of `size` pixels, each of one uniformly random colour, at random places inside the frame.

Earlier blocks lie on top, so that more of them change more pixels; in a smaller frame a block fills it along that axis.
Source: KADID-10k type 23.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta

from ._boxes import MOST, NUMBERS, boxes, owners


class ColourBlocks(PointOp):
    """Cover the image with `count` squares of random colours."""

    count = Param(0, MOST, neutral=0, harsh=10, unit="blocks", integer=True)
    size = Param(1, 512, neutral=32, harsh=32, unit="px", default=32, integer=True)
    uniforms = NUMBERS * MOST

    @classmethod
    def needs(cls, theta: Array) -> int:
        return NUMBERS * int(theta[:, 0].max(initial=0))

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        head, rows = boxes(theta[:, 0].astype(np.int64), theta[:, 1].astype(np.int64), frame)
        return np.concatenate([head, rows.reshape(len(theta), -1)], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, height, width = x.shape
        owner = owners(context.table, height, width)[:, None]
        colours = context.table[:, 3:].reshape(n, -1, NUMBERS)[..., 2:]
        colours = torch.nn.functional.pad(colours, (0, 0, 1, 0)).transpose(1, 2)  # colour 0 is never shown
        block = colours.gather(2, owner.expand(n, 3, -1)).reshape(x.shape)
        return torch.where((owner > 0).reshape(n, 1, height, width), block, x)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        y, x = pixel >> 16, pixel & 0xFFFF
        high, wide = tl.load(table + 1).to(tl.int32), tl.load(table + 2).to(tl.int32)
        count = tl.load(table).to(tl.int32)
        y0, y1, x0, x1 = tl.min(y), tl.max(y), tl.min(x), tl.max(x)
        for k in range(count):
            i = count - 1 - k
            box = table + 3 + 5 * i
            top, left = tl.load(box).to(tl.int32), tl.load(box + 1).to(tl.int32)
            if (y1 >= top) & (y0 < top + high) & (x1 >= left) & (x0 < left + wide):  # most blocks do not meet the tile
                hit = (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
                r, g, b = tl.where(hit, tl.load(box + 2), r), tl.where(hit, tl.load(box + 3), g), tl.where(hit, tl.load(box + 4), b)
        return r, g, b
