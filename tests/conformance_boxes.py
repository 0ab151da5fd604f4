"""References for ops that draw boxes: loops over the boxes, and the laws of their numbers, places, shifts and colours."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from conformance_types import LEVELS, as_float, double, photo, run

import degrade
from degrade.banks.base import Type


def boxes(t: Type, level: int, size, count: int) -> np.ndarray:
    """The tables of many samples: the boxes of patches or blocks."""
    program = degrade.Pipeline(dataclasses.replace(t, after=()).at(level), backend="torch").sample(range(count), size)
    return t.op.tables(program.theta[:, 0], t.op.frame(program.key, program.ids, 0, *size))


def patches_error(t: Type) -> float:
    """Numbers, corners uniform over 16 … size − 32, and shifts round((u − 1/2) · 16)."""
    worst, size = 0.0, (224, 200)
    shifts = np.abs(np.arange(-8, 9)) @ np.where(np.abs(np.arange(-8, 9)) == 8, 1 / 32, 1 / 16)
    for level in LEVELS:
        rows = boxes(t, level, size, int(60_000 / t.arguments["count"].table[level - 1]))
        place, shift = np.split(rows[:, 2:].reshape(-1, 4), 2, 1)
        corner = (place - shift - 16) / (np.asarray(size) - 48)
        found = [
            rows[:, 0].mean() / t.arguments["count"].table[level - 1],
            *(corner.mean(0) * 2),
            *(corner.std(0) * math.sqrt(12)),
            *(np.abs(shift).mean(0) / shifts),
        ]
        worst = max(worst, float(np.abs(np.asarray(found) - 1).max()))
    return 100 * worst


def blocks_error(t: Type) -> float:
    """Numbers, places uniform over the frame, and uniform colours."""
    worst, size = 0.0, (224, 200)
    for level in LEVELS:
        rows = boxes(t, level, size, int(60_000 / t.arguments["count"].table[level - 1]))
        found = rows[:, 3:].reshape(-1, 5)
        found = found / np.array([size[0] - 32, size[1] - 32, 1, 1, 1])
        moments = [rows[:, 0].mean() / t.arguments["count"].table[level - 1], *(found.mean(0) * 2), *(found.std(0) * math.sqrt(12))]
        worst = max(worst, float(np.abs(np.asarray(moments) - 1).max()))
    return 100 * worst


def patches_from_the_original(t: Type) -> float:
    """A loop over the boxes, each read from the image before."""
    worst, image = 0.0, photo(97, 101)
    for level in LEVELS:
        y, p = run(t, level, torch.from_numpy(image)[None])
        table = boxes(t, level, image.shape[1:], 1)[0].astype(int)
        want, side = image.copy(), table[1]
        for top, left, down, across in table[2:].reshape(-1, 4)[: p["count"]]:
            assert (down, across) == (-5, -5) and side == 15  # from further down and right
            want[:, top : top + side, left : left + side] = image[:, top - down : top - down + side, left - across : left - across + side]
        worst = max(worst, int(np.abs(y[0].numpy().astype(int) - want).max()))
    return float(worst)


def near_the_mean(t: Type) -> float:
    """A loop over the boxes."""
    worst, image = 0.0, photo(97, 101)
    for level in LEVELS:
        y, p = run(t, level, as_float(image))
        table, real = boxes(t, level, image.shape[1:], 1)[0], double(as_float(image))
        want, (high, wide) = real.copy(), table[1:3].astype(int)
        for top, left, *shift in table[3:].reshape(-1, 5)[: p["count"]][::-1]:
            box = slice(None), slice(int(top), int(top) + high), slice(int(left), int(left) + wide)
            assert np.abs(shift).max() <= p["offset"]
            want[box] = real.mean((1, 2), keepdims=True) + np.asarray(shift)[:, None, None]
        worst = max(worst, np.abs(double(y) - want.clip(0, 1)).max())
    return float(worst)
