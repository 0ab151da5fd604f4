"""Line noise: a random offset for every row, every column, or both, as a sensor's read-out leaves it.

Offsets are normal and independent from line to line; `colour="grey"` gives all three channels the same. With both,
each has deviation std / √2, so that the deviation of a pixel over all lines is std. Source: the fixed-pattern noise of image
sensors (EMVA 1288, DSNU).
"""

import torch

from degrade.kernels import noise
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class LineNoise(PointOp):
    """Add one offset of standard deviation `std` to each row, each column, or both."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.2, unit="of full range")
    lines = Param(choices=("rows", "columns", "both"), default="rows")
    colour = Param(choices=("colour", "grey"), default="grey")
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        (h, w), grey = x.shape[2:], theta[2] == 1.0
        rows = noise.normals(context.rng.uniform4(0, torch.arange(h, device=x.device)[:, None]), grey)
        columns = noise.normals(context.rng.uniform4(1, torch.arange(w, device=x.device)[None, :]), grey)
        std = torch.where(theta[1] == 2.0, theta[0] * 0.70710678, theta[0])
        return x + torch.where(theta[1] == 1.0, 0.0, std) * rows + torch.where(theta[1] == 0.0, 0.0, std) * columns

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        grey = theta[2] == 1.0
        r0, g0, b0 = device_normals(uniform4(rng, (pixel >> 16) & 65535, 0), grey)
        r1, g1, b1 = device_normals(uniform4(rng, pixel & 65535, 1), grey)
        std = tl.where(theta[1] == 2.0, theta[0] * 0.70710678, theta[0])
        down, across = tl.where(theta[1] == 1.0, 0.0, std), tl.where(theta[1] == 0.0, 0.0, std)
        return r + down * r0 + across * r1, g + down * g0 + across * g1, b + down * b0 + across * b1
