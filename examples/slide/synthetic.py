"""Evaluation without people: what was done to a held-out photograph, how strongly and over how much of it, read linearly from its embedding.

Every photograph is degraded by each of KADID-10k's 25 types, one at a time, once in a soft region and once over the whole frame. Level and area are
drawn, and number and seed draw everything: every encoder sees the same images. Linear probes tell the type, the level and the area in photographs that
they were not fitted on.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from tqdm import tqdm

from degrade import Pipeline
from degrade.banks.base import SEVERITIES, Type, by_severity
from degrade.banks.kadid10k import types
from degrade.banks.slide import AREA, LEVELS, SHAPES, families
from degrade.labels import Labels
from degrade.probing import pictures
from degrade.recipe import Local, Node, OneOf
from degrade.stream import STREAM

from .embed import Embedder, cached
from .regress import Fit, Scale, Split, best, fit, folds, rank, summary

Array = np.ndarray[Any, Any]
PLACES = ("local", "whole")
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the logistic regression


@dataclass(frozen=True)
class Settings:
    """What is rendered and how it is split.

    size      side of the frames, cut from the middles of the photographs, in pixels; the same for every encoder
    count     photographs at most, chosen by a hash of their names
    repeats   images of each photograph and type, under a mask and without
    severity  what levels mean: "perceptual", an equal visible change for all types, so that one scale holds for all of them; or "published"
    folds     in each of which other photographs are tested
    seed      of degradations and folds
    """

    size: int = 96
    count: int = 64
    repeats: int = 2
    severity: str = "perceptual"
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("size", 16), ("count", 4), ("repeats", 1), ("folds", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} is not accepted; accepted: a whole number from {least}.")
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity={self.severity!r} is not accepted; accepted: {', '.join(SEVERITIES)}.")


class Photographs(NamedTuple):
    """x: (p, 3, size, size) uint8; names: (p,) whose photograph each is."""

    x: Tensor
    names: Array


def photographs(sources: Sequence[str], settings: Settings) -> Photographs:
    """The middles of all images of some sources. Those whose names differ in a last "-0" to "-9" alone are crops of one photograph.

    Raises:
        ValueError: too few photographs for the folds, or images that are too small.
    """
    found = pictures.read(sources, settings.size, settings.count)
    names = np.array([re.sub(r"-\d$", "", str(PurePosixPath(key).with_suffix(""))) for key in found.keys])
    folds(names, settings.folds)  # or refused, before anything is rendered
    return Photographs(found.images, names)


class Rendered(NamedTuple):
    """What was done to each of n images, and to whom. Degraded images themselves are made as they are embedded.

    types   names of the types
    type    (n,) int64: index into `types`
    level   (n,) float64, 1 to 5
    area    (n,) float64: of the frame
    groups  (n,) str: the photograph
    """

    types: tuple[str, ...]
    type: Array
    level: Array
    area: Array
    groups: Array


def pipeline(kind: Type, place: str, seed: int) -> Pipeline:
    """One type at a drawn level, in a region of drawn shape and area or over the whole frame."""
    node: Node = kind.at(LEVELS)
    if place == "local":
        node = OneOf(*(Local(node, mask) for mask in families(SHAPES, AREA, (0.02, 0.2))))
    return Pipeline(node, seed=seed)


def chosen(settings: Settings) -> tuple[Type, ...]:
    return by_severity(types(), settings.severity)


def numbers(count: int, kinds: int, settings: Settings, kind: int) -> Array:
    """Sample ids of a type's images, photograph by photograph: no two images of an evaluation share one."""
    at, repeat = np.divmod(np.arange(count * settings.repeats), settings.repeats)
    out: Array = (at * kinds + kind) * settings.repeats + repeat
    return out


def describe(given: Photographs, place: str, settings: Settings) -> Rendered:
    """What is done to each image, type by type."""
    kinds, columns = chosen(settings), []
    for i, kind in enumerate(kinds):
        ids = numbers(len(given.x), len(kinds), settings, i)
        labels = Labels(pipeline(kind, place, settings.seed).sample(ids, (settings.size, settings.size)))
        columns.append([v[:, 0].double().numpy() for v in (labels.level, labels.area)])  # a type is one op, in one slot
    level, area = (np.concatenate(v) for v in zip(*columns))
    count = len(given.x) * settings.repeats
    groups = np.tile(np.repeat(given.names, settings.repeats), len(kinds))
    return Rendered(tuple(kind.name for kind in kinds), np.repeat(np.arange(len(kinds)), count), level, area, groups)


def embed(
    given: Photographs, place: str, settings: Settings, encoder: Embedder, batch: int = 64, cache: Path | None = None, progress: bool = True
) -> Array:
    """Embeddings (n, d) of the images that `describe` tells of, in its order, by whole frames of `size`."""
    kinds = chosen(settings)

    def made() -> Array:
        rows = []
        for i, kind in enumerate(tqdm(kinds, desc=f"{encoder.name}, {place}", disable=not progress)):
            pipe, ids = pipeline(kind, place, settings.seed), numbers(len(given.x), len(kinds), settings, i)
            of = np.repeat(np.arange(len(given.x)), settings.repeats)
            for start in range(0, len(ids), batch):
                part = slice(start, start + batch)
                rows.append(encoder(pipe(given.x[of[part]].to(encoder.device), ids=ids[part])))
        return np.concatenate(rows)

    pixels = hashlib.sha256(given.x.numpy().tobytes()).hexdigest()
    return cached(cache, encoder, settings.size, {"place": place, "stream": STREAM, "pixels": pixels, **asdict(settings)}, made)


# ---- probes ------------------------------------------------------------------------------------------------------------------------


def classify(x: Array, y: Array, split: Split) -> Fit:
    """The classes that a multinomial logistic regression gives the tested images. Its strength is chosen by accuracy on the validation part.

    Args:
        x: (n, d) embeddings. y: (n,) classes.

    Raises:
        ModuleNotFoundError: without scikit-learn.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise ModuleNotFoundError("the probe of types needs scikit-learn, which is not installed: pip install scikit-learn.") from None
    x = x.astype(np.float64)

    def told(rows: Array, asked: Array, strength: float) -> Array:
        scale = Scale.of(x[rows])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that has not converged: on random features 5000 iterations gave the same accuracies
            out: Array = LogisticRegression(C=strength, max_iter=300).fit(scale(x[rows]), y[rows]).predict(scale(x[asked]))
        return out

    strength = best(STRENGTHS, [float((told(split.train, split.validation, c) == y[split.validation]).mean()) for c in STRENGTHS])
    return Fit(told(np.concatenate([split.train, split.validation]), split.test, strength), strength)


def measure(done: Rendered, x: Array, settings: Settings) -> dict[str, Any]:
    """How well linear probes tell what was done, over photographs that they have not seen.

    type_accuracy  of a logistic regression; chance is one of the number of types
    severity_srcc  Spearman's rank correlation of a ridge regression's level with that drawn; chance is 0
    log_area_srcc  the same of the area's logarithm; None where every area is the frame

    Each has its value in every fold, their mean and their standard deviation.

    Args:
        x: (n, d) embeddings of the images.
    """
    parts = folds(done.groups, settings.folds, seed=settings.seed)
    rows = []
    for split in parts:
        right = classify(x, done.type, split).predicted == done.type[split.test]
        row = {"type_accuracy": float(right.mean())}
        for name, y in (("severity_srcc", done.level), ("log_area_srcc", np.log(done.area))):
            if np.ptp(y) > 0:
                row[name] = rank(fit(x, y, split).predicted, y[split.test])
        rows.append(row)
    over = summary(rows)
    found: dict[str, Any] = {name: {"folds": [row[name] for row in rows], "mean": over["mean"][name], "std": over["std"][name]} for name in rows[0]}
    found["type_accuracy"]["chance"] = 1 / len(done.types)
    return {**found, "log_area_srcc": found.get("log_area_srcc")}
