"""Faster ways on the CPU through a library, which are taken where they equal the twin."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import torch

from degrade.op import MAX_PARAMETERS, Context
from degrade.ops import find

from .canvas import round_fixed, to_canvas


@functools.cache
def cpu_path(name: str) -> bool:
    """Whether the op has a faster CPU path that equals its twin; checked once, with one warning if it does not."""
    op = find(name)
    path: Any = getattr(op, "cpu", None)
    if path is None:
        return False
    first = next(iter(op.parameters.values()))
    theta = np.zeros((4, MAX_PARAMETERS), dtype=np.float32)
    theta[:, 0] = np.linspace(first.low, first.high, 4).round()
    for i, param in enumerate(list(op.parameters.values())[1:], start=1):
        theta[:, i] = np.arange(4) % len(param.choices) if param.choices else param.low
    side = torch.arange(4 * 3 * 37 * 50, dtype=torch.int64)
    probe = ((side * side * 2654435761 >> 7) % 256).reshape(4, 3, 37, 50).to(torch.uint8)
    probe = (probe // 4 + (side % 50 * 4).reshape(probe.shape)).clamp(0, 255).to(torch.uint8)
    x = to_canvas(probe)
    values = tuple(torch.from_numpy(theta[:, i].copy())[:, None, None, None] for i in range(MAX_PARAMETERS))
    table = torch.from_numpy(op.tables(theta, op.frame(0, np.arange(4), 0, *x.shape[2:])))
    try:
        equal = torch.equal(path(x, values), op.twin(x, values, Context(None, table, round_fixed)))
    except Exception as error:  # a codec library may be absent or built without what is needed
        equal, reason = False, f": {error}"
    else:
        reason = " (results differ)"
    if not equal:
        warnings.warn(f"{op.name}: the CPU codec of this machine is not used{reason}; the slower torch twin is.", stacklevel=2)
    return equal
