"""Clouds: ragged patches, where a random field lies above a threshold.

The field is a sum of plane waves in four octaves, six to each, of drawn directions, lengths and phases; an octave's amplitude is
`roughness` times that of the one before. weight = smoothstep((field − threshold) / F), F the ramp in units of the field: what it
changes by, in the mean, over the ramp's width in pixels. The threshold is solved from the field at a lattice of 32² points,
which leaves the area right within 0.01, for the roughest fields within 0.015.
scale is the size of the largest patches; no wave is shorter than 5 px.
"""

from __future__ import annotations

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_turn, turn
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param

from ._lattice import lattice, mean, slope
from .base import EDGE, Mask, Numbers, root

OCTAVES, EACH = 4, 6
WAVES = OCTAVES * EACH
FIRST = 4  # the column of the first wave's turns per pixel down; then across, its phase in turns, its amplitude, and the other waves
POINTS = 32
FINEST = 5.0  # the shortest wave, in pixels


class Clouds(Mask):
    """Patches of a random field, anywhere in the frame."""

    roughness = Param(0.0, 0.7, default=(0.3, 0.6))
    scale = Param(0.15, 1.0, unit="of √(h·w)", default=(0.2, 0.5))
    columns = FIRST + 4 * WAVES
    shape_draws = 3 * WAVES

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        n, side = len(u), (height * width) ** 0.5
        octave = np.floor(np.arange(WAVES) / EACH)
        amplitude: Array = drawn["roughness"][:, None] ** octave
        amplitude /= np.sqrt(0.5 * EACH * (drawn["roughness"][:, None] ** (2 * np.arange(OCTAVES))).sum(1, keepdims=True))  # deviation 1
        # Half a wave is a patch. Directions of an octave's waves are spread, lest they make bands.
        pace = 2.0**octave * (0.7 + 0.6 * u[:, :WAVES]) / (2.0 * drawn["scale"] * side)[:, None]
        pace = np.minimum(pace, 1.0 / FINEST)
        angle = np.pi * (np.arange(WAVES) % EACH + u[:, WAVES : 2 * WAVES]) / EACH
        down, across, phase = pace * np.sin(angle), pace * np.cos(angle), u[:, 2 * WAVES :]
        rows, columns, _ = lattice(height, width, POINTS)
        value = _field(down, across, phase, amplitude, rows, columns)
        steep = np.sqrt(0.5 * np.square(2.0 * np.pi * pace * amplitude).sum(1))  # the gradient's root mean square, per pixel
        ramp = np.maximum(drawn["feather"] * side, EDGE) * steep
        blur = EDGE * slope(value, len(rows))
        # Between the lattice's highest point and a pixel's centre the field falls by no more than this.
        apart = np.minimum(0.71, 0.71 * max(height / len(rows), width / len(columns)))
        highest = value.max(1) - 0.5 * apart * apart * (np.square(2.0 * np.pi * pace) * amplitude).sum(1) * 0.25
        lowest = value.min(1).astype(np.float64)

        def sharp(threshold: Array) -> Array:
            return np.maximum(np.minimum(ramp, highest - threshold), 1e-3)

        def area(level: Array) -> Array:
            f = sharp(-level)
            return mean(value, f - level, f, blur)

        threshold = -root(area, drawn["area"], -highest + 2e-3, ramp - lowest + 1.0, steps=10)
        waves = np.stack([down, across, phase, amplitude], 2).reshape(n, -1)
        return np.concatenate([np.stack([threshold, sharp(threshold)], 1), np.zeros((n, FIRST - 2)), waves], 1)

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        field = y * 0.0 + x * 0.0 + numbers[0] * 0.0
        for i in range(WAVES):
            down, across, phase, amplitude = numbers[FIRST + 4 * i : FIRST + 4 * i + 4]
            py, px = y * down + phase, x * across
            (cy, sy), (cx, sx) = turn(py - torch.floor(py)), turn(px - torch.floor(px))
            field = field + (cy * cx - sy * sx) * amplitude
        return smoothstep((field - numbers[0]) / numbers[1])

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        field = y * 0.0 + x * 0.0
        for i in range(0, 24):
            wave = row + 4 + 4 * i
            py, px = y * tl.load(wave) + tl.load(wave + 2), x * tl.load(wave + 1)
            cy, sy = device_turn(py - tl.floor(py))
            cx, sx = device_turn(px - tl.floor(px))
            field = field + (cy * cx - sy * sx) * tl.load(wave + 3)
        return device_smoothstep(tl.div_rn(field - numbers[0], numbers[1]))


def _field(down: Array, across: Array, phase: Array, amplitude: Array, rows: Array, columns: Array) -> Array:
    """The field at lattice points, (n, rows · columns): cos(a + b) = cos a cos b − sin a sin b, so that it is one product."""
    down, across, phase, amplitude = (v.astype(np.float32)[:, None] for v in (down, across, phase, amplitude))
    a = np.float32(2.0 * np.pi) * (rows[:, None] * down + phase)
    b = np.float32(2.0 * np.pi) * (columns[:, None] * across)
    left = np.concatenate([np.cos(a) * amplitude, -np.sin(a) * amplitude], 2)
    right = np.concatenate([np.cos(b), np.sin(b)], 2)
    return np.matmul(left, right.transpose(0, 2, 1)).reshape(len(down), -1)
