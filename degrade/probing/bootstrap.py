"""Intervals: images drawn again with replacement, the same ones for every condition and every encoder."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array
from degrade.kernels import rng

RESAMPLES = 1000
COVERAGE = 95.0  # per cent
BOOT = 0x424F4F54  # folded into the seed: spells BOOT
NEVER, ALWAYS = np.inf, 0.0  # areas of a threshold that is not crossed


def weights(images: int, resamples: int, seed: int) -> Array:
    """How often each image is in each resample, (1 + resamples, images) float64. The first row holds all once: the estimate itself."""
    u = rng.uniforms(rng.fold(seed, BOOT), np.arange(resamples, dtype=np.int64), 0, images)
    drawn = np.minimum((u * images).astype(np.int64), images - 1) + images * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * images).reshape(resamples, images)
    return np.vstack([np.ones(images), counts]).astype(np.float64)


def means(weight: Array, values: Array, used: Array | None = None) -> Array:
    """Weighted means over images, (w, k), of values (k, n); NaN where no image is used."""
    if used is None:
        return weight @ values.T / weight.sum(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        out: Array = (weight @ np.where(used, values, 0.0).T) / (weight @ used.T.astype(np.float64))
    return out


def sums(weight: Array, values: Array, used: Array) -> Array:
    """Weighted sums over images that are used, (w, k), of values (k, n)."""
    return weight @ np.where(used, values, 0.0).T


def ratio(above: Array, below: Array) -> Array:
    """NaN for 0 / 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / below


def auc(weight: Array, won: Array, used: Array) -> Array:
    """Areas under ROC curves of resampled images, (w, k).

    Args:
        won: (k, n, n), which of each degraded and clean score is higher.
        used: (k, n), the images that have scores.
    """
    out = np.full((len(weight), len(won)), np.nan)
    for k, table in enumerate(won):
        own = weight * used[k]
        total = own.sum(1)
        with np.errstate(invalid="ignore"):
            out[:, k] = ((own @ np.where(used[k][:, None] & used[k], table, 0.0)) * own).sum(1) / (total * total)
    return out


def geometric(values: Array, axis: int = -1) -> Array:
    """The geometric mean without the NaN; of none it is NaN, and 0 if one is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(mean_of(np.log(values), axis))


def mean_of(values: Array, axis: int = -1) -> Array:
    """The mean without the NaN; of none it is NaN."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        out: Array = np.where(there, values, 0.0).sum(axis) / there.sum(axis)
    return out


def crossing(areas: Array, curves: Array, threshold: float) -> Array:
    """The area at which each curve first reaches a threshold, interpolated over the logarithm of the area: (w,).

    0 where the smallest area is there already, infinite where none is: nothing is extrapolated.

    Args:
        areas: (a,) rising.
        curves: (w, a); areas whose value is NaN are passed over.
    """
    out = np.full(len(curves), NEVER)
    for row, curve in enumerate(curves):
        there = np.flatnonzero(~np.isnan(curve))
        reached = np.flatnonzero(curve[there] >= threshold)
        if not len(reached):
            continue
        if reached[0] == 0:
            out[row] = ALWAYS
            continue
        low, high = there[reached[0] - 1], there[reached[0]]
        share = (threshold - curve[low]) / (curve[high] - curve[low])
        out[row] = np.exp(np.log(areas[low]) + share * (np.log(areas[high]) - np.log(areas[low])))
    return out


def interval(values: Array) -> tuple[Array, Array]:
    """The percentile interval over the first axis, of values that may be infinite; what is NaN in a resample is left out."""
    tail = (100.0 - COVERAGE) / 2
    ordered = np.sort(values, axis=0)  # NaN last
    there = (~np.isnan(values)).sum(0)
    ends = []
    for share in (tail / 100, 1.0 - tail / 100):
        at = np.clip(np.ceil(share * there).astype(np.int64) - 1, 0, max(len(values) - 1, 0))
        ends.append(np.take_along_axis(ordered, at[None], 0)[0] if len(values) else np.full(values.shape[1:], np.nan))
    return ends[0], ends[1]
