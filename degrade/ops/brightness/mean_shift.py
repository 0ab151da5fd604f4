"""Mean shift: add one constant to every channel, y = x + amount.

amount is in units of the full range (0.1 is 25.5 of 255). Source: KADID-10k type 18.
"""

from degrade.kernels.lang import jit
from degrade.op import Context, Param, PointOp, Theta


class MeanShift(PointOp):
    """Add `amount` to every channel, then clip."""

    amount = Param(-1.0, 1.0, neutral=0.0, harsh=(-0.3, 0.3), unit="of full range")

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        return x + theta[0]

    @staticmethod
    @jit
    def point(r, g, b, theta, rng, pixel):
        amount = theta[0]
        return r + amount, g + amount, b + amount
