"""Fog: (x + amount · cloud) · max / (max + amount), with a fractal cloud from 0 to 1 and max the largest value of the image.

The cloud is a sum of linearly interpolated lattice noise with cells of 1/2, 1/4, … of a square that covers the frame, whose
side is a power of two in pixels, down to single pixels. Each octave is decay² times as weak as the one before, as in the
diamond-square map of ImageNet-C, which multiplies its step by itself; octaves below 1 % of the strongest are left out. The cloud
is stretched to 0..1 over the frame; in an image of one pixel it is 0.5. Each lattice is shifted at random, whereas a corner of
the frame is always a point of all lattices in ImageNet-C. Source: ImageNet-C fog.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_column, fetch_column_plane
from degrade.kernels.gradient import carried
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import raise_to
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp, ordered_sum

from ._nodes import between, device_between, device_uniform_node, points_within, uniform_nodes

OCTAVES = 14  # at most; the finest cell of a frame up to 16384 pixels is then one pixel
WEAKEST = 0.01  # of the strongest octave


class Fog(TwoStrokeOp):
    """Veil the image in a fractal cloud of density `amount`."""

    amount = Param(0.0, 8.0, neutral=0.0, harsh=3.0, unit="× full range")
    decay = Param(1.0, 4.0, neutral=1.0, harsh=4.0, unit="× per octave", default=(1.4, 2.0))
    uniforms = 2 * OCTAVES  # where the frame lies on each lattice
    whole_frame = True
    words = 3  # of the cloud, the largest value and the largest distance from 1; of the image, the largest value
    tolerance = 1e-5
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The number of octaves; then for each its weight, 1 / cell, and its shift down and across in cells."""
        side = 1 << max(max(frame.height, frame.width) - 1, 1).bit_length()
        cells = side // 2 ** np.arange(1, min(OCTAVES, side.bit_length() - 1) + 1)
        weight = theta[:, 1:2].astype(np.float64) ** (-2.0 * np.arange(len(cells)))
        used = weight >= WEAKEST
        count = used.sum(1, keepdims=True)
        weight = np.where(used, weight, 0.0)
        shift = np.floor(frame.u.reshape(-1, 2, OCTAVES)[:, :, : len(cells)] * cells) / cells
        rows = np.stack([weight / ordered_sum(weight), np.broadcast_to(1.0 / cells, weight.shape), shift[:, 0], shift[:, 1]], 2)
        rows = np.where(used[:, :, None], rows, 0.0)[:, : count.max(initial=0)]
        return np.concatenate([count, rows.reshape(len(theta), -1)], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        y, x0 = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        cloud = torch.full((len(x), height, width), 0.5, device=x.device)
        octaves = context.table[:, 1:].reshape(len(x), -1, 4).unbind(1)
        room = None if context.table.requires_grad else cloud.new_empty(2, *cloud.shape)
        sizes = [(points_within(height, row[:, 1]), points_within(width, row[:, 1])) for row in octaves]
        for lattice, row in zip(uniform_nodes(context, sizes), octaves):
            scale, down, right = row[:, 1:].detach().split(1, 1)
            value = between(lattice, y * scale + down, x0 * scale + right, room)
            cloud += value.sub_(0.5).mul_(row[:, :1, None])
        cloud = context.round(cloud)[:, None]
        ends = (cloud.amin((1, 2, 3), keepdim=True), cloud.amax((1, 2, 3), keepdim=True))
        low, high = (carried(torch.floor(v * 65535.0 + 0.5), v * 65535.0) for v in ends)
        flat = high == low
        cloud = torch.where(flat, 0.5, cloud.mul(65535.0).sub_(low).div_(torch.where(flat, 1.0, high - low)))
        largest = x.amax((1, 2, 3), keepdim=True)
        largest = carried(torch.floor(largest * 65535.0 + 0.5) * (1.0 / 65535.0), largest)
        return (x + cloud * theta[0]).mul_(largest / (largest + theta[0]))

    @staticmethod
    @jit
    def cloud(image, before, y, x, theta, table, words, rng, stage, inside):
        v = y * 0.0 + x * 0.0 + 0.5
        for octave in range(tl.load(table).to(tl.int32)):
            row = table + 1 + 4 * octave
            scale = tl.load(row + 1)
            value = device_between(rng, octave, y * scale + tl.load(row + 2), x * scale + tl.load(row + 3), device_uniform_node)
            v += (value - 0.5) * tl.load(row)
        fixed = tl.floor(tl.minimum(tl.maximum(v, 0.0), 1.0) * 65535.0 + 0.5)
        r, g, b = fetch_column(image, y, x)
        raise_to(words, tl.max(tl.max(fixed, 1), 0))
        raise_to(words + 1, tl.max(tl.max(65535.0 - fixed, 1), 0))
        largest = tl.floor(tl.maximum(tl.maximum(r, g), b) * 65535.0 + 0.5)
        raise_to(words + 2, tl.max(tl.max(largest, 1), 0))
        return v, v, v

    strokes = (Stroke(cloud),)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        amount = theta[0]
        low = (65535 - tl.load(words + 1)).to(tl.float32)
        span = tl.load(words).to(tl.float32) - low
        stretched = tl.div_rn(fetch_column_plane(scratch, 0, y, x) * 65535.0 - low, tl.where(span == 0.0, 1.0, span))
        added = amount * tl.where(span == 0.0, 0.5, stretched)
        largest = tl.load(words + 2).to(tl.float32) * (1.0 / 65535.0)
        gain = tl.div_rn(largest, largest + amount)
        return (r + added) * gain, (g + added) * gain, (b + added) * gain
