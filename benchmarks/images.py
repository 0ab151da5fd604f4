"""The images of every benchmark: photographs, and turned ones beyond so many."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from degrade.cli.demo import photograph

SIZE = 224
PHOTOGRAPHS = 32  # beyond these, turned ones


def photographs(count: int | None = None, size: int = SIZE) -> torch.Tensor:
    """So many of them, by default all that are not turned: count 3 size size, uint8."""
    return torch.stack([_photograph(i, size) for i in range(PHOTOGRAPHS if count is None else count)])


@cache
def _photograph(number: int, size: int) -> torch.Tensor:
    if number >= PHOTOGRAPHS:
        turns = number // PHOTOGRAPHS
        return torch.rot90(_photograph(number % PHOTOGRAPHS, size), turns % 4, (1, 2)).roll(turns, 2).contiguous()
    return torch.from_numpy(photograph(number, size)).permute(2, 0, 1).contiguous()


def in_dtype(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """uint8 images in another dtype, floats from 0 to 1."""
    return x if dtype == torch.uint8 else (x / 255).to(dtype)


def ids_of(number: int, batch: int) -> Any:
    """Every call draws for samples it has not seen, as in training."""
    return np.arange(number * batch, (number + 1) * batch)
