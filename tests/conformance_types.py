"""Running a type of a bank at its levels on crops of a photograph, and `Way`, how it is measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import skimage.data
import torch

import degrade
from degrade.banks.base import Type

LEVELS = range(1, 6)
GREY_LEVEL = 1 / 255
UNSEEN = 60.0  # dB: where a PSNR says nothing more
NUDGE = 1.02  # an error of the parameter that has to show


@dataclass(frozen=True)
class Way:
    """How a type is measured; the function takes the type."""

    against: str
    limit: float
    unit: str
    measure: Callable[[Type], float]
    heavy: bool = False


def photo(height=48, width=64, top=60, left=170):
    """A crop of a photograph, 3 h w uint8."""
    return np.ascontiguousarray(skimage.data.astronaut()[top : top + height, left : left + width].transpose(2, 0, 1))


CROP = photo()
PUBLISHED_CROP = photo(224, 224, 100, 150)


def as_float(image):
    return torch.from_numpy(image)[None].to(torch.float32) / 255


def run(t: Type, level: float, x: torch.Tensor, ids=(0,), seed: int = 0, rounded: bool = False) -> tuple[torch.Tensor, dict[str, Any]]:
    """The type at a level, and the parameters of the first image. What follows the op is left out, but for rounding if asked."""
    pipe = degrade.Pipeline(dataclasses.replace(t, after=t.after if rounded else ()).at(level), seed=seed, backend="torch")
    program = pipe.sample(list(ids), tuple(x.shape[-2:]))
    parameters = {
        name: q.choices[int(v)] if q.choices else int(v) if q.integer else float(v)
        for (name, q), v in zip(t.op.parameters.items(), program.theta[0, len(t.before)])
    }
    return degrade.apply(program, x.expand(len(ids), -1, -1, -1), backend="torch"), parameters


def double(y):
    return y[0].numpy().astype(np.float64)


def psnr(a, b):
    return -10 * math.log10(max(float(np.mean((np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)) ** 2)), 1e-12))
