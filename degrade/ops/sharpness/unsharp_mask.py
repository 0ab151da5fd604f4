"""Unsharp mask: x + amount · (x − Gauss(x)), on L of CIELAB or on each channel, then clip.

The blur has `size` taps per axis and repeats the border pixel; an even size counts as the next odd one. With a threshold the
difference d counts by clamp(|d| / threshold − 0.5, 0, 1), a ramp about the threshold; Real-ESRGAN blurs a mask of |d| above it
instead. d is on the 0..1 scale (L / 100 in "lab"). Between its passes L is kept over a span of 100, in the working precision.
With order "bgr" red and blue change places before the conversion to CIELAB and again after it.
Source: KADID-10k type 24 (σ 3, 13 taps, "lab"); ARNIQA's version has σ 6 and "bgr"; DepictQA's oversharpening has 5 taps of
"rgb"; Real-ESRGAN sharpens its targets by 0.5 with 51 taps (σ 8) above 10/255.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.colour import device_lab_from_rgb, device_rgb_from_lab, lab_from_rgb, rgb_from_lab
from degrade.kernels.fetch import fetch_column
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp
from degrade.ops.colour._planes import along, device_along_x, device_along_y, device_in_order, gaussian_taps, in_order


class UnsharpMask(TwoStrokeOp):
    """Add `amount` times the difference to a Gaussian blur."""

    amount = Param(0.0, 16.0, neutral=0.0, harsh=12.0, unit="× difference")
    sigma = Param(0.1, 32.0, neutral=3.0, harsh=6.0, unit="px", default=3.0)
    size = Param(1, 129, neutral=13, harsh=51, unit="px", default=13, integer=True)
    space = Param(choices=("lab", "rgb"), default="lab")
    order = Param(choices=("rgb", "bgr"), default="rgb")
    threshold = Param(0.0, 1.0, neutral=0.0, harsh=0.1, unit="of full range", default=0.0)
    tolerance = 5e-5
    modulates = True
    settle_warps = 4

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return theta[:, 2].astype(np.int64) // 2

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The slope and the offset of the threshold's ramp, then the taps."""
        threshold = theta[:, 5].astype(np.float64)
        ramp = np.where(threshold > 0, 1.0 / np.maximum(threshold, 1e-9), 0.0), np.where(threshold > 0, -0.5, 1.0)
        taps = gaussian_taps(np.maximum(theta[:, 1].astype(np.float64), 1e-3), cls.radius(theta))
        return np.concatenate([np.stack(ramp, 1), taps], 1).astype(np.float32)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        return np.where(theta[:, 3:4] == 0, [[0, 1]], [[1, -1]])

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        on_lightness = theta[3] == 0.0
        if x.device.type == "cpu" and on_lightness.all():  # to ask a GPU would wait for it
            return _on_lightness(x, theta, context)
        if x.device.type == "cpu" and not on_lightness.any():
            return _sharper(x, x, theta[0], context)
        return torch.where(on_lightness, _on_lightness(x, theta, context), _sharper(x, x, theta[0], context))

    @staticmethod
    @jit
    def lightness(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch_column(image, y, x)
        r, g, b = device_in_order(r, g, b, theta[4])
        lightness, a, b = device_lab_from_rgb(r, g, b)
        return lightness * 0.01, g * 0.0, g * 0.0

    @staticmethod
    @jit
    def across(image, before, y, x, theta, table, words, rng, stage, inside):
        r = device_along_x(before, 0, y, x, table + 2)
        g, b = r * 0.0, r * 0.0
        if theta[3] != 0.0:
            g, b = device_along_x(before, 1, y, x, table + 2), device_along_x(before, 2, y, x, table + 2)
        return r, g, b

    strokes = (Stroke(lightness), Stroke(across))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        first = device_along_y(scratch, 0, y, x, table + 2)
        if theta[3] == 0.0:
            r, g, b = device_in_order(r, g, b, theta[4])
            lightness, a, b = device_lab_from_rgb(r, g, b)
            lightness = _device_sharper(lightness * 0.01, first, theta[0], table) * 100.0
            r, g, b = device_rgb_from_lab(lightness, a, b)
            r, g, b = device_in_order(r, g, b, theta[4])
        else:
            r = _device_sharper(r, first, theta[0], table)
            g = _device_sharper(g, device_along_y(scratch, 1, y, x, table + 2), theta[0], table)
            b = _device_sharper(b, device_along_y(scratch, 2, y, x, table + 2), theta[0], table)
        return r, g, b


def _on_lightness(x: torch.Tensor, theta: Theta, context: Context) -> torch.Tensor:
    lightness, a, b = lab_from_rgb(*in_order(x, theta[4]).unbind(1))
    lightness = (lightness * 0.01)[:, None]
    lightness = _sharper(lightness, context.round(lightness), theta[0], context)[:, 0] * 100.0
    return in_order(torch.stack(rgb_from_lab(lightness, a, b), 1), theta[4])


def _sharper(x: torch.Tensor, stored: torch.Tensor, amount: torch.Tensor, context: Context) -> torch.Tensor:
    """x with the difference to the blur of what the scratch holds."""
    slope, offset, taps = context.table[:, :1, None, None], context.table[:, 1:2, None, None], context.table[:, 2:]
    difference = x - along(context.round(along(stored, taps, 3)), taps, 2)
    return x + amount * (difference * (difference.abs() * slope + offset).clamp(0.0, 1.0))


@jit
def _device_sharper(x, blurred, amount, table):
    difference = x - blurred
    return x + amount * (difference * tl.minimum(tl.maximum(tl.abs(difference) * tl.load(table) + tl.load(table + 1), 0.0), 1.0))
