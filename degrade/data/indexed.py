"""A Dataset whose samples are degraded by index: the strongest promise of reproducibility."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
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

    Equal indices and epochs give equal images whatever the number of workers, their start method, or the order. A DataLoader gets the
    images of a batch that have one size degraded together, in its worker.

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
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """What a DataLoader asks for: the samples of a batch, of which those of equal size are degraded together, which costs less for each."""
        whole = range(len(self))
        indices = [whole[int(index)] for index in indices]  # a negative index is the same sample
        items = [self.dataset[index] for index in indices]
        keys = [self._key(item) for item in items]
        images = [to_tensor(item if key is None else item[key]) for item, key in zip(items, keys)]
        if self.transform is not None and self.order == "after":
            images = [plain(self.transform(image)) for image in images]
        out: list[Any] = [None] * len(items)
        for own in alike(images):
            for i, (y, told) in zip(own, self._degraded([images[i] for i in own], [indices[i] for i in own])):
                item = y if keys[i] is None else _replaced(items[i], keys[i], y)
                out[i] = (item, told) if self.labels else item
        return out

    def _key(self, item: Any) -> Any:
        """Where the image stands in an item; None if the item is the image."""
        return self.key if self.key is not None else "image" if isinstance(item, dict) else 0 if isinstance(item, (tuple, list)) else None

    def _degraded(self, images: list[torch.Tensor], indices: list[int]) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
        """Images 3 h w of one size, each degraded and transformed, with what was done, empty where no labels are wanted."""
        check_worker(images[0])
        batch, labels = self.pipeline(torch.stack(images), ids=indices, labels=True)
        transform = self.transform if self.order == "before" else None
        every = tensors_of(labels) if self.labels else {}
        for i, y in enumerate(batch):
            told = {name: values[i] for name, values in every.items()}
            if transform is not None and self.labels:
                y, told["masks"] = jointly(transform, y, told["masks"])
                told["area"] = told["masks"].mean((1, 2), dtype=torch.float64).to(torch.float32)
            elif transform is not None:
                y = plain(transform(y))
            yield y, told


def alike(images: Sequence[torch.Tensor]) -> Iterator[list[int]]:
    """Which images have one shape, dtype and device, in the order of the first of each kind."""
    found: dict[Any, list[int]] = {}
    for i, image in enumerate(images):
        found.setdefault((image.shape, image.dtype, image.device), []).append(i)
    yield from found.values()


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
