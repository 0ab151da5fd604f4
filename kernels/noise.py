"""Normals from uniforms by Box-Muller, equal bit for bit on every backend."""

from __future__ import annotations

import torch

from .exact import device_log, device_turn, log, sqrt, turn
from .lang import jit, tl


def normal3(u: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three independent standard normals from four uniforms in (0, 1)."""
    near, far = sqrt(log(u[0]) * -2.0), sqrt(log(u[2]) * -2.0)
    (c0, s0), (c1, _) = turn(u[1]), turn(u[3])
    return near * c0, near * s0, far * c1


@jit
def device_normal3(u0, u1, u2, u3):
    """The device function of `normal3`."""
    near, far = tl.sqrt_rn(device_log(u0) * -2.0), tl.sqrt_rn(device_log(u2) * -2.0)
    c0, s0 = device_turn(u1)
    c1, s1 = device_turn(u3)
    return near * c0, near * s0, far * c1
