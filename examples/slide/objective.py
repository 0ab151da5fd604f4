"""The contrastive objective: which pairs are alike, which differ, and which are left out, from `degrade.Labels` alone.

Of two degraded samples, or two regions of them, every type says one of three things by its area and severity: that the samples *match*, that they
*differ clearly*, or neither. Matching pairs are positives. Without exclusion all others are negatives; with it, pairs that are in between
are neither pulled nor pushed. The paper calls this a Threshold-Bounded Exclusion Mechanism; what it bounds is not public, and this is our reading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from degrade.labels import Labels

MODES = ("off", "negatives", "both")


@dataclass(frozen=True)
class Thresholds:
    """What is ambiguous, with the reason of each. A pair of numbers is a band: up to the first samples match, from the second they differ.

    area      of the frame: a type that covers less is *faint*. Of an 8 x 8 grid of patches 0.05 is three, which hardly move the mean over a frame:
              the degraded image and the clean one are nearly the same, and to push them far apart asks for more than there is to see.
    coverage  of a region of the local branch, a band: below the first a type is not there, from the second it is, and between it is faint, for the
              region shows an edge of the mask, half one thing and half another.
    visible   severity along the op's own scale (0 the identity, 1 the harshest): a type that is weaker is faint. 0.02 leaves out levels that change
              nothing or hardly anything, such as a blur of σ 0.1, and thus would be clean images with another name.
    severity  difference of two samples of one type, in the bank's levels from 0 to 1: half a level is alike, from one and a half levels they
              differ. Severity is continuous, so a hard cut would call two neighbours a positive and a negative.
    scale     difference of the areas of one type, in octaves (log2): a band for the same reason; areas are ratios, so they are compared as such.
    overlap   soft intersection over union of the masks of two types in one image. Above it each type hides the other, and neither label says
              what is seen: against samples that share some of the types but not all, such an image is ambiguous.
    """

    area: float = 0.05
    coverage: tuple[float, float] = (0.1, 0.6)
    visible: float = 0.02
    severity: tuple[float, float] = (0.125, 0.375)
    scale: tuple[float, float] = (0.5, 1.5)
    overlap: float = 0.3

    def __post_init__(self) -> None:
        most = {"area": 1.0, "coverage": 1.0, "visible": 1.0, "severity": 1.0, "scale": 16.0, "overlap": 1.0}
        for field in fields(self):
            value = getattr(self, field.name)
            ends = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            wanted = 2 if isinstance(field.default, tuple) else 1
            if len(ends) != wanted or not all(isinstance(v, (int, float)) and 0 <= v <= most[field.name] for v in ends) or sorted(ends) != list(ends):
                form = "two numbers, the lower first," if wanted == 2 else "a number"
                raise ValueError(f"{field.name}={value!r} is not accepted; accepted: {form} from 0 to {most[field.name]:g}.")


@dataclass(frozen=True)
class Description:
    """What n samples or regions show, of t types. Tensors, so that it can be gathered from other processes.

    area      (n, t) float32: of the frame or the region; 0 where the type is not there
    severity  (n, t) float32: the bank's level from 0 to 1, or the op's severity where there is none
    faint     (n, t) bool: there, but hardly to be seen
    crowded   (n,) bool: masks of two of its types overlap more than the threshold
    """

    area: Tensor
    severity: Tensor
    faint: Tensor
    crowded: Tensor

    def __len__(self) -> int:
        return len(self.area)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Description:
        """The same with every tensor changed, such as indexed, gathered, or put on a device."""
        return Description(change(self.area), change(self.severity), change(self.faint), change(self.crowded))


def describe(labels: Labels, thresholds: Thresholds = Thresholds()) -> Description:
    """Whole frames, n = b."""
    crowded = labels.overlap > thresholds.overlap
    return _by_type(labels, labels.area[:, :, None], thresholds.area, crowded, thresholds).changed(lambda v: v.flatten(0, 1))


def describe_regions(labels: Labels, grid: int, thresholds: Thresholds = Thresholds()) -> Description:
    """The regions of a grid x grid grid on every frame, n = b · grid², frame by frame and row by row.

    Raises:
        ValueError: frames whose sides the grid does not divide.
    """
    height, width = labels.size
    if height % grid or width % grid:
        raise ValueError(f"grid={grid} does not divide frames of {height}x{width} pixels; accepted: a divisor of both sides.")
    low, high = thresholds.coverage
    cover = labels.coverage((height // grid, width // grid)).flatten(2)  # b s g²
    together = torch.ones_like(labels.overlap, dtype=torch.bool)  # two types that cover one region overlap there
    found = _by_type(labels, torch.where(cover >= low, cover, 0.0), high, together, thresholds).changed(lambda v: v.flatten(0, 1))
    return replace(found, area=(found.area > 0).float())  # regions are of one size: there is no scale to compare


def _by_type(labels: Labels, area: Tensor, enough: float, overlapping: Tensor, thresholds: Thresholds) -> Description:
    """From slots to types: area (b, s, r) of r places on each frame, overlapping (b, s, s). The description of (b, r) places."""
    kinds, places = len(labels.types), area.shape[2]
    there = ((labels.type >= 0) & ~labels.identity)[:, :, None] & (area > 0)
    level, strength = (labels.level - 1.0) / 4.0, labels.severity
    severity = torch.where(level.isnan(), strength, level)[:, :, None] * there
    seen = there & (area >= enough) & (strength >= thresholds.visible)[:, :, None]
    into = labels.type.long().clamp(min=0)[:, :, None].expand(-1, -1, places)

    def scattered(values: Tensor) -> Tensor:  # the largest of a type's slots: b r t
        empty = torch.zeros(len(labels), kinds, places, dtype=torch.float32, device=values.device)
        return empty.scatter_reduce(1, into, values.float(), "amax").movedim(1, 2)

    off_diagonal = ~torch.eye(area.shape[1], dtype=torch.bool, device=area.device)
    pairs = (overlapping & off_diagonal)[..., None] & seen[:, :, None] & seen[:, None]
    faint = (scattered(there) > 0) & (scattered(seen) == 0)
    return Description(scattered(area * there), scattered(severity), faint, pairs.flatten(1, 2).any(1))


def relations(a: Description, b: Description, thresholds: Thresholds = Thresholds()) -> tuple[Tensor, Tensor, Tensor]:
    """How each of n samples stands to each of m others: (matching, differing, doubtful), (n, m) bool each.

    matching   for every type: in neither, or in both with a severity and an area that are alike
    differing  for some type: plainly in one and not at all in the other, or in both with a severity or an area far apart
    doubtful   neither of the two; or not differing, and some type of either is faint; or one is crowded and they share some type but not all
    """
    shape = (len(a), len(b))
    matching, differing = (torch.full(shape, value, device=a.area.device) for value in (True, False))
    faint, shared, unshared = (torch.zeros(shape, dtype=torch.bool, device=a.area.device) for _ in range(3))
    there_a, there_b = a.area > 0, b.area > 0
    octaves_a, octaves_b = (d.area.clamp(min=2.0**-20).log2() for d in (a, b))
    for t in (there_a.any(0) | there_b.any(0)).nonzero()[:, 0].tolist():  # type by type: no array of n · m · t
        one, other = there_a[:, t, None], there_b[None, :, t]
        both, either = one & other, one ^ other
        severity = (a.severity[:, t, None] - b.severity[None, :, t]).abs()
        scale = (octaves_a[:, t, None] - octaves_b[None, :, t]).abs()
        alike = (severity <= thresholds.severity[0]) & (scale <= thresholds.scale[0])
        far = (severity > thresholds.severity[1]) | (scale > thresholds.scale[1])
        hazy = a.faint[:, t, None] | b.faint[None, :, t]
        matching &= ~either & (alike | ~both)
        differing |= (either & ~hazy) | (both & far)
        faint |= hazy
        shared |= both
        unshared |= either
    crowded = (a.crowded[:, None] | b.crowded[None, :]) & shared & unshared
    return matching, differing, crowded | (~differing & (~matching | faint))


def exclusion(
    labels: Labels | Description,
    area: float = Thresholds.area,
    severity: tuple[float, float] = Thresholds.severity,
    scale: tuple[float, float] = Thresholds.scale,
    overlap: float = Thresholds.overlap,
    visible: float = Thresholds.visible,
    mode: str = "both",
) -> tuple[Tensor, Tensor]:
    """Positives and negatives of a batch by its labels: (b, b) bool each, symmetric, False on the diagonal.

    Args:
        labels: of the batch; or a `Description`, for which area, overlap and visible are settled.
        area, severity, scale, overlap, visible: as `Thresholds` tells, with the reason of each.
        mode: what becomes of doubtful pairs. "off": all that do not match are negatives; "negatives": doubtful ones are no negatives; "both": nor
            positives.

    Raises:
        ValueError: an unknown mode, or a threshold out of range.
    """
    thresholds = Thresholds(area=area, severity=severity, scale=scale, overlap=overlap, visible=visible)
    found = labels if isinstance(labels, Description) else describe(labels, thresholds)
    return masks(found, thresholds, mode)


def masks(found: Description, thresholds: Thresholds, mode: str) -> tuple[Tensor, Tensor]:
    """`exclusion` of what was described."""
    if mode not in MODES:
        raise ValueError(f"exclusion={mode!r} is not accepted; accepted: {', '.join(MODES)}.")
    matching, _, doubtful = relations(found, found, thresholds)
    others = ~torch.eye(len(found), dtype=torch.bool, device=matching.device)
    positives, negatives = matching & others, ~matching & others
    if mode != "off":
        negatives = negatives & ~doubtful
    return positives & ~doubtful if mode == "both" else positives, negatives


def twins(programs: Tensor) -> tuple[Tensor, Tensor]:
    """Positives and negatives of SimCLR: samples (b,) of one program, and all others."""
    same = programs[:, None] == programs[None, :]
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device), ~same


class Contrast(NamedTuple):
    """loss: a scalar, or None where no sample has both a positive and a negative. anchors: how many have."""

    loss: Tensor | None
    anchors: int


def contrast(z: Tensor, positives: Tensor, negatives: Tensor, temperature: float = 0.1) -> Contrast:
    """InfoNCE with several positives: the mean over anchors i and their positives p of −log(e_ip / (e_ip + Σ_n e_in)), e = exp(cosine / temperature).

    Args:
        z: b d embeddings, of any length. positives, negatives: (b, b) bool; a pair that is neither is in no sum.

    With one positive per anchor and all others as negatives this is NT-Xent. Anchors are weighted alike, whatever the number of their positives.
    """
    anchors = positives.any(1) & negatives.any(1)
    count = int(anchors.sum())
    if not count:
        return Contrast(None, 0)
    z = F.normalize(z.float(), dim=1)
    logits = z[anchors] @ z.T / temperature
    ours, theirs = positives[anchors], negatives[anchors]
    against = logits.masked_fill(~theirs, float("-inf")).logsumexp(1, keepdim=True)
    losses = F.softplus(against - logits).masked_fill(~ours, 0.0)  # −log(e^s / (e^s + Σ)) = log(1 + e^(log Σ − s))
    return Contrast((losses.sum(1) / ours.sum(1)).mean(), count)
