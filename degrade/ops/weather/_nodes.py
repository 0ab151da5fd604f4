"""Random numbers at the points of lattices, and the values between them: what layers of weather are made of.

Four neighbouring points, two by two, share one call of the generator. A pixel lies at (y, x) in units of the lattice, and
takes its value linearly from the four points around it, across first and then down. An op that needs several lattices gives
each a level, from 0 to 15.
"""

import torch

from degrade.kernels.exact import device_log, device_turn, log, sqrt, turn
from degrade.kernels.lang import jit, tl
from degrade.kernels.rng import uniform4
from degrade.op import Context

Sizes = list[tuple[int, int]]  # rows and columns of lattices 0, 1, …


def _fours(context: Context, sizes: Sizes, first: int = 0) -> tuple[torch.Tensor, ...]:
    """The uniforms of all squares of two by two points that cover some lattices, one lattice after another."""
    device, places = context.table.device, []
    for level, (rows, columns) in enumerate(sizes, start=first):
        y, x = torch.arange((rows + 1) // 2, device=device)[:, None], torch.arange((columns + 1) // 2, device=device)
        places.append((level << 28 | y << 14 | x).flatten())
    return context.rng.uniform4(0, torch.cat(places))


def _woven(fours: tuple[torch.Tensor, ...], sizes: Sizes) -> list[torch.Tensor]:
    """Lattices from the four points of their squares, (n, 1, squares) each."""
    shapes = [((rows + 1) // 2, (columns + 1) // 2) for rows, columns in sizes]
    out = []
    for (rows, columns), squares in zip(shapes, torch.stack(fours, 3).split([rows * columns for rows, columns in shapes], 2)):
        n = len(squares)
        out.append(squares.reshape(n, rows, columns, 2, 2).permute(0, 1, 3, 2, 4).reshape(n, 2 * rows, 2 * columns))
    return out


def uniform_nodes(context: Context, sizes: Sizes, first: int = 0) -> list[torch.Tensor]:
    """Uniforms in (0, 1) at the points of the lattices of levels `first` and on, (n, at least rows, at least columns) each."""
    return _woven(_fours(context, sizes, first), sizes)


def normal_nodes(context: Context, rows: int, columns: int) -> torch.Tensor:
    """Standard normals at the points of lattice 0, (n, at least rows, at least columns)."""
    u = _fours(context, [(rows, columns)])
    near, far = sqrt(log(u[0]) * -2.0), sqrt(log(u[2]) * -2.0)
    (c0, s0), (c1, s1) = turn(u[1]), turn(u[3])
    return _woven((near * c0, near * s0, far * c1, far * s1), [(rows, columns)])[0]


def four_uniforms(context: Context, level: int, rows: int, columns: int) -> tuple[torch.Tensor, ...]:
    """Four uniforms in (0, 1) at each point of a lattice, (n, rows, columns) each."""
    y, x = torch.arange(rows, device=context.table.device)[:, None], torch.arange(columns, device=context.table.device)
    return context.rng.uniform4(0, level << 28 | y << 14 | x)


def points_within(size: int, scale: torch.Tensor) -> int:
    """How many points of a lattice lie around pixels 0 to size − 1, for the densest of `scale` in points per pixel."""
    return int(float(scale.detach().max()) * (size - 1)) + 3


def between(lattice: torch.Tensor, y: torch.Tensor, x: torch.Tensor, room: torch.Tensor | None = None) -> torch.Tensor:
    """Values (n, h, w) of a lattice (n, rows, columns) at rows y (n, h) and columns x (n, w), float32 from 0 on.

    `room` (2, n, h, w) is memory that many calls may share, where no gradient is kept; each then returns the second half of it.
    """
    (n, rows, _), height, width = lattice.shape, y.shape[1], x.shape[1]
    top, left = torch.floor(y), torch.floor(x)
    at = left.to(torch.int64)[:, None, :].expand(n, rows, width)
    a = lattice.gather(2, at)
    across = lattice.gather(2, at + 1).sub_(a).mul_((x - left)[:, None, :]).add_(a).flatten(0, 1)
    at = (top.to(torch.int64) + torch.arange(n, device=y.device)[:, None] * rows).flatten()
    if room is None:
        a, out = (across.index_select(0, at + i).view(n, height, width) for i in (0, 1))
    else:
        a, out = room
        torch.index_select(across, 0, at, out=a.view(n * height, width))
        torch.index_select(across, 0, at + 1, out=out.view(n * height, width))
    return out.sub_(a).mul_((y - top)[:, :, None]).add_(a)


@jit
def _square(rng, level, row, column):
    """The uniforms of the square of two by two points around a point."""
    return uniform4(rng, (((level << 14) + (row >> 1)) << 14) | (column >> 1))


@jit
def device_four(rng, level, row, column):
    """The device function of `four_uniforms`."""
    return uniform4(rng, (((level << 14) + row) << 14) | column)


@jit
def device_uniform_node(rng, level, row, column):
    """One point of `uniform_nodes`."""
    u0, u1, u2, u3 = _square(rng, level, row, column)
    right, low = (column & 1) == 1, (row & 1) == 1
    return tl.where(low, tl.where(right, u3, u2), tl.where(right, u1, u0))


@jit
def device_normal_node(rng, level, row, column):
    """One point of `normal_nodes`, with level 0."""
    u0, u1, u2, u3 = _square(rng, level, row, column)
    low = (row & 1) == 1
    length = tl.sqrt_rn(device_log(tl.where(low, u2, u0)) * -2.0)
    c, s = device_turn(tl.where(low, u3, u1))
    return length * tl.where((column & 1) == 1, s, c)


@jit
def device_between(rng, level, y, x, NODE):
    """The device function of `between`; NODE is one of the functions above."""
    top, left = tl.floor(y), tl.floor(x)
    ty, tx = y - top, x - left
    row, column = top.to(tl.int32), left.to(tl.int32)
    a = NODE(rng, level, row, column)
    above = a + (NODE(rng, level, row, column + 1) - a) * tx
    a = NODE(rng, level, row + 1, column)
    below = a + (NODE(rng, level, row + 1, column + 1) - a) * tx
    return above + (below - above) * ty
