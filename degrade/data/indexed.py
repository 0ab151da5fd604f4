"""A Dataset whose samples are degraded by index: the strongest promise of reproducibility."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from degrade.pipeline import Pipeline


class Indexed(Dataset[Any]):
    """Wrap a map-style dataset; the index is the sample id.

    Equal indices and epochs give equal images whatever the number of workers, their start method, or the order.

    Args:
        dataset: gives an image, or a tuple, list or dict that holds one. Tensors 3 h w (uint8 or float in 0…1), NumPy
            arrays h w 3 and PIL images are accepted; the result is a tensor 3 h w.
        pipeline: what to do. `pipeline.set_epoch(e)` draws anew, also in persistent workers.
        key: where the image stands in a tuple or dict; 0 by default for tuples and lists, "image" for dicts.
        labels: also return what was done: each item becomes (item, labels) with the tensors of one sample as a dict.
    """

    def __init__(self, dataset: Any, pipeline: Pipeline, key: Any = None, labels: bool = False) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"dataset is a {type(dataset).__name__}; accepted: a map-style dataset with __getitem__ and __len__.")
        if not isinstance(pipeline, Pipeline):
            raise TypeError(f"pipeline is a {type(pipeline).__name__}; accepted: degrade.Pipeline.")
        self.dataset, self.pipeline, self.key, self.labels = dataset, pipeline, key, labels

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]  # a negative index is the same sample
        item = self.dataset[index]
        key = self.key if self.key is not None else "image" if isinstance(item, dict) else 0 if isinstance(item, (tuple, list)) else None
        image = to_tensor(item if key is None else item[key])
        y, labels = self.pipeline(image, ids=[index], labels=True)
        out = y if key is None else _replaced(item, key, y)
        if not self.labels:
            return out
        return out, {name: getattr(labels, name)[0] for name in ("type", "severity", "level", "params", "area", "masks")}


def _replaced(item: Any, key: Any, value: torch.Tensor) -> Any:
    """A copy of the item with one entry replaced."""
    if isinstance(item, dict):
        return {**item, key: value}
    parts = list(item)
    parts[key] = value
    return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)


def to_tensor(image: Any) -> torch.Tensor:
    """A tensor 3 h w from a tensor, a NumPy array h w 3 or a PIL image."""
    if isinstance(image, torch.Tensor):
        return image
    if not isinstance(image, np.ndarray):
        if not hasattr(image, "convert"):
            raise TypeError(f"the image is a {type(image).__name__}; accepted: a torch tensor 3 h w, a NumPy array h w 3 or a PIL image.")
        image = np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
    image = image[..., None] if image.ndim == 2 else image
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))  # a copy: PIL's memory is read-only
