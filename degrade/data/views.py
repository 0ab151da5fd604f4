"""Views for self-supervised and other pairwise training: which images share what. Each is a few lines on `Pipeline`'s arguments.

ids are (b,) on the host; None draws new ones for the call. With labels, functions also give the `Labels` of each view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.inputs import check_ids
from degrade.pipeline import Pipeline


def two_views(pipeline: Pipeline, x: torch.Tensor, ids: Any = None, labels: bool = False) -> Any:
    """Two degradations of each image: a list of two batches like x, b 3 h w."""
    return multi_crop(pipeline, [x, x], ids, labels)


def multi_crop(pipeline: Pipeline, crops: Sequence[torch.Tensor], ids: Any = None, labels: bool = False) -> Any:
    """Crops of the same images, each degraded in another way.

    Args:
        crops: b 3 h w each, of any sizes; crop number v is view v of its image.

    Returns:
        A list of batches; with labels, the pair (batches, labels).
    """
    ids = _ids(pipeline, crops, ids)
    return _listed([pipeline(x, ids=ids, view=view, labels=labels) for view, x in enumerate(crops)], labels)


def positives(pipeline: Pipeline, images: Sequence[torch.Tensor], ids: Any = None, labels: bool = False) -> Any:
    """Different images with the same degradation, as ARNIQA's positives: image i of every batch gets the ops, parameters and masks that ids[i]
    draws, and noise of its own, as photographs of one camera have.

    Args:
        images: batches of equal length, b 3 h w each, of any sizes: other images, crops, or scales.

    Returns:
        A list of batches; with labels, the pair (batches, labels).
    """
    ids = _ids(pipeline, images, ids)
    return _listed([pipeline(x, ids=_apart(ids, k), program_ids=ids, labels=labels) for k, x in enumerate(images)], labels)


def half_swap(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Re-IQA's swap of two batches of crops, b 3 h w each, whose row i was degraded alike: the second halves change places. Each batch then holds
    both contents, so that what tells its rows apart is the degradation.

    Raises:
        ValueError: batches of different shapes.
    """
    if one.shape != other.shape:
        raise ValueError(f"the batches have shapes {tuple(one.shape)} and {tuple(other.shape)}; accepted: equal shapes.")
    half = (len(one) + 1) // 2
    return torch.cat([one[:half], other[half:]]), torch.cat([other[:half], one[half:]])


def ordered(pipelines: Sequence[Pipeline], x: torch.Tensor, ids: Any = None, labels: bool = False) -> Any:
    """The same images once for each pipeline, for losses on ranks.

    Args:
        pipelines: of one recipe but for its severity, weakest first, with one seed: `[bank.single("jpeg", level=n) for n in range(1, 6)]`. What they
            have in common, such as masks and the angle of a blur, is then drawn alike.

    Returns:
        A list of batches, weakest first; with labels, the pair (batches, labels).

    Raises:
        ValueError: pipelines of different seeds or epochs, or none.
    """
    if len({(p.seed, p.calls.epoch) for p in pipelines}) != 1:
        raise ValueError(
            f"pipelines have the seeds and epochs {[(p.seed, p.calls.epoch) for p in pipelines]}; accepted: at least one, all of one seed and epoch."
        )
    ids = _ids(pipelines[0], [x], ids)
    return _listed([p(x, ids=ids, labels=labels) for p in pipelines], labels)


def pair(pipeline: Pipeline, x: torch.Tensor, ids: Any = None, labels: bool = False) -> Any:
    """(degraded, reference) for restoration and full-reference models; with labels, (degraded, reference, labels)."""
    got = pipeline(x, ids=ids, labels=labels)
    return (got[0], x, got[1]) if labels else (got, x)


def _ids(pipeline: Pipeline, batches: Sequence[torch.Tensor], ids: Any) -> Array:
    counts = {len(x) for x in batches}
    if len(counts) != 1:
        raise ValueError(f"the batches hold {[len(x) for x in batches]} images; accepted: at least one batch, all of one length.")
    (count,) = counts
    return pipeline.calls.next(count) if ids is None else check_ids(ids, count)


def _apart(ids: Array, k: int) -> Array:
    """Other ids for the k-th batch: 0 leaves them as they are; a multiple of an odd constant keeps those of others apart from each other."""
    with np.errstate(over="ignore"):
        return ids + np.int64(k) * np.int64(0x1E3779B97F4A7C15)


def _listed(results: list[Any], labels: bool) -> Any:
    return ([y for y, _ in results], [told for _, told in results]) if labels else results
