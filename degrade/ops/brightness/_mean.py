"""The mean of each channel over the whole image, from sums of 16-bit fixed-point values in three 64-bit words."""

import numpy as np
import torch

from degrade.kernels.fetch import fetch_column
from degrade.kernels.gradient import added
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import add


def channel_means(x: torch.Tensor) -> torch.Tensor:
    """n 3 1 1 means of n 3 h w images."""
    count = np.float32(65535.0) * np.float32(x.shape[2]) * np.float32(x.shape[3])
    total = torch.floor(x * 65535.0 + 0.5).to(torch.int64).sum((2, 3), keepdim=True)
    total = total.to(torch.float32)
    if x.requires_grad:
        total = added(total, x * 65535.0)
    # By a tensor: a GPU divides by a plain number through its reciprocal.
    return total / torch.full_like(total, float(count))


@jit
def add_up(image, before, y, x, theta, table, words, rng, stage, inside):
    """The stroke that sums each channel."""
    r, g, b = fetch_column(image, y, x)
    add(words, tl.sum(tl.sum(tl.where(inside, tl.floor(r * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
    add(words + 1, tl.sum(tl.sum(tl.where(inside, tl.floor(g * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
    add(words + 2, tl.sum(tl.sum(tl.where(inside, tl.floor(b * 65535.0 + 0.5), 0.0).to(tl.int64), 1), 0))
    return r, g, b


@jit
def device_channel_means(words, image):
    """The device function of `channel_means`, once the sums are complete; of the image, only the size is used."""
    count = 65535.0 * image[1] * image[2]
    r, g, b = tl.load(words), tl.load(words + 1), tl.load(words + 2)
    return tl.div_rn(r.to(tl.float32), count), tl.div_rn(g.to(tl.float32), count), tl.div_rn(b.to(tl.float32), count)
