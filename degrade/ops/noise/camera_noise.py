"""Camera noise at a sensor gain: y = x + √(shot · gain · x + (read · gain)²) · n + row · gain · m, with one m per row.

n is standard normal, per pixel and channel; m is one normal number for all pixels and channels of a row (banding). gain is
the ISO number over the base ISO: shot noise's variance grows with it, the deviations of read noise and of banding too.
shot, read and row are the values at gain 1, in units of the full range. `light="linear"` decodes sRGB, adds the noise in
linear light, clips and encodes again, which makes shadows noisier. Source: the sensor model of EMVA 1288.
"""

import torch

from degrade.kernels import noise
from degrade.kernels.colour import device_linear_from_srgb, device_srgb_from_linear, linear_from_srgb, srgb_from_linear
from degrade.kernels.exact import sqrt
from degrade.kernels.gradient import limited
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normal3
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class CameraNoise(PointOp):
    """Shot noise, read noise and row banding of a sensor at `gain` times its base ISO."""

    gain = Param(0.0, 64.0, neutral=0.0, harsh=16.0, unit="times the base ISO")
    read = Param(0.0, 0.1, default=0.002, unit="of full range")
    shot = Param(0.0, 0.1, default=0.0005, unit="variance of full white")
    row = Param(0.0, 0.1, default=0.0005, unit="of full range")
    light = Param(choices=("gamma", "linear"), default="gamma")
    tolerance = 5e-6
    modulates = True
    settle_warps = 4

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        gain, read, shot, row, linear = theta[0], theta[1], theta[2], theta[3], theta[4] == 1.0
        n = torch.stack(noise.normal3(context.rng.uniform4()), 1)
        m = noise.normal3(context.rng.uniform4(1, torch.arange(x.shape[2], device=x.device)[:, None]))[0][:, None]
        read = read * gain
        value = torch.where(linear, linear_from_srgb(x), x)
        # The floor is far below a step of 16 bits; it keeps the root's derivative finite.
        deviation = sqrt((shot * gain * value + read * read).clamp(min=1e-12))
        value = value + deviation * n + row * gain * m
        return torch.where(linear, srgb_from_linear(limited(value)), value)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        if theta[4] == 1.0:
            r, g, b = device_linear_from_srgb(r), device_linear_from_srgb(g), device_linear_from_srgb(b)
        u0, u1, u2, u3 = uniform4(rng, (pixel >> 16) & 65535, 1)
        m, _, _ = device_normal3(u0, u1, u2, u3)
        band = theta[3] * theta[0] * m
        u0, u1, u2, u3 = uniform4(rng, pixel)
        n0, n1, n2 = device_normal3(u0, u1, u2, u3)
        r, g, b = _expose(r, n0, band, theta), _expose(g, n1, band, theta), _expose(b, n2, band, theta)
        if theta[4] == 1.0:
            r, g, b = device_srgb_from_linear(r), device_srgb_from_linear(g), device_srgb_from_linear(b)
        return r, g, b


@jit
def _expose(value, n, band, theta):
    read = theta[1] * theta[0]
    deviation = tl.sqrt_rn(tl.maximum(theta[2] * theta[0] * value + read * read, 1e-12))
    return tl.minimum(tl.maximum(value + deviation * n + band, 0.0), 1.0)
