"""Brighten: the curve f(t) = min(t + 2 · amount · t(1 − t), 1) on RGB, mixed with the same curve on the lightness of CIELAB.

y = (1 − lab) · f(x) + lab · clip(RGB of (100 · f(L / 100), a, b)). At order "bgr" the conversion to CIELAB and back takes blue
for red, as ARNIQA does. Source: KADID-10k type 16 (lab 1/3).
"""

import torch

from degrade.kernels.colour import device_lab_from_rgb, device_rgb_from_lab, lab_from_rgb, rgb_from_lab
from degrade.kernels.gradient import limited
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


def _curve(t, amount):
    return limited(t + amount * 2.0 * t * (1.0 - t))


@jit
def _limit(v):
    return tl.minimum(tl.maximum(v, 0.0), 1.0)


@jit
def _device_curve(t, amount):
    return _limit(t + amount * 2.0 * t * (1.0 - t))


class Brighten(PointOp):
    """Lift the middle tones by a parabola that keeps black and white, and saturates from an amount of 0.5."""

    amount = Param(0.0, 2.0, neutral=0.0, harsh=1.1, unit="of the curve")
    lab = Param(0.0, 1.0, unit="of the result from CIELAB", default=1 / 3)
    order = Param(choices=("rgb", "bgr"), default="rgb")
    tolerance = 5e-6
    modulates = True
    settle_warps = 4

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        amount, lab = theta[0], theta[1]
        swapped = theta[2] == 1.0
        red, green, blue = torch.where(swapped, x[:, 2:], x[:, :1]), x[:, 1:2], torch.where(swapped, x[:, :1], x[:, 2:])
        lightness, a, b = lab_from_rgb(red, green, blue)
        red, green, blue = rgb_from_lab(_curve(lightness * 0.01, amount) * 100.0, a, b)
        mixed = limited(torch.cat([torch.where(swapped, blue, red), green, torch.where(swapped, red, blue)], 1))
        return _curve(x, amount) * (1.0 - lab) + mixed * lab

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        amount, lab = theta[0], theta[1]
        own = 1.0 - lab
        swapped = theta[2] == 1.0
        lightness, a1, b1 = device_lab_from_rgb(tl.where(swapped, b, r), g, tl.where(swapped, r, b))
        r1, g1, b1 = device_rgb_from_lab(_device_curve(lightness * 0.01, amount) * 100.0, a1, b1)
        r1, g1, b1 = _limit(r1), _limit(g1), _limit(b1)
        r = _device_curve(r, amount) * own + tl.where(swapped, b1, r1) * lab
        g = _device_curve(g, amount) * own + g1 * lab
        b = _device_curve(b, amount) * own + tl.where(swapped, r1, b1) * lab
        return r, g, b
