"""Motion blur: the average along a straight line of `length` pixels, MATLAB's fspecial('motion'); edges repeat the border.

length is in pixels (1 is the identity), angle in degrees, anticlockwise from the x axis. Each tap weighs 1 − d, with d its
distance to the line, as MATLAB's documentation of fspecial describes. Source: KADID-10k type 3.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp

EPS = 2.0**-52


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
        """The number of taps, then (dy, dx, weight) of each."""
        lists = [_taps(float(length), float(angle)) for length, angle, *_ in theta]
        rows = np.zeros((len(theta), 1 + 3 * max((len(t) for t in lists), default=0)), dtype=np.float32)
        for row, taps in zip(rows, lists):
            row[0] = len(taps)
            row[1 : 1 + taps.size] = taps.ravel()
        return rows

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
        return total

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


def _taps(length: float, angle: float) -> Array:
    """The taps (dy, dx, weight) with positive weight, sorted by dy then dx."""
    half = (max(1.0, length) - 1) / 2
    phi = angle % 180 / 180 * np.pi
    cos, sin = np.cos(phi), np.sin(phi)
    side = 1.0 if cos >= 0 else -1.0
    far_x = int(np.fix(half * cos + side - length * EPS))
    far_y = int(np.fix(half * sin + 1 - length * EPS))
    x, y = np.meshgrid(np.arange(0, far_x + int(side), int(side)), np.arange(0, far_y + 1))
    distance = y * cos - x * sin
    from_centre = np.hypot(x, y)
    beyond = (from_centre >= half) & (np.abs(distance) <= 1)
    overshoot = half - np.abs((x + distance * sin) / cos)  # cos is never exactly 0 in floating point
    distance = np.where(beyond, np.hypot(distance, overshoot), distance)
    weight = np.maximum(0.0, 1 + EPS - np.abs(distance))
    kernel: dict[tuple[int, int], float] = {}
    for dy, dx, w in zip(y.ravel(), x.ravel(), weight.ravel()):
        for sign in (1, -1):  # correlation with the kernel turned by 180 degrees is the same: it is symmetric
            kernel[int(-dy) * sign, int(dx) * sign] = w
    total = sum(kernel.values()) + EPS * length * length
    return np.asarray([(dy, dx, w / total) for (dy, dx), w in sorted(kernel.items()) if w > 0])
