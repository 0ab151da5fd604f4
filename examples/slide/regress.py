"""What can be read linearly from frozen embeddings: a ridge probe, splits in which no image has a relative on the other side, and correlations.

The protocol is the usual one: ten splits of 80 to 20 % by reference, the median of correlations over them. The strength of the ridge is chosen on a
part of the training references, never on what is tested.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

Array = np.ndarray[Any, Any]
ALPHAS = tuple(float(v) for v in np.logspace(-5, 3, 17))  # beside squared errors averaged over images; features have unit variance
CORRELATIONS = ("srcc", "plcc", "krcc")


class Split(NamedTuple):
    """Which images are learned from, which choose the strength, and which are tested: indices."""

    train: Array
    validation: Array
    test: Array


class Fit(NamedTuple):
    """Predictions for the tested images, and the strength that was chosen."""

    predicted: Array
    alpha: float


# ---- splits ------------------------------------------------------------------------------------------------------------------------


def splits(groups: Array, count: int = 10, test: float = 0.2, validation: float = 0.2, seed: int = 0) -> list[Split]:
    """Random splits, in which all images of a group (n,) are on one side.

    Args:
        test: the share of the groups that is tested.
        validation: the share of the others that chooses the strength.

    Raises:
        ValueError: fewer than 3 groups, or a share that is not between 0 and 1.
    """
    _check(groups, count, 3)
    for name, share in (("test", test), ("validation", validation)):
        if not 0 < share < 1:
            raise ValueError(f"{name}={share!r} is not accepted; accepted: a number between 0 and 1.")
    names, out = np.unique(groups), []
    for i in range(count):
        order = np.random.default_rng((seed, i)).permutation(names)
        tested = _share(len(names), test)
        out.append(_split(groups, order[tested:], order[:tested], validation))
    return out


def folds(groups: Array, count: int = 5, validation: float = 0.2, seed: int = 0) -> list[Split]:
    """As many splits, of which each group (n,) is tested in one.

    Raises:
        ValueError: fewer groups than folds, or too few to learn from.
    """
    _check(groups, count, max(count, 4 if count == 2 else 3))  # each leaves two to learn from
    order = np.random.default_rng((seed, 0)).permutation(np.unique(groups))
    parts = [order[i::count] for i in range(count)]
    return [_split(groups, np.concatenate(parts[:i] + parts[i + 1 :]), parts[i], validation) for i in range(count)]


def published(sets: Array, groups: Array, validation: float = 0.2, seed: int = 0) -> Split:
    """The authors' own split (n,), of which a part of the training images chooses the strength where they name no validation.

    Raises:
        ValueError: if nothing is learned from, or nothing tested.
    """
    train, tested = np.flatnonzero(sets == "training"), np.flatnonzero(sets == "test")
    if len(np.unique(groups[train])) < 2 or not len(tested):
        raise ValueError(f"split has {len(train)} images to train on and {len(tested)} to test; accepted: at least 2 and 1.")
    if (sets == "validation").any():
        return Split(train, np.flatnonzero(sets == "validation"), tested)
    order = np.random.default_rng((seed, 0)).permutation(np.unique(groups[train]))
    within = _split(groups[train], order, order[:0], validation)
    return Split(train[within.train], train[within.validation], tested)


def _check(groups: Array, count: int, least: int) -> None:
    if count < 2:
        raise ValueError(f"count={count!r} is not accepted; accepted: a whole number from 2.")
    if len(np.unique(groups)) < least:
        raise ValueError(f"groups has {len(np.unique(groups))} of {len(groups)} images; accepted: at least {least} of them.")


def _share(count: int, share: float) -> int:
    """At least one, and never all but one, for two more parts are needed."""
    return min(max(round(count * share), 1), count - 2)


def _split(groups: Array, learned: Array, tested: Array, validation: float) -> Split:
    chosen = min(max(round(len(learned) * validation), 1), len(learned) - 1)
    parts = (learned[chosen:], learned[:chosen], tested)
    return Split(*(np.flatnonzero(np.isin(groups, part)) for part in parts))


# ---- the probe ---------------------------------------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """Features made comparable: what has no variance in training carries nothing, and is left at 0."""

    mean: Array
    factor: Array

    @classmethod
    def of(cls, x: Array) -> Scale:
        deviation = x.std(0)
        varied = deviation > 1e-6 * np.abs(x).max(0, initial=0.0)  # beyond rounding
        return cls(x.mean(0), np.where(varied, 1.0 / np.where(varied, deviation, 1.0), 0.0))

    def __call__(self, x: Array) -> Array:
        out: Array = (x - self.mean) * self.factor
        return out


def ridge(x: Array, y: Array, alphas: Sequence[float]) -> tuple[Array, float]:
    """Weights for every alpha, (alphas, d), and the mean of y: argmin over w of mean (y − ȳ − x w)² + alpha · |w|². One decomposition serves all.

    Args:
        x: (n, d), with means of 0. y: (n,).
    """
    n, centre = len(x), float(y.mean())
    wide = x.shape[1] > n  # the decomposition of the smaller side; the solution is the same
    values, vectors = np.linalg.eigh((x @ x.T if wide else x.T @ x) / n)
    values = values.clip(0.0)
    along = vectors.T @ ((y - centre) if wide else x.T @ (y - centre)) / n
    solved = np.stack([vectors @ (along / (values + alpha)) for alpha in alphas])
    return solved @ x if wide else solved, centre


def fit(x: Array, y: Array, split: Split, alphas: Sequence[float] = ALPHAS) -> Fit:
    """The strength with the best rank correlation on the validation part, then a fit to that and the training part together.

    Args:
        x: (n, d) embeddings. y: (n,) what is to be predicted.
    """
    x = x.astype(np.float64)
    weights, _ = ridge(*_scaled(x, y, split.train), alphas)
    seen = Scale.of(x[split.train])(x[split.validation])
    alpha = best(alphas, [rank(seen @ w, y[split.validation]) for w in weights])
    both = np.concatenate([split.train, split.validation])
    (w,), centre = ridge(*_scaled(x, y, both), [alpha])
    return Fit(Scale.of(x[both])(x[split.test]) @ w + centre, alpha)


def best(strengths: Sequence[float], found: Sequence[float]) -> float:
    """The strength that did best; of several that did, that in their middle."""
    ties = np.flatnonzero(np.asarray(found) >= max(found) - 1e-12)
    return float(strengths[ties[len(ties) // 2]])


def _scaled(x: Array, y: Array, rows: Array) -> tuple[Array, Array]:
    return Scale.of(x[rows])(x[rows]), y[rows]


# ---- correlations ------------------------------------------------------------------------------------------------------------------


def rank(a: Array, b: Array) -> float:
    """Spearman's rank correlation; 0 where one is constant, for that says nothing of the other."""
    return float(scipy.stats.spearmanr(a, b)[0]) if np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0


def correlations(predicted: Array, scores: Array) -> dict[str, float]:
    """SRCC, PLCC after `mapped`, and KRCC (tau b); 0 where one is constant."""
    if np.ptp(predicted) == 0 or np.ptp(scores) == 0:
        return dict.fromkeys(CORRELATIONS, 0.0)
    found = mapped(predicted, scores)
    linear = float(np.corrcoef(found, scores)[0, 1]) if np.ptp(found) > 0 else 0.0
    return {"srcc": rank(predicted, scores), "plcc": linear, "krcc": float(scipy.stats.kendalltau(predicted, scores)[0])}


def mapped(predicted: Array, scores: Array) -> Array:
    """Predictions on the scale of the scores by the monotone logistic function of four parameters that VQEG recommends, fitted to both:
    (a − b) / (1 + exp(−(x − c) / |s|)) + b. The one of five adds a line, with which it need not be monotone. Where the fit fails or falls, predictions as they are."""
    centre, spread = predicted.mean(), predicted.std()
    x = (predicted - centre) / spread

    def logistic(x: Array, a: float, b: float, c: float, s: float) -> Array:
        out: Array = (a - b) * scipy.special.expit((x - c) / (abs(s) + 1e-9)) + b
        return out

    try:
        start = (scores.max(), scores.min(), 0.0, 1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a covariance that nobody asked for
            given, _ = scipy.optimize.curve_fit(logistic, x, scores, start, maxfev=20_000)
    except (RuntimeError, TypeError):  # no convergence; fewer images than parameters
        return predicted
    return logistic(x, *given) if given[0] > given[1] else predicted  # one that falls would hide that predictions are the wrong way round


def summary(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median, mean and standard deviation over splits of every number that all of them have."""
    kinds: dict[str, Any] = {"median": np.median, "mean": np.mean, "std": np.std}
    return {kind: {key: float(of([row[key] for row in rows])) for key in rows[0]} for kind, of in kinds.items()}


def probe(x: Array, scores: Array, parts: Sequence[Split]) -> dict[str, Any]:
    """Correlations of the ridge probe in every split, and over all.

    Args:
        x: (n, d) embeddings. scores: (n,), higher is better.
    """
    rows = []
    for split in parts:
        found = fit(x, scores, split)
        rows.append({**correlations(found.predicted, scores[split.test]), "alpha": found.alpha, **{k: len(v) for k, v in split._asdict().items()}})
    return {"splits": rows, **summary([{key: row[key] for key in CORRELATIONS} for row in rows])}
