"""Frost: keep · x + amount · frost, with ice crystals that grow in from the borders as on a window.

Feathers lie on three lattices with 4, 9 and 20 cells along the longer side of the frame, one for each point, moved by up to a
quarter of a cell and turned at random. With u along a feather and v across it, in units of its half length of 2/3 and half
width of 1/4 of a cell, it has the envelope 1 − u² − v² or 0, a spine, and barbs slanting away from it on both sides; where
feathers overlap, the brightest counts. Two octaves of lattice noise make a film of ice between them. All of it is thickest at
the border and thins out towards the middle, unevenly. The colour is (0.88, 0.95, 1). ImageNet-C crops photographs of frost,
which are about as bright. Source: the formula of ImageNet-C frost; the crystals are drawn.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_turn, turn
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, PointOp, Theta

from ._nodes import between, device_between, device_four, device_uniform_node, four_uniforms, points_within, uniform_nodes

FEATHERS = 3  # the first lattices; the others make the film
CELLS = (4, 9, 20, 3, 11)  # along the longer side


class Frost(PointOp):
    """Cover the image with `amount` of frost."""

    amount = Param(0.0, 1.0, neutral=0.0, harsh=0.8, unit="of the frost")
    keep = Param(0.0, 1.0, unit="of the image", default=1.0)
    uniforms = 10  # where the frame lies on each lattice
    tolerance = 1e-5
    modulates = True

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 0.0) & (theta[:, 1] == 1.0)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """For each lattice the points per pixel, and where pixel 0 lies down and across; the frame's size, and 2 / its shorter side."""
        height, width = frame.height, frame.width
        scale = np.broadcast_to(np.asarray(CELLS) / max(height, width), (len(theta), 5))
        size = np.broadcast_to(np.asarray([[height, width, 2.0 / min(height, width)]]), (len(theta), 3))
        return np.concatenate([np.stack([scale, frame.u[:, :5], frame.u[:, 5:]], 2).reshape(-1, 15), size], 1).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, height, width = x.shape
        y, x0 = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        lattices = context.table[:, :15].reshape(n, 5, 3).unbind(1)
        sizes = [(points_within(height, row[:, 0]), points_within(width, row[:, 0])) for row in lattices]
        places = [(y * row[:, :1] + row[:, 1:2], x0 * row[:, :1] + row[:, 2:3]) for row in lattices]
        film = uniform_nodes(context, sizes[FEATHERS:], FEATHERS)
        coarse, fine = (between(nodes, *place) for nodes, place in zip(film, places[FEATHERS:]))
        frost, room = torch.zeros_like(coarse), coarse.new_empty(8, n, height, width)
        for i in range(FEATHERS):
            _add_feathers(frost, four_uniforms(context, i, *sizes[i]), *places[i], room)
        inward = torch.minimum(torch.minimum(y, height - 1 - y)[:, None], torch.minimum(x0, width - 1 - x0)) * context.table[:, 17, None, None]
        cover = (coarse - inward.mul_(0.6)).add_(0.75).clamp_(0.35, 1.0)
        frost.mul_(0.75).add_(fine.mul_(0.3)).add_(coarse.mul_(0.2)).add_(0.15).mul_(cover).mul_(theta[0][:, 0])
        out = x * theta[1]
        for c, tint in enumerate((0.88, 0.95, 1.0)):
            out[:, c] += frost * tint
        return out

    @staticmethod
    @jit
    def point(r, g, b, theta, table, rng, pixel):
        y, x = (pixel >> 16) & 65535, pixel & 65535
        coarse = _device_film(rng, 3, y, x, table + 9)
        fine = _device_film(rng, 4, y, x, table + 12)
        ice = coarse * 0.0
        for level in range(3):
            row = table + 3 * level
            down, right = y * tl.load(row) + tl.load(row + 1), x * tl.load(row) + tl.load(row + 2)
            top, left = tl.floor(down), tl.floor(right)
            for corner in range(4):
                i, j = corner >> 1, corner & 1
                u0, u1, u2, u3 = device_four(rng, level, top.to(tl.int32) + i, left.to(tl.int32) + j)
                dy, dx = down - top - i - (u0 * 0.5 - 0.25), right - left - j - (u1 * 0.5 - 0.25)
                c, s = device_turn(u2)
                u, v = dx * (c * 1.5) + dy * (s * 1.5), tl.abs(dx * (s * 4.0) - dy * (c * 4.0))
                t = u * 9.0 - v * 4.0
                t = t - tl.floor(t) - 0.5
                envelope = (1.0 - u * u - v * v) * (u3 * 0.5 + 0.5)
                ice = tl.maximum(ice, tl.maximum(t * t * 3.2 + 0.1, 1.0 - v * 7.0) * envelope)
        down, right = tl.load(table + 15).to(tl.int32) - 1 - y, tl.load(table + 16).to(tl.int32) - 1 - x
        inward = tl.minimum(tl.minimum(y, down), tl.minimum(x, right)) * tl.load(table + 17)
        cover = tl.minimum(tl.maximum(coarse - inward * 0.6 + 0.75, 0.35), 1.0)
        frost = cover * (ice * 0.75 + fine * 0.3 + coarse * 0.2 + 0.15) * theta[0]
        return r * theta[1] + frost * 0.88, g * theta[1] + frost * 0.95, b * theta[1] + frost * 1.0


def _add_feathers(ice: torch.Tensor, draws: tuple[torch.Tensor, ...], y: torch.Tensor, x: torch.Tensor, room: torch.Tensor) -> None:
    """Draw the feathers of one lattice over `ice` (n, h, w), at rows y (n, h) and columns x (n, w).

    `room` (8, n, h, w) is for the numbers in between: memory that is taken anew for each costs more than the arithmetic.
    """
    (n, height, width), rows, device = ice.shape, draws[0].shape[1], ice.device
    c, s = turn(draws[2])
    nodes = torch.stack((draws[0] * 0.5 - 0.25, draws[1] * 0.5 - 0.25, c * 1.5, s * 1.5, c * 4.0, s * 4.0, draws[3] * 0.5 + 0.5), 1)
    top, left = torch.floor(y), torch.floor(x)
    row = torch.arange(n, device=device)[:, None] * rows + top.to(torch.int64)
    row = (torch.arange(6, device=device)[:, None, None] * (n * rows) + row).flatten()
    column = left.to(torch.int64)
    found, barb, spine = room[:6], room[6], room[7]
    for j in (0, 1):
        # What does not depend on the row of pixels is computed for the rows of points.
        at = (column + j)[:, None, None, :].expand(n, 7, rows, width)
        down, right, along, slant, across, slope, bright = nodes.gather(3, at).unbind(1)
        dx = (x - left - j)[:, None, :] - right
        lines = torch.stack((down, dx * along, slant, dx * slope, across, bright)).view(6 * n * rows, width)
        for i in (0, 1):
            torch.index_select(lines, 0, row + i, out=found.view(6 * n * height, width))
            dy, u, slant, v, across, bright = found
            torch.sub((y - top - i)[:, :, None], dy, out=dy)
            u.add_(slant.mul_(dy))
            v.sub_(across.mul_(dy)).abs_()
            torch.mul(u, 9.0, out=barb).sub_(torch.mul(v, 4.0, out=spine))
            barb.sub_(torch.floor(barb, out=spine)).sub_(0.5)
            barb.mul_(barb).mul_(3.2).add_(0.1)
            torch.mul(v, 7.0, out=spine).neg_().add_(1.0)
            envelope = u.mul_(u).neg_().add_(1.0).sub_(v.mul_(v)).mul_(bright)
            torch.maximum(ice, torch.maximum(barb, spine, out=barb).mul_(envelope), out=ice)


@jit
def _device_film(rng, level, y, x, row):
    """The noise of one lattice at a pixel."""
    scale = tl.load(row)
    return device_between(rng, level, y * scale + tl.load(row + 1), x * scale + tl.load(row + 2), device_uniform_node)
