"""Eight bits: round or truncate every value to a multiple of `step` / 255.

A step of 1 is what storing as 8 bits between two ops does, by rounding or by truncation; larger steps make the loss visible,
and steps up to 1/256, finer than the working precision, change nothing. Values less than a thousandth of a step under a
multiple count as it, so that truncation leaves 8-bit values as they are. Source: Re-IQA (truncation to uint8 after every op).
"""

import torch

from degrade.distributions import Array
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, PointOp, Theta


@jit
def _quantised(v, step, offset):
    return tl.floor(tl.div_rn(v * 255.0, step) + offset) * step * (1.0 / 255.0)


class EightBit(PointOp):
    """Quantise to multiples of `step` / 255."""

    step = Param(0.0, 128.0, neutral=0.0, harsh=32.0, unit="/ 255", default=1.0)
    mode = Param(choices=("round", "truncate"), default="round")
    tolerance = 1e-6
    gradient = "straight-through"
    modulates = True

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return theta[:, 0] <= 0.00390625

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        offset = torch.where(theta[1] == 1.0, 0.001, 0.5)
        return torch.floor(x * 255.0 / theta[0] + offset) * theta[0] * (1.0 / 255.0)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        step, offset = theta[0], tl.where(theta[1] == 1.0, 0.001, 0.5)
        return _quantised(r, step, offset), _quantised(g, step, offset), _quantised(b, step, offset)
