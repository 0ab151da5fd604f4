"""White Gaussian noise in YCbCr: std · n on Y and std · chroma · n on Cb and Cr, independent, then back to RGB.

std is in units of the full range, and chroma the ratio of the deviations of Cb and Cr to that of Y. `range="studio"` is
BT.601 as MATLAB and scikit-image have it (Y in 16..235 of 255), and values are clipped to 0..1 before the way back;
`range="full"` is JPEG's full range as kornia has it, with no clip inside. Equal deviations are 14 to 16 % stronger in RGB with
studio range. Source: KADID-10k type 12 (studio), ARNIQA (full), DepictQA (full, chroma up to 2.8).
"""

import torch

from degrade.kernels import noise
from degrade.kernels.colour import (
    device_rgb_from_studio,
    device_rgb_from_ycbcr,
    device_studio_from_rgb,
    device_ycbcr_from_rgb,
    rgb_from_studio,
    rgb_from_ycbcr,
    studio_from_rgb,
    ycbcr_from_rgb,
)
from degrade.kernels.gradient import limited
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normal3
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class YcbcrNoise(PointOp):
    """Add Gaussian noise of deviation `std` to luma and `std · chroma` to both chroma components."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.1, unit="of full range")
    chroma = Param(0.0, 8.0, default=1.0, unit="times std")
    range = Param(choices=("studio", "full"), default="studio")
    tolerance = 2e-6
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        std, chroma, full = theta[0][:, 0], theta[0][:, 0] * theta[1][:, 0], theta[2] == 1.0
        n0, n1, n2 = noise.normal3(context.rng.uniform4())
        rgb = x.unbind(1)
        y, cb, cr = studio_from_rgb(*rgb)
        y, cb, cr = limited(y + std * n0), limited(cb + chroma * n1), limited(cr + chroma * n2)
        studio = torch.stack(rgb_from_studio(y, cb, cr), 1)
        y, cb, cr = ycbcr_from_rgb(*rgb)
        return torch.where(full, torch.stack(rgb_from_ycbcr(y + std * n0, cb + chroma * n1, cr + chroma * n2), 1), studio)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        u0, u1, u2, u3 = uniform4(rng, pixel)
        n0, n1, n2 = device_normal3(u0, u1, u2, u3)
        std, chroma = theta[0], theta[0] * theta[1]
        if theta[2] == 1.0:
            y, cb, cr = device_ycbcr_from_rgb(r, g, b)
            r, g, b = device_rgb_from_ycbcr(y + std * n0, cb + chroma * n1, cr + chroma * n2)
        else:
            y, cb, cr = device_studio_from_rgb(r, g, b)
            y = tl.minimum(tl.maximum(y + std * n0, 0.0), 1.0)
            cb = tl.minimum(tl.maximum(cb + chroma * n1, 0.0), 1.0)
            cr = tl.minimum(tl.maximum(cr + chroma * n2, 0.0), 1.0)
            r, g, b = device_rgb_from_studio(y, cb, cr)
        return r, g, b
