"""Poisson (shot) noise: y = x + scale · (gain · k − x), with k a Poisson count of mean x / gain.

gain is the value of one count, 1 / peak where peak counts make full white: 1/60 is a peak of 60, and 0 counts without end,
which is the identity. With scale 1 the result is gain · k, of mean x and variance gain · x; scale stretches the noise alone.
`colour="grey"` counts the grey value (.2989, .587, .114) and adds its noise to all three channels.

Counts of mean up to 12 come from one uniform by inversion, exact but for probabilities under 1e-6. Above, k is the integer
part of the Cornish-Fisher expansion of the Poisson quantile in a normal w, to the order 1/λ (M. B. Giles, ACM TOMS 42:7,
2016); its cumulative probabilities are within 2e-4 of the Poisson's.

Real-ESRGAN rounds the image to 8 bits and takes the peak from the number of its grey levels, rounded up to a power of two:
gain = 1/256 for any photograph that has more than 128. Source: ImageNet-C shot noise, DepictQA, Real-ESRGAN, BSRGAN.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.colour import device_grey, grey, in_pieces
from degrade.kernels.exact import as_arrays, device_exp, exp, exp_of_array, in_arrays, sqrt
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, PointOp, Theta

SWITCH = 12.0  # the largest mean whose counts are found by inversion
MOST = 41  # no count of such a mean is larger, but for a probability of 1e-9
SHARES = (1.0 / np.arange(1, MOST + 1)).astype(np.float32)


class PoissonNoise(PointOp):
    """Replace every value by a Poisson count of mean x / `gain`, times `gain`."""

    gain = Param(0.0, 1.0, neutral=0.0, harsh=0.35, unit="of full range per count")
    scale = Param(0.0, 10.0, default=1.0, unit="times the noise")
    colour = Param(choices=("colour", "grey"), default="colour")
    tolerance = 2e-6
    gradient = "straight-through"  # its mean is the image
    settle_warps = 4

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The peak, the largest count that inversion looks for (the next ones have probabilities under 1e-9), and 1/k for k from 1."""
        gain = theta[:, :1].astype(np.float64)
        peak = np.where(gain > 0, 1.0 / np.maximum(gain, 1e-30), 0.0)
        mean = np.minimum(peak, SWITCH)
        most = np.ceil(mean + 6.0 * np.sqrt(mean) + 8.0)
        return np.concatenate([peak, most, np.broadcast_to(SHARES, (len(theta), MOST))], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        one = theta[2] == 1.0
        u = context.rng.uniform4()
        flat, value = torch.stack(u[:3], 1), x
        if x.device.type != "cpu" or one.any():
            flat, value = torch.where(one, flat[:, :1], flat), torch.where(one, grey(*x.unbind(1))[:, None], x)
        with torch.no_grad():  # a count has no derivative
            mean = value * context.table[:, 0, None, None, None]
            count = _few(mean, flat)
            if x.device.type != "cpu" or (mean > SWITCH).any():
                count = _many(mean, noise.normals(u, one), count)
        return x + theta[1] * (count * theta[0] - value)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        gain, scale, one = theta[0], theta[1], theta[2] == 1.0
        u = uniform4(rng, pixel)
        luma = device_grey(r, g, b)
        r0, g0, b0 = tl.where(one, luma, r), tl.where(one, luma, g), tl.where(one, luma, b)
        k0 = _device_few(r0, u[0], table)
        k1 = _device_few(g0, tl.where(one, u[0], u[1]), table)
        k2 = _device_few(b0, tl.where(one, u[0], u[2]), table)
        n0, n1, n2 = device_normals(u, one)
        k0, k1, k2 = _device_many(r0, n0, k0, table), _device_many(g0, n1, k1, table), _device_many(b0, n2, k2, table)
        return r + scale * (k0 * gain - r0), g + scale * (k1 * gain - g0), b + scale * (k2 * gain - b0)


def _few(mean: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Poisson counts from a uniform u: how many sums of probabilities lie below it. Means beyond 12 count as 12, or not at all."""
    if as_arrays(mean, u):
        return in_arrays(_few_of_arrays, mean, u)[0]
    mean = mean.clamp(max=SWITCH)
    p = exp(-mean)
    below, k = p.clone(), torch.zeros_like(p)
    for share in SHARES:
        # Where the sum of all probabilities rounds to less than u, the size of the last one ends the search.
        k += (u > below) & (p > 1e-9)
        p *= mean
        p *= float(share)
        below += p
    return k


def _few_of_arrays(mean: np.ndarray, u: np.ndarray) -> tuple[np.ndarray]:
    """`_few`. A search that has ended stays ended, so those that go on are moved together each time half of them are done."""
    counts = np.zeros_like(mean)
    place = np.flatnonzero(mean <= SWITCH)
    mean, u = mean.take(place), u.take(place)
    p = exp_of_array(-mean)
    below, k = p.copy(), np.zeros_like(p)
    for found, share in enumerate(SHARES, start=1):
        more = u > below
        more &= p > 1e-9
        left = np.count_nonzero(more)
        if not left:
            break
        k += more
        if 2 * left < len(k):
            counts[place] = k
            on = np.flatnonzero(more)
            place, mean, u, p, below = (a.take(on) for a in (place, mean, u, p, below))
            k = np.full_like(p, found)
        p *= mean
        p *= share
        below += p
    counts[place] = k
    return (counts,)


@in_pieces
def _many(mean: torch.Tensor, w: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Poisson counts of greater mean, from a normal w; k where it is not greater."""
    large = mean.clamp(min=SWITCH)
    root, square = sqrt(large), w * w
    q = large + root * w + (square * 0.16666667 + 0.33333333)
    q = q - w * (square * 0.013888889 + 0.027777778) / root
    q = q + ((square * 0.0037037037 + 0.0086419753) * square - 0.019753086) / large
    return torch.where(mean > SWITCH, torch.floor(q).clamp(min=0.0), k)


@jit
def _device_few(value, u, table):
    """The device function of `_few`, from the value to count."""
    small = tl.minimum(value * tl.load(table), 12.0)
    p = device_exp(-small)
    below, k = p, p * 0.0
    for i in range(1, tl.load(table + 1).to(tl.int32) + 1):
        k += tl.where((u > below) & (p > 1e-9), 1.0, 0.0)
        p = p * small * tl.load(table + 1 + i)
        below += p
    return k


@jit
def _device_many(value, w, k, table):
    """The device function of `_many`, from the value to count."""
    mean = value * tl.load(table)
    large = tl.maximum(mean, 12.0)
    root, square = tl.sqrt_rn(large), w * w
    q = large + root * w + (square * 0.16666667 + 0.33333333)
    q = q - tl.div_rn(w * (square * 0.013888889 + 0.027777778), root)
    q = q + tl.div_rn((square * 0.0037037037 + 0.0086419753) * square - 0.019753086, large)
    return tl.where(mean > 12.0, tl.maximum(tl.floor(q), 0.0), k)
