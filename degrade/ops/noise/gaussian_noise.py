"""White Gaussian noise: y = x + std · n, with n standard normal and independent per pixel and channel.

std is in units of the full range (0.1 is 25.5 of 255). `colour="grey"` adds one pattern to all three channels.
Source: KADID-10k type 11, which lists variances; the grey form is Real-ESRGAN's and BSRGAN's.
"""

from degrade.kernels import noise
from degrade.kernels.lang import jit
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Param, PointOp, Theta


class GaussianNoise(PointOp):
    """Add white Gaussian noise of standard deviation `std`, then clip."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.2, unit="of full range")
    colour = Param(choices=("colour", "grey"), default="colour")
    modulates = True

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return x + theta[0] * noise.normals(context.rng.uniform4(), theta[1] == 1.0)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        n0, n1, n2 = device_normals(uniform4(rng, pixel), theta[1] == 1.0)
        std = theta[0]
        return r + std * n0, g + std * n1, b + std * n2
