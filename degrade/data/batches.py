"""Whole batches in the workers of a DataLoader, degraded or prepared for it, and datasets that tell who their samples are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.data import Dataset, default_collate

from degrade.inputs import wants_check
from degrade.pipeline import Pipeline

from .stage import PreparedBatch, Stage


class Numbered(Dataset[Any]):
    """Wrap a map-style dataset: each item becomes (item, index), so that a batch tells who its samples are.

    `Collate(pipeline, ids=1)` and `DeviceLoader(loader, pipeline, device, ids=1)` then make the promise of `Indexed`.

    Raises:
        TypeError: what is no dataset.
    """

    def __init__(self, dataset: Any) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"dataset is a {type(dataset).__name__}; accepted: a map-style dataset with __getitem__ and __len__.")
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        index = range(len(self))[index]  # a negative index is the same sample
        return self.dataset[index], index


class Collate:
    """A `collate_fn` that degrades the batch that another one made: on the CPU, in the worker, one call for all images of a size.

    Args:
        pipeline: what to do.
        collate_fn: makes the batch, torch's default by default. Images of different sizes stay a list, which one of your own has to give.
        key: where images stand in the batch, as for `Transform`.
        ids: where the batch holds its samples' ids: a key or position, or a tuple of them that leads further in; "content"; or None for
            (rank, worker, call counter).
        labels: give (batch, labels): a `Labels`, or a list with one for each entry that is an image or a batch of them.

    Raises:
        TypeError: what is no pipeline, or cannot be called. ValueError: from a batch, as for `Transform`.
    """

    def __init__(
        self, pipeline: Pipeline, collate_fn: Callable[[list[Any]], Any] = default_collate, key: Any = None, ids: Any = None, labels: bool = False
    ) -> None:
        check_collate(collate_fn)
        self._stage = Stage(pipeline, key, ids)
        self.pipeline, self.collate_fn, self.labels = pipeline, collate_fn, labels

    def __call__(self, items: list[Any]) -> Any:
        batch = collated(self.collate_fn, items)
        out, told = self._stage.run(batch, self._stage.plan(batch), self.labels)
        return (out, told[0] if len(told) == 1 else told) if self.labels else out


class Prepare:
    """A `collate_fn` that draws and plans, on the CPU, in the worker, what `DeviceLoader` is to do to the batch that another one made.

    The process that trains then only copies and launches. The loader gives `PreparedBatch`es, for a `DeviceLoader` (or Lightning's callback) with the same
    pipeline; what comes out of that is the same, to the bit, with and without.

    Args:
        pipeline: what to do.
        collate_fn: makes the batch, torch's default by default. Images of different sizes stay a list, which one of your own has to give.
        key: where images stand in the batch, as for `Transform`.
        ids: where the batch holds its samples' ids, as for `Collate`; None for (rank, worker, call counter).

    Values of float images are checked here, as often as the pipeline says: by default those of each worker's first batch.

    Raises:
        TypeError: what is no pipeline, or cannot be called. ValueError: from a batch, as for `Transform`.
    """

    def __init__(self, pipeline: Pipeline, collate_fn: Callable[[list[Any]], Any] = default_collate, key: Any = None, ids: Any = None) -> None:
        check_collate(collate_fn)
        self._stage, self._checked = Stage(pipeline, key, ids), False
        self.pipeline, self.collate_fn = pipeline, collate_fn

    def __call__(self, items: list[Any]) -> PreparedBatch:
        batch = self._stage.prepare(collated(self.collate_fn, items), wants_check(self.pipeline.check, not self._checked))
        self._checked = True
        return batch


def check_collate(collate_fn: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(collate_fn):
        raise TypeError(f"collate_fn is a {type(collate_fn).__name__}; accepted: a callable that makes a batch of a list of samples.")


def collated(collate_fn: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """The batch that another function makes.

    Raises:
        ValueError: images of different sizes, which torch's own function stacks.
    """
    try:
        return collate_fn(items)
    except RuntimeError as error:
        if "equal size" not in str(error):
            raise
        raise ValueError(
            f"the samples cannot be stacked: {error}; accepted: images of one size, or a collate_fn that leaves them a list, such as collate_fn=list."
        ) from None
