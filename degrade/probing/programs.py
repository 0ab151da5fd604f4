"""Programs of conditions: one op in one slot, its strength given for each sample, under a disc or over the whole frame.

All that is done to an image has its id, one key and one slot: the same noise pattern, angle and places whatever the strength and the mask. So a
whole-frame control is the local condition's own degradation, weaker and everywhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from degrade.distributions import Array, Levels
from degrade.kernels import rng
from degrade.masks import Ellipse
from degrade.pipeline import Pipeline
from degrade.program import Program
from degrade.recipe import Local

from .conditions import TYPES, Condition

STEPS = 17  # strengths at which the error of a whole frame is measured
FAINTEST = 1.0 / 256.0  # the least of them, as a part of the strongest
PLACES = 0x504C4143  # folded into the seed for the places of masks: spells PLAC


class Degradation:
    """One type, for given images, at any strength: how far its parameter goes from the neutral value, on the side where a level lies.

    Args:
        name: the type, of KADID-10k.
        level: from 1 to 5; it says which side a signed parameter goes, and how far.
        ids: (n,) of the images.
        size: height and width in pixels.
        seed: what noise, angles and places are drawn from.
    """

    def __init__(self, name: str, level: float, ids: Array, size: tuple[int, int], seed: int) -> None:
        kind = TYPES[name]
        moved = next(key for key, how in kind.arguments.items() if isinstance(how, Levels))
        self.at, self.parameter = list(kind.op.parameters).index(moved), kind.op.parameters[moved]
        # Under a mask, also where it will be taken away: what else is drawn must not depend on it.
        self.template = Pipeline(Local(kind.at(level), Ellipse(area=0.5)), seed, check="never").sample(ids, size)
        table = kind.arguments[moved].table
        self.value = float(self.parameter.stored(float(kind.arguments[moved].at(np.float64(level)))))
        self.side = float(np.sign(self.value - self.parameter.neutral))
        self.unchanged = self.side == 0.0 or bool(self.template.identity().all())
        harsh = self.parameter.harsh if isinstance(self.parameter.harsh, tuple) else (self.parameter.harsh,)
        self.most = max((self.side * (end - self.parameter.neutral) for end in (*table, *harsh)), default=0.0)

    @property
    def strength(self) -> float:
        """That of the level."""
        return abs(self.value - self.parameter.neutral)

    def strengths(self) -> Array:
        """Rising strengths, near the neutral value in ever smaller steps, up to the strongest of the bank's or the op's own scale."""
        return np.unique(self.stored(self.most * np.geomspace(FAINTEST, 1.0, STEPS)))

    def stored(self, strength: Array) -> Array:
        """The strengths that the op can have nearest to these: of a parameter that counts, whole steps."""
        stored = self.parameter.stored(self.parameter.neutral + self.side * strength)
        out: Array = np.abs(stored.clip(self.parameter.low, self.parameter.high) - self.parameter.neutral)
        return out

    def program(self, images: Array, strength: Array, numbers: Array | None = None) -> Program:
        """What is done to m samples.

        Args:
            images: (m,) which of the images each is.
            strength: (m,) how far the parameter goes.
            numbers: (m, columns) of the discs; those of negative first number, and without them all, get no mask.
        """
        drawn = self.template.select(images)
        theta = drawn.theta.copy()
        theta[:, 0, self.at] = self.parameter.neutral + self.side * strength
        masked = np.zeros(len(images), dtype=bool) if numbers is None else numbers[:, 0] >= 0.0
        given = drawn.numbers if numbers is None else numbers[:, None]
        none = np.where(masked, 0, -1).astype(np.int16)[:, None]
        return replace(
            drawn, theta=theta, family=none, first=none, last=none, numbers=np.where(masked[:, None, None], given, np.float32(0)).astype(np.float32)
        )


def discs(conditions: list[Condition], ids: Array, size: tuple[int, int], feather: float, seed: int) -> Array:
    """The numbers of the masks of all conditions and images, (c, n, columns); negative where there is none.

    A disc is one number, its area, and hard: its ramp is the thinnest that keeps the area right on the grid, for under a soft one the area would
    also be a strength. A random place is an image's own, and the same for all types, levels and, as far as the disc fits there, areas.
    """
    out = np.full((len(conditions), len(ids), Ellipse.columns), -1.0, dtype=np.float32)
    for row, condition in enumerate(conditions):
        if condition.area < 1.0:
            family = Ellipse(area=condition.area, feather=feather, aspect=1.0, angle=0.0, centre=condition.position.centre)
            out[row] = family.draw(rng.uniforms(rng.fold(seed, PLACES), ids, 0, family.draws), *size)
    return out
