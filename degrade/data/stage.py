"""A pipeline at work on samples and batches: who the images are is settled on the host, then they are degraded wherever they lie."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.inputs import check_ids, content_ids
from degrade.labels import Labels
from degrade.pipeline import Pipeline

from .images import images_in, opened
from .nested import Path, at, mapped, paths_of

TOLD = ("type", "severity", "level", "params", "area", "masks")  # labels that a loader can collate


@dataclass(frozen=True)
class Image:
    """One image or batch of images in a sample: where it stands, who it is, and which view of them."""

    path: Path
    ids: Array
    view: int = 0
    many: bool = False  # a batch b 3 h w


class Stage:
    """A pipeline with the places of images and ids.

    Args:
        pipeline: what to do.
        key: where images stand, as `images_in` takes it.
        ids: where their ids stand: a key or position, or a tuple of them that leads further in; "content" to hash each image; None for
            (rank, worker, call counter).

    A tensor b 3 h w holds b samples. Several of equal b, such as the crops of a multi-crop batch, are views 0, 1, … of the same samples. Single
    images, such as a list of images of different sizes, are one sample each; with one id for all of them, they are its views.
    """

    def __init__(self, pipeline: Pipeline, key: Any = None, ids: Any = None) -> None:
        if not isinstance(pipeline, Pipeline):
            raise TypeError(f"pipeline is a {type(pipeline).__name__}; accepted: degrade.Pipeline.")
        if isinstance(ids, (list, np.ndarray, torch.Tensor)):
            raise TypeError(f"ids is a {type(ids).__name__}; accepted: the key or position at which a sample holds its id, 'content', or None.")
        self.pipeline, self.key, self.ids = pipeline, key, ids

    def plan(self, sample: Any) -> list[Image]:
        """Who the images of a sample or batch are. On the host, and in the order in which batches come: ids may be drawn here.

        Raises:
            ValueError: ids that are not there, or not as many as the images.
        """
        paths = images_in(sample, self.key)
        tensors = [opened(at(sample, path, "key"))[0] for path in paths]
        singles = sum(x.dim() == 3 for x in tensors)
        given = self._given(sample)
        drawn: dict[int, Array] = {}  # ids of batches by their length, which views share
        views: Counter[int] = Counter()  # how many batches of that length there were
        out: list[Image] = []
        for path, x in zip(paths, tensors):
            if x.dim() > 3:
                shared = drawn.get(len(x)) if self.ids is None else None
                ids = drawn[len(x)] = self._ids(x, given, len(x)) if shared is None else shared
                out.append(Image(path, ids, views[len(x)], many=True))
                views[len(x)] += 1
            else:
                number = sum(not image.many for image in out)
                ids = self._ids(x[None], given, singles, alone=True)
                one = len(ids) == 1
                view = number if one and given is not None else 0
                out.append(Image(path, ids if one else ids[number : number + 1], view))
        return out

    def _given(self, sample: Any) -> Array | None:
        """The ids that a sample holds, if it is said where."""
        if self.ids is None or self.ids == "content":
            return None
        (path,) = paths_of(self.ids)
        found = at(sample, path, "ids")
        return check_ids(found, found.numel() if isinstance(found, torch.Tensor) else np.size(found))

    def _ids(self, x: torch.Tensor, given: Array | None, count: int, alone: bool = False) -> Array:
        """Ids for images b 3 h w: those given, which must be as many as `count` or, for images that stand alone, one; a hash; or new ones."""
        if given is None:
            return content_ids(x) if self.ids == "content" else self.pipeline.calls.next(len(x))
        if len(given) != count and not (alone and len(given) == 1):
            raise ValueError(f"ids={self.ids!r} holds {len(given)} ids for {count} images; accepted: one id for each.")
        return given

    def run(self, sample: Any, images: list[Image], labels: bool = False) -> tuple[Any, list[Labels]]:
        """The sample degraded, and the labels of each image where they are wanted. Single images of equal sizes go together.

        Raises:
            RuntimeError: images on a GPU inside a worker of a DataLoader.
        """
        done: dict[Path, Any] = {}
        told: dict[Path, Labels] = {}
        groups: dict[Any, list[tuple[Image, torch.Tensor, Any]]] = {}
        for image in images:
            x, back = opened(at(sample, image.path, "key"))
            check_worker(x)
            alike = image.path if image.many else (x.shape, x.dtype, x.device, image.view)
            groups.setdefault(alike, []).append((image, x, back))
        for group in groups.values():
            first, x, back = group[0]
            ids = np.concatenate([image.ids for image, _, _ in group])
            got = self.pipeline(x if first.many else torch.stack([x for _, x, _ in group]), ids=ids, view=first.view, labels=labels)
            y, said = got if labels else (got, None)
            for i, (image, _, back) in enumerate(group):
                done[image.path] = back(y if first.many else y[i])
                if said is not None:
                    told[image.path] = said if first.many else said[i]
        out = mapped(sample, lambda path, leaf: done.get(path, leaf))
        return out, [told[image.path] for image in images] if labels else []


def tensors_of(labels: Labels) -> dict[str, torch.Tensor]:
    """Labels of b samples as a dict of tensors, b first, that a loader can collate."""
    return {name: getattr(labels, name) for name in TOLD}


def check_worker(x: torch.Tensor) -> None:
    """Refuse images on a GPU inside a worker: a forked process cannot use CUDA, and others would each hold a context of their own.

    Raises:
        RuntimeError: saying where to degrade instead.
    """
    if torch.utils.data.get_worker_info() is not None and x.device.type != "cpu":
        raise RuntimeError(
            f"an image is on {x.device} inside a worker of a DataLoader; accepted there: images on the CPU. Let workers give CPU images, and degrade "
            "after the loader: degrade.data.DeviceLoader(loader, pipeline, device)."
        )
