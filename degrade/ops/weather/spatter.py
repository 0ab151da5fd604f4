"""Spatter: drops of water, or splashes of mud, where blurred noise rises above a threshold.

Normal noise of mean `mean` and deviation `std` is blurred by a Gaussian of standard deviation `sigma`, cut at 4σ. Water: a drop
has the height h = 1 − (1 − t)², where t rises from 0 at the threshold to 1 at two standard deviations of the blurred noise above
it. The light on it is m = opacity · (0.2 h + 0.3 e), limited to 0 and `opacity`, with e the response of h to the embossing kernel
((−2, −1, 0), (−1, 0, 1), (0, 1, 2)), and the result x + m · (175, 238, 238) / 255. Mud: 1 above the threshold and 0 elsewhere,
blurred by a Gaussian of standard deviation `opacity` and 0 where it is then below 0.8, is m, and the result x · (1 − m) + m ·
(63, 42, 20) / 255. Values of `mud` between 0 and 1 blend the two. All borders repeat. The low end of `mean` stands for no drops
at all. ImageNet-C shapes the drops by Canny edges, a distance transform and equalisation before it embosses them, and scales by
the largest value. Source: ImageNet-C spatter.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_column_plane, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp, ordered_sum
from degrade.ops.spatial._warp import blur_axis, gaussian_taps

from ._nodes import device_normal_node, normal_nodes

WATER, MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)
SOFTEST = 4.0  # the largest opacity
# Columns of the table: 1 / the width of the rise, the taps of the mud's edge (radius first), those of the liquid.
EDGE, LIQUID = 1, 3 + int(4 * SOFTEST)


class Spatter(TwoStrokeOp):
    """Splash water or mud on the lens: the higher `mean` is, the more of the noise is above `threshold`."""

    mean = Param(0.6, 1.0, neutral=0.6, harsh=0.68, unit="of full range")
    std = Param(0.01, 1.0, neutral=0.01, harsh=1.0, unit="of full range", default=0.3)
    sigma = Param(0.5, 16.0, neutral=0.5, harsh=16.0, unit="px", default=(1.5, 2.5))
    threshold = Param(0.0, 1.0, unit="of full range", default=0.68)
    opacity = Param(0.0, SOFTEST, unit="of the colour; of mud, px", default=(0.5, 1.5))
    mud = Param(0.0, 1.0, unit="of mud, else water", default=0.0)
    tolerance = 1e-5

    @classmethod
    def radius(cls, theta: Array) -> Array:
        liquid, edge = (np.floor(4 * theta[:, i].astype(np.float64) + 0.5).astype(np.int64) for i in (2, 4))
        return liquid + np.maximum(edge, 1)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        liquid, edge = gaussian_taps(theta[:, 2], 4.0), gaussian_taps(theta[:, 4], 4.0)
        squares = liquid.astype(np.float64)[:, 1:] ** 2
        kept = squares[:, :1] + 2 * ordered_sum(squares[:, 1:])  # of the variance, by the blur along one axis
        edge = np.pad(edge, ((0, 0), (0, LIQUID - EDGE - edge.shape[1])))
        return np.concatenate([0.5 / (theta[:, 1:2] * kept), edge, liquid], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        table = context.table
        noise = normal_nodes(context, *x.shape[2:])[:, None, : x.shape[2], : x.shape[3]]
        noise = context.round(noise * 0.083333333 + 0.5)
        noise = context.round(blur_axis(noise, table[:, LIQUID:], 3))
        liquid = (blur_axis(noise, table[:, LIQUID:], 2) - 0.5) * 12.0 * theta[1] + theta[0]
        over = liquid - theta[3]
        dry = 1.0 - (over * table[:, 0, None, None, None]).clamp(0.0, 1.0)
        height = context.round(1.0 - dry * dry)
        water = context.round(height * 0.2 + _relief(height) * 0.3) * theta[4] * (1.0 - theta[5])
        edge = table[:, EDGE:LIQUID]
        edge = edge[:, : 2 + int(edge[:, 0].max())]
        mud = context.round(blur_axis((over > 0.0).to(torch.float32), edge, 3))
        mud = blur_axis(mud, edge, 2)
        mud = torch.where(mud < 0.8, 0.0, mud) * theta[5]
        own = 1.0 - mud
        return torch.cat([x[:, c : c + 1] * own + (mud * MUD[c] + water * WATER[c]) for c in range(3)], 1)

    @staticmethod
    @jit
    def noise(image, before, y, x, theta, table, words, rng, stage, inside):
        v = device_normal_node(rng, 0, y, x) * 0.083333333 + 0.5
        return v, v, v

    @staticmethod
    @jit
    def across(image, before, y, x, theta, table, words, rng, stage, inside):
        v = _device_blur(before, 0, y, x, 0, 1, table + 19)
        return v, v, v

    @staticmethod
    @jit
    def down(image, before, y, x, theta, table, words, rng, stage, inside):
        liquid = (_device_blur(before, 0, y, x, 1, 0, table + 19) - 0.5) * 12.0 * theta[1] + theta[0]
        over = liquid - theta[3]
        dry = 1.0 - tl.minimum(tl.maximum(over * tl.load(table), 0.0), 1.0)
        height = 1.0 - dry * dry
        return height, tl.where(over > 0.0, 1.0, 0.0), height

    @staticmethod
    @jit
    def light(image, before, y, x, theta, table, words, rng, stage, inside):
        falls = fetch_plane(before, 0, y - 1, x) + fetch_plane(before, 0, y, x - 1)
        rises = fetch_plane(before, 0, y + 1, x) + fetch_plane(before, 0, y, x + 1)
        corner = fetch_plane(before, 0, y + 1, x + 1) - fetch_plane(before, 0, y - 1, x - 1)
        water = fetch_plane(before, 0, y, x) * 0.2 + (corner * 2.0 + (rises - falls)) * 0.3
        return water, _device_blur(before, 1, y, x, 0, 1, table + 1), water

    strokes = (Stroke(noise), Stroke(across), Stroke(down), Stroke(light))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        mud = _device_blur(scratch, 1, y, x, 1, 0, table + 1)
        mud = tl.where(mud < 0.8, 0.0, mud) * theta[5]
        water = fetch_column_plane(scratch, 0, y, x) * theta[4] * (1.0 - theta[5])
        own = 1.0 - mud
        r = r * own + (mud * 0.24705882352941178 + water * 0.6862745098039216)
        g = g * own + (mud * 0.16470588235294117 + water * 0.9333333333333333)
        b = b * own + (mud * 0.0784313725490196 + water * 0.9333333333333333)
        return r, g, b


def _relief(h: torch.Tensor) -> torch.Tensor:
    """How much (n, 1, h, w) rises towards the lower right."""
    padded = torch.nn.functional.pad(h, (1, 1, 1, 1), mode="replicate")
    falls = padded[:, :, :-2, 1:-1] + padded[:, :, 1:-1, :-2]
    rises = padded[:, :, 2:, 1:-1] + padded[:, :, 1:-1, 2:]
    return (padded[:, :, 2:, 2:] - padded[:, :, :-2, :-2]) * 2.0 + (rises - falls)


@jit
def _device_blur(image, c, y, x, down, right, taps):
    """One channel blurred by `gaussian_taps` along the direction (down, right), in the order of `blur_axis`."""
    total = tl.load(taps + 1) * fetch_plane(image, c, y, x)
    for d in range(1, tl.load(taps).to(tl.int32) + 1):
        pair = fetch_plane(image, c, y - d * down, x - d * right) + fetch_plane(image, c, y + d * down, x + d * right)
        total += tl.load(taps + 1 + d) * pair
    return total
