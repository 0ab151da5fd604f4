"""What the blurs with an elliptic kernel share: the squared distance from its centre in standard deviations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from degrade.distributions import Array

from ._taps import window


def elliptic(theta: Array, extent: Array, isotropic: Array, profile: Callable[[Array], Array]) -> Array:
    """The rows of a `Window` table for a kernel that is a function of q = (u/σx)² + (v/σy)², u and v along turned axes.

    Args:
        theta: σx, σy, the angle in degrees, anticlockwise, and whatever follows.
        isotropic: (n,), where σx counts for both and there is no angle.
        profile: from q (n, k) to weights (n, k).
    """
    values = theta.astype(np.float64)
    one = isotropic[:, None] != 0
    sigma_x = np.maximum(values[:, :1], 1e-3)
    sigma_y = np.where(one, sigma_x, np.maximum(values[:, 1:2], 1e-3))
    angle = np.where(one, 0.0, np.deg2rad(values[:, 2:3]))

    def weights(y: Array, x: Array) -> Array:
        u = (x * np.cos(angle) - y * np.sin(angle)) / sigma_x  # y points down
        v = (x * np.sin(angle) + y * np.cos(angle)) / sigma_y
        return profile(u * u + v * v)

    return window(extent, weights)
