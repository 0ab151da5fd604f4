"""Lists of boxes in an op's table: `count`, height and width, then for each box its corner and what it is filled with."""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.op import Frame

MOST = 64  # boxes
NUMBERS = 5  # y, x and three values


def boxes(count: Array, size: Array, frame: Frame) -> tuple[Array, Array]:
    """Table rows for `count` boxes (n,) of `size` pixels (n,), uniform inside the frame, and the mask of those in use (n, most, 1).

    Takes five uniforms per box; the last three stand where its values go.
    """
    most = int(count.max(initial=0))
    axes = np.asarray([frame.height, frame.width])
    side = np.minimum(size[:, None], axes)
    u = frame.u[:, : NUMBERS * most].reshape(len(count), most, NUMBERS)
    corner = np.floor(u[..., :2] * (axes - side + 1)[:, None])
    used = np.arange(most)[:, None] < count[:, None, None]
    rows = np.where(used, np.concatenate([corner, u[..., 2:]], 2), 0.0)
    return np.concatenate([count[:, None], side], 1), rows


def owners(table: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The first box, from 1, that covers each pixel, 0 where none does: (n, height · width) int64."""
    n, head = len(table), table[:, :3].to(torch.int64)
    corner = table[:, 3:].reshape(n, -1, NUMBERS)[..., :2].to(torch.int64)
    y, x = (torch.arange(int(head[:, i].max()), device=table.device) for i in (1, 2))
    inside = ((y[:, None] < head[:, 1:2, None]) & (x < head[:, 2:3, None])).reshape(n, 1, -1)
    inside = inside & (torch.arange(corner.shape[1], device=table.device)[:, None] < head[:, :1, None])
    at = torch.where(inside, corner[..., :1] * width + corner[..., 1:] + (y[:, None] * width + x).flatten(), height * width)
    owner = torch.zeros((n, height * width + 1), dtype=torch.int64, device=table.device)  # the last cell takes what no box has
    for k in range(at.shape[1], 0, -1):  # earlier boxes lie on top
        owner.scatter_(1, at[:, k - 1], k)
    return owner[:, :-1]
