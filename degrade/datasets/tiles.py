"""Very large images, degraded tile by tile: equal to the whole, in the memory of a part."""

from __future__ import annotations

import numpy as np
import torch

from degrade import backends
from degrade.op import TwoStrokeOp
from degrade.pipeline import apply
from degrade.program import Program

LARGE = 32_000_000  # pixels beyond which an image is degraded in tiles
TILE = 2048  # a side
ALIGNED = 16  # tiles with their surroundings begin at multiples of it, as fast paths like


def tiled(program: Program, x: torch.Tensor, tile: int = TILE) -> torch.Tensor:
    """What `degrade.apply` gives for images b 3 h w, made of tiles of so many pixels a side.

    Programs that cannot be run on parts of the frame (ops that read all of it, partitions, masks of the call) are run on the whole.
    """
    reach = surroundings(program)
    if reach is None:
        return apply(program, x, check="never")
    y = torch.empty_like(x)
    height, width = x.shape[2:]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            y0, x0 = (max(0, at - reach) // ALIGNED * ALIGNED for at in (top, left))
            part = x[:, :, y0 : min(bottom + reach, height), x0 : min(right + reach, width)].contiguous()
            done = apply(program, part, check="never", origin=(y0, x0))
            y[:, :, top:bottom, left:right] = done[:, :, top - y0 : bottom - y0, left - x0 : right - x0]
    return y


def surroundings(program: Program) -> int | None:
    """How many pixels around a part of the frame its results depend on; None where that is all of it, or where parts cannot be run."""
    if program.waiting().any() or (program.partition >= 0).any() or program.phase.any() or backends.whole_frame(program):
        return None
    reach = np.zeros(len(program), dtype=np.int64)
    for op, rows, slots in program.taken():
        if issubclass(op, TwoStrokeOp):
            np.add.at(reach, rows, op.radius(program.theta[rows, slots]) + op.block - 1)
    return int(reach.max(initial=0))
