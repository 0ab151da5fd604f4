"""Gamma: y = x^gamma on every channel, or on the value of HSV.

Below 1 it brightens, above 1 it darkens; 0 and 1 stay. In HSV the colour is scaled to the new value, so hue and saturation
stay. Source: DepictQA brighten and darken by gamma (RGB and V).
"""

import torch

from degrade.kernels.exact import device_power, power
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


class Gamma(PointOp):
    """Raise every channel, or the HSV value, to the power `gamma`."""

    gamma = Param(0.1, 8.0, neutral=1.0, harsh=(0.25, 3.5), unit="(exponent)")
    space = Param(choices=("rgb", "hsv"), default="rgb")
    tolerance = 5e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        gamma, hsv = theta[0], theta[1] == 1.0
        value = x.amax(1, keepdim=True)
        powers = power(torch.where(hsv, value, x), gamma)
        return torch.where(hsv, x * (powers / torch.where(value > 0.0, value, 1.0)), powers)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        gamma = theta[0]
        if theta[1] == 1.0:
            value = tl.maximum(tl.maximum(r, g), b)
            gain = tl.div_rn(device_power(value, gamma), tl.where(value > 0.0, value, 1.0))
            r, g, b = r * gain, g * gain, b * gain
        else:
            r, g, b = device_power(r, gamma), device_power(g, gamma), device_power(b, gamma)
        return r, g, b
