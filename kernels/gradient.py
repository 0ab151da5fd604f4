"""One computation's values with another's gradient: what is rounded, counted or read from a table passes that of what it stands for."""

from __future__ import annotations

from typing import Any

import torch


class _Carried(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, grads[0]


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, total: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        ctx.shape = parts.shape
        return total.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, grads[0].expand(ctx.shape)


class _Limited(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(value)
        return value.clamp(0.0, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        (value,) = ctx.saved_tensors
        return grads[0] * ((value >= 0.0) & (value <= 1.0))


def limited(value: torch.Tensor) -> torch.Tensor:
    """Values limited to 0..1, with the gradient of those that are 0 or 1 themselves, which black and white are. Torch's clamp has it before 2.14."""
    if not (value.requires_grad and torch.is_grad_enabled()):
        return value.clamp(0.0, 1.0)
    out: torch.Tensor = _Limited.apply(value)
    return out


def carried(value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """The values of `value`, to the bit, and the gradient of `source`, which has its shape and is not read."""
    if not (source.requires_grad and torch.is_grad_enabled()):
        return value
    out: torch.Tensor = _Carried.apply(value.detach(), source.expand_as(value))
    return out


def added(total: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """The values of `total` and the gradient of the sum of `parts` over the axes where `total` has length 1."""
    if not (parts.requires_grad and torch.is_grad_enabled()):
        return total
    out: torch.Tensor = _Added.apply(total.detach(), parts)
    return out
