"""Rain: bright streaks screened over the image, behind a slight grey veil.

Drops are uniform noise, one number u per `width` pixels and linear between them: 1 − u / q, where u lies below the density q,
which grows with `amount` so that streaks cover a third to a half of the frame at amount 1 whatever their size. They are smeared
along a trail of `length` pixels at `angle`, in degrees anticlockwise from the x axis, with weights sin(π(i + 1/2) / length),
and scaled. The veil blends the image with grey 0.7 by a fifth of `amount`; streaks s then give 1 − (1 − x)(1 − s).
Source: the usual synthesis of rain streaks from motion-blurred noise; no bank has it.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_column_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp
from degrade.ops.blur._trail import device_smear, smear, trail

from ._nodes import between, device_between, device_uniform_node, points_within, uniform_nodes


class Rain(TwoStrokeOp):
    """Let it rain: `amount` is both the number of streaks and the veil."""

    amount = Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the rain")
    length = Param(1, 96, neutral=1, harsh=96, unit="px", default=(12, 32), integer=True)
    angle = Param(-180.0, 180.0, unit="degrees", default=(70.0, 110.0))
    width = Param(1.0, 8.0, neutral=1.0, harsh=8.0, unit="px", default=(1.0, 2.0))
    steps = ("angle", "width")
    tolerance = 1e-5

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return theta[:, 1].astype(np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """1 / width, 1 / q, the gain of streaks, then the trail."""
        amount, length, angle, width = (theta[:, i : i + 1].astype(np.float64) for i in range(4))
        density = 0.6 * amount * np.minimum(width / length, 1.0)
        i = np.arange(int(length.max(initial=1)))
        weight = np.where(i < length, np.sin(np.pi * (i + 0.5) / length), 0.0)
        gain = 0.45 * length / np.minimum(width * 1.5, length)
        return np.concatenate([1.0 / width, 1.0 / np.maximum(density, 1e-9), gain, trail(weight, angle[:, 0])], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        (height, width), table = x.shape[2:], context.table
        scale = table[:, :1].detach()
        nodes = uniform_nodes(context, [(points_within(height, scale), points_within(width, scale))])[0]
        drops = (1.0 - nodes * table[:, 1, None, None]).clamp(min=0.0)
        layer = between(drops, torch.arange(height, device=x.device) * scale, torch.arange(width, device=x.device) * scale)
        streaks = smear(context.round(layer), table[:, 3:], theta, context)[:, None]
        dark = 1.0 - (streaks * table[:, 2, None, None, None]).clamp(max=0.8)
        veil = theta[0] * 0.2
        return 1.0 - (1.0 - (x * (1.0 - veil) + veil * 0.7)) * dark

    @staticmethod
    @jit
    def drops(image, before, y, x, theta, table, words, rng, stage, inside):
        scale = tl.load(table)
        v = device_between((rng, tl.load(table + 1)), 0, y * scale, x * scale, _drop)
        return v, v, v

    @staticmethod
    @jit
    def streaks(image, before, y, x, theta, table, words, rng, stage, inside):
        v = device_smear(before, y, x, table + 3)
        return v, v, v

    strokes = (Stroke(drops), Stroke(streaks))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        dark = 1.0 - tl.minimum(fetch_column_plane(scratch, 0, y, x) * tl.load(table + 2), 0.8)
        veil = theta[0] * 0.2
        own, grey = 1.0 - veil, veil * 0.7
        return 1.0 - (1.0 - (r * own + grey)) * dark, 1.0 - (1.0 - (g * own + grey)) * dark, 1.0 - (1.0 - (b * own + grey)) * dark


@jit
def _drop(state, level, row, column):
    """One drop; the state is the random one and 1 / q."""
    return tl.maximum(1.0 - device_uniform_node(state[0], level, row, column) * state[1], 0.0)
