"""Windows: where only a part of the frame of each sample is stored, as for the cells of a partition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.program import PHASES

from .rectangles import bounds, cover, outwards, repeated
from .regions import Regions
from .steps import Steps

SPACE = PHASES


@dataclass(frozen=True)
class Origins:
    """Whose samples are: not those of the images in turn, but n others.

    parents  (n,) the image that each is read from and written to
    slots    (n,) the slot of its program from which its own are counted, for its random numbers
    levels   (4, n) if each is a level of an op: which, of how many, whether pixels take the nearest, by the mean over blocks of this side
    parts    (n, 4) if each image is the part y0 y1 x0 x1 of its frame; else it is the frame
    phases   (n, 2) if each image lies there, down and to the right, in a frame that is larger by SPACE; its masks lie where it does
    """

    parents: Array
    slots: Array
    levels: Array | None = None
    parts: Array | None = None
    phases: Array | None = None

    def image(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the images, all of one size."""
        if self.parts is not None:
            y0, y1, x0, x1 = self.parts[0].tolist()
            return y1 - y0, x1 - x0
        return frame if self.phases is None else (frame[0] - SPACE, frame[1] - SPACE)

    def masks(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the frame that masks are drawn for."""
        return frame if self.phases is None else self.image(frame)

    def __getitem__(self, rows: Array) -> Origins:
        levels, phases = None if self.levels is None else self.levels[:, rows], None if self.phases is None else self.phases[rows]
        return Origins(self.parents[rows], self.slots[rows], levels, phases=phases)


def windows(origins: Origins, steps: Steps, regions: Regions | None) -> Array:
    """What of its frame each sample reads or changes, (4, n): what its masks need, and what its ops read for that; or what there is of it."""
    if origins.parts is not None:
        return outwards(origins.parts.astype(np.int32))
    if origins.phases is not None:
        return repeated(steps.frame, len(origins.parents))
    assert regions is not None
    program = regions.program
    out = np.zeros((4, len(program)), dtype=np.int32)
    for region in range(len(program.parent)):
        own = regions.rect[:, region] * (regions.leader[:, region] == region)
        out = cover(out, own)
    order = steps.row.argsort(kind="stable")
    edges = steps.row[order].searchsorted(np.arange(len(program) + 1))
    for i in range(int(np.diff(edges).max(initial=0))):  # the i-th step of each sample
        some = (edges[:-1] + i < edges[1:]).nonzero()[0]
        step = order[edges[some] + i]
        out[:, some] = cover(cover(out[:, some], regions.read[:, step]), regions.blocks[:, step])
    for _, _, span in steps.of(steps.vocabulary.with_extents):  # their passes have coordinates of their own
        out[:, steps.row[span]] = steps.frame[:, None]
    return out


def table(window: Array, origins: Origins, regions: Regions | None, frame: tuple[int, int]) -> tuple[Array, int]:
    """What the arena holds of the windows (4, n), and how many elements all have together."""
    top, below, left, after = bounds(window).T.astype(np.int64)
    units = -(-3 * (below - top) * (after - left) // layout.UNIT)
    out = np.zeros((len(units), layout.WINDOW), dtype=np.int32)
    out[:, layout.PARENT] = origins.parents
    if origins.parts is not None:
        out[:, layout.FROM_TOP], out[:, layout.FROM_LEFT] = origins.parts[:, 0], origins.parts[:, 2]
    elif origins.phases is not None:
        for at in ((layout.FROM_TOP, layout.FROM_LEFT), (layout.MASK_TOP, layout.MASK_LEFT)):
            out[:, at] = origins.phases
    else:
        assert regions is not None
        leader = regions.leader[:, 0] if origins.levels is None else regions.leader.max(1)  # a cell lies around all others; of a level there is one
        rows = np.arange(len(leader))
        out[:, layout.ONLY], out[:, layout.COVERS] = regions.begin[rows, leader], regions.count[rows, leader]
    if origins.levels is not None:
        out[:, layout.LEVEL : layout.BLOCK + 1] = origins.levels.T
    out[:, layout.TOP], out[:, layout.LEFT], out[:, layout.HIGH], out[:, layout.WIDE] = top, left, below - top, after - left
    out[:, layout.BASE] = units.cumsum() - units
    head = np.zeros(layout.HEAD, dtype=np.int32)
    head[layout.TOTAL] = units.sum()
    head[[layout.IMAGE_HIGH, layout.IMAGE_WIDE]], head[[layout.MASK_HIGH, layout.MASK_WIDE]] = origins.image(frame), origins.masks(frame)
    return np.concatenate([head, out.reshape(-1)]), int(units.sum()) * layout.UNIT
