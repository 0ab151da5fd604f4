"""Whether a linear detector tells degraded from clean embeddings, cross-fitted by image."""

from __future__ import annotations

import numpy as np

from degrade.distributions import Array

FOLDS = 5
SHRINKAGE = 0.1  # ridge, as a part of the mean eigenvalue of the training Gram matrix
FEWEST = 4  # images


def held_out(clean: Array, degraded: Array, folds: int = FOLDS) -> tuple[Array, Array]:
    """Scores of images that the detector was not fitted on: (n,) of the clean and (n,) of the degraded ones; higher means degraded.

    Ridge regression on ±1, which with two equal classes is Fisher's linear discriminant with a shrunk covariance, on features standardised by
    the training images. Image i is in fold i mod k, clean and degraded alike: no image is in both training and test. In the dual form: there are
    fewer images than features, and the solution is the same.

    Args:
        clean, degraded: (n, d) embeddings of the same images in the same order.
        folds: k, at most n.
    """
    n = len(clean)
    fold = np.arange(n) % min(folds, n)
    scores = np.zeros((2, n))
    both = np.stack([clean, degraded]).astype(np.float64)
    for k in range(fold.max() + 1):
        test = fold == k
        train = both[:, ~test].reshape(-1, both.shape[2])
        label = np.repeat([-1.0, 1.0], len(train) // 2)
        mean, deviation = train.mean(0), train.std(0)
        # What differs by rounding alone carries nothing.
        scale = np.where(deviation > 1e-6 * np.abs(train).max(0, initial=0.0), 1.0 / np.where(deviation > 0.0, deviation, 1.0), 0.0)
        train = (train - mean) * scale
        gram = train @ train.T
        ridge = SHRINKAGE * np.trace(gram) / len(gram)
        dual = np.linalg.solve(gram + max(ridge, 1e-12) * np.eye(len(gram)), label)
        scores[:, test] = ((both[:, test] - mean) * scale) @ (train.T @ dual)
    return scores[0], scores[1]


def wins(clean: Array, degraded: Array) -> Array:
    """Which of each two scores is higher, (n, n): 1 where degraded i is above clean j, ½ where they are equal. Its mean is the AUC.

    Scores that differ by less than a 10⁻⁹ of their spread are equal, since sums come in no fixed order.
    """
    gap = degraded[:, None] - clean[None]
    least = 1e-9 * max(float(np.ptp(np.concatenate([clean, degraded]))), 1e-300)
    out: Array = np.where(np.abs(gap) <= least, 0.5, (gap > 0.0).astype(np.float64))
    return out
