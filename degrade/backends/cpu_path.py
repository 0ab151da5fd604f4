"""Faster ways on the CPU through a library, which are taken where they equal the twin: from the canvas to the canvas, and from bytes to bytes."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import torch

from degrade.op import MAX_PARAMETERS, Context
from degrade.ops import find
from degrade.program import Program

from .canvas import round_fixed, to_canvas


@functools.cache
def cpu_path(name: str) -> bool:
    """Whether the op has a faster CPU path that equals its twin; checked once, with one warning if it does not."""
    op: Any = find(name)
    if not hasattr(op, "cpu"):
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
        want = op.twin(x, values, Context(None, table, round_fixed))
        coded = [op.cpu_bytes(interleaved(image), own) for image, own in zip(probe, theta.tolist())]
        equal = torch.equal(op.cpu(x, values), want) and torch.equal(to_canvas(torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2)), want)
    except Exception as error:  # a codec library may be absent or built without what is needed
        equal, reason = False, f": {error}"
    else:
        reason = " (results differ)"
    if not equal:
        warnings.warn(f"{op.name}: the CPU codec of this machine is not used{reason}; the slower torch twin is.", stacklevel=2)
    return equal


def quick(program: Program) -> bool:
    """Whether all that is done is done, over whole frames, by ops for which a library is faster."""
    taken = np.unique(program.code[program.code >= 0]).tolist()
    whole = not (program.family >= 0).any() and not program.phase.any()
    return bool(taken) and whole and all(cpu_path(program.ops[code]) for code in taken)


def in_bytes(program: Program, x: torch.Tensor) -> torch.Tensor:
    """A quick program on uint8 images b 3 h w, whose values stay bytes from op to op."""
    out, ops = torch.empty_like(x), [find(name) for name in program.ops]
    code = np.where(program.identity(), -1, program.code).tolist()
    for image, y, own, theta in zip(x, out, code, program.theta.tolist()):
        pixels = interleaved(image)
        for taken, values in zip(own, theta):
            if taken >= 0:
                pixels = ops[taken].cpu_bytes(pixels, values)  # type: ignore[attr-defined]
        y.copy_(torch.from_numpy(pixels).permute(2, 0, 1))
    return out


def interleaved(image: torch.Tensor) -> Any:
    """An image 3 h w of uint8 as an array h w 3."""
    import cv2

    last = image.permute(1, 2, 0)
    return last.numpy() if last.is_contiguous() else cv2.merge([*image.contiguous().numpy()])  # which takes a twentieth of torch's time
