"""Segments: one segment of a segmentation that comes with the call, such as labels, panoptic ids, superpixels or masks of objects.

The call's `segments=` is a label map b h w (or b 1 h w) of an integer type, with values 0 to 4095, or masks b k h w, k ≤ 256: bool or uint8 of
0 and 1, or soft ones as float in [0, 1]. Each sample gets one of the segments that it holds. A sample that holds none of those accepted has
weight 0 everywhere: nothing is done to it there, and its labels say area 0.

feather puts a soft ramp around the segment, of that width: weight = max(m, min(1, 2 · blurred m)), blurred by two box blurs. So the ramp lies
outside the segment, all of which keeps its weight; from its border, where the blur is ½, it falls to 0. Segments thinner than the ramp get a
fainter one. Soft masks get it too, and then lose some of their own softness.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.errors import unknown
from degrade.parameter import Param

from ._maps import MadeMask, box, pieces, radius_of

LABELS = 4096  # 12 bits: two labels fit one float32
WHOLE = 65535  # the area of a pixel of weight 1
PICKS = ("random", "largest")
FIRST = 5  # of the numbers, the first that is a run of labels


class Segments(MadeMask):
    """One segment for each sample.

    Args:
        pick: "random", each of those present with equal chance; "largest", that of the greatest area.
        classes: label values, or channel numbers of masks, that may be picked; None for all.
        ignore: those that may not.
        area: in place of pick, as a fraction of the frame: the segment whose area is nearest to the one drawn, of equal ones the lowest label.
        feather: width of the soft ramp around the segment, as a fraction of √(h · w).

    Raises:
        ValueError, TypeError: an unknown name or a value outside its range, naming what is accepted.
    """

    made_of = "segments"
    shape_draws = 1
    columns = 64

    feather = Param(0.0, 0.5, unit="of √(h·w)", default=0.0)

    def __init__(
        self,
        pick: str = "random",
        classes: Iterable[int] | None = None,
        ignore: Iterable[int] = (),
        area: Any = None,
        feather: Any = 0.0,
        **others: Any,
    ) -> None:
        for name in others:
            raise TypeError(unknown("Segments parameter", name, ("pick", "classes", "ignore", "area", "feather")))
        super().__init__(feather=feather, **({} if area is None else {"area": area}))
        if area is None:
            del self.values["area"]
        if pick not in PICKS:
            raise ValueError(unknown("pick", pick, PICKS))
        if area is not None and pick != "random":
            raise ValueError(f"pick={pick!r} does not go with area=, which picks by area; leave one of them out.")
        self.pick, self.ignore = pick, labels_given("ignore", ignore)
        self.classes = None if classes is None else labels_given("classes", classes)
        self.runs = as_runs(self.classes, self.ignore, self.columns - FIRST)

    def solve(self, u: Array, height: int, width: int, **drawn: Array) -> Array:
        n = len(u)
        wanted = np.floor(drawn["area"] * (height * width) + 0.5) if "area" in drawn else np.full(n, float(height * width))
        nearest = np.full(n, float("area" in drawn or self.pick == "largest"))
        head = [np.zeros(n), nearest, np.floor(u[:, 0] * 2.0**24), wanted, radius_of(drawn["feather"], height, width)]
        return np.column_stack([*head, np.tile(self.runs, (n, 1))])

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {} if self.pick == "random" else {"pick": self.pick}
        if self.classes is not None:
            out["classes"] = self.classes
        if self.ignore:
            out["ignore"] = self.ignore
        return {**out, **super().to_dict()}

    @classmethod
    def render(cls, given: torch.Tensor, rows: torch.Tensor, numbers: torch.Tensor, drawn: Array) -> torch.Tensor:
        areas = areas_of(given)
        count = areas.shape[1]
        chosen = choose(areas[rows], numbers)
        radius = numbers[:, 4].to(torch.int64).clamp(0, max(given.shape[-2:]))
        out = torch.empty((len(drawn), *given.shape[-2:]), dtype=torch.float32, device=given.device)
        for part in pieces(len(drawn), out[0].numel()):
            one = chosen[part, None, None]
            if given.dim() == 3:
                weight = given[rows[part]].to(torch.int64) == one
            else:
                weight = values_of(given[rows[part], chosen[part].clamp(max=count - 1)])
            weight = torch.where(one < count, weight.to(torch.float32), 0.0)
            out[part] = feathered(weight, radius[part]) if (drawn[part, 4] > 0).any() else weight
        return out


def as_runs(classes: list[int] | None, ignore: list[int], most: int) -> Array:
    """The labels that count as runs first…last, each as the one number LABELS · first + last: (most,).

    Raises:
        ValueError: if they form none or more.
    """
    counts = np.zeros(LABELS + 2, dtype=np.int64)
    counts[1:-1] = 1 if classes is None else np.isin(np.arange(LABELS), classes)
    counts[1 + np.array(ignore, dtype=np.int64)] = 0
    first, end = (np.flatnonzero(np.diff(counts) == step) for step in (1, -1))
    if not 1 <= len(first) <= most:
        what = f"classes and ignore leave {len(first)} runs of labels"
        raise ValueError(f"{what}; accepted: labels that form 1 to {most} runs of successive ones.")
    runs: Array = first * LABELS + end - 1
    return np.concatenate([runs, np.repeat(runs[-1:], most - len(runs))])  # the last again is nothing new


def values_of(masks: torch.Tensor) -> torch.Tensor:
    """Masks of any accepted dtype as float32 in [0, 1]."""
    if not masks.is_floating_point():
        return (masks != 0).to(torch.float32)
    wide = masks.to(torch.float32)
    return torch.where(wide > 0.0, wide, 0.0).clamp(max=1.0)


def areas_of(given: torch.Tensor) -> torch.Tensor:
    """Of every label or mask the area in each sample, (b, LABELS) or (b, k) int64, WHOLE for each pixel."""
    parts = pieces(len(given), given[0].numel())
    if given.dim() == 4:
        return torch.cat([_whole(given[part]).flatten(2).to(torch.int64).sum(2) for part in parts])
    counts = torch.zeros((len(given), LABELS + 1), dtype=torch.int64, device=given.device)  # the last is for what is no label
    for part in parts:
        labels = given[part].flatten(1).to(torch.int64)
        labels = torch.where((labels >= 0) & (labels < LABELS), labels, LABELS)
        counts[part].scatter_add_(1, labels, torch.ones_like(labels))
    return counts[:, :LABELS] * WHOLE


def choose(areas: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Which segment each sample gets, (n,) int64; as many as there are for none."""
    count = areas.shape[1]
    label = torch.arange(count, device=areas.device)
    fits = allowed(numbers[:, FIRST:])[:, :count] & (areas > 0)
    rank = fits.to(torch.int64).cumsum(1)
    drawn = numbers[:, 2].to(torch.int64) * rank[:, -1] >> 24
    any_one = (rank <= drawn[:, None]).to(torch.int64).sum(1)
    # Distance and label in one number, so that of equal distances the lowest label wins.
    off = (areas - (numbers[:, 3].to(torch.int64) * WHOLE)[:, None]).abs() * (2 * LABELS) + label
    nearest = torch.where(fits, off, (1 << 62) + count).amin(1) % (2 * LABELS)
    return torch.where(numbers[:, 1] > 0.0, nearest, any_one)


def allowed(runs: torch.Tensor) -> torch.Tensor:
    """Which labels lie in some run, (n, LABELS) bool."""
    whole = runs.to(torch.int64)
    first, end = (whole // LABELS).clamp(0, LABELS - 1), whole % LABELS + 1
    steps = torch.zeros((len(runs), LABELS + 1), dtype=torch.int64, device=runs.device)
    steps.scatter_add_(1, first, torch.ones_like(first)).scatter_add_(1, end, torch.full_like(end, -1))
    return steps.to(torch.int64).cumsum(1)[:, :LABELS] > 0


def feathered(weight: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Weights (n, h, w) with a ramp outside, 2 · radius pixels wide; as they are where the radius is 0."""
    side = (radius * 2 + 1)[:, None, None]
    once = box(_whole(weight), radius) // (side * side)
    ramp = box(once, radius).to(torch.float32) * 2.0 / (side * side * WHOLE).to(torch.float32)
    return torch.where(side > 1, torch.maximum(weight, ramp.clamp(max=1.0)), weight)


def _whole(masks: torch.Tensor) -> torch.Tensor:
    return (values_of(masks) * float(WHOLE) + 0.5).to(torch.int64)


def labels_given(argument: str, given: Any) -> list[int]:
    """Label values, checked, sorted, each once."""
    accepted = f"whole numbers from 0 to {LABELS - 1}, such as [1, 2, 7]"
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes)):
        raise TypeError(f"{argument}={given!r} is not understood; accepted: {accepted}.")
    values = given.tolist() if isinstance(given, (np.ndarray, torch.Tensor)) else list(given)
    for value in values:
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < LABELS:
            raise ValueError(f"{argument} holds {value!r}; accepted: {accepted}.")
    return sorted({int(value) for value in values})
