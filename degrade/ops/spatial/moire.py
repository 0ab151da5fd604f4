"""Moiré: the beat between the pixel grid of a screen and that of the camera before it, in coloured bands, and the grid itself.

Each channel is multiplied by 1 − strength · (1/2 − (p + q) / 4). p and q are each the product of two sinusoids. The screen's has
0.3 cycles per pixel, across in p and down in q; the camera's frequency differs from it by 1 / period, in p along `angle` and in q
at right angles to it. So p and q have bands `period` pixels apart, and flicker from pixel to pixel. The screen's phase differs
between channels by a sixth of a turn, since its stripes of red, green and blue lie side by side. Every third row and column,
the gaps of the screen, is multiplied by 1 − strength · grid. angle is in degrees, anticlockwise from the x axis.
Source: the usual model of moiré in photographs of screens; no bank has it.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_turn, turn
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta

SCREEN = 0.3  # cycles per pixel


class Moire(PointOp):
    """Photograph the image from a screen: bands of `strength`, `period` pixels apart."""

    strength = Param(0.0, 1.0, neutral=0.0, harsh=0.6, unit="of the light")
    period = Param(4.0, 256.0, neutral=4.0, harsh=256.0, unit="px", default=(8.0, 48.0))
    angle = Param(-180.0, 180.0, unit="degrees", default=(-45.0, 45.0))
    grid = Param(0.0, 1.0, unit="of the light", default=(0.0, 0.3))
    uniforms = 4  # the phases
    tolerance = 2e-6
    modulates = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The turns per pixel down and across and the phase of each sinusoid: screen and camera of p, then of q."""
        rate, angle = 1.0 / theta[:, 1].astype(np.float64), np.deg2rad(theta[:, 2].astype(np.float64))
        along, up, none = rate * np.cos(angle), rate * np.sin(angle), np.zeros(len(theta))
        down = [none, -up, none + SCREEN, SCREEN - along]
        right = [none + SCREEN, SCREEN + along, none, -up]
        return np.stack([down, right, frame.u.T], 2).transpose(1, 0, 2).reshape(-1, 12).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        height, width = x.shape[2:]
        y, x0 = torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)
        waves = context.table.reshape(-1, 4, 3, 1, 1)
        turns = [y * waves[:, i, 0] + x0 * waves[:, i, 1] + waves[:, i, 2] for i in range(4)]
        camera = [_wave(turns[i]) for i in (1, 3)]
        gap = (y % 3 == 0) | (x0 % 3 == 0)
        lines = torch.where(gap, 1.0 - theta[0] * theta[3], 1.0)[:, 0]
        out = []
        for c in range(3):
            beat = _wave(turns[0]) * camera[0] + _wave(turns[2]) * camera[1]
            out.append(x[:, c] * ((1.0 - theta[0][:, 0] * (0.5 - beat * 0.25)) * lines))
            turns[0], turns[2] = turns[0] + 0.16666667, turns[2] + 0.16666667
        return torch.stack(out, 1)

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        y, x = (pixel >> 16) & 65535, pixel & 65535
        p, q = _turns(table, y, x), _turns(table + 6, y, x)
        across, down = _device_wave(_turns(table + 3, y, x)), _device_wave(_turns(table + 9, y, x))
        gap = (y % 3 == 0) | (x % 3 == 0)
        lines = tl.where(gap, 1.0 - theta[0] * theta[3], 1.0)
        r *= (1.0 - theta[0] * (0.5 - (_device_wave(p) * across + _device_wave(q) * down) * 0.25)) * lines
        p, q = p + 0.16666667, q + 0.16666667
        g *= (1.0 - theta[0] * (0.5 - (_device_wave(p) * across + _device_wave(q) * down) * 0.25)) * lines
        p, q = p + 0.16666667, q + 0.16666667
        b *= (1.0 - theta[0] * (0.5 - (_device_wave(p) * across + _device_wave(q) * down) * 0.25)) * lines
        return r, g, b


def _wave(t: torch.Tensor) -> torch.Tensor:
    """The cosine of t turns."""
    return turn(t - torch.floor(t))[0]


@jit
def _device_wave(t):
    """The device function of `_wave`."""
    c, s = device_turn(t - tl.floor(t))
    return c


@jit
def _turns(wave, y, x):
    """The argument of a sinusoid at a pixel."""
    return y * tl.load(wave) + x * tl.load(wave + 1) + tl.load(wave + 2)
