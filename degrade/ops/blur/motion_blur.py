"""Motion blur: the average along a straight line of `length` pixels, MATLAB's fspecial('motion'); edges repeat the border.

length is in pixels (1 is the identity), angle in degrees, anticlockwise from the x axis. Each tap weighs 1 − d, with d its
distance to the line, as MATLAB's documentation of fspecial describes. Source: KADID-10k type 3.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp, ordered_sum


class MotionBlur(TwoStrokeOp):
    """Blur along a line of `length` pixels at `angle` degrees."""

    length = Param(1.0, 128.0, neutral=1.0, harsh=20.0, unit="px")
    angle = Param(-360.0, 360.0, unit="degrees", default=(0.0, 180.0))
    tolerance = 2e-6

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return np.ceil((theta[:, 0].astype(np.float64) - 1) / 2 + 1).astype(np.int64)

    @classmethod
    def tables(cls, theta: Array) -> Array:
        """The number of taps, then (dy, dx, weight) of each, sorted by dy, then dx."""
        length, angle = theta[:, 0].astype(np.float64)[:, None, None], np.deg2rad(theta[:, 1].astype(np.float64))[:, None, None]
        half, cos, sin = (length - 1) / 2, np.cos(angle), np.sin(angle)
        # Walk along the axis that the line is closer to; a tap lies less than a pixel from the line, so within one step of it.
        flat = np.abs(cos) >= np.abs(sin)
        major = np.arange(-int(half.max(initial=0)) - 1, int(half.max(initial=0)) + 2)[None, :, None]
        minor = np.rint(major * np.where(flat, sin, cos) / np.where(flat, cos, sin)) + np.asarray([-1, 0, 1])
        x, y = np.where(flat, major, minor), np.where(flat, minor, major)  # y points up
        along, distance = x * cos + y * sin, np.abs(y * cos - x * sin)
        at_the_end = (np.hypot(x, y) >= half) & (distance <= 1)
        weight = np.maximum(1.0 - np.where(at_the_end, np.hypot(distance, half - np.abs(along)), distance), 0.0)
        weight[weight < 1e-12] = 0.0  # a pixel on the rim, but for rounding
        return _packed(*(a.reshape(len(theta), -1) for a in (-y, x, weight)))

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        offsets = context.table[:, 1:].reshape(len(x), -1, 3)
        reach = int(offsets[..., :2].abs().max()) if offsets.numel() else 0
        padded = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate") if reach else x
        places = (offsets[..., 0] * (2 * reach + 1) + offsets[..., 1]).to(torch.int64)
        total = torch.zeros_like(x)
        for place in torch.unique(places[offsets[..., 2] > 0]).tolist():  # sorted: the device adds in the same order
            dy = (place + reach) // (2 * reach + 1)
            dx = place - dy * (2 * reach + 1)
            weight = torch.where(places == place, offsets[..., 2], 0.0).amax(1)[:, None, None, None]
            total += weight * padded[:, :, reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        return context.round(total)  # as the scratch holds it

    @staticmethod
    @jit
    def reach(image, y, x, theta, table, words, rng, inside):
        r, g, b = fetch(image, y, x)
        r, g, b = r * 0.0, g * 0.0, b * 0.0
        for i in range(tl.load(table).to(tl.int32)):
            dy, dx = tl.load(table + 1 + 3 * i).to(tl.int32), tl.load(table + 2 + 3 * i).to(tl.int32)
            weight = tl.load(table + 3 + 3 * i)
            r0, g0, b0 = fetch(image, y + dy, x + dx)
            r += weight * r0
            g += weight * g0
            b += weight * b0
        return r, g, b

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        return fetch(scratch, y, x)


def _packed(dy: Array, dx: Array, weight: Array) -> Array:
    """Rows of (count, dy, dx, weight, dy, dx, weight, …) of the taps with weight, in order; weights made to sum to 1."""
    used = weight > 0
    count = used.sum(1)
    order = np.argsort(np.where(used, dy * 1024 + dx, np.inf), axis=1, kind="stable")[:, : count.max(initial=0)]
    dy, dx, weight = (np.take_along_axis(np.where(used, a, 0.0), order, 1) for a in (dy, dx, weight))
    taps = np.stack([dy, dx, weight / ordered_sum(weight)], 2)
    return np.concatenate([count[:, None], taps.reshape(len(dy), -1)], 1).astype(np.float32)
