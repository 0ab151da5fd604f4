"""Elastic transform: a displacement field of uniform noise smoothed by a Gaussian, and optionally a random affine map.

displacement = amount · Gauss(U(−1, 1), sigma) per axis, read bilinearly; amount, sigma and affine are fractions of the image's
short side. The Gaussian is cut at 3σ and the noise mirrored at its border, as SciPy does it by default. From σ = 12 px on the
noise lies on a lattice of odd spacing up to σ/4, scaled to the same variance, which leaves the field's spectrum as it is.
The affine map is the one that moves three points, a third of the short side from the centre, by up to `affine` along each
axis. It is composed with the field and the image is read once; the original reads twice, which blurs a little more, and mirrors
the image beyond its border, which is repeated here. Source: ImageNet-C elastic_transform; imagecorruptions has no affine map.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp, ordered_sum

from ._warp import device_sample_linear, sample_linear

# Columns of the table; the weights of distances 0, 1, 2, … follow.
SPACING, REACH, ROWS, COLUMNS, GAIN, SCALE, MIDDLE, MATRIX, WEIGHTS = 0, 1, 2, 3, 4, 5, 6, 8, 14
DEVIATIONS = 16.0  # of the half-smoothed noise, over the range 0..1 that is stored


class ElasticTransform(TwoStrokeOp):
    """Displace pixels by `amount` times smoothed noise of scale `sigma`."""

    amount = Param(0.0, 4.0, neutral=0.0, harsh=0.3, unit="of the short side")
    sigma = Param(0.0, 1.0, neutral=0.0, harsh=1.0, unit="of the short side", default=(0.01, 0.03))
    affine = Param(0.0, 0.25, neutral=0.0, harsh=0.25, unit="of the short side", default=0.0)
    tolerance = 5e-6
    uniforms = 6
    whole_frame = True

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 0) & (theta[:, 2] == 0)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        height, width, side = frame.height, frame.width, min(frame.height, frame.width)
        amount, sigma, affine = (side * theta[:, i : i + 1].astype(np.float64) for i in range(3))
        spacing = np.maximum(2 * np.floor((np.floor(sigma / 4) - 1) / 2) + 1, 1)
        radius = np.floor(3 * sigma + 0.5)
        d = np.arange(int((radius + 2 * spacing).max(initial=0)) + 1)
        weights = np.where(d > radius, 0.0, np.exp(-0.5 * (d / np.maximum(sigma, 1e-3)) ** 2))
        weights *= spacing / (weights[:, :1] + 2 * ordered_sum(weights[:, 1:]))
        rows, columns = np.ceil(height / spacing), np.ceil(width / spacing)
        # The variance of noise smoothed along a row: at least that of the mean of the row.
        terms = np.minimum(np.maximum(2 * np.sqrt(np.pi) * sigma / spacing, 1), columns)
        gain = np.sqrt(3 * terms) / DEVIATIONS
        scale = amount / spacing / gain
        middle = np.broadcast_to(np.asarray([[height // 2, width // 2]]), (len(theta), 2))
        head = [spacing, np.floor(radius / spacing) + 1, rows, columns, gain, scale, middle, _inverse_affine(frame.u, affine, side // 3)]
        return np.concatenate([*head, weights], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, h, w = x.shape
        table = context.table
        noise = context.round(torch.stack(context.rng.uniform4()[:2], 1))
        field = torch.zeros_like(noise)
        for spacing in torch.unique(table[:, SPACING]).tolist():
            these = (table[:, SPACING] == spacing).nonzero().flatten()
            rows = table[these]
            part = noise[these] * 2.0 - 1.0
            part = context.round(_smooth(part, rows, int(spacing), 3) * rows[:, GAIN, None, None, None] + 0.5)
            field[these] = _smooth(part - 0.5, rows, int(spacing), 2)
        dx, dy = (field * table[:, SCALE, None, None, None]).unbind(1)
        y0, x0, byy, byx, bxy, bxx, ty, tx = (table[:, MIDDLE + i, None, None] for i in range(8))
        ry = torch.arange(h, device=x.device)[:, None] - y0 + dy
        rx = torch.arange(w, device=x.device) - x0 + dx
        return context.round(sample_linear(x, dy + (byy * ry + byx * rx + ty), dx + (bxy * ry + bxx * rx + tx)))

    @staticmethod
    @jit
    def noise(image, before, y, x, theta, table, words, rng, stage, inside):
        u0, u1, u2, u3 = uniform4(rng, (y << 16) | x)
        return u0, u1, u1

    @staticmethod
    @jit
    def across(image, before, y, x, theta, table, words, rng, stage, inside):
        spacing, reach, count = tl.load(table).to(tl.int32), tl.load(table + 1).to(tl.int32), tl.load(table + 3).to(tl.int32)
        turns = 2 * count * (reach // (2 * count) + 1)  # whole periods, so that the remainder is of a number from 0 on
        total0 = x * 0.0 + y * 0.0
        total1 = total0
        for m in range(-reach, reach + 1):
            j = x // spacing + m
            distance = tl.abs(x - j * spacing - (spacing - 1) // 2)
            weight = tl.load(table + 14 + distance)
            j = (j + turns) % (2 * count)
            j = tl.minimum(j, 2 * count - 1 - j)
            total0 += weight * (fetch_plane(before, 0, y, j) * 2.0 - 1.0)
            total1 += weight * (fetch_plane(before, 1, y, j) * 2.0 - 1.0)
        gain = tl.load(table + 4)
        return total0 * gain + 0.5, total1 * gain + 0.5, total1 * gain + 0.5

    @staticmethod
    @jit
    def displace(image, before, y, x, theta, table, words, rng, stage, inside):
        spacing, reach, count = tl.load(table).to(tl.int32), tl.load(table + 1).to(tl.int32), tl.load(table + 2).to(tl.int32)
        turns = 2 * count * (reach // (2 * count) + 1)
        total0 = x * 0.0 + y * 0.0
        total1 = total0
        for m in range(-reach, reach + 1):
            j = y // spacing + m
            distance = tl.abs(y - j * spacing - (spacing - 1) // 2)
            weight = tl.load(table + 14 + distance)
            j = (j + turns) % (2 * count)
            j = tl.minimum(j, 2 * count - 1 - j)
            total0 += weight * (fetch_plane(before, 0, j, x) - 0.5)
            total1 += weight * (fetch_plane(before, 1, j, x) - 0.5)
        scale = tl.load(table + 5)
        dx, dy = total0 * scale, total1 * scale
        ry = y - tl.load(table + 6) + dy
        rx = x - tl.load(table + 7) + dx
        ey = tl.load(table + 8) * ry + tl.load(table + 9) * rx + tl.load(table + 12)
        ex = tl.load(table + 10) * ry + tl.load(table + 11) * rx + tl.load(table + 13)
        return device_sample_linear(image, y, x, dy + ey, dx + ex)

    strokes = (Stroke(noise), Stroke(across), Stroke(displace))


def _smooth(lattice: torch.Tensor, table: torch.Tensor, spacing: int, axis: int) -> torch.Tensor:
    """Noise (n, 2, h, w), of which the first places along the axis are lattice points, smoothed along it at every pixel."""
    size = lattice.shape[axis]
    count = -(-size // spacing)
    reach = int(table[:, REACH].max())
    place = torch.arange(-reach, count + reach, device=lattice.device) % (2 * count)
    mirrored = lattice.index_select(axis, torch.minimum(place, 2 * count - 1 - place))
    at = torch.arange(size, device=lattice.device)
    weights = table[:, WEIGHTS:]
    total = torch.zeros_like(lattice)
    for m in range(-reach, reach + 1):
        value = mirrored.narrow(axis, m + reach, count)
        if spacing > 1:
            value = value.repeat_interleave(spacing, axis).narrow(axis, 0, size)
        distance = (at - (at // spacing + m) * spacing - (spacing - 1) // 2).abs()
        weight = weights[:, distance]
        total += (weight[:, None, None, :] if axis == 3 else weight[:, None, :, None]) * value
    return total


def _inverse_affine(u: Array, farthest: Array, side: int) -> Array:
    """B − 1 (by rows) and t of the map q ↦ Bq + t, about the middle, that undoes a random one: (n, 6), y before x.

    The random map moves (s, s), (s, −s), (−s, −s), given as (x, y), each by up to `farthest` along both axes.
    """
    s = max(side, 1)
    moved = np.asarray([s, s, s, -s, -s, -s]) + (2 * u - 1) * farthest
    ax, ay = (moved[:, 2] - moved[:, 4]) / (2 * s), (moved[:, 3] - moved[:, 5]) / (2 * s)  # where a step along x goes
    bx, by = (moved[:, 0] - moved[:, 2]) / (2 * s), (moved[:, 1] - moved[:, 3]) / (2 * s)  # and one along y
    tx, ty = moved[:, 0] - s * (ax + bx), moved[:, 1] - s * (ay + by)
    area = np.maximum(ax * by - bx * ay, 0.05)  # three points may come to lie on a line
    yy, yx, xy, xx = ax / area, -ay / area, -bx / area, by / area
    return np.stack([yy - 1, yx, xy, xx - 1, -(yy * ty + yx * tx), -(xy * ty + xx * tx)], 1)
