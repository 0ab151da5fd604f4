"""Non-eccentricity patches: small squares of the image are copied a few pixels aside, one after the other.

A square of `size` pixels, at least `offset` pixels inside the frame and uniform there, is copied by ⌊(u − 1/2) · offset + 1/2⌋
pixels along each axis, with u uniform in (0, 1), or by `offset` pixels up and to the left ("diagonal"). One copy follows
another: "current" reads the image with the earlier copies in it, "original" the image as it came. In small frames a square
has at most half the pixels of an axis, its corner keeps to the frame, and the copy is moved as far as it fits. ARNIQA copies
between views of one tensor, which is undefined where they overlap; this is what it means to do. Source: KADID-10k type 20;
TID2013 type 14 in RankIQA's version, with size 15, offset 5, "diagonal" and "original".
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

MOST = 400  # patches
ORIGINAL, DIAGONAL = 1.0, 1.0  # positions among the choices of `source` and `shift`


class NonEccentricityPatches(TwoStrokeOp):
    """Copy `count` squares of `size` pixels to places close by."""

    count = Param(0, MOST, neutral=0, harsh=100, unit="patches", integer=True)
    size = Param(1, 128, neutral=16, harsh=16, unit="px", default=16, integer=True)
    offset = Param(1.0, 128.0, neutral=16.0, harsh=16.0, unit="px", default=16.0)
    source = Param(choices=("current", "original"), default="current")
    shift = Param(choices=("random", "diagonal"), default="random")
    steps = ("offset",)
    uniforms = 4 * MOST
    whole_frame = True  # copies of copies may come from afar

    @classmethod
    def needs(cls, theta: Array) -> int:
        return 4 * int(theta[:, 0].max(initial=0))

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The number of copies and their side, then (y, x, dy, dx) of each: its place, and how far that lies from what it shows."""
        count, size, offset = theta[:, 0].astype(np.int64), theta[:, 1].astype(np.int64), theta[:, 2:3].astype(np.float64)
        most, axes = int(count.max(initial=0)), np.asarray([[frame.height], [frame.width]])
        side = np.minimum(size, max(1, min(frame.height, frame.width) // 2))
        # Along both axes at once: (2, n, patches).
        where, moved = np.ascontiguousarray(frame.u[:, : 4 * most].reshape(len(theta), most, 4).transpose(2, 0, 1)).reshape(2, 2, len(theta), most)
        room = (axes - side)[:, :, None]
        low = np.minimum(np.ceil(offset), room // 2)
        corner = low + np.floor(where * (room - 2 * low + 1))
        shift = np.where(theta[:, 4:5] == DIAGONAL, -np.floor(offset + 0.5), np.floor((moved - 0.5) * offset + 0.5))
        place = np.minimum(np.maximum(corner + shift, 0), room)
        used = np.arange(most) < count[:, None]
        out = np.empty((len(theta), 2 + 4 * most), dtype=np.float32)
        out[:, 0], out[:, 1] = count, side
        out[:, 2::4], out[:, 3::4] = np.where(used, place, 0.0)
        out[:, 4::4], out[:, 5::4] = np.where(used, place - corner, 0.0)
        return out

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        """The copies are made on a map of where each pixel comes from; a cell beyond its end takes what is not copied."""
        n, c, height, width = x.shape
        table = context.table.to(torch.int64)
        count, side = table[:, :1, None], table[:, 1:2, None]
        place = table[:, 2:].reshape(n, -1, 4)
        step = torch.arange(int(side.max()), device=x.device)
        at = (step[:, None] * width + step).flatten()
        real = (torch.arange(place.shape[1], device=x.device)[None, :, None] < count) & ((step[:, None] < side) & (step < side)).reshape(n, 1, -1)
        to = torch.where(real, place[..., :1] * width + place[..., 1:2] + at, height * width)
        shown = torch.where(real, to - place[..., 2:3] * width - place[..., 3:], height * width)
        origin = torch.arange(height * width + 1, device=x.device).repeat(n, 1)
        original = theta[3][:, :, 0, 0] == ORIGINAL
        for target, source in zip(to.unbind(1), shown.unbind(1)):
            origin.scatter_(1, target, torch.where(original, source, origin.gather(1, source)))
        return x.flatten(2).gather(2, origin[:, None, :-1].expand(n, c, -1)).reshape(x.shape)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        """From the last copy to the first: where a pixel lies in one, follow it to what that shows."""
        count, side = tl.load(table).to(tl.int32), tl.load(table + 1).to(tl.int32)
        row, column = y + x * 0, x + y * 0
        open_ = row * 0 + 1  # 0 once a pixel of the original is found
        y0, y1, x0, x1 = tl.min(y), tl.max(y), tl.min(x), tl.max(x)  # around all that the tile shows: most patches do not meet it
        for i in range(count):
            patch = table + 2 + 4 * (count - 1 - i)
            top, left = tl.load(patch).to(tl.int32), tl.load(patch + 1).to(tl.int32)
            if (y1 >= top) & (y0 < top + side) & (x1 >= left) & (x0 < left + side):
                dy, dx = tl.load(patch + 2).to(tl.int32), tl.load(patch + 3).to(tl.int32)
                hit = (row >= top) & (row < top + side) & (column >= left) & (column < left + side) & (open_ > 0)
                row, column = tl.where(hit, row - dy, row), tl.where(hit, column - dx, column)
                if theta[3] == 1.0:
                    open_ = tl.where(hit, 0, open_)
                y0, y1 = tl.minimum(y0, tl.maximum(y0, top) - dy), tl.maximum(y1, tl.minimum(y1, top + side - 1) - dy)
                x0, x1 = tl.minimum(x0, tl.maximum(x0, left) - dx), tl.maximum(x1, tl.minimum(x1, left + side - 1) - dx)
        return fetch(image, row, column)
