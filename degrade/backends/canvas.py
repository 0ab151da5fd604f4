"""What the torch twins work on: images as float32 at the working precision, on the way in, in between, and on the way out."""

from __future__ import annotations

from collections.abc import Callable

import torch

from degrade.distributions import Array
from degrade.kernels.colour import mix_linear
from degrade.kernels.gradient import carried, limited


def to_canvas(x: torch.Tensor) -> torch.Tensor:
    """Images of any accepted dtype as contiguous float32 at the working precision."""
    if x.dtype == torch.float32:
        return x.clone(memory_format=torch.contiguous_format)
    if x.dtype == torch.uint8:
        return x.to(torch.float32, memory_format=torch.contiguous_format).mul_(257.0).mul_(1.0 / 65535.0)
    return round_fixed(x.to(torch.float32)).contiguous()


def from_canvas(canvas: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The canvas in the dtype and memory format of x; a value that did not change leaves exactly as it came."""
    if x.dtype == torch.float32:
        out = canvas
    elif x.dtype == torch.uint8:
        out = (canvas * 255.0).add_(0.5).to(torch.uint8)  # the cast is the floor
    else:
        own = canvas.to(x.dtype)
        out = carried(torch.where(canvas == to_canvas(x), x, own), own)
    like = torch.empty_like(x)
    return out if like.stride() == out.stride() else like.copy_(out)


def round_fixed(v: torch.Tensor) -> torch.Tensor:
    """Clamp and round to 16-bit fixed point; a gradient passes as if nothing were rounded, which a call has to ask for."""
    if v.requires_grad:
        return carried(round_fixed(v.detach()), limited(v))
    return v.clamp(0.0, 1.0).mul_(65535.0).add_(0.5).floor_().mul_(1.0 / 65535.0)


def round_float(v: torch.Tensor) -> torch.Tensor:
    """Clamp; float32 is its own precision."""
    return limited(v)


def blend(own: torch.Tensor, new: torch.Tensor, weight: torch.Tensor, light: Array, rounded: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """x + m · (f(x) − x), rounded: exactly x where m = 0, even beyond 0..1, and exactly f(x) where m = 1. weight: (n, h, w); light: (n,), for
    which samples this is done in linear light, but where x and f(x) are equal. The gradient is that of the mixture for every m."""
    m = weight[:, None]
    mixed = own + m * (new - own)
    if light.any():
        here = torch.from_numpy(light).to(own.device)[:, None, None, None]
        mixed = torch.where(here & (new != own), mix_linear(own, new, m), mixed)
    return torch.where(m == 0.0, carried(own, mixed), rounded(carried(torch.where(m == 1.0, new, mixed), mixed)))
