"""One step's loss: both branches on a degraded batch, with the pairs that the objective chooses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .data import Batch
from .model import Seen
from .objective import MODES, Contrast, Description, Thresholds, contrast, describe, describe_regions, masks, twins
from .parallel import gather

OBJECTIVES = ("slide", "simclr")


@dataclass(frozen=True)
class Objective:
    """What a training optimises.

    name         "slide": samples match by what was done to them. "simclr": the two crops of one degraded photograph match, nothing else does
    exclusion    what becomes of doubtful pairs: "off", "negatives" or "both"; of "slide" alone
    thresholds   what is doubtful
    temperature  of the softmax
    local        weight of the local branch's loss beside the global one's 1
    regions      of each frame that the local branch compares; at most half of them are chosen for being degraded, the others by chance
    """

    name: str = "slide"
    exclusion: str = "both"
    thresholds: Thresholds = field(default_factory=Thresholds)
    temperature: float = 0.1
    local: float = 0.5
    regions: int = 4

    def __post_init__(self) -> None:
        for argument, value, accepted in (("objective", self.name, OBJECTIVES), ("exclusion", self.exclusion, MODES)):
            if value not in accepted:
                raise ValueError(f"{argument}={value!r} is not accepted; accepted: {', '.join(accepted)}.")
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature!r} is not accepted; accepted: a number above 0.")
        if self.regions < 1:
            raise ValueError(f"regions={self.regions!r} is not accepted; accepted: a whole number from 1.")

    @property
    def swap(self) -> bool:
        """Whether a program's two crops are of two photographs."""
        return self.name == "slide"


class Targets(NamedTuple):
    """What is compared with what: `chosen` regions (n, r) of each of n frames; descriptions of frames (n) and regions (n · r); programs (n,)."""

    chosen: Tensor
    frames: Description
    regions: Description
    programs: Tensor


def targets(batch: Batch, objective: Objective, grid: int, seed: int, device: torch.device) -> Targets:
    """By the labels of a batch alone. Both crops of a program show the same regions."""
    frames = describe(batch.labels, objective.thresholds)
    regions = describe_regions(batch.labels, grid, objective.thresholds)
    first = np.unique(batch.programs.numpy(), return_index=True)[0]  # the order of batch.labels
    chosen = choose((regions.area.unflatten(0, (len(frames), -1)) > 0).any(2), first, objective.regions, seed)
    rows = torch.arange(len(frames))[:, None] * grid**2 + chosen
    of_region = rows[batch.of].flatten()
    return Targets(
        chosen[batch.of].to(device),
        frames.changed(lambda v: v[batch.of].to(device)),
        regions.changed(lambda v: v[of_region].to(device)),
        batch.programs.to(device),
    )


def choose(degraded: Tensor, programs: np.ndarray, count: int, seed: int) -> Tensor:
    """Some regions of each frame, (n, count), drawn by its program: the first half degraded ones as far as there are, the others any.

    Args:
        degraded: (n, places) bool.
    """
    count = min(count, degraded.shape[1])
    draws = torch.from_numpy(np.stack([np.random.default_rng((seed, 2, int(p))).random((2, degraded.shape[1])) for p in programs]))
    first = (draws[:, 0] + degraded).topk(count // 2, dim=1).indices
    rest = draws[:, 1].scatter(1, first, -1.0).topk(count - count // 2, dim=1).indices
    return torch.cat([first, rest], 1)


def loss(seen: Seen, aim: Targets, objective: Objective) -> tuple[Tensor | None, dict[str, float]]:
    """The loss of the whole batch, of all processes; None where every pair is excluded. And numbers for the log."""
    count = aim.chosen.shape[1]
    picked = seen.regions.gather(1, aim.chosen[:, :, None].expand(-1, -1, seen.regions.shape[2])).flatten(0, 1)
    whole, local = gather(seen.whole.float()), gather(picked.float())
    if objective.name == "simclr":
        programs = gather(aim.programs)
        pairs = twins(programs), twins((programs[:, None] * count + torch.arange(count, device=programs.device)).flatten())
    else:
        frames, regions = (d.changed(gather) for d in (aim.frames, aim.regions))
        alike = replace(objective.thresholds, scale=(16.0, 16.0))
        pairs = masks(frames, objective.thresholds, objective.exclusion), masks(regions, alike, objective.exclusion)
    parts = [contrast(z, *of, objective.temperature) for z, of in zip((whole, local), pairs)]
    numbers = {f"{name}_{key}": value for name, part, of in zip(("global", "local"), parts, pairs) for key, value in told(part, *of).items()}
    weighted = [(part.loss, weight) for part, weight in zip(parts, (1.0, objective.local)) if part.loss is not None and weight > 0]
    if not weighted:
        return None, numbers
    # A branch without pairs stays in the graph: every process expects gradients for all parameters.
    return sum(value * weight for value, weight in weighted) + 0.0 * (whole.sum() + local.sum()), numbers  # type: ignore[return-value]


def told(part: Contrast, positives: Tensor, negatives: Tensor) -> dict[str, float]:
    pairs = max(positives.numel() - len(positives), 1)
    found = {"anchors": part.anchors, "positives": int(positives.sum()) / pairs, "excluded": 1 - int((positives | negatives).sum()) / pairs}
    return found if part.loss is None else {"loss": part.loss.item(), **found}
