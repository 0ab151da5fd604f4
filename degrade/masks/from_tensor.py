"""From a tensor: weights or scores that you bring, such as a segmentation, a saliency map or an edge map.

Without area= the values are the weights. With area= the map is a score: each pixel's rank q in (0, 1) is taken once (ties
share their mean rank), and weight = smoothstep((q − (1 − area)) / f + ½), so that Σ weight / (h · w) is the area for every
continuous map. feather is then f, as a fraction of the frame's area, capped at 2 · min(area, 1 − area). A highest value
that is shared by more pixels than the area asks for is taken whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.errors import unknown
from degrade.gradients import kept
from degrade.kernels.lang import jit, tl
from degrade.kernels.ramp import device_smoothstep, smoothstep
from degrade.parameter import Param
from degrade.storing import pack, unpack

from ._maps import MapMask, device_read, read
from .base import Numbers

ACCEPTED = 'a tensor "h w", "k h w" or "k 1 h w" of values from 0 to 1, uint8 or bool'


class FromTensor(MapMask):
    """Maps of the frame's size; each sample draws one.

    Args:
        tensor: "h w", "k h w" or "k 1 h w", float in [0, 1], uint8 or bool; None: the mask given at the call, one per sample.
        area: Σ weight / (h · w); the map is then a score. None: the map's values are the weights.
        feather: the ramp's width, as a fraction of the frame's area; only with area.
    """

    feather = Param(0.0, 2.0, unit="of the frame's area", default=(0.02, 0.2))
    shape_draws = 1

    def __init__(self, tensor: Any = None, area: Any = None, feather: Any = None, **unknown_names: Any) -> None:
        for name in unknown_names:
            raise TypeError(unknown("FromTensor parameter", name, ("tensor", "area", "feather")))
        if area is None and feather is not None:
            raise ValueError(f"feather={feather!r} needs area=; without it the values of the tensor are the weights.")
        if tensor is None and area is not None:
            raise ValueError(f"area={area!r} needs tensor=; a mask given at the call is used as it is.")
        given = {n: v for n, v in (("area", area), ("feather", feather)) if v is not None}
        super().__init__(**given)
        if area is None:
            self.values = {}
        self.tensor = None if tensor is None else _maps(tensor)
        self.bank = self.tensor if area is None else _ranks(self.tensor)
        self.top = np.ones(1) if self.bank is None else self.bank.amax((1, 2)).numpy().astype(np.float64)

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        n, plain = len(u), not drawn
        if self.bank is not None and tuple(self.bank.shape[1:]) != (height, width):
            shape = "x".join(map(str, self.bank.shape[1:]))
            raise ValueError(f"tensor holds maps of {shape} pixels and the images have {height}x{width}; accepted: maps of the images' size.")
        rows = 1 if self.bank is None else len(self.bank)
        row = np.minimum(np.floor(u[:, 0] * rows), rows - 1)
        if plain:
            return np.stack([row, np.zeros(n), np.ones(n), np.zeros(n)], 1)
        # The ramp ends under the map's highest rank, so that the peak is 1 for every map; `tiny` is a few float32 steps.
        area, top, tiny = drawn["area"], self.top[row.astype(np.int64)], 2e-7
        f = np.minimum(np.minimum(drawn["feather"], 2.0 * np.minimum(area, 1.0 - area)), 2.0 * (top - tiny - (1.0 - area)))
        f = np.maximum(f, 0.5 / (height * width))  # a hard cut falls between two ranks
        return np.stack([row, np.minimum(1.0 - area, top - tiny - 0.5 * f), f, np.ones(n)], 1)

    def to_dict(self) -> dict[str, Any]:
        out = super().to_dict()
        if self.tensor is not None:
            out["tensor"] = pack(self.tensor)
        return out

    def __repr__(self) -> str:
        what = [] if self.tensor is None else [f"tensor={'×'.join(map(str, self.tensor.shape))}"]
        return f"FromTensor({', '.join(what + [f'{n}={v.to_dict()}' for n, v in self.values.items()])})"

    @staticmethod
    def weight(y: torch.Tensor, x: torch.Tensor, numbers: Numbers, maps: torch.Tensor | None) -> torch.Tensor:
        value = read(y, x, numbers[0], maps)
        ranked = smoothstep((value - numbers[1]) / numbers[2] + 0.5)
        return torch.where(numbers[3] > 0.0, ranked, value)

    @staticmethod
    @jit
    def device(y, x, numbers, row, maps):
        value = device_read(y, x, numbers[0], maps)
        ranked = device_smoothstep(tl.div_rn(value - numbers[1], numbers[2]) + 0.5)
        return tl.where(numbers[3] > 0.0, ranked, value)


def _maps(tensor: Any) -> torch.Tensor:
    """(k, h, w) float32 on the CPU, checked."""
    if isinstance(tensor, Mapping):
        tensor = unpack(tensor)
    if isinstance(tensor, np.ndarray):
        tensor = torch.from_numpy(np.ascontiguousarray(tensor))
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor={type(tensor).__name__} is not understood; accepted: {ACCEPTED}.")
    if kept(tensor):
        raise TypeError(
            "tensor requires gradients, which a stored map passes none; accepted: tensor.detach(), or FromTensor() and mask= at the call."
        )
    shape = '"' + " ".join(map(str, tensor.shape)) + '"'
    maps = tensor.detach().to("cpu")
    if maps.ndim == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    if maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3 or maps.numel() == 0:
        raise ValueError(f"tensor of shape {shape} is not a set of maps; accepted: {ACCEPTED}.")
    if maps.dtype not in (torch.uint8, torch.bool) and not maps.dtype.is_floating_point:
        raise TypeError(f"tensor of dtype {maps.dtype} is not understood; accepted: {ACCEPTED}.")
    maps = maps.to(torch.float32) / (255.0 if maps.dtype == torch.uint8 else 1.0)
    if not bool(torch.isfinite(maps).all()):
        raise ValueError(f"tensor has NaN or infinite values; accepted: {ACCEPTED}.")
    low, high = float(maps.min()), float(maps.max())
    if low < 0.0 or high > 1.0:
        raise ValueError(f"tensor has values from {low:g} to {high:g}; accepted: {ACCEPTED}.")
    return maps.contiguous().clone()


def _ranks(maps: torch.Tensor | None) -> torch.Tensor:
    """Each value's rank within its map, in (0, 1); equal values share their mean rank."""
    assert maps is not None
    out = np.empty(maps.shape, dtype=np.float32)
    for row, scores in zip(out, maps.numpy()):
        _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - 0.5 * counts
        row[:] = (middle / scores.size)[inverse].reshape(scores.shape)
    return torch.from_numpy(out)
