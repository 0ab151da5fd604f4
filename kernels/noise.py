"""Normals from uniforms by Box-Muller, equal bit for bit on every backend."""

from __future__ import annotations

import numpy as np
import torch

from .exact import as_arrays, device_log, device_turn, in_arrays, log, log_of_array, sqrt, turn, turn_of_array
from .lang import jit, tl


def normal3(u: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three independent standard normals from four uniforms in (0, 1)."""
    if as_arrays(*u):
        n0, n1, n2 = in_arrays(_normal3_of_arrays, *u)
        return n0, n1, n2
    near, far = sqrt(log(u[0]) * -2.0), sqrt(log(u[2]) * -2.0)
    (c0, s0), (c1, _) = turn(u[1]), turn(u[3])
    return near * c0, near * s0, far * c1


def _normal3_of_arrays(u0: np.ndarray, u1: np.ndarray, u2: np.ndarray, u3: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (c0, s0), (c1, _) = turn_of_array(u1), turn_of_array(u3)
    near, far = log_of_array(u0), log_of_array(u2)
    for root in (near, far):
        root *= -2.0
        np.sqrt(root, out=root)
    c0 *= near
    s0 *= near
    c1 *= far
    return c0, s0, c1


def normals(u: tuple[torch.Tensor, ...], grey: torch.Tensor) -> torch.Tensor:
    """Standard normals (n, 3, h, w); where `grey` (n, 1, 1, 1) holds, the first one for all three channels."""
    n0, n1, n2 = normal3(u)
    if grey.device.type == "cpu" and not grey.any():
        return torch.stack((n0, n1, n2), 1)
    grey = grey[:, 0]
    return torch.stack((n0, torch.where(grey, n0, n1), torch.where(grey, n0, n2)), 1)


@jit
def device_normal3(u0, u1, u2, u3):
    """The device function of `normal3`."""
    near, far = tl.sqrt_rn(device_log(u0) * -2.0), tl.sqrt_rn(device_log(u2) * -2.0)
    c0, s0 = device_turn(u1)
    c1, s1 = device_turn(u3)
    return near * c0, near * s0, far * c1


@jit
def device_normals(u, grey):
    """The device function of `normals`; `grey` is one bool, and u a tuple of four."""
    n0, n1, n2 = device_normal3(u[0], u[1], u[2], u[3])
    return n0, tl.where(grey, n0, n1), tl.where(grey, n0, n2)
