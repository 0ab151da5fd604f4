"""Smearing along a straight trail of whole pixels: its taps, and a layer read along them.

Pixel i of a trail is read i pixels away at `angle`, in degrees anticlockwise from the x axis with y pointing up, rounded to
whole pixels with halves down. Beyond the frame the border pixel repeats.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Theta

from ._taps import Listed, packed


def trail(weight: Array, angle: Array) -> Array:
    """The rows of a table of taps: their number, then (dy, dx, weight) of each, for weights (n, k) along trails at n angles.

    The weights are made to sum to 1.
    """
    weight = weight.copy()
    i, turn = np.arange(weight.shape[1]), np.deg2rad(angle)[:, None]
    dy, dx = np.ceil(-i * np.sin(turn) - 0.5), np.ceil(i * np.cos(turn) - 0.5)
    # Two neighbours of the trail, but never three, may round to one pixel: the first takes both weights.
    twice = np.zeros(dy.shape, dtype=bool)
    twice[:, 1:] = (dy[:, 1:] == dy[:, :-1]) & (dx[:, 1:] == dx[:, :-1])
    second = np.where(twice, weight, 0.0)
    weight[:, :-1] += second[:, 1:]
    return packed(dy, dx, np.where(twice, 0.0, weight))


def smear(layer: torch.Tensor, table: torch.Tensor, theta: Theta, context: Context) -> torch.Tensor:
    """A layer (n, h, w) read along the trails of a table, and rounded as the scratch holds it."""
    return Listed.twin(layer[:, None], theta, context._replace(table=table))[:, 0]


@jit
def device_smear(image, y, x, taps):
    """The device function of `smear`, of the first channel."""
    total = y * 0.0 + x * 0.0
    for i in range(tl.load(taps).to(tl.int32)):
        dy, dx = tl.load(taps + 1 + 3 * i).to(tl.int32), tl.load(taps + 2 + 3 * i).to(tl.int32)
        total += tl.load(taps + 3 + 3 * i) * fetch_plane(image, 0, y + dy, x + dx)
    return total
