"""Pink noise: power density falls as 1 / f^exponent, from white (0) over pink (1) to Brownian (2); deviation std.

Eight octaves of noise on lattices of 1 to 128 px: normal numbers on the finest, uniform ones on the others, between which a
pixel interpolates linearly; every lattice is shifted by a random number of pixels. The octaves' powers solve a linear system
for the density wanted at 0.4 cycles per cell of each, averaged over directions: from 1/100 cycles per pixel up to 1/2 the
slope is within 0.013 of the exponent, and the density within 1.2 dB of a straight line. Below 1/300 it is flat.
Source: DBCNN's pink noise (exponent 1), which is made in the frequency domain.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels import noise
from degrade.kernels.lang import jit, tl
from degrade.kernels.noise import device_normals
from degrade.kernels.rng import uniform4
from degrade.op import Context, Frame, Param, PointOp, Theta

OCTAVES = tl.constexpr(8)
CELLS = 2.0 ** np.arange(8)


def _density(cell: float, f: Array) -> Array:
    """Power density at radial frequencies f of noise on one lattice, with variance 1 on average over a cell."""
    angle = (np.arange(16) + 0.5) / 32 * np.pi
    total = np.ones((len(f), len(angle)))
    for side in (np.cos(angle), np.sin(angle)):
        turn = np.pi * f[:, None] * side
        tent = (np.sin(turn * cell) / np.sin(turn)) ** 2 / cell
        total = total * tent**2 / cell / _kept(cell)
    return total.mean(1)


def _kept(cell: float) -> float:
    """The part of a lattice's variance that linear interpolation keeps, along one axis."""
    return (2.0 * cell * cell + 1.0) / (3.0 * cell * cell)


FREQUENCIES = 0.4 / CELLS
UNMIX = np.linalg.inv(np.stack([_density(c, FREQUENCIES) for c in CELLS], 1))


class PinkNoise(PointOp):
    """Add noise of standard deviation `std` whose power density falls as 1 / f^`exponent`."""

    std = Param(0.0, 1.0, neutral=0.0, harsh=0.25, unit="of full range")
    exponent = Param(0.0, 2.0, default=1.0, unit="(exponent)")
    colour = Param(choices=("colour", "grey"), default="colour")
    tolerance = 5e-6
    uniforms = 16

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """For each octave: amplitude, shift down and across in pixels, and 1 / cell."""
        wanted = FREQUENCIES ** -theta[:, 1:2].astype(np.float64)
        power, total = np.zeros((len(theta), 8)), np.zeros((len(theta), 1))
        for column in range(8):
            power += wanted[:, column, None] * UNMIX[:, column]
        power = np.maximum(power, 0.0)
        for column in range(8):
            total[:, 0] += power[:, column]
        # Uniform numbers of width √12 have deviation 1; the finest octave is normal, and not interpolated.
        unit = np.where(CELLS > 1, np.sqrt(12.0), 1.0) / np.asarray([_kept(c) for c in CELLS])
        amplitude = theta[:, :1].astype(np.float64) * np.sqrt(power / total) * unit
        shift = np.floor(frame.u.reshape(-1, 2, 8) * CELLS)
        cells = np.broadcast_to(1.0 / CELLS, amplitude.shape)
        return np.stack([amplitude, shift[:, 0], shift[:, 1], cells], 2).reshape(-1, 32).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        (h, w), grey = x.shape[2:], theta[2] == 1.0
        y, across = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
        octaves = context.table.reshape(-1, 8, 4)
        total = octaves[:, 0, 0, None, None, None] * noise.normals(context.rng.uniform4(), grey)
        for o in range(1, 8):
            amplitude, shift = octaves[:, o, 0, None, None, None], octaves[:, o, 1:3].to(torch.int64)
            points = [torch.arange(((size + 2**o - 2) >> o) + 2, device=x.device) for size in (h, w)]
            u = context.rng.uniform4(o, points[0][:, None] << 16 | points[1])
            lattice = torch.stack((u[0], torch.where(grey[:, 0], u[0], u[1]), torch.where(grey[:, 0], u[0], u[2])), 1) - 0.5
            rows = _between(lattice, across + shift[:, 1:], o, 3)
            total = total + amplitude * _between(rows, y + shift[:, :1], o, 2)
        return x + total

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        grey = theta[2] == 1.0
        y, x = (pixel >> 16) & 65535, pixel & 65535
        amplitude = tl.load(table)
        n0, n1, n2 = device_normals(uniform4(rng, pixel), grey)
        n0, n1, n2 = amplitude * n0, amplitude * n1, amplitude * n2
        for o in range(1, OCTAVES):
            row = table + 4 * o
            amplitude, share = tl.load(row), tl.load(row + 3)
            down, across = y + tl.load(row + 1).to(tl.int32), x + tl.load(row + 2).to(tl.int32)
            mask = (1 << o) - 1
            ty, tx = (down & mask).to(tl.float32) * share, (across & mask).to(tl.float32) * share
            top, left = down >> o, across >> o
            r0, g0, b0 = _pair(top, left, tx, o, grey, rng)
            r1, g1, b1 = _pair(top + 1, left, tx, o, grey, rng)
            n0 += amplitude * (r0 * (1.0 - ty) + r1 * ty)
            n1 += amplitude * (g0 * (1.0 - ty) + g1 * ty)
            n2 += amplitude * (b0 * (1.0 - ty) + b1 * ty)
        return r + n0, g + n1, b + n2


def _between(lattice: torch.Tensor, at: torch.Tensor, octave: int, axis: int) -> torch.Tensor:
    """Values at pixel coordinates (n, size) along an axis of a lattice (n, 3, rows, columns), linear between its points."""
    n, c, rows, columns = lattice.shape
    t = (at & (2**octave - 1)).to(torch.float32) * 2.0**-octave
    if axis == 3:
        index, t = (at >> octave)[:, None, None, :].expand(n, c, rows, at.shape[1]), t[:, None, None, :]
    else:
        index, t = (at >> octave)[:, None, :, None].expand(n, c, at.shape[1], columns), t[:, None, :, None]
    return lattice.gather(axis, index) * (1.0 - t) + lattice.gather(axis, index + 1) * t


@jit
def _pair(top, left, t, octave, grey, rng):
    """Values between two neighbouring points of a row of a lattice."""
    u0, u1, u2, u3 = uniform4(rng, (top << 16) | left, octave)
    v0, v1, v2, v3 = uniform4(rng, (top << 16) | (left + 1), octave)
    u1, u2, v1, v2 = tl.where(grey, u0, u1), tl.where(grey, u0, u2), tl.where(grey, v0, v1), tl.where(grey, v0, v2)
    s = 1.0 - t
    return (u0 - 0.5) * s + (v0 - 0.5) * t, (u1 - 0.5) * s + (v1 - 0.5) * t, (u2 - 0.5) * s + (v2 - 0.5) * t
