"""Mean blocks: `count` squares of `size` pixels at random places, each filled with a colour near the mean.

The mean of each channel is that of the whole image or of what the block covers ("block"), without any blocks, from sums of
16-bit fixed-point values; to it comes a uniformly random shift in ±`offset` (of the full range) for each block and channel.
Earlier blocks lie on top, so that more of them change more pixels; in a smaller frame a block fills it along that axis.
Source: TID2013 type 15 in RankIQA's version, 2, 4, 8 and 16 blocks of 32 pixels.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_column
from degrade.kernels.gradient import added
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import add
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp

from ._boxes import MOST, NUMBERS, boxes, owners

BLOCK = 1.0  # position among the choices of `mean`


class MeanBlocks(TwoStrokeOp):
    """Cover the image with `count` squares of colours near the mean."""

    count = Param(0, MOST, neutral=0, harsh=20, unit="blocks", integer=True)
    size = Param(1, 512, neutral=32, harsh=32, unit="px", default=32, integer=True)
    offset = Param(0.0, 1.0, neutral=0.1, harsh=0.1, unit="of full range", default=0.1)
    mean = Param(choices=("image", "block"), default="image")
    uniforms = NUMBERS * MOST
    words = 3 * (1 + MOST)  # sums of the three channels of the image, and of each block
    whole_frame = True
    tolerance = 1e-6

    @classmethod
    def needs(cls, theta: Array) -> int:
        return NUMBERS * int(theta[:, 0].max(initial=0))

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        head, rows = boxes(theta[:, 0].astype(np.int64), theta[:, 1].astype(np.int64), frame)
        used = np.arange(rows.shape[1])[:, None] < theta[:, 0, None, None]
        rows[..., 2:] = np.where(used, (2.0 * rows[..., 2:] - 1.0) * theta[:, 2, None, None].astype(np.float64), 0.0)
        return np.concatenate([head, rows.reshape(len(theta), -1)], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, height, width = x.shape
        rows = context.table[:, 3:].reshape(n, -1, NUMBERS)
        fixed = torch.floor(x * 65535.0 + 0.5).to(torch.int64)
        total = fixed.to(torch.int64).sum((2, 3))[:, :, None].expand(-1, -1, rows.shape[1])
        size = torch.full((n, 1), float(height * width), device=x.device)
        if (theta[3] == BLOCK).any():
            size = torch.where(theta[3].flatten()[:, None] == BLOCK, context.table[:, 1:2] * context.table[:, 2:3], size)
            total = torch.where(theta[3][:, :, 0] == BLOCK, _sums(fixed, context.table, rows), total)
        total = total.to(torch.float32)
        if x.requires_grad:
            counted = torch.stack([_inside(row, context.table, height, width) for row in rows.unbind(1)], 1) | (theta[3] != BLOCK)
            total = added(total[..., None, None], (x * 65535.0)[:, :, None] * counted[:, None])[..., 0, 0]
        colours = total / (size * 65535.0)[:, None] + rows[..., 2:].transpose(1, 2)
        owner = owners(context.table, height, width)[:, None]
        block = torch.nn.functional.pad(colours, (1, 0)).gather(2, owner.expand(n, 3, -1)).reshape(x.shape)
        return torch.where((owner > 0).reshape(n, 1, height, width), block, x)

    @staticmethod
    @jit
    def add_up(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch_column(image, y, x)
        if theta[3] == 0.0:
            _add(words, r, g, b, inside)
        else:
            high, wide = tl.load(table + 1).to(tl.int32), tl.load(table + 2).to(tl.int32)
            for i in range(tl.load(table).to(tl.int32)):
                top, left = tl.load(table + 3 + 5 * i).to(tl.int32), tl.load(table + 4 + 5 * i).to(tl.int32)
                near = (tl.max(y) >= top) & (tl.min(y) < top + high) & (tl.max(x) >= left) & (tl.min(x) < left + wide)
                if near:
                    hit = inside & (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
                    _add(words + 3 + 3 * i, r, g, b, hit)
        return r, g, b

    strokes = (Stroke(add_up, stores=False),)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        high, wide = tl.load(table + 1).to(tl.int32), tl.load(table + 2).to(tl.int32)
        local = tl.where(theta[3] == 1.0, 1, 0)
        size = tl.where(local == 1, high * wide, scratch[1] * scratch[2]).to(tl.float32) * 65535.0
        count = tl.load(table).to(tl.int32)
        for k in range(count):
            i = count - 1 - k
            box = table + 3 + 5 * i
            top, left = tl.load(box).to(tl.int32), tl.load(box + 1).to(tl.int32)
            sums = words + (3 + 3 * i) * local
            r0 = tl.div_rn(tl.load(sums).to(tl.float32), size) + tl.load(box + 2)
            g0 = tl.div_rn(tl.load(sums + 1).to(tl.float32), size) + tl.load(box + 3)
            b0 = tl.div_rn(tl.load(sums + 2).to(tl.float32), size) + tl.load(box + 4)
            hit = (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
            r, g, b = tl.where(hit, r0, r), tl.where(hit, g0, g), tl.where(hit, b0, b)
        return r, g, b


@jit
def _add(words, r, g, b, which):
    """Add the chosen pixels' 16-bit values to three words."""
    add(words, tl.sum(tl.sum(tl.where(which, tl.floor(r * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
    add(words + 1, tl.sum(tl.sum(tl.where(which, tl.floor(g * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
    add(words + 2, tl.sum(tl.sum(tl.where(which, tl.floor(b * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))


def _sums(fixed: torch.Tensor, table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The sum of each channel over each box: (n, 3, boxes) int64."""
    n, _, height, width = fixed.shape
    out = [(fixed * _inside(row, table, height, width)[:, None]).to(torch.int64).sum((2, 3)) for row in rows.unbind(1)]
    return torch.stack(out, 2) if out else fixed.new_zeros((n, 3, 0))


def _inside(row: torch.Tensor, table: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Which pixels lie in a box of each sample: (n, h, w) bool."""
    y, x = torch.arange(height, device=row.device)[:, None], torch.arange(width, device=row.device)
    top, left, high, wide = (v[:, None, None] for v in (row[:, 0], row[:, 1], table[:, 1], table[:, 2]))
    return (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
