"""CIELAB saturation: multiply a and b by a factor, keep L, then clip what leaves the gamut.

The conversions are sRGB's and CIELAB's with white D65. With order "bgr" red and blue change places before the conversion and
again after it. Source: KADID-10k type 8; ARNIQA's version has the order "bgr" (and then truncates to 8 bits).
"""

import torch

from degrade.kernels.colour import device_lab_from_rgb, device_rgb_from_lab, lab_from_rgb, rgb_from_lab
from degrade.kernels.lang import jit
from degrade.op import Context, Param, PointOp, Theta

from ._planes import device_in_order, in_order


class SaturationLab(PointOp):
    """Scale the chroma of CIELAB: 1 changes nothing, 0 gives the grey of equal lightness, above 1 oversaturates."""

    factor = Param(0.0, 16.0, neutral=1.0, harsh=(0.0, 9.0), unit="× chroma")
    order = Param(choices=("rgb", "bgr"), default="rgb")
    tolerance = 1e-5
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        lightness, a, b = lab_from_rgb(*in_order(x, theta[1]).unbind(1))
        factor = theta[0][:, 0]
        return in_order(torch.stack(rgb_from_lab(lightness, a * factor, b * factor), 1), theta[1])

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        factor, swap = theta[0], theta[1]
        r, g, b = device_in_order(r, g, b, swap)
        lightness, a, b = device_lab_from_rgb(r, g, b)
        r, g, b = device_rgb_from_lab(lightness, a * factor, b * factor)
        return device_in_order(r, g, b, swap)
