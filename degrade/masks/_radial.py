"""Regions that are star-shaped about a centre: boundary s·g(θ), weight = smoothstep((1 − ρ / s g(θ)) / f).

Level sets are scaled copies of the region, so Σ weight = A (1 − f + 0.3 f²) with A the region's area: a quadratic for the
scale s, given the ramp F = f·s in pixels. Where the frame cuts the region, its area is a sum over directions instead.
"""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array

from .base import root

_THETA = (np.arange(96) + 0.5) * (2.0 * np.pi / 96)  # half steps: no direction is parallel to an axis
COS, SIN = np.cos(_THETA).astype(np.float32), np.sin(_THETA).astype(np.float32)


def directions(height: int, width: int) -> tuple[Array, Array]:
    """Direction vectors spread evenly in the frame's own proportions, so that a long frame is sampled as well as a square one."""
    stretch = np.sqrt(width / height)
    return (COS * stretch).astype(np.float32), (SIN / stretch).astype(np.float32)


def whole(total: Array, ramp: Array) -> tuple[Array, Array]:
    """Scale and ramp width of regions that no border cuts; `total` is Σ weight over the area of the region of scale 1."""
    ramp = np.minimum(ramp, np.sqrt(total / 0.3))  # from here on the ramp reaches the centre
    return 0.5 * (ramp + np.sqrt(np.maximum(4.0 * total - 0.2 * ramp * ramp, 0.0))), ramp


def borders(cy: Array, cx: Array, height: int, width: int) -> Array:
    """How many times each vector of `directions` reaches the frame's border, from n centres."""
    x, y = directions(height, width)
    across = np.where(x > 0, width - cx[:, None], cx[:, None]).astype(np.float32) / np.abs(x)
    down = np.where(y > 0, height - cy[:, None], cy[:, None]).astype(np.float32) / np.abs(y)
    return np.minimum(across, down)


def _levels(border: Array, s: Array, f: Array) -> Array:
    """The mean over the ramp's levels t, of density 6t(1 − t), of min(s − f t, border)², for f ≤ s."""
    plain = (s * s - s * f + 0.3 * f * f).astype(np.float32)[:, None]
    s, f = s.astype(np.float32)[:, None], f.astype(np.float32)[:, None]
    t = np.clip((s - border) / f, 0.0, 1.0)  # levels under t are cut
    lost = (1.5 - 1.2 * t) * t
    lost *= f * f
    lost -= (s * f) * (4.0 - 3.0 * t)
    lost *= t
    lost += (s * s - np.square(border)) * (3.0 - 2.0 * t)
    lost *= t * t
    return plain - lost


def disc(border: Array, s: Array, f: Array) -> Array:
    """The mean over the frame of smoothstep((s − ρ) / f), ρ counted in vectors of `directions`, f ≤ s."""
    return (_levels(border, s, f).sum(1) / np.square(border).sum(1)).astype(np.float64)


def cut(total: Array, ramp: Array, scale: Array, shape: Array, cy: Array, cx: Array, height: int, width: int) -> tuple[Array, Array]:
    """Scale and ramp width of regions that the frame cuts, from their uncut scale and their shape.

    shape: (n, directions) float32, how many times each vector of `directions` reaches the boundary of scale 1.
    """
    border = borders(cy, cx, height, width)
    squares, border = np.square(shape), border / shape  # the border as a scale: where s passes it, the frame cuts
    target = total / (height * width) * (np.square(border) * squares).sum(1)

    def area(log_scale: Array) -> Array:
        """The region's mean area over the ramp's levels, summed over directions."""
        s = np.exp(log_scale)
        return (_levels(border, s, np.minimum(ramp, s)) * squares).sum(1).astype(np.float64)

    full = border.max(1) + ramp
    s = np.exp(root(area, target, np.log(scale), np.log(np.maximum(full, scale)), steps=10))
    return s, np.minimum(ramp, s)
