"""What gradients a call keeps, and how those of an op's parameters come through the tables that are made of them on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .distributions import Array
from .errors import unknown

if TYPE_CHECKING:
    from .op import Frame, Op

GRADIENTS = ("exact", "straight-through")
STEP = 2.0**-8  # of a parameter, for the differences of tables: their float32 values leave five digits of a derivative


class Gradients(NamedTuple):
    """What a call asks for.

    straight   whether ops that are steps pass the gradient of what they approximate
    theta      (b, s, 8) float32, the parameters as tensors, or None where none requires a gradient
    which      the numbers of those that do
    """

    straight: bool = False
    theta: torch.Tensor | None = None
    which: tuple[int, ...] = ()

    def select(self, rows: Any) -> Gradients:
        """Those of some samples: a slice or an index tensor."""
        return self if self.theta is None else self._replace(theta=self.theta[rows])

    def by_frame(self, count: int) -> Gradients:
        """Those of clips of so many frames for all frames, one after the other."""
        return self if self.theta is None else self._replace(theta=self.theta.repeat_interleave(count, 0))


EXACT = Gradients()


def check_gradient(gradient: Any) -> Gradients:
    """What the argument `gradient` asks for.

    Raises:
        ValueError: for an unknown word.
    """
    if not isinstance(gradient, str) or gradient not in GRADIENTS:
        raise ValueError(unknown("gradient", gradient, GRADIENTS))
    return Gradients(gradient == "straight-through")


def kept(tensor: torch.Tensor | None) -> bool:
    """Whether a gradient of this is asked for."""
    return tensor is not None and tensor.requires_grad and torch.is_grad_enabled()


def who_asks(x: torch.Tensor, mask: torch.Tensor | None, maps: torch.Tensor | None, theta: torch.Tensor | None) -> str:
    """What of a call requires gradients, in words, or nothing."""
    named = {"the images": x, "the mask": mask, "the parameters": theta if theta is not None else maps}
    names = [name for name, tensor in named.items() if kept(tensor)]
    return f"{' and '.join(names)} {'requires' if names == ['the mask'] else 'require'} gradients" if names else ""


def check_learnable(op: type[Op], name: str) -> None:
    """Refuse a gradient of a parameter that gets none.

    Raises:
        TypeError: naming those of the op that do.
    """
    if name not in op.learnable():
        those = ", ".join(op.learnable()) or "none"
        raise TypeError(
            f"{name} requires gradients, which {op.name} does not pass to it; accepted: {name}.detach(). Its parameters with gradients: {those}."
        )


def beside_neutral(op: type[Op]) -> float:
    """The first parameter a little way from its neutral value, where a table is laid out as on that side of it."""
    param = next(iter(op.parameters.values()))
    away = 4.0 * STEP * 0.01 * (param.high - param.low)
    return param.neutral + (away if param.neutral + away <= param.high else -away)


class _Tables(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, table: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(slopes)
        return table.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (grads[0][:, None].double() * slopes).sum(2).float(), None, None


def tables(op: type[Op], theta: Array, frame: Frame, source: torch.Tensor, which: tuple[int, ...]) -> torch.Tensor:
    """An op's tables as a function of its parameters (n, 8), of which those that are asked for have gradients, by differences. How a parameter
    changes what a table counts, such as how many taps there are, is no part of them."""
    table = op.tables(theta, frame)
    slopes = np.zeros((*theta.shape, table.shape[1]))
    for i in which:
        slopes[:, i] = differences(op, theta, frame, i)
    on_device = torch.from_numpy(table).to(source.device)
    if not slopes.any():
        return on_device
    out: torch.Tensor = _Tables.apply(source, on_device, torch.from_numpy(slopes).to(source.device))
    return out


def differences(op: type[Op], theta: Array, frame: Frame, which: int) -> Array:
    """The derivatives (n, length) float64 of a table's rows by one parameter: central differences, one-sided ones where a table is laid
    out differently on one side, as where a tap is added."""
    param = list(op.parameters.values())[which]
    here = op.tables(theta, frame)
    size = STEP * np.maximum(np.abs(theta[:, which]), 0.01 * (param.high - param.low))
    ends, rows = [], []
    for way in (-1.0, 1.0):
        moved = theta.copy()
        moved[:, which] = np.clip(theta[:, which] + way * size, param.low, param.high)
        table = op.tables(moved, frame)
        fitting = np.zeros_like(here)
        width = min(here.shape[1], table.shape[1])
        fitting[:, :width] = table[:, :width]
        fitting[table[:, width:].any(1)] = np.nan  # longer rows are laid out differently
        ends.append(moved[:, which].astype(np.float64))
        rows.append(fitting)
    below, above = rows
    alike = _alike(below, above)
    lower, upper = (np.where(alike | _alike(end, here), True, False) for end in rows)
    first, last = np.where(lower[:, None], below, here), np.where(upper[:, None], above, here)
    span = np.where(upper, ends[1], theta[:, which]) - np.where(lower, ends[0], theta[:, which])
    change = last.astype(np.float64) - first.astype(np.float64)
    return np.asarray(np.where(span[:, None] > 0.0, change / np.where(span > 0.0, span, 1.0)[:, None], 0.0))


def _alike(one: Array, other: Array) -> Array:
    """Whether rows are laid out alike: all whole numbers in them, zeros too, are equal, (n,) bool."""
    whole = [np.where(rows == np.floor(rows), rows, np.float32(0.5)) for rows in (one, other)]
    return np.asarray(((whole[0] == whole[1]) & np.isfinite(one) & np.isfinite(other)).all(1))
