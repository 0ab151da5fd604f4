"""The ramp of every soft edge: smoothstep t²(3 − 2t) limited to [0, 1], exactly 0 and exactly 1 at its ends."""

from __future__ import annotations

import torch

from .lang import jit, tl


def smoothstep(t: torch.Tensor) -> torch.Tensor:
    """The twin; single operations, so that the device agrees to the bit."""
    t = torch.clamp(t, 0.0, 1.0)
    return t * t * (3.0 - t * 2.0)


@jit
def device_smoothstep(t):
    """The device function of `smoothstep`."""
    t = tl.minimum(tl.maximum(t, 0.0), 1.0)
    return t * t * (3.0 - t * 2.0)
