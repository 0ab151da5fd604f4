"""The distance from a pixel to a line segment, for outlines and strokes."""

from __future__ import annotations

import torch

from degrade.kernels.lang import jit, tl


def squared_distance(y: torch.Tensor, x: torch.Tensor, ay: torch.Tensor, ax: torch.Tensor, by: torch.Tensor, bx: torch.Tensor) -> torch.Tensor:
    """The squared distance from (y, x) to the segment from (ay, ax) to (by, bx), which may be a point."""
    py, px, ey, ex = y - ay, x - ax, by - ay, bx - ax
    length = ey * ey + ex * ex
    t = torch.clamp((py * ey + px * ex) / torch.where(length > 0.0, length, 1.0), 0.0, 1.0)
    qy, qx = py - t * ey, px - t * ex
    return qy * qy + qx * qx


@jit
def device_squared_distance(y, x, ay, ax, by, bx):  # type: ignore[no-untyped-def]
    """The device function of `squared_distance`."""
    py, px, ey, ex = y - ay, x - ax, by - ay, bx - ax
    length = ey * ey + ex * ex
    t = tl.minimum(tl.maximum(tl.div_rn(py * ey + px * ex, tl.where(length > 0.0, length, 1.0)), 0.0), 1.0)
    qy, qx = py - t * ey, px - t * ex
    return qy * qy + qx * qx
