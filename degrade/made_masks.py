"""Masks that a call makes: of the images themselves, or of the segments that come with them.

A program that was drawn without images knows what such masks shall be like, and not yet where. At the call their maps are rendered, on the
images' device and without waiting for it, and stored in the program, which from then on is like any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from .backends.upload import upload
from .distributions import Array
from .inputs import SEGMENTS
from .masks import find
from .masks._maps import MadeMask
from .program import Program


def resolve(program: Program, x: torch.Tensor, segments: torch.Tensor | None = None) -> Program:
    """The program with the maps of all masks that wait for images or segments; the same program where none does.

    Args:
        x: the images as they came, b 3 h w, of the program's size.
        segments: what `check_segments` gave.

    Raises:
        ValueError: segments that nothing reads, or that are missing.
    """
    if segments is not None and "segments" not in program.families:
        raise ValueError("segments= was given, but no Local reads it; put Local(..., mask=masks.Segments()) where it shall apply.")
    waiting = program.waiting()
    if not waiting.any():
        return program
    numbers = program.numbers.copy()
    maps = [] if program.maps is None else [program.maps.to(x.device)]
    at = stored = sum(map(len, maps))
    for number, name in enumerate(program.families):
        family = find(name)
        rows, regions = (waiting & (program.family == number)).nonzero()
        if not issubclass(family, MadeMask) or not len(rows):
            continue
        given = x.detach() if family.made_of == "image" else segments
        if given is None:
            raise ValueError(f"segments=None, but the pipeline holds masks.Segments(); give segments= at the call, {SEGMENTS}.")
        drawn = numbers[rows, regions, : family.columns]
        maps.append(family.render(given, *_sent(rows, drawn, x.device), drawn))
        numbers[rows, regions, 0] = at + np.arange(len(rows))
        at += len(rows)
    return program if at == stored else replace(program, numbers=numbers, maps=torch.cat(maps))


def _sent(rows: Array, drawn: Array, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (n,) int64 and numbers (n, columns) float32 on the device, by one copy that nothing waits for."""
    values = np.concatenate([rows.astype(np.int32)[:, None], drawn.view(np.int32)], 1)
    flat = upload(values.ravel(), device) if device.type == "cuda" else torch.from_numpy(values).to(device)
    table = flat.view(values.shape)
    return table[:, 0].to(torch.int64), table[:, 1:].contiguous().view(torch.float32)
