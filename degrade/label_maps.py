"""What the weights of the slots say about each pixel, each patch and each pair of slots.

`weights` is (b, s, h, w) float32 in 0…1, what `Labels.masks` holds; `type` is (b, s) with -1 where a slot is empty. Maps are built slot
by slot, so that beside the result only images (b, h, w) are held.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def boxes(weights: torch.Tensor) -> torch.Tensor:
    """The smallest box around weight > 0: (b, s, 4) int32, x0 y0 x1 y1 in pixels, right and bottom exclusive; 0 where there is none."""
    inside = weights > 0
    x0, x1 = _span(inside.any(2))
    y0, y1 = _span(inside.any(3))
    return torch.stack([x0, y0, x1, y1], -1).to(torch.int32)


def _span(taken: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first True along the last axis, and one more than the last; both 0 where there is none."""
    whole = taken.to(torch.uint8)
    end = taken.shape[-1] - whole.flip(-1).argmax(-1)
    return whole.argmax(-1), torch.where(taken.any(-1), end, 0)


def area_above(weights: torch.Tensor, threshold: float) -> torch.Tensor:
    """The fraction of pixels with weight ≥ threshold: (b, s) float32."""
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold={threshold!r} is not a weight that a pixel can reach; accepted: a number above 0, up to 1.")
    return (weights >= threshold).to(torch.float64).mean((2, 3)).to(torch.float32)


def coverage(weights: torch.Tensor, patch: Any) -> torch.Tensor:
    """The mean weight in each patch: (b, s, ⌈h / ph⌉, ⌈w / pw⌉) float32. A patch at an edge averages over the pixels that exist."""
    sides = (patch, patch) if isinstance(patch, int) else patch
    whole = isinstance(sides, (tuple, list)) and len(sides) == 2 and all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in sides)
    if not whole:
        raise ValueError(f"patch={patch!r} is not accepted; accepted: a whole number of pixels from 1, or (height, width).")
    b, s, h, w = weights.shape
    kernel = min(sides[0], h), min(sides[1], w)
    if not b:
        return weights.new_zeros((b, s, -(-h // kernel[0]), -(-w // kernel[1])))
    return functional.avg_pool2d(weights, kernel, ceil_mode=True)


def overlap(weights: torch.Tensor) -> torch.Tensor:
    """Soft intersection over union of each two slots, Σ min / Σ max: (b, s, s) float32, 0 where either has no weight."""
    b, s = weights.shape[:2]
    total = weights.sum((2, 3), dtype=torch.float64)
    shared = torch.zeros((b, s, s), dtype=torch.float64, device=weights.device)
    for i in range(s):
        shared[:, i, i] = total[:, i]
        for j in range(i):
            shared[:, i, j] = shared[:, j, i] = torch.minimum(weights[:, i], weights[:, j]).sum((1, 2), dtype=torch.float64)
    joint = total[:, :, None] + total[:, None, :] - shared  # max = a + b − min, pixel by pixel
    return torch.where(shared > 0, shared / joint, 0.0).to(torch.float32)


def severity_maps(weights: torch.Tensor, severity: torch.Tensor, type: torch.Tensor, types: int) -> torch.Tensor:
    """The largest severity · weight of each type at each pixel: (b, t, h, w) float32."""
    b, s, h, w = weights.shape
    out = torch.zeros((b, types, h, w), dtype=torch.float32, device=weights.device)
    for slot in range(s):
        rows = (type[:, slot] >= 0).nonzero()[:, 0]
        at = rows, type[rows, slot].long()
        out[at] = torch.maximum(out[at], severity[rows, slot, None, None] * weights[rows, slot])
    return out


def composite_severity(weights: torch.Tensor, severity: torch.Tensor) -> torch.Tensor:
    """1 − Π (1 − severity · weight) over the slots: (b, h, w) float32."""
    b, s, h, w = weights.shape
    spared = torch.ones((b, h, w), dtype=torch.float32, device=weights.device)
    for slot in range(s):
        spared *= 1.0 - severity[:, slot, None, None] * weights[:, slot]
    return 1.0 - spared


def dominant(weights: torch.Tensor, severity: torch.Tensor, type: torch.Tensor) -> torch.Tensor:
    """The type of the slot with the largest severity · weight, the first of equal ones: (b, h, w) int16, -1 where that is 0."""
    b, s, h, w = weights.shape
    largest = torch.zeros((b, h, w), dtype=torch.float32, device=weights.device)
    out = torch.full((b, h, w), -1, dtype=torch.int16, device=weights.device)
    for slot in range(s):
        own = severity[:, slot, None, None] * weights[:, slot]
        out = torch.where(own > largest, type[:, slot, None, None], out)
        largest = torch.maximum(largest, own)
    return out
