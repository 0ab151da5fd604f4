"""Labels: what was done to each sample, as tensors. Dense ones are rendered from the program when first read."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from .backends.masking import slot_weights
from .ops import find
from .program import Program


class Labels:
    """What a program does, for b samples and s slots. Nothing is computed before it is read.

    type       (b, s) int16    index into `types`, -1 where the slot is empty
    types      tuple[str, …]   the pipeline's vocabulary of ops
    severity   (b, s) float32  0…1 along the op's first parameter, 0 where the slot is empty
    level      (b, s) float32  a bank's level, NaN where none was drawn
    params     (b, s, 8) float32  drawn parameters in the op's order, NaN beyond them; names in `param_names`
    identity   (b, s) bool     the parameters change no image (also where the slot is empty)
    area       (b, s) float32  Σ mask / (h · w) on the pixel grid: 1 without a mask, 0 where the slot is empty
    masks      (b, s, h, w) float32  the weights that were applied, 0 where the slot is empty
    ids        (b,) int64
    """

    def __init__(self, program: Program, mask: torch.Tensor | None = None) -> None:
        self.program = program
        self._mask = mask

    @property
    def types(self) -> tuple[str, ...]:
        return self.program.ops

    @property
    def param_names(self) -> dict[str, tuple[str, ...]]:
        """The parameters of each type, in the order of `params`."""
        return {name: tuple(find(name).parameters) for name in self.types}

    @cached_property
    def type(self) -> torch.Tensor:
        return torch.from_numpy(self.program.code.copy())

    @cached_property
    def severity(self) -> torch.Tensor:
        return torch.from_numpy(self.program.severity.copy())

    @cached_property
    def level(self) -> torch.Tensor:
        return torch.from_numpy(self.program.level.copy())

    @cached_property
    def params(self) -> torch.Tensor:
        count = np.asarray([len(find(name).parameters) for name in self.types] + [0])  # the last serves code -1
        beyond = np.arange(self.program.theta.shape[2]) >= count[self.program.code][:, :, None]
        return torch.from_numpy(np.where(beyond, np.float32(np.nan), self.program.theta))

    @cached_property
    def identity(self) -> torch.Tensor:
        return torch.from_numpy(self.program.identity() | (self.program.code < 0))

    @cached_property
    def masks(self) -> torch.Tensor:
        return slot_weights(self.program, self._mask)

    @cached_property
    def area(self) -> torch.Tensor:
        if (self.program.family < 0).all():  # no mask anywhere: nothing to render
            return (self.type >= 0).to(torch.float32)
        return self.masks.mean((2, 3), dtype=torch.float64).to(torch.float32)

    @cached_property
    def ids(self) -> torch.Tensor:
        return torch.from_numpy(self.program.ids.copy())

    def __len__(self) -> int:
        return len(self.program)

    def __repr__(self) -> str:
        return f"Labels of {len(self)} samples and {self.program.slots} slots, types {', '.join(self.types)}"
