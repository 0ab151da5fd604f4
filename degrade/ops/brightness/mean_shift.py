"""Mean shift: add one constant to every channel, y = x + amount, or to the value of HSV or the lightness of CIELAB.

amount is in units of the full range (0.1 is 25.5 of 255, or 10 of the lightness). V and L are limited to their range; in HSV
the colour is scaled to the new value, so hue and saturation stay. Source: KADID-10k type 18; ImageNet-C brightness ("hsv").
"""

import torch

from degrade.kernels.colour import device_lab_from_rgb, device_rgb_from_lab, lab_from_rgb, rgb_from_lab
from degrade.kernels.gradient import limited
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


class MeanShift(PointOp):
    """Add `amount` to every channel, or to V or L, then clip."""

    amount = Param(-1.0, 1.0, neutral=0.0, harsh=(-0.3, 0.3), unit="of full range")
    space = Param(choices=("rgb", "hsv", "lab"), default="rgb")
    tolerance = 5e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        amount, space = theta[0], theta[1]
        out, gpu = x + amount, x.device.type != "cpu"  # to ask a GPU would wait for it
        if gpu or (space == 1.0).any():
            value = x.amax(1, keepdim=True)
            shifted = limited(value + amount)
            scaled = x * (shifted / torch.where(value > 0.0, value, 1.0))
            out = torch.where(space == 1.0, torch.where(value > 0.0, scaled, shifted), out)
        if gpu or (space == 2.0).any():
            lightness, a, b = lab_from_rgb(*x.split(1, 1))
            out = torch.where(space == 2.0, torch.cat(rgb_from_lab((lightness + amount * 100.0).clamp(0.0, 100.0), a, b), 1), out)
        return out

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        amount, space = theta[0], theta[1]
        if space == 2.0:
            lightness, a1, b1 = device_lab_from_rgb(r, g, b)
            r, g, b = device_rgb_from_lab(tl.minimum(tl.maximum(lightness + amount * 100.0, 0.0), 100.0), a1, b1)
        elif space == 1.0:
            value = tl.maximum(tl.maximum(r, g), b)
            shifted = tl.minimum(tl.maximum(value + amount, 0.0), 1.0)
            gain = tl.div_rn(shifted, tl.where(value > 0.0, value, 1.0))
            r, g, b = tl.where(value > 0.0, r * gain, shifted), tl.where(value > 0.0, g * gain, shifted), tl.where(value > 0.0, b * gain, shifted)
        else:
            r, g, b = r + amount, g + amount, b + amount
        return r, g, b
