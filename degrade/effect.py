"""What a degradation did to the pixels: each slot's measured change, and maps of the difference between two images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from . import backends
from .inputs import Images, check_values
from .program import Program

FIXED = 65535  # full range of the fixed point in which changes of float images are counted


@dataclass(frozen=True, eq=False)
class Effect:
    """The measured change of b samples and s slots, each against the image that the slot got; 0 where a slot is empty or has no weight.

    change     (b, s) float32  mean |difference| over the pixels with weight > 0, all weighted equally, and over channels, of full range
    changed    (b, s) float32  fraction of those pixels in which any channel changed
    """

    change: torch.Tensor
    changed: torch.Tensor


def measure(program: Program, x: torch.Tensor, mask: torch.Tensor | None, weights: torch.Tensor, backend: str) -> Effect:
    """The effect of every slot; see `Labels.effect`.

    Args:
        x: the images, b 3 h w or 3 h w, before they were degraded.
        mask: b 1 h w, where the program reads one.
        weights: (b, s, h, w), the weight of each slot.
    """
    batch = Images(x).batch.detach()
    check_values(batch)
    if len(program) != len(batch) or program.size != tuple(batch.shape[2:]):
        raise ValueError(
            f"x has {len(batch)} images of {batch.shape[2]}x{batch.shape[3]} and the labels are of {len(program)} of "
            f"{program.size[0]}x{program.size[1]}; accepted: the images that were degraded."
        )
    program = program.to(batch.device)
    mask = None if mask is None else mask.to(batch.device)
    change, changed = torch.zeros((2, *program.code.shape), dtype=torch.float32)
    latest = batch.clone()
    for slot in range(program.slots):
        rows = np.flatnonzero(program.code[:, slot] >= 0)  # where the slot is empty, nothing can have changed
        if not len(rows):
            continue
        at = torch.from_numpy(rows)
        here = at.to(batch.device)
        shorter = program.select(rows).between(np.zeros(len(rows)), np.full(len(rows), slot + 1))
        y = backends.run(shorter, batch[here], None if mask is None else mask[here], backend)
        change[at, slot], changed[at, slot] = (v.cpu() for v in _compare(latest[here], y, weights[at.to(weights.device), slot].to(batch.device) > 0))
        latest[here] = y
    return Effect(change, changed)


def _compare(before: torch.Tensor, after: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean change and share of changed pixels within (n, h, w) bool. Sums are of integers: they depend on no order."""
    difference = (_whole(after) - _whole(before)).abs().sum(1, dtype=torch.int64) * inside
    full = 3 * (255 if before.dtype == torch.uint8 else FIXED)
    pixels = inside.sum((1, 2)).clamp(min=1).to(torch.float64)
    change = difference.sum((1, 2)).to(torch.float64) / (pixels * full)
    return change.to(torch.float32), ((difference > 0).sum((1, 2)).to(torch.float64) / pixels).to(torch.float32)


def _whole(x: torch.Tensor) -> torch.Tensor:
    """Images as int32: 8 bits as they are, floats in 16-bit fixed point."""
    return x.to(torch.int32) if x.dtype == torch.uint8 else (x.to(torch.float32).clamp(0.0, 1.0) * FIXED + 0.5).to(torch.int32)


# ---- maps of the difference between two images -------------------------------------------------------------------------


def absolute_error(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """|x − y| at each pixel, the mean of the channels: b h w float32 in 0…1 of full range.

    Args:
        x, y: b 3 h w or 3 h w (the result is then h w), uint8 or float in 0…1, of one shape and dtype; one grey channel is accepted too.

    Raises:
        ValueError, TypeError: what are no images, or images that differ in shape or dtype.
    """
    a, b = _pair(x, y)
    if x.dtype == torch.uint8:
        out = (a.to(torch.int32) - b.to(torch.int32)).abs().sum(1).to(torch.float32) / (255 * a.shape[1])
    else:
        out = (a.to(torch.float32) - b.to(torch.float32)).abs().mean(1)
    return out[0] if x.dim() == 3 else out


def ssim_map(x: torch.Tensor, y: torch.Tensor, window: int = 11) -> torch.Tensor:
    """Structural similarity at each pixel, the mean of the channels: b h w float32, 1 where the images are equal; by kornia.

    Args:
        x, y: as for `absolute_error`.
        window: side of the Gaussian window of σ 1.5, odd, in pixels; edges are mirrored, so each side needs more than half of it.

    Raises:
        ValueError, TypeError: what are no images, images that differ in shape or dtype, or a window that does not fit them.
    """
    a, b = _pair(x, y)
    if isinstance(window, bool) or not isinstance(window, int) or window < 1 or window % 2 == 0 or window // 2 >= min(a.shape[2:]):
        raise ValueError(
            f"window={window!r} does not fit images of {a.shape[2]}x{a.shape[3]}; accepted: an odd number of pixels, less than twice each side."
        )
    from kornia.metrics import ssim

    a, b = (v.to(torch.float32) / (255 if x.dtype == torch.uint8 else 1) for v in (a, b))
    out = ssim(a, b, window).mean(1) if len(a) else a[:, 0]
    return out[0] if x.dim() == 3 else out


def _pair(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two checked batches b 3 h w."""
    a, b = Images(x), Images(y)
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError(f"x is {tuple(x.shape)} of {x.dtype} and y {tuple(y.shape)} of {y.dtype}; accepted: one shape and one dtype.")
    return a.batch, b.batch
