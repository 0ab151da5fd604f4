"""A Dataset whose samples are degraded by index: the strongest promise of reproducibility."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Dataset

from degrade.errors import unknown
from degrade.pipeline import Pipeline

from .images import to_tensor
from .stage import check_worker, tensors_of

ORDERS = ("before", "after")


class Indexed(Dataset[Any]):
    """Wrap a map-style dataset; the index is the sample id.

    Equal indices and epochs give equal images whatever the number of workers, their start method, or the order.

    Args:
        dataset: gives an image, or a tuple, list or dict that holds one. Tensors 3 h w (uint8 or float in 0…1), NumPy
            arrays h w 3 and PIL images are accepted; the result is a tensor 3 h w.
        pipeline: what to do. `pipeline.set_epoch(e)` draws anew, also in persistent workers.
        key: where the image stands in a tuple or dict; 0 by default for tuples and lists, "image" for dicts.
        labels: also return what was done: each item becomes (item, labels) with the tensors of one sample as a dict.
        transform: crops, flips, resizes and whatever else, of the image as a tensor 3 h w; a transform of torchvision v2, for example. What it
            draws is its own affair: it gets no index.
        order: "before" degrades the image that the dataset gave, then transforms the result. With labels, the transform is called with
            (image, masks), as a `tv_tensors.Image` and `tv_tensors.Mask` s h w where torchvision is installed and as plain tensors
            otherwise, and gives both back; `masks` and `area` are then those of the result. "after" transforms first: masks, block grids
            and lengths in pixels are those of what the network sees.

    Raises:
        TypeError: what is no dataset or no pipeline, or a transform that cannot be called.
        ValueError: an unknown order; from an item, a transform that does not give back what it was called with.
    """

    def __init__(
        self,
        dataset: Any,
        pipeline: Pipeline,
        key: Any = None,
        labels: bool = False,
        transform: Callable[..., Any] | None = None,
        order: str = "before",
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"dataset is a {type(dataset).__name__}; accepted: a map-style dataset with __getitem__ and __len__.")
        if not isinstance(pipeline, Pipeline):
            raise TypeError(f"pipeline is a {type(pipeline).__name__}; accepted: degrade.Pipeline.")
        if transform is not None and not callable(transform):
            raise TypeError(
                f"transform is a {type(transform).__name__}; accepted: a callable, such as torchvision.transforms.v2.RandomResizedCrop(224)."
            )
        if order not in ORDERS:
            raise ValueError(unknown("order", order, ORDERS))
        self.dataset, self.pipeline, self.key, self.labels, self.transform, self.order = dataset, pipeline, key, labels, transform, order

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]  # a negative index is the same sample
        item = self.dataset[index]
        key = self.key if self.key is not None else "image" if isinstance(item, dict) else 0 if isinstance(item, (tuple, list)) else None
        image = to_tensor(item if key is None else item[key])
        y, told = self.degraded(image, index)
        out = y if key is None else _replaced(item, key, y)
        return (out, told) if self.labels else out

    def degraded(self, image: torch.Tensor, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """One image 3 h w, degraded and transformed, and what was done, empty where no labels are wanted."""
        transform, after = self.transform, self.order == "after"
        if transform is not None and after:
            image = plain(transform(image))
        check_worker(image)
        y, labels = self.pipeline(image, ids=[index], labels=True)
        if not self.labels:
            return y if transform is None or after else plain(transform(y)), {}
        told = {name: value[0] for name, value in tensors_of(labels).items()}
        if transform is not None and not after:
            y, told["masks"] = jointly(transform, y, told["masks"])
            told["area"] = told["masks"].mean((1, 2), dtype=torch.float64).to(torch.float32)
        return y, told


def jointly(transform: Callable[..., Any], image: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An image 3 h w and its masks s h w through one transform, told apart by torchvision's types where there is torchvision."""
    try:
        types = importlib.import_module("torchvision.tv_tensors")
    except ModuleNotFoundError:
        got = transform(image, masks)
    else:
        got = transform(types.Image(image), types.Mask(masks))
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        raise ValueError(
            f"transform gave a {type(got).__name__}; accepted with order='before' and labels=True: the image and the masks, as it got them."
        )
    y, followed = plain(got[0]), plain(got[1])
    if followed.shape != (len(masks), *y.shape[1:]):
        raise ValueError(
            f"transform gave masks {tuple(followed.shape)} for an image {tuple(y.shape)}; accepted: {len(masks)} masks of the image's size."
        )
    return y, followed


def plain(image: Any) -> torch.Tensor:
    """A tensor without torchvision's type."""
    if not isinstance(image, torch.Tensor):
        raise ValueError(f"transform gave a {type(image).__name__}; accepted: a torch tensor 3 h w.")
    return image.as_subclass(torch.Tensor)


def _replaced(item: Any, key: Any, value: torch.Tensor) -> Any:
    """A copy of the item with one entry replaced."""
    if isinstance(item, dict):
        return {**item, key: value}
    parts = list(item)
    parts[key] = value
    return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
