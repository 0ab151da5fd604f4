"""Zoom blur: the mean of the image and its zooms about the centre by 1, 1 + step, … up to 1 + amount, each read bilinearly.

amount and step are parts of the image's size; an amount below one step is the identity. A zoom by f reads the pixel at
c + (p − c)/f, with c the centre of the frame, so nothing beyond the border is needed. ImageNet-C zooms a centred crop of whole
pixels, from corner to corner, which differs by less than a pixel. Source: ImageNet-C zoom_blur.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp


class ZoomBlur(TwoStrokeOp):
    """Average zooms up to 1 + `amount`."""

    amount = Param(0.0, 0.5, neutral=0.0, harsh=0.3, unit="of the size")
    step = Param(0.005, 0.1, neutral=0.005, harsh=0.1, unit="of the size", default=0.02)
    steps = ("amount",)
    whole_frame = True
    tolerance = 5e-6

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return _steps(theta) == 0

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The number of zooms beyond 1, the weight of each image, then 1/f of each zoom."""
        steps = _steps(theta)
        k = np.arange(1, steps.max(initial=0) + 1)
        inverse = np.where(k <= steps[:, None], 1.0 / (1.0 + k * theta[:, 1:2].astype(np.float64)), 0.0)
        return np.concatenate([steps[:, None], 1.0 / (steps[:, None] + 2), inverse], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        steps, total = context.table[:, 0], x + x  # itself, and its zoom by 1
        for k in range(1, context.table.shape[1] - 1):
            these = (steps >= k).nonzero().flatten()
            own, inverse = (x, context.table) if len(these) == len(x) else (x[these], context.table[these])
            inverse = inverse[:, 1 + k, None]
            y0, y1, v = _places(height, inverse)
            x0, x1, u = _places(width, inverse)
            top, bottom = _rows(own, y0), _rows(own, y1)
            rows = bottom.sub_(top).mul_(v[:, None, :, None]).add_(top)
            left, right = _columns(rows, x0), _columns(rows, x1)
            zoomed = right.sub_(left).mul_(u[:, None, None, :]).add_(left)
            total = total + zoomed if len(these) == len(x) else total.index_add(0, these, zoomed)
        return context.round(total * context.table[:, 1, None, None, None])

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        height, width = image[1], image[2]
        middle_y, middle_x = (height - 1) * 0.5, (width - 1) * 0.5
        r, g, b = fetch(image, y, x)
        r, g, b = r + r, g + g, b + b
        for k in range(1, tl.load(table).to(tl.int32) + 1):
            inverse = tl.load(table + 1 + k)
            at_y, at_x = (y - middle_y) * inverse + middle_y, (x - middle_x) * inverse + middle_x
            y0, x0 = tl.floor(at_y), tl.floor(at_x)
            v, u = at_y - y0, at_x - x0
            top, left = y0.to(tl.int32), x0.to(tl.int32)
            r0, g0, b0 = fetch(image, top, left)
            r1, g1, b1 = fetch(image, top + 1, left)
            r0, g0, b0 = r0 + v * (r1 - r0), g0 + v * (g1 - g0), b0 + v * (b1 - b0)
            r1, g1, b1 = fetch(image, top, left + 1)
            r2, g2, b2 = fetch(image, top + 1, left + 1)
            r1, g1, b1 = r1 + v * (r2 - r1), g1 + v * (g2 - g1), b1 + v * (b2 - b1)
            r += r0 + u * (r1 - r0)
            g += g0 + u * (g1 - g0)
            b += b0 + u * (b1 - b0)
        weight = tl.load(table + 1)
        return r * weight, g * weight, b * weight


def _steps(theta: Array) -> Array:
    """How many zooms beyond 1 there are; a ten-thousandth of a step is rounding."""
    return np.floor(theta[:, 0].astype(np.float64) / np.maximum(theta[:, 1].astype(np.float64), 1e-3) + 1e-4).astype(np.int64)


def _places(size: int, inverse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Along one axis, the two pixels (n, size) that a zoom reads, and the weight of the second."""
    middle = (size - 1) * 0.5
    at = (torch.arange(size, dtype=torch.float32, device=inverse.device) - middle) * inverse + middle
    first = torch.floor(at)
    place = first.to(torch.int64)
    return place.clamp(0, size - 1), (place + 1).clamp(0, size - 1), at - first


def _rows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Rows y (n, k) of each sample."""
    n, c, h, w = x.shape
    first = torch.arange(n * c, device=x.device).view(n, c, 1) * h
    return x.reshape(n * c * h, w).index_select(0, (first + y[:, None]).flatten()).view(n, c, -1, w)


def _columns(x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Columns `at` (n, k) of each sample."""
    n, c, h, w = x.shape
    first = torch.arange(n * c * h, device=x.device).view(n, c * h, 1) * w
    return x.flatten().index_select(0, (first + at[:, None]).flatten()).view(n, c, h, -1)
